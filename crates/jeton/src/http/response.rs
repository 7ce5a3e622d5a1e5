//! A whole answer, or why there is none.
use super::date;
use crate::Error;
use ::http::HeaderMap;
use bytes::Bytes;
use jeton_core::{Failure, Moment, Secret, UnixTime, redact};
use std::fmt;
use std::time::Duration;
use url::Url;

/// A whole answer.
#[derive(Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, whole, within its cap.
    pub body: Bytes,
    /// The `Date` field.
    pub date: Option<UnixTime>,
    /// When the head was received.
    pub received: Moment,
    /// Where it came from, after redirects.
    pub url: Url,
    /// The secrets of the request, which an answer may echo.
    pub(crate) secrets: Vec<Secret>,
}

impl Response {
    /// A header field's value, if it is there once and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok();
        if values.next().is_some() { None } else { value }
    }

    /// What `Retry-After` asks for (RFC 9110 section 10.2.3), measured by the answer's own `Date` where it has one.
    /// A field that makes no sense is as good as absent.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let present = self.date.unwrap_or(self.received.wall);
        date::retry_after(self.header("retry-after")?, present)
    }

    /// A fault of this answer: with its status, and with what it asks to wait.
    pub fn fault(&self, failure: Failure, detail: impl Into<String>) -> Fault {
        let mut fault = Fault::new(failure, detail);
        fault.status = Some(self.status);
        fault.retry_after = self.retry_after();
        fault
    }

    /// A text out of this answer, fit to show: escaped, capped, and without the secrets of the request.
    #[must_use]
    pub fn foreign(&self, text: &str) -> String {
        let known: Vec<&str> = self.secrets.iter().map(Secret::reveal).collect();
        redact::foreign(text, &known)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither fields nor body: both may hold a token.
        let mut shown = f.debug_struct("Response");
        shown
            .field("status", &self.status)
            .field("body_len", &self.body.len());
        shown.finish_non_exhaustive()
    }
}

/// Why one attempt failed, with what a message needs to say.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The row of the fault table.
    pub failure: Failure,
    /// What happened, fit to show: no secret, foreign text escaped and capped.
    pub detail: String,
    /// The status, where there was an answer.
    pub status: Option<u16>,
    /// What `Retry-After` asked for.
    pub retry_after: Option<Duration>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The OAuth error code, where the answer had one.
    pub oauth: Option<String>,
    /// Whether the deadline for everything passed in the middle of it.
    pub(crate) overdue: bool,
    /// Whether it happened before the request was sent, so that nobody can have acted on it.
    pub(crate) unsent: bool,
}

impl Fault {
    /// A fault of this row.
    pub fn new(failure: Failure, detail: impl Into<String>) -> Self {
        Self {
            failure,
            detail: detail.into(),
            status: None,
            retry_after: None,
            hint: None,
            oauth: None,
            overdue: false,
            unsent: false,
        }
    }

    /// The same fault with what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The error of a single try that was no request: a text from a variable or a file that is no token.
    #[must_use]
    pub fn into_error(self, what: &str) -> Error {
        let error = Error::new(self.failure.verdict().class, format!("{what}: {}", self.detail));
        match self.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}
