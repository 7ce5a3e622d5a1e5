//! A request as the routes see it.
use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

/// A request as the routes see it: the prefix is gone, the pieces of the path have names.
pub(crate) struct Call {
    /// The path under the issuer URL, still percent-encoded.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What `{name}` in the route's pattern stood for, in order, decoded.
    pub(crate) pieces: Vec<String>,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What follows the scheme in `Authorization`; schemes are case-insensitive (RFC 9110 section 11.1).
    pub(crate) fn authorization(&self, scheme: &str) -> Option<&str> {
        let field = self.header("authorization")?;
        let (given, rest) = field.split_once(' ')?;
        given.eq_ignore_ascii_case(scheme).then(|| rest.trim())
    }

    pub(crate) fn query_value(&self, name: &str) -> Option<String> {
        Form::parse(self.query.as_bytes()).one(name)
    }

    pub(crate) fn form(&self) -> Form {
        Form::parse(&self.body)
    }

    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    pub(crate) fn is_form(&self) -> bool {
        self.header("content-type")
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
    }

    pub(crate) fn piece(&self, at: usize) -> &str {
        self.pieces.get(at).map_or("", String::as_str)
    }
}

/// A form or a query: names and values, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// The first value of that name; an empty one counts as left out (RFC 6749 section 3.1).
    pub(crate) fn one(&self, name: &str) -> Option<String> {
        let mut found = self.0.iter().filter(|(key, _)| key == name);
        found
            .next()
            .map(|(_, value)| value.clone())
            .filter(|v| !v.is_empty())
    }

    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let found = self
            .0
            .iter()
            .filter(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| value.clone()).collect()
    }

    /// Every value whose name starts so, for lists such as `Audience.member.1`.
    pub(crate) fn under(&self, prefix: &str) -> Vec<String> {
        let found = self.0.iter().filter(|(key, _)| key.starts_with(prefix));
        found.map(|(_, value)| value.clone()).collect()
    }
}
