//! Time as a value: nothing in this crate reads a clock, every function is told what time it is.
use core::time::Duration;

/// A wall-clock time: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted (POSIX time).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(i64);

impl UnixTime {
    /// From whole seconds since the epoch, as in a `NumericDate` (RFC 7519 section 2); saturates.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// From milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Whole seconds since the epoch, rounded towards the past.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        u64::try_from(millis).map_or(Duration::ZERO, Duration::from_millis)
    }

    /// This time plus `span`; saturates.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// This time minus `span`; saturates.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

/// One reading of both clocks: the wall clock, which may be wrong and may jump, and the time since the machine
/// started, which never does either and goes on while the machine sleeps (`CLOCK_BOOTTIME` on Linux).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The local wall clock.
    pub wall: UnixTime,
    /// Time since the machine started, suspended time included.
    pub uptime: Duration,
}

impl Moment {
    /// How much time passed since `earlier` was read *in the same start of this machine*: the monotonic clock alone.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.uptime.saturating_sub(earlier.uptime)
    }

    /// How much time passed at the most since `earlier` was read, perhaps by another process, perhaps before a
    /// restart: the larger of what the two clocks say. A wall clock put back makes nothing younger, one put
    /// forward makes things older (which costs a fetch, never a stale token).
    #[must_use]
    pub fn since_at_most(self, earlier: Self) -> Duration {
        self.uptime
            .saturating_sub(earlier.uptime)
            .max(self.wall.since(earlier.wall))
    }
}
