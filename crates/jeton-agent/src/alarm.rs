//! Sleep that ends when it should, though timers stand still while a machine is suspended.
//!
//! On Linux the kernel says when the wall clock jumps and when the machine wakes, so that nobody has to look: a process
//! that has nothing to do does not run. Elsewhere sleep is taken in slices.
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;

/// The longest sleep in one piece where nobody says that the machine was suspended: what came due meanwhile is done soon
/// after it wakes.
const SLICE: Duration = Duration::from_secs(30);

/// Wakes whoever sleeps by it. Cheap to clone; one is enough for a process.
#[derive(Clone, Debug)]
pub struct Alarm {
    jumped: Arc<Notify>,
    longest: Option<Duration>,
}

impl Alarm {
    /// An alarm, which listens for the clock's jumps inside the runtime that it is made in.
    #[must_use]
    pub fn set() -> Self {
        let jumped = Arc::new(Notify::new());
        let longest = (!jumps::tell(&jumped)).then_some(SLICE);
        Self { jumped, longest }
    }

    /// Sleeps for `span`, or shorter: whoever waits for a moment looks at the clock again.
    pub async fn sleep(&self, span: Duration) {
        let span = self.longest.map_or(span, |longest| span.min(longest));
        tokio::select! {
            () = sleep(span) => {}
            () = self.jumped.notified() => {}
        }
    }
}

#[cfg(target_os = "linux")]
mod jumps {
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use std::os::fd::OwnedFd;
    use std::sync::Arc;
    use tokio::io::unix::AsyncFd;
    use tokio::sync::Notify;

    /// A time of the wall clock that never comes, in seconds: the timer is there to be cancelled.
    const NEVER: i64 = 1 << 40;

    /// Has whoever waits told of each jump; false where that cannot be.
    pub(super) fn tell(jumped: &Arc<Notify>) -> bool {
        let Some(timer) = armed() else { return false };
        let jumped = Arc::downgrade(jumped);
        tokio::spawn(async move {
            while let Ok(mut ready) = timer.readable().await {
                // The read fails with ECANCELED, which is the message.
                let _ = rustix::io::read(timer.get_ref(), &mut [0u8; 8]);
                ready.clear_ready();
                let Some(jumped) = jumped.upgrade() else { return };
                jumped.notify_waiters();
            }
        });
        true
    }

    /// A timer of the wall clock that is cancelled when that clock is set, or the machine wakes (timerfd_settime(2)).
    #[expect(
        deprecated,
        reason = "its successor is unsafe; an `OwnedFd` is what it says it is"
    )]
    fn armed() -> Option<AsyncFd<OwnedFd>> {
        let flags = TimerfdFlags::CLOEXEC.union(TimerfdFlags::NONBLOCK);
        let timer = timerfd_create(TimerfdClockId::Realtime, flags).ok()?;
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let never = Itimerspec {
            it_interval: zero,
            it_value: Timespec {
                tv_sec: NEVER,
                tv_nsec: 0,
            },
        };
        let how = TimerfdTimerFlags::ABSTIME.union(TimerfdTimerFlags::CANCEL_ON_SET);
        timerfd_settime(&timer, how, &never).ok()?;
        AsyncFd::new(timer).ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod jumps {
    use std::sync::Arc;
    use tokio::sync::Notify;

    pub(super) const fn tell(_: &Arc<Notify>) -> bool {
        false
    }
}
