//! The retry contract: one bounded, classified decision under every fetch.
//!
//! A [`Failure`] says what happened, [`Failure::verdict`] says what that means (its [`Class`] and how often it may be
//! tried), [`RetryPolicy::next_step`] says what to do now. The table is DESIGN.md's and FAULTS.md section 1's.
use core::time::Duration;

/// What a failure means to the person who has to act on it. The command line turns it into an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// The user must change something: an argument, a setting, a permission.
    Config,
    /// Nothing is here: no source, no such profile, credential or file.
    NotFound,
    /// The other side said no, and would say it again.
    Refused,
    /// The deadline passed while a request was under way.
    Timeout,
    /// Transient failures until the attempts or the time were used up.
    Unavailable,
    /// The other side asked to slow down until the attempts or the time were used up.
    Throttled,
    /// The other side answered something that cannot be right.
    Protocol,
    /// A certificate, a host name, an issuer or a place that does not fit.
    Trust,
    /// A token was got, but it is of no use: another audience, dead, not a token.
    Token,
    /// The caller gave up.
    Cancelled,
    /// Anything else, such as a local file that cannot be written where it must be.
    Other,
}

/// Why one attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// A name did not resolve (EAI_AGAIN and NXDOMAIN alike: resolvers in CI flap).
    Dns,
    /// The connection was refused or the host was unreachable.
    Connect,
    /// The connection was not there in time.
    ConnectTimeout,
    /// The connection was cut during the TLS handshake.
    TlsCut,
    /// The other side does not speak TLS, or ended the handshake with an alert.
    TlsAlert,
    /// The certificate is expired, for another name, or from nobody we trust.
    Certificate,
    /// The connection was reset or closed before or inside the answer, or the body was shorter than announced.
    Cut,
    /// Nothing, or nothing more, came within the attempt's time.
    Stalled,
    /// The body dripped in more slowly than a whole answer may take.
    Slow,
    /// The answer's framing is ambiguous or it is no HTTP at all.
    Framing,
    /// A header section, a run of interim answers or a body beyond the cap, or a coding nobody asked for.
    TooLarge,
    /// A URL, a file or a setting that cannot be used; nothing was sent.
    Config,
    /// A proxy wants authentication (407) or answered nonsense.
    Proxy,
    /// A status that is not a success.
    Status(u16),
    /// GitHub's 403 that says the job is still Pending or Delayed.
    JobPending,
    /// OAuth `temporarily_unavailable` or `server_error`, whatever the status (RFC 6749 section 4.1.2.1).
    OAuthTransient,
    /// Any other OAuth error (RFC 6749 section 5.2).
    OAuthRefused,
    /// 200 with an empty body.
    EmptyBody,
    /// 200 with an HTML page: a captive portal or a gateway.
    Html,
    /// 200 with JSON that ends too soon.
    TruncatedJson,
    /// 204, 206, 304 nobody asked for, a 3xx without a place to go, JSON of another shape, a member twice, no token.
    Unexpected,
    /// A redirect of a request that carries a credential, or to another origin.
    Redirect,
    /// The answer names another issuer than the one that was asked.
    IssuerMismatch,
    /// A host or address that must not be asked (RFC 9700; link-local, metadata, other scheme).
    ForbiddenTarget,
    /// A token came that is of no use for a reason that asking again does not change.
    UnusableToken,
    /// A token came that was dead on arrival, or lives shorter than needed: one more try, past any cache.
    DyingToken,
    /// The request timed out and must not be repeated blindly (refresh tokens that may have been rotated).
    LostAnswer,
}

/// What a failure means: its class, and how many requests in all may be sent before it is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The class it has when it is final.
    pub class: Class,
    /// How many attempts it allows; `u32::MAX` stands for the policy's own number.
    pub attempts: u32,
}

/// As many attempts as the policy has.
pub const AS_POLICY: u32 = u32::MAX;
/// GitHub's pending 403 goes away within seconds: the least wait before asking again.
pub const JOB_PENDING_WAIT: Duration = Duration::from_secs(1);

