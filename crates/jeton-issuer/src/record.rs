//! What was asked of the issuer, as it arrived.
//!
//! Everything is kept as it came, request tokens, assertions and `Authorization` included: this is an issuer for
//! development, and its record is what tests count and compare. Do not show it a credential that matters.
use http::HeaderMap;
use jeton_core::UnixTime;
use serde_json::{Value, json};
use std::time::Duration;

/// One request, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The name of the route that took it; empty when there is none.
    pub route: String,
    /// The method.
    pub method: String,
    /// The path as it was sent, prefix included, percent-encoding kept.
    pub path: String,
    /// The query as it was sent, without the question mark.
    pub query: String,
    /// The fields in their order of arrival, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// When it arrived, by the issuer's clock (the clock-offset fault does not change it).
    pub arrived: UnixTime,
    /// When it arrived, counted from the issuer's start by the monotonic clock: for gaps between attempts.
    pub since_start: Duration,
    /// The faults that were played on it.
    pub faults: Vec<String>,
    /// The number of the connection it came on, from 1: equal numbers mean that the connection was used again.
    pub connection: u64,
}

impl Recorded {
    /// The first field of that name (lower case), if there is one.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(field, _)| field == name)?;
        Some(found.1.as_str())
    }

    /// The first value of that name in the query, decoded.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<String> {
        first_value(self.query.as_bytes(), name)
    }

    /// The first value of that name in a form body, decoded.
    #[must_use]
    pub fn form_value(&self, name: &str) -> Option<String> {
        first_value(&self.body, name)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "route": self.route,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": self.headers,
            "body": String::from_utf8_lossy(&self.body),
            "arrived_ms": self.arrived.millis(),
            "since_start_ms": millis(self.since_start),
            "faults": self.faults,
            "connection": self.connection,
        })
    }
}

fn first_value(form: &[u8], name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(form);
    let found = pairs.find(|(key, _)| key == name)?;
    Some(found.1.into_owned())
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The fields as text, for the record.
pub(crate) fn fields(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), text)
        })
        .collect()
}
