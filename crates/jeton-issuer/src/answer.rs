//! An answer before it is put on the wire, so that faults can change any part of it.
use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use jeton_core::UnixTime;
use serde_json::{Value, json};

/// The body of an answer. JSON stays a value until the end, so that faults can reach into it.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Json(Value),
    Bytes(Vec<u8>),
}

/// An answer before it is put on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
    /// Where the token is: a JSON pointer (RFC 6901) into the body, or `Some("")` for the whole of a text body.
    pub(crate) token_at: Option<&'static str>,
    /// Whether `Date` is left out.
    pub(crate) undated: bool,
    /// A `Retry-After` date so many seconds after the answer's `Date`.
    pub(crate) retry_date_seconds: Option<i64>,
}

impl Answer {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body: Body::Json(body),
            token_at: None,
            undated: false,
            retry_date_seconds: None,
        }
    }

    pub(crate) fn typed(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), content_type.into())],
            body: Body::Bytes(body.into()),
            token_at: None,
            undated: false,
            retry_date_seconds: None,
        }
    }

    pub(crate) fn text(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::typed(status, "text/plain; charset=utf-8", body)
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Bytes(Vec::new()),
            token_at: None,
            undated: false,
            retry_date_seconds: None,
        }
    }

    /// An OAuth error (RFC 6749 section 5.2).
    pub(crate) fn oauth_error(status: u16, error: &str, description: &str) -> Self {
        Self::json(status, json!({"error": error, "error_description": description}))
            .with("cache-control", "no-store")
    }

    /// With the place of the token in it.
    pub(crate) fn token_at(mut self, pointer: &'static str) -> Self {
        self.token_at = Some(pointer);
        self
    }

    /// With one more field.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With this field in the place of any other of its name.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.unset(name);
        self.headers.push((name.to_owned(), value.into()));
    }

    pub(crate) fn unset(&mut self, name: &str) {
        self.headers
            .retain(|(field, _)| !field.eq_ignore_ascii_case(name));
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(field, _)| field.eq_ignore_ascii_case(name))
    }

    /// Puts the dates in: `Date` unless it is there or unwanted, and `Retry-After` where it is a date.
    pub(crate) fn dated(mut self, now: UnixTime) -> Self {
        if !self.undated && !self.has("date") {
            self.set("date", http_date(now.seconds()));
        }
        if let Some(seconds) = self.retry_date_seconds {
            self.set("retry-after", http_date(now.seconds().saturating_add(seconds)));
        }
        self
    }

    /// The body as it goes over the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match &self.body {
            Body::Json(value) => value.to_string().into_bytes(),
            Body::Bytes(bytes) => bytes.clone(),
        }
    }

    /// The head as it goes over the wire, without the empty line at its end and without framing fields.
    pub(crate) fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head
    }

    /// The whole answer with its length in front, as it goes over the wire.
    pub(crate) fn wire(&self) -> Vec<u8> {
        let body = self.bytes();
        let mut whole = format!("{}content-length: {}\r\n\r\n", self.head(), body.len()).into_bytes();
        whole.extend_from_slice(&body);
        whole
    }

    /// For hyper. A field that HTTP does not allow is left out: such things are for scripts on the raw connection.
    pub(crate) fn into_http(self) -> http::Response<Full<Bytes>> {
        let body = Bytes::from(self.bytes());
        let mut response = http::Response::new(Full::new(body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in &self.headers {
            let name = http::HeaderName::from_bytes(name.as_bytes());
            let value = http::HeaderValue::from_bytes(value.as_bytes());
            if let (Ok(name), Ok(value)) = (name, value) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

/// A date as HTTP writes it (RFC 9110 section 5.6.7); empty for one that jiff cannot hold.
fn http_date(seconds: i64) -> String {
    let moment = jiff::Timestamp::from_second(seconds);
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    moment
        .and_then(|moment| printer.timestamp_to_rfc9110_string(&moment))
        .unwrap_or_default()
}

fn reason(status: u16) -> &'static str {
    let known = StatusCode::from_u16(status).ok();
    known.and_then(|s| s.canonical_reason()).unwrap_or("Unknown")
}