impl Failure {
    /// The row of the fault table.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        use Class::{Config, Protocol, Refused, Token, Trust, Unavailable};
        let (class, attempts) = match self {
            Self::Connect | Self::TlsCut | Self::Cut | Self::OAuthTransient => (Unavailable, AS_POLICY),
            Self::Dns | Self::ConnectTimeout | Self::Stalled => (Unavailable, 3),
            Self::Slow => (Unavailable, 2),
            Self::LostAnswer => (Unavailable, 1),
            Self::TlsAlert | Self::Certificate => (Trust, 1),
            Self::Redirect | Self::IssuerMismatch | Self::ForbiddenTarget => (Trust, 1),
            Self::Framing | Self::Html | Self::TruncatedJson => (Protocol, 2),
            Self::EmptyBody => (Protocol, 3),
            Self::TooLarge | Self::Unexpected => (Protocol, 1),
            Self::Proxy | Self::Config => (Config, 1),
            Self::JobPending => (Refused, 4),
            Self::OAuthRefused => (Refused, 1),
            Self::UnusableToken => (Token, 1),
            Self::DyingToken => (Token, 2),
            Self::Status(status) => return Self::status_verdict(status),
        };
        Verdict { class, attempts }
    }

    const fn status_verdict(status: u16) -> Verdict {
        let (class, attempts) = match status {
            429 => (Class::Throttled, AS_POLICY),
            408 | 425 | 500 | 502 | 503 | 504 => (Class::Unavailable, AS_POLICY),
            501 | 505 | 511 => (Class::Refused, 1),
            407 => (Class::Config, 1),
            506..=599 => (Class::Unavailable, AS_POLICY),
            400..=499 => (Class::Refused, 1),
            _ => (Class::Protocol, 1),
        };
        Verdict { class, attempts }
    }

    /// Whether another attempt might succeed at all.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        self.verdict().attempts > 1
    }
}

/// How often, how long apart and for how long in all. Every number is a flag, a variable and a setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// How many requests are sent at most.
    pub max_attempts: u32,
    /// The wait before the second attempt, at least.
    pub backoff: Duration,
    /// What each further wait is multiplied by.
    pub factor: f64,
    /// The longest wait, before its random part.
    pub max_backoff: Duration,
    /// Time for a connection, TLS handshake apart.
    pub connect_timeout: Duration,
    /// Time for the head of an answer, and for each attempt as a whole where nothing shorter ends it.
    pub attempt_timeout: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            backoff: Duration::from_millis(250),
            factor: 2.0,
            max_backoff: Duration::from_secs(8),
            connect_timeout: Duration::from_secs(3),
            attempt_timeout: Duration::from_secs(10),
        }
    }
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Wait this long, then try again.
    Retry(Duration),
    /// Stop: this is final.
    Stop(Class),
    /// Stop: the wait that is needed or was asked for would pass the deadline.
    OutOfTime {
        /// The class of the last failure.
        class: Class,
        /// How long the wait would have been.
        wait: Duration,
    },
}

impl RetryPolicy {
    /// Decides after attempt number `attempt` (the first is 1) failed with `failure`.
    ///
    /// `retry_after` is what the other side asked for, `left` the time left until the deadline (`None`: no deadline),
    /// `random` a number in `[0, 1)` that lengthens each wait by up to a half.
    #[must_use]
    pub fn next_step(
        &self,
        attempt: u32,
        failure: Failure,
        retry_after: Option<Duration>,
        left: Option<Duration>,
        random: f64,
    ) -> Step {
        let Verdict { class, attempts } = failure.verdict();
        if attempt >= attempts.min(self.max_attempts) {
            return Step::Stop(class);
        }
        let wait = self.wait(attempt, failure, retry_after, random);
        if left.is_some_and(|left| wait >= left) {
            return Step::OutOfTime { class, wait };
        }
        Step::Retry(wait)
    }

