//! Sessions of agents: opened with the credentials they resolve to, with a token of their own, dead at the end.
pub mod opening;
pub mod record;
pub mod resolution;

use jeton_core::UnixTime;
use std::time::Duration;

/// How long a session's token lives; it is renewed before.
pub const TOKEN_LIFE: Duration = Duration::from_secs(5 * 60);

/// A session that missed this many renewals is over.
pub const MISSED_RENEWALS: u32 = 2;

/// Whom a session's own token names.
#[must_use]
pub fn subject_of(id: &str) -> String {
    format!("session:{id}")
}

/// When a session is over that is renewed now and never again.
#[must_use]
pub fn lease_end(now: UnixTime) -> UnixTime {
    now.plus(TOKEN_LIFE * MISSED_RENEWALS)
}
