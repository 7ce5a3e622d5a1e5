//! One call for all who want the same thing at the same time.
//!
//! Everybody who waits drives the call: when the first one gives up, the others carry on; when the last one does, the
//! call is dropped, and with it its connection. All of them get the same answer, or the same error.
use crate::Error;
use futures_util::future::{BoxFuture, FutureExt, Shared, WeakShared};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The wait after a call that failed for good, before another one is made: long enough that a loop of callers does
/// not hammer a server that has just said no, short enough that nobody who mended something notices.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest wait between two calls to a side that keeps failing.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest wait that is taken from `Retry-After` here: a mistaken header must not silence us for a day.
pub(crate) const LONGEST_ASKED_PAUSE: Duration = Duration::from_secs(300);

/// A call that is under way, as those see it who wait for it.
pub(crate) type Call<T> = Shared<BoxFuture<'static, Result<T, Error>>>;

/// The call for one thing, and the pause after it failed.
pub(crate) struct Flight<T: Clone> {
    state: Mutex<State<T>>,
}

struct State<T: Clone> {
    running: Option<(Duration, WeakShared<BoxFuture<'static, Result<T, Error>>>)>,
    pause: Option<Pause>,
}

struct Pause {
    error: Error,
    until: Duration,
    length: Duration,
}

impl<T: Clone> Default for Flight<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                running: None,
                pause: None,
            }),
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call that is under way, if it was made for at least `need`; otherwise the one that `make` makes.
    pub(crate) fn join(
        &self,
        need: Duration,
        make: impl FnOnce() -> BoxFuture<'static, Result<T, Error>>,
    ) -> Call<T> {
        let mut state = self.state();
        if let Some((made_for, weak)) = &state.running
            && let Some(call) = weak.upgrade()
            && call.peek().is_none()
            && *made_for >= need
        {
            return call;
        }
        let call = make().shared();
        state.running = call.downgrade().map(|weak| (need, weak));
        call
    }

    /// Whether a call is under way.
    pub(crate) fn is_running(&self) -> bool {
        let state = self.state();
        let call = state.running.as_ref().and_then(|(_, weak)| weak.upgrade());
        call.is_some_and(|call| call.peek().is_none())
    }

    /// What the last call failed with, while the pause after it lasts.
    pub(crate) fn paused(&self, uptime: Duration) -> Option<Error> {
        let state = self.state();
        let pause = state.pause.as_ref()?;
        (uptime < pause.until).then(|| pause.error.clone())
    }

    /// A call failed: the next one is not made before a pause, which doubles while the failures look transient.
    pub(crate) fn failed(&self, error: &Error, uptime: Duration) {
        let mut state = self.state();
        let doubled = state.pause.as_ref().map_or(FIRST_PAUSE, |last| {
            last.length.saturating_mul(2).min(LONGEST_PAUSE)
        });
        let length = if error.is_transient() {
            doubled
        } else {
            FIRST_PAUSE
        };
        let asked = error.retry_after().unwrap_or_default().min(LONGEST_ASKED_PAUSE);
        state.pause = Some(Pause {
            error: error.clone(),
            until: uptime + length.max(asked),
            length,
        });
    }

    /// A call succeeded, or what it was for has changed: the next one may be made at once.
    pub(crate) fn clear(&self) {
        self.state().pause = None;
    }
}
