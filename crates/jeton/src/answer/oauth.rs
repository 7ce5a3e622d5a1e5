//! What a token endpoint's refusal means (RFC 6749 section 5.2).
use crate::http::{Fault, Response};
use jeton_core::{Failure, json};

/// The codes that a server means by "not now", whatever the status they come with.
const TRANSIENT: [&str; 2] = ["temporarily_unavailable", "server_error"];

/// The fault of an OAuth answer that is no success: the error code in [`Fault::oauth`], the description in the
/// message. An answer without an error code counts as what its status says, and so does a status that says "later".
#[must_use]
pub fn oauth_fault(response: &Response) -> Fault {
    let plain = || response.fault(Failure::Status(response.status), super::refusal(response));
    let json = json::parse(&response.body).ok();
    let Some(json) = json.filter(|json| json.as_object().is_some()) else {
        return plain();
    };
    let Some(code) = json.get("error").and_then(|error| error.as_str()) else {
        return plain();
    };
    let status = Failure::Status(response.status);
    let failure = match code {
        code if TRANSIENT.contains(&code) => Failure::OAuthTransient,
        _ if status.is_transient() => status,
        _ => Failure::OAuthRefused,
    };
    let code = response.foreign(code);
    let detail = match json.get("error_description").and_then(|text| text.as_str()) {
        Some(text) if !text.is_empty() => format!("{code}: {}", response.foreign(text)),
        _ => code.clone(),
    };
    let mut fault = response.fault(failure, detail);
    fault.oauth = Some(code);
    fault
}
