//! How long a fetched document may be used (RFC 9111), within bounds of our own.
use crate::http::Response;
use jeton_core::Moment;
use std::time::Duration;

/// The shortest life of a document, whatever its server says: nobody asks more often than once a minute.
pub const SHORTEST_LIFE: Duration = Duration::from_secs(60);
/// The longest life, whatever its server says: a key that was withdrawn is gone after an hour.
pub const LONGEST_LIFE: Duration = Duration::from_secs(60 * 60);
/// The life of a document whose server says nothing.
const UNSAID_LIFE: Duration = Duration::from_secs(5 * 60);
/// How long a document is used while its server cannot be reached (RFC 5861 section 4).
pub const STALE_IF_ERROR: Duration = Duration::from_secs(24 * 60 * 60);

/// When a document was fetched, and what its server said of its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Freshness {
    pub(crate) fetched: Moment,
    /// From then on it has to be fetched again.
    pub(crate) life: Duration,
    /// Whether other processes may have it: unless the server forbade it.
    pub(crate) may_store: bool,
}

impl Freshness {
    /// Of a document that no server has: it was given, and is not asked for.
    pub(super) const NEVER_ASKED: Self = Self {
        fetched: Moment {
            wall: jeton_core::UnixTime::from_seconds(0),
            uptime: Duration::ZERO,
        },
        life: Duration::MAX,
        may_store: false,
    };

    /// Of a document in this answer.
    pub(crate) fn of(response: &Response) -> Self {
        let control = response.header("cache-control").unwrap_or_default();
        let age = response.header("age").and_then(|age| age.trim().parse().ok());
        let (life, may_store) = life(control, age.unwrap_or(0));
        Self {
            fetched: response.received,
            life,
            may_store,
        }
    }

    fn age(&self, now: Moment) -> Duration {
        now.since_at_most(self.fetched)
    }

    /// Whether it can be used without another thought.
    pub(crate) fn is_fresh(&self, now: Moment) -> bool {
        self.age(now) < self.life
    }

    /// Whether a newer one should be fetched behind the back of those who use it: after four fifths of its life.
    pub(crate) fn is_aging(&self, now: Moment) -> bool {
        self.age(now) >= self.life / 5 * 4
    }

    /// Whether it can still be used when no newer one can be had.
    pub(crate) fn is_usable(&self, now: Moment) -> bool {
        self.age(now) < STALE_IF_ERROR
    }
}

/// The life that `Cache-Control: control` and `Age: age` give, and whether other processes may have the document.
fn life(control: &str, age: u64) -> (Duration, bool) {
    let mut max_age = None;
    let mut forbidden = false;
    for directive in control.split(',') {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => forbidden = true,
            // Digits beyond every number are a long life (RFC 9111 section 1.2.2).
            "max-age" if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => {
                max_age = Some(value.parse().unwrap_or(u64::MAX));
            }
            _ => (),
        }
    }
    let said = max_age.map(|seconds: u64| Duration::from_secs(seconds.saturating_sub(age)));
    let life = if forbidden {
        Duration::ZERO
    } else {
        said.unwrap_or(UNSAID_LIFE)
    };
    (life.clamp(SHORTEST_LIFE, LONGEST_LIFE), !forbidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_word_counts_within_bounds() {
        // (Cache-Control, Age, life in seconds, may be stored)
        let rows = [
            ("", 0, 300, true),
            ("max-age=600", 0, 600, true),
            ("public, max-age=600, must-revalidate", 100, 500, true),
            ("MAX-AGE=\"600\"", 0, 600, true),
            ("max-age=0", 0, 60, true),
            ("max-age=600", 9999, 60, true),
            ("max-age=99999999", 0, 3600, true),
            ("max-age=99999999999999999999999", 0, 3600, true),
            ("max-age=-1", 0, 300, true),
            ("max-age=soon", 0, 300, true),
            ("no-store", 0, 60, false),
            ("no-cache, max-age=600", 0, 60, false),
        ];
        for (control, age, seconds, may_store) in rows {
            assert_eq!(
                life(control, age),
                (Duration::from_secs(seconds), may_store),
                "{control}"
            );
        }
    }
}
