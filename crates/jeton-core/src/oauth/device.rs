//! The device flow's decisions (RFC 8628): what the first answer says and when to ask again.
use super::{OAuthError, Unusable, seconds, text, wrong};
use crate::json::Json;
use crate::secret::Secret;
use alloc::borrow::ToOwned;
use alloc::string::String;
use core::time::Duration;

/// The wait between polls when the server names none (RFC 8628 section 3.2).
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// What `slow_down` adds, for good (RFC 8628 section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// The longest wait between polls after connection failures.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);
/// The longest that a device code is believed to live.
const LONGEST_CODE_LIFE: Duration = Duration::from_secs(3600);

/// The device authorization answer (RFC 8628 section 3.2).
#[derive(Clone, Debug)]
pub struct DeviceAnswer {
    /// The code that only this client knows.
    pub device_code: Secret,
    /// The code that the person types.
    pub user_code: String,
    /// Where the person goes.
    pub verification_uri: String,
    /// The same with the code in it.
    pub verification_uri_complete: Option<String>,
    /// How long the codes live.
    pub expires_in: Duration,
    /// The least wait between polls.
    pub interval: Duration,
}

impl DeviceAnswer {
    /// Reads the parsed body.
    ///
    /// # Errors
    /// [`Unusable`] names the member that is missing or of the wrong type.
    pub fn read(body: &Json) -> Result<Self, Unusable> {
        let required = |member| match text(body, member)? {
            Some(value) if !value.is_empty() => Ok(value.to_owned()),
            _ => Err(wrong(member, "is missing or empty")),
        };
        // Google spells it `verification_url`.
        let verification_uri =
            required("verification_uri").or_else(|e| required("verification_url").map_err(|_| e))?;
        let life = seconds(body, "expires_in")?.ok_or_else(|| wrong("expires_in", "is missing"))?;
        let interval = seconds(body, "interval")?.filter(|s| *s > 0.0);
        Ok(Self {
            device_code: Secret::new(required("device_code")?),
            user_code: required("user_code")?,
            verification_uri,
            verification_uri_complete: text(body, "verification_uri_complete")?.map(ToOwned::to_owned),
            expires_in: Duration::from_secs_f64(life.clamp(0.0, LONGEST_CODE_LIFE.as_secs_f64())),
            interval: interval.map_or(DEFAULT_INTERVAL, |s| {
                Duration::from_secs_f64(s.min(LONGEST_INTERVAL.as_secs_f64()))
            }),
        })
    }
}

/// What a poll brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollAnswer {
    /// The token is there.
    Granted,
    /// The server answered with an error.
    Error(OAuthError),
    /// No usable answer came (connection, 5xx).
    Lost,
}

/// The state of polling: the wait grows and never shrinks but for lost answers, which double it once each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poll {
    interval: Duration,
}

/// What to do after a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The token is there.
    Done,
    /// Ask again after this wait.
    Wait(Duration),
    /// The person or the server said no.
    Denied(OAuthError),
    /// The code ran out.
    Expired,
}

impl Poll {
    /// Polling as the first answer asks for it.
    #[must_use]
    pub const fn new(answer: &DeviceAnswer) -> Self {
        Self {
            interval: answer.interval,
        }
    }

    /// The wait before the next poll.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// Decides after a poll.
    pub fn next(&mut self, answer: PollAnswer) -> Next {
        match answer {
            PollAnswer::Granted => Next::Done,
            PollAnswer::Lost => {
                self.interval = (self.interval * 2).min(LONGEST_INTERVAL);
                Next::Wait(self.interval)
            }
            PollAnswer::Error(error) => match error.code.as_str() {
                "authorization_pending" => Next::Wait(self.interval),
                "slow_down" => {
                    self.interval += SLOW_DOWN;
                    Next::Wait(self.interval)
                }
                "expired_token" => Next::Expired,
                _ if error.is_transient() => Next::Wait(self.interval),
                _ => Next::Denied(error),
            },
        }
    }
}
