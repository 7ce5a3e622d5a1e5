//! The token endpoint, as a function: a form and what was proved go in, claims to sign or an OAuth error come out.
//!
//! Two grants: token exchange (RFC 8693) and JWT bearer (RFC 7523). Errors are those of RFC 6749 section 5.2, RFC 8693
//! section 2.2.2 and RFC 8707 section 2; what exactly was wrong is for the record, not for the caller.
mod act;
mod decision;
mod request;

pub use decision::{Given, Judged, Subject, judge};
pub use request::{Grant, TokenRequest, parse};

use jeton_core::json::Json;
use std::borrow::Cow;

/// The deepest chain of actors (RFC 8693 section 4.1) that is signed: what a person can still follow.
pub const DEEPEST_ACT: usize = 5;

/// An error of the token endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenError {
    /// The code.
    pub code: &'static str,
    /// What is wrong, for the developer of the client: never why a policy does not match.
    pub description: Cow<'static, str>,
}

impl TokenError {
    const fn new(code: &'static str, description: &'static str) -> Self {
        Self {
            code,
            description: Cow::Borrowed(description),
        }
    }

    /// The request is malformed, or its `subject_token` is not accepted (RFC 8693 section 2.2.2).
    #[must_use]
    pub const fn request(description: &'static str) -> Self {
        Self::new("invalid_request", description)
    }

    /// The body (RFC 6749 section 5.2).
    #[must_use]
    pub fn body(&self) -> Json {
        let members = [("error", self.code), ("error_description", &self.description)];
        Json::object(members.map(|(name, value)| (name, Json::from(value))))
    }
}

impl Grant {
    /// What is said of a token that does not verify, and of one that no policy lets in: one sentence for both.
    #[must_use]
    pub const fn refused(&self) -> TokenError {
        match self {
            Self::Exchange { .. } => TokenError::request("the subject_token is not accepted"),
            Self::Assertion { .. } => TokenError::new("invalid_grant", "the assertion is not accepted"),
        }
    }
}

#[cfg(test)]
mod tests;
