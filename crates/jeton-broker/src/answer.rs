//! What is answered: a status, some header fields, a body in memory.
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use jeton_core::UnixTime;
use serde::Serialize;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    fields: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Answer {
    /// A JSON document.
    #[must_use]
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        // What is answered is made of texts and numbers: nothing in it can fail to be written.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self::of(status, HeaderValue::from_static("application/json"), body)
    }

    /// 200 and a JSON document.
    #[must_use]
    pub fn ok(body: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// A body of any kind.
    #[must_use]
    pub fn of(status: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            fields: vec![(header::CONTENT_TYPE, kind)],
            body: body.into(),
        }
    }

    /// 204.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            fields: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// The same answer with one more header field.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.fields.push((name, value));
        self
    }

    /// Its status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// As a response. Nothing that the broker says belongs in a cache, but for what says so itself.
    #[must_use]
    pub fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        let fields = response.headers_mut();
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        fields.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        for (name, value) in self.fields {
            fields.insert(name, value);
        }
        response
    }
}

/// A time as RFC 3339 in UTC, to the millisecond; without a fraction where there is none, as the providers write it.
#[must_use]
pub fn time(time: UnixTime) -> String {
    jiff::Timestamp::from_millisecond(time.millis()).map_or_else(|_| String::new(), |time| time.to_string())
}
