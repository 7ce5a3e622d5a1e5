//! What a caller asks for.
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// How long a token must live when the caller says nothing: long enough for one request and its retries' start.
pub const DEFAULT_MIN_VALIDITY: Duration = Duration::from_secs(30);

/// A request for a token: for whom, for what, and for how long it is needed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenRequest {
    /// The audiences the token must have (`aud`, RFC 7519 section 4.1.3). Empty: the source's own default.
    pub audience: Vec<String>,
    /// Scopes for grants (RFC 6749 section 3.3). Empty: the profile's.
    pub scopes: Vec<String>,
    /// Resource indicators for grants (RFC 8707).
    pub resource: Vec<String>,
    /// How long the caller needs the token to live from the moment it is handed out.
    pub min_validity: Duration,
}

impl Default for TokenRequest {
    fn default() -> Self {
        Self {
            audience: Vec::new(),
            scopes: Vec::new(),
            resource: Vec::new(),
            min_validity: DEFAULT_MIN_VALIDITY,
        }
    }
}

impl TokenRequest {
    /// A request for one audience.
    pub fn audience(audience: impl Into<String>) -> Self {
        Self {
            audience: alloc::vec![audience.into()],
            ..Self::default()
        }
    }

    /// The same request, for a token that lives at least `span` longer than the moment it is handed out.
    #[must_use]
    pub fn min_validity(self, span: Duration) -> Self {
        Self {
            min_validity: span,
            ..self
        }
    }

    /// The same request with one more scope.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }
}
