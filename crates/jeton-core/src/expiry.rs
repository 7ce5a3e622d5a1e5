//! How long a token lives, measured so that a wrong local clock cannot make a good token look dead or a dead one good.
use crate::time::{Moment, UnixTime};
use core::time::Duration;

/// The longest life that is believed of a token without an `exp` of its own (`expires_in` may say anything).
pub const LONGEST_EXPIRES_IN: Duration = Duration::from_secs(24 * 60 * 60);
/// A token is renewed ahead of need when a fifth of its life is left …
const MARGIN_DIVISOR: u32 = 5;
/// … but never earlier than this before its end, however long it lives.
const LARGEST_MARGIN: Duration = Duration::from_secs(5 * 60);

/// A token's life as seen from here: when it was received and how much life it had then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// When it was received.
    pub received: Moment,
    /// How much life it had at that moment.
    pub left_at_receipt: Duration,
    /// The issuer's clock minus ours, in milliseconds, as far as the answer showed it; 0 when unknown.
    pub clock_offset_millis: i64,
}

impl Life {
    /// The life of a token that says when it ends.
    ///
    /// The issuer's present is the HTTP `Date` of the answer where there is one, else our clock; a token cannot have
    /// been issued later than that, so `iat` pushes it forward. What is left is `exp` minus that present, hence never
    /// more than `exp - iat`.
    #[must_use]
    pub fn from_claims(
        iat: Option<UnixTime>,
        exp: UnixTime,
        date: Option<UnixTime>,
        received: Moment,
    ) -> Self {
        let present = date.unwrap_or(received.wall);
        let present = iat.map_or(present, |iat| present.max(iat));
        Self {
            received,
            left_at_receipt: exp.since(present),
            clock_offset_millis: present.millis().saturating_sub(received.wall.millis()),
        }
    }

    /// The life of an opaque token whose endpoint said `expires_in` (RFC 6749 section 5.1).
    #[must_use]
    pub fn from_expires_in(expires_in: Duration, received: Moment) -> Self {
        Self {
            received,
            left_at_receipt: expires_in.min(LONGEST_EXPIRES_IN),
            clock_offset_millis: 0,
        }
    }

    /// What is left, for a token received in this process.
    #[must_use]
    pub fn left(&self, now: Moment) -> Duration {
        self.left_at_receipt.saturating_sub(now.since(self.received))
    }

    /// What is left at the least, for a token that another process may have received (the disk cache).
    #[must_use]
    pub fn left_at_least(&self, now: Moment) -> Duration {
        self.left_at_receipt
            .saturating_sub(now.since_at_most(self.received))
    }

    /// How long before its end a token should be replaced when nobody is waiting: a fifth of the life it had, at
    /// most five minutes, and at least twice what minting was measured to take.
    #[must_use]
    pub fn refresh_margin(&self, minting_takes: Duration) -> Duration {
        (self.left_at_receipt / MARGIN_DIVISOR)
            .min(LARGEST_MARGIN)
            .max(minting_takes.saturating_mul(2))
            .min(self.left_at_receipt / 2)
    }

    /// How long until it should be replaced ahead of need; zero when that time has come.
    #[must_use]
    pub fn refresh_in(&self, now: Moment, minting_takes: Duration) -> Duration {
        self.left(now).saturating_sub(self.refresh_margin(minting_takes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: i64) -> Moment {
        Moment {
            wall: UnixTime::from_seconds(wall),
            uptime: Duration::from_secs(1000),
        }
    }

    #[test]
    fn life_is_measured_against_the_issuers_present() {
        // (iat, exp, Date, local wall) -> seconds left, offset seconds
        let rows = [
            (Some(100), 400, None, 100, 300, 0),
            (Some(100), 400, Some(110), 110, 290, 0),
            (Some(100), 400, None, 200, 200, 0), // minted earlier: what is left is less
            (Some(5000), 5300, None, 100, 300, 4900), // local clock behind: life counts from receipt
            (Some(100), 400, Some(100), 9000, 300, -8900), // local clock ahead, Date shows it
            (Some(100), 400, None, 9000, 0, 0),  // dead by the local clock, nothing to the contrary
            (None, 400, Some(100), 100, 300, 0),
        ];
        for (iat, exp, date, wall, left, offset) in rows {
            let life = Life::from_claims(
                iat.map(UnixTime::from_seconds),
                UnixTime::from_seconds(exp),
                date.map(UnixTime::from_seconds),
                at(wall),
            );
            assert_eq!(
                life.left_at_receipt.as_secs(),
                left,
                "{iat:?} {exp} {date:?} {wall}"
            );
            assert_eq!(life.clock_offset_millis, offset * 1000);
        }
    }

    #[test]
    fn a_wall_clock_put_back_makes_nothing_younger() {
        let life = Life::from_expires_in(Duration::from_secs(300), at(1_000_000));
        let later = Moment {
            wall: UnixTime::from_seconds(1_000_000 - 3600),
            uptime: Duration::from_secs(1200),
        };
        assert_eq!(life.left_at_least(later).as_secs(), 100);
        let forward = Moment {
            wall: UnixTime::from_seconds(1_003_600),
            uptime: Duration::from_secs(1001),
        };
        assert_eq!(life.left_at_least(forward).as_secs(), 0);
        assert_eq!(life.left(forward).as_secs(), 299);
    }

    #[test]
    fn the_margin_scales_with_life_and_minting_time() {
        let margin = |life, minting| {
            Life::from_expires_in(Duration::from_secs(life), at(0))
                .refresh_margin(Duration::from_secs(minting))
                .as_secs()
        };
        assert_eq!(margin(300, 0), 60);
        assert_eq!(margin(3600, 1), 300);
        assert_eq!(margin(10, 3), 5);
        assert_eq!(margin(86_400, 200), 400);
    }
}