    fn wait(&self, attempt: u32, failure: Failure, retry_after: Option<Duration>, random: f64) -> Duration {
        let mut base = self.backoff.as_secs_f64();
        for _ in 1..attempt {
            base = (base * self.factor).min(self.max_backoff.as_secs_f64());
        }
        let mut base = base.min(self.max_backoff.as_secs_f64());
        if failure == Failure::JobPending {
            base = base.max(JOB_PENDING_WAIT.as_secs_f64() * f64::from(1u32 << (attempt - 1).min(2)));
        }
        let jitter = base * 0.5 * random;
        let asked = retry_after.map_or(0.0, |d| d.as_secs_f64());
        Duration::try_from_secs_f64(base.max(asked) + jitter).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b1_waits_grow_by_the_factor_up_to_the_most_and_never_shrink_below_it() {
        let policy = RetryPolicy::default();
        let waits = |random| {
            [1u32, 2, 3, 4].map(
                |n| match policy.next_step(n, Failure::Status(503), None, None, random) {
                    Step::Retry(wait) => wait.as_millis(),
                    other => panic!("{other:?}"),
                },
            )
        };
        assert_eq!(waits(0.0), [250, 500, 1000, 2000]);
        assert_eq!(waits(1.0), [375, 750, 1500, 3000]);
        assert_eq!(
            policy.next_step(5, Failure::Status(503), None, None, 0.0),
            Step::Stop(Class::Unavailable)
        );
        let short = RetryPolicy {
            max_backoff: Duration::from_millis(300),
            ..policy
        };
        assert_eq!(
            short.next_step(4, Failure::Cut, None, None, 0.0),
            Step::Retry(Duration::from_millis(300))
        );
    }

    #[test]
    fn b5_retry_after_is_honoured_inside_the_deadline_only() {
        let policy = RetryPolicy::default();
        let step = |asked, left| {
            policy.next_step(
                1,
                Failure::Status(429),
                Some(Duration::from_secs(asked)),
                Some(Duration::from_secs(left)),
                0.0,
            )
        };
        assert_eq!(step(2, 60), Step::Retry(Duration::from_secs(2)));
        assert_eq!(step(0, 60), Step::Retry(Duration::from_millis(250)));
        assert_eq!(
            step(99_999, 60),
            Step::OutOfTime {
                class: Class::Throttled,
                wait: Duration::from_secs(99_999)
            }
        );
        let asked = Some(Duration::from_secs(99_999));
        let left = Some(Duration::from_secs(60));
        let step = policy.next_step(1, Failure::Status(503), asked, left, 0.0);
        assert!(matches!(
            step,
            Step::OutOfTime {
                class: Class::Unavailable,
                ..
            }
        ));
        let step = policy.next_step(
            3,
            Failure::Status(503),
            None,
            Some(Duration::from_millis(100)),
            0.0,
        );
        assert!(matches!(
            step,
            Step::OutOfTime {
                class: Class::Unavailable,
                ..
            }
        ));
    }

    #[test]
    fn b2_a_final_status_is_never_asked_twice() {
        let policy = RetryPolicy::default();
        for status in [400, 401, 403, 404, 405, 410, 413, 415, 422, 501, 505, 511] {
            assert_eq!(
                policy.next_step(1, Failure::Status(status), None, None, 0.0),
                Step::Stop(Class::Refused),
                "{status}"
            );
        }
    }

    #[test]
    fn a_lower_limit_of_the_table_holds_and_the_policy_lowers_it_further() {
        let two = RetryPolicy {
            max_attempts: 2,
            ..RetryPolicy::default()
        };
        let many = RetryPolicy {
            max_attempts: 9,
            ..RetryPolicy::default()
        };
        assert_eq!(
            two.next_step(2, Failure::EmptyBody, None, None, 0.0),
            Step::Stop(Class::Protocol)
        );
        assert!(matches!(
            many.next_step(2, Failure::EmptyBody, None, None, 0.0),
            Step::Retry(_)
        ));
        assert_eq!(
            many.next_step(3, Failure::EmptyBody, None, None, 0.0),
            Step::Stop(Class::Protocol)
        );
    }

    #[test]
    fn a_pending_job_is_given_at_least_a_second() {
        let policy = RetryPolicy::default();
        let waits = [1, 2, 3].map(|n| policy.next_step(n, Failure::JobPending, None, None, 0.0));
        assert_eq!(waits, [1, 2, 4].map(|s| Step::Retry(Duration::from_secs(s))));
        assert_eq!(
            policy.next_step(4, Failure::JobPending, None, None, 0.0),
            Step::Stop(Class::Refused)
        );
    }
}
