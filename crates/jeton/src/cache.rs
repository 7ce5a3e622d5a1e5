//! Caches that are safe to trust: in memory for one process, on disk for all processes of one user on one machine.
//!
//! | part | holds |
//! |---|---|
//! | [`key`] | what a cached token is for: change any of it, and it is a miss |
//! | `entry` | a token as it is written, and what is checked when it is read again |
//! | `folder` | where it is written, and when a place or a file is not trusted |
//! | [`disk`] | read, written whole or not at all, listed, cleared |
//! | `lease` | one flight per key on the machine |
//! | `memory` | read without a lock |
//!
//! Nothing here ever fails a command: what cannot be read is a miss, what cannot be written is a warning.
use jeton_core::{Life, Moment};
use std::time::Duration;

pub mod disk;
pub(crate) mod entry;
pub(crate) mod folder;
pub mod key;
pub(crate) mod lease;
pub(crate) mod memory;

pub use disk::{Disk, Listed};
pub use folder::locate;
pub use key::{Key, Particulars};

/// What a cached token must be to be of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// How long it must live from now.
    pub min_left: Duration,
    /// How long ago it may have been received at the most; `None`: its own life alone counts.
    pub ttl: Option<Duration>,
    /// Received later than this: what is older was ignored on purpose (`--refresh`, a refresh ahead of need).
    pub since: Option<Moment>,
}

impl Wanted {
    /// Any token that lives this long.
    #[must_use]
    pub const fn living(min_left: Duration) -> Self {
        Self {
            min_left,
            ttl: None,
            since: None,
        }
    }

    /// Whether a token with this life, perhaps received by another process, will do.
    #[must_use]
    pub fn accepts(&self, life: &Life, now: Moment) -> bool {
        let left = life.left_at_least(now);
        left >= self.min_left
            && !left.is_zero()
            && self.ttl.is_none_or(|ttl| now.since_at_most(life.received) <= ttl)
            && self.since.is_none_or(|since| life.received.uptime > since.uptime)
    }
}
