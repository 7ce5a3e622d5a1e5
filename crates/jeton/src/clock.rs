//! Time as a value: made once in `main`, handed down, and set by hand in tests.
use jeton_core::{Moment, UnixTime};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A clock that can be asked for both times at once.
#[derive(Clone, Debug)]
pub struct Clock(Inner);

#[derive(Clone, Debug)]
enum Inner {
    System,
    Manual(Arc<Mutex<Moment>>),
}

impl Clock {
    /// The machine's clocks.
    #[must_use]
    pub const fn system() -> Self {
        Self(Inner::System)
    }

    /// A clock that stands still until [`Clock::advance`] or [`Clock::set_wall`] moves it.
    #[must_use]
    pub fn manual(wall: UnixTime) -> Self {
        let uptime = Duration::from_secs(1_000_000);
        Self(Inner::Manual(Arc::new(Mutex::new(Moment { wall, uptime }))))
    }

    /// Both clocks, now.
    #[must_use]
    pub fn now(&self) -> Moment {
        match &self.0 {
            Inner::System => system_now(),
            Inner::Manual(moment) => *moment.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// The time since the machine started, now: half of [`Clock::now`], for the path that is counted in nanoseconds.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        match &self.0 {
            Inner::System => system_uptime(),
            Inner::Manual(moment) => moment.lock().unwrap_or_else(PoisonError::into_inner).uptime,
        }
    }

    /// Lets time pass on a manual clock; nothing on the system's.
    pub fn advance(&self, span: Duration) {
        self.change(|m| {
            *m = Moment {
                wall: m.wall.plus(span),
                uptime: m.uptime + span,
            }
        });
    }

    /// Sets a manual clock's wall time, as an administrator would: no time passes. Nothing on the system's.
    pub fn set_wall(&self, wall: UnixTime) {
        self.change(|m| m.wall = wall);
    }

    fn change(&self, f: impl FnOnce(&mut Moment)) {
        if let Inner::Manual(moment) = &self.0 {
            f(&mut moment.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

fn system_uptime() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    // BOOTTIME goes on during suspend, MONOTONIC does not: a token must not outlive a night in a closed laptop.
    #[cfg(target_os = "linux")]
    const UPTIME: ClockId = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const UPTIME: ClockId = ClockId::Monotonic;
    let uptime = clock_gettime(UPTIME);
    Duration::new(
        u64::try_from(uptime.tv_sec).unwrap_or(0),
        u32::try_from(uptime.tv_nsec).unwrap_or(0),
    )
}

fn system_now() -> Moment {
    use rustix::time::{ClockId, clock_gettime};
    let wall = clock_gettime(ClockId::Realtime);
    Moment {
        wall: UnixTime::from_millis(
            wall.tv_sec
                .saturating_mul(1000)
                .saturating_add(wall.tv_nsec / 1_000_000),
        ),
        uptime: system_uptime(),
    }
}
