//! What goes wrong: a status, a code and a reason for whoever asked, and a text for our own log that he never sees.
use crate::answer::Answer;
use crate::store::StoreError;
use http::{HeaderName, HeaderValue, StatusCode, header};
use jeton_core::Rejection;
use serde_json::json;
use std::time::Duration;

/// How long a caller is asked to wait when something behind us is not there.
pub const PAUSE: Duration = Duration::from_secs(1);

/// A request that was not done.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    reason: String,
    retry_after: Option<Duration>,
    inside: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, reason: impl Into<String>) -> Self {
        Self {
            status,
            code,
            reason: reason.into(),
            retry_after: None,
            inside: None,
        }
    }

    /// 400: this field does not fit.
    #[must_use]
    pub fn invalid(field: &str, why: &str) -> Self {
        let field = jeton_core::redact::foreign(field, &[]);
        Self::new(StatusCode::BAD_REQUEST, "invalid", format!("{field}: {why}"))
    }

    /// 401, with the rejection's code for the owner of the token.
    #[must_use]
    pub fn unauthenticated(rejection: &Rejection) -> Self {
        Self::unauthenticated_because(rejection.code())
    }

    /// 401, for a reason that is no rejection of a token.
    #[must_use]
    pub fn unauthenticated_because(reason: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", reason)
    }

    /// 403: he sees the object, but may not do this.
    #[must_use]
    pub fn forbidden(why: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", why)
    }

    /// 404: it is not there, or he may not see it. Always the same words.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "not found")
    }

    /// 405.
    #[must_use]
    pub fn wrong_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this method is not for this path",
        )
    }

    /// 408: the body did not come in time.
    #[must_use]
    pub fn too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            "the request did not come in time",
        )
    }

    /// 409.
    #[must_use]
    pub fn conflict(why: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", why)
    }

    /// 413.
    #[must_use]
    pub fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "the body is larger than 1 MiB",
        )
    }

    /// 429.
    #[must_use]
    pub fn rate_limited(wait: Duration) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests");
        problem.after(wait)
    }

    /// 500: a fault of ours. `inside` goes to the log.
    #[must_use]
    pub fn internal(inside: impl Into<String>) -> Self {
        let problem = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something failed here; the operation id says where to look",
        );
        problem.said_inside(inside)
    }

    /// 502: a provider that we asked refused or failed for good. `inside` goes to the log.
    #[must_use]
    pub fn upstream(inside: impl Into<String>) -> Self {
        let problem = Self::new(
            StatusCode::BAD_GATEWAY,
            "upstream",
            "the provider did not give what was asked of it",
        );
        problem.said_inside(inside)
    }

    /// 503: something that we need is not there now. `inside` goes to the log.
    #[must_use]
    pub fn unavailable(inside: impl Into<String>) -> Self {
        let problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "not available now; try again",
        );
        problem.said_inside(inside).after(PAUSE)
    }

    /// The same problem, of which our own log is told more.
    #[must_use]
    pub fn said_inside(self, inside: impl Into<String>) -> Self {
        Self {
            inside: Some(inside.into()),
            ..self
        }
    }

    /// The same problem, with a time to wait.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// Its status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// What the caller is told.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What only our log is told.
    #[must_use]
    pub fn inside(&self) -> Option<&str> {
        self.inside.as_deref()
    }

    /// How long to wait before trying again.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// As an answer to the operation of this id.
    #[must_use]
    pub fn answer(&self, operation: &str) -> Answer {
        let body = json!({
            "kind": "Error",
            "code": self.code,
            "reason": self.reason,
            "operation_id": operation,
        });
        self.fields(Answer::json(self.status, &body))
    }

    /// The header fields that belong to it, on an answer of another form (RFC 6749).
    #[must_use]
    pub fn fields(&self, mut answer: Answer) -> Answer {
        if self.status == StatusCode::UNAUTHORIZED {
            answer = answer.with(header::WWW_AUTHENTICATE, CHALLENGE);
        }
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
                answer = answer.with(header::RETRY_AFTER, value);
            }
        }
        answer
    }
}

/// RFC 6750 section 3.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer error=\"invalid_token\"");
/// The field that names the operation on every answer.
pub const OPERATION: HeaderName = HeaderName::from_static("x-operation-id");

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::conflict("it is there already"),
            StoreError::Missing => Self::not_found(),
            StoreError::Unavailable(inside) => Self::unavailable(inside),
            StoreError::Failed(inside) => Self::internal(inside),
        }
    }
}
