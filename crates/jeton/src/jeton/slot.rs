//! The handle for one request: a token that is read without a lock, and replaced ahead of need.
use super::{Inner, acquisition};
use crate::Error;
use crate::cache::memory::{self, Kept};
use arc_swap::Guard;
use jeton_core::Token;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// One request's place in the cache of a [`Jeton`](super::Jeton). Cheap to clone.
#[derive(Clone)]
pub struct Slot {
    inner: Arc<Inner>,
    slot: Arc<memory::Slot>,
    need: Duration,
}

/// The token that is kept at this moment. Borrowed, not counted: do not hold it across a wait.
pub struct Current(Guard<Arc<Kept>>);

impl Slot {
    pub(super) fn new(inner: Arc<Inner>, slot: Arc<memory::Slot>, need: Duration) -> Self {
        Self { inner, slot, need }
    }

    /// The token that is kept, if it lives long enough for the request: one atomic read, one look at the clock, no
    /// lock and no shared count. Inside a tokio runtime it also has a token replaced ahead of its end, while this one
    /// is served on.
    #[must_use]
    pub fn current(&self) -> Option<Current> {
        let uptime = self.inner.cx.clock.uptime();
        let current = self.kept(uptime, self.need)?;
        if uptime >= current.0.refresh_from {
            self.refresh_behind(uptime);
        }
        Some(current)
    }

    /// A token that lives long enough for the request.
    ///
    /// # Errors
    /// As [`Jeton::token`](super::Jeton::token).
    pub async fn token(&self) -> Result<Token, Error> {
        self.token_within(self.need).await
    }

    pub(super) async fn token_within(&self, need: Duration) -> Result<Token, Error> {
        if self.inner.keeps_nothing() {
            return acquisition::direct(&self.inner, &self.request(need)).await;
        }
        let slot = Self { need, ..self.clone() };
        if let Some(current) = slot.current() {
            return Ok(current.clone());
        }
        acquisition::joined(&slot.inner, &slot.slot, need).await
    }

    /// How long until the kept token should be replaced ahead of need; `None` when none is kept.
    #[must_use]
    pub fn refresh_in(&self) -> Option<Duration> {
        let uptime = self.inner.cx.clock.uptime();
        let kept = self.slot.kept.load();
        kept.is_token().then(|| kept.refresh_from.saturating_sub(uptime))
    }

    /// Done when another token is kept than at the moment of the call, or none any more.
    pub fn changed(&self) -> impl Future<Output = ()> + Send + '_ {
        self.slot.changed.notified()
    }

    /// Replaces the kept token now, whatever life it has left. It is served until the new one is there, and kept when
    /// there will be none.
    ///
    /// # Errors
    /// As [`Jeton::token`](super::Jeton::token).
    pub async fn refresh(&self) -> Result<Token, Error> {
        let call = acquisition::replace(&self.inner, &self.slot, self.need);
        call.await.map(|token| Token::clone(&token))
    }

    /// Whether somebody is fetching a token for this request at this moment.
    #[must_use]
    pub fn is_fetching(&self) -> bool {
        self.slot.flight.is_running()
    }

    fn request(&self, need: Duration) -> jeton_core::TokenRequest {
        self.slot.request.clone().min_validity(need)
    }

    fn kept(&self, uptime: Duration, need: Duration) -> Option<Current> {
        let guard = self.slot.kept.load();
        guard.serves(uptime, need).then(|| {
            self.slot.touch(uptime);
            Current(guard)
        })
    }

    /// Starts a replacement that nobody waits for, where there is a runtime to carry it.
    #[cold]
    fn refresh_behind(&self, uptime: Duration) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if self.is_fetching() || self.slot.flight.paused(uptime).is_some() {
            return;
        }
        let call = acquisition::replace(&self.inner, &self.slot, self.need);
        runtime.spawn(async move {
            // Whatever came of it is in the slot.
            let _ = call.await;
        });
    }
}

impl Deref for Current {
    type Target = Token;

    fn deref(&self) -> &Token {
        &self.0.token
    }
}
