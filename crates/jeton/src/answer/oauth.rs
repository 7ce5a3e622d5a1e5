//! What a token endpoint's answer means (RFC 6749 section 5), in rows of the fault table.
use crate::http::{Fault, Response};
use jeton_core::oauth::{OAuthError, Unusable};
use jeton_core::{Failure, Secret, json};

/// The fault of an OAuth answer that is no success: the error code in [`Fault::oauth`], the description in the
/// message. An answer without an error code counts as what its status says, and so does a status that says "later".
#[must_use]
pub fn oauth_fault(response: &Response) -> Fault {
    let status = Failure::Status(response.status);
    let known: Vec<&str> = response.secrets.iter().map(Secret::reveal).collect();
    let json = json::parse(&response.body).ok();
    let Some(error) = json.and_then(|json| OAuthError::read(&json, &known)) else {
        return response.fault(status, super::refusal(response));
    };
    let failure = match () {
        () if error.is_transient() => Failure::OAuthTransient,
        () if status.is_transient() => status,
        () => Failure::OAuthRefused,
    };
    let mut fault = response.fault(failure, format!("status {}: {error}", response.status));
    fault.oauth = Some(error.code);
    fault
}

impl From<Unusable> for Fault {
    fn from(Unusable(why): Unusable) -> Self {
        Self::new(Failure::Unexpected, format!("the answer cannot be used: {why}"))
    }
}
