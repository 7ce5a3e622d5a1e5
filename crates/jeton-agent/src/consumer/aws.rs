//! AWS's `credential_process`: one document on standard output.
use super::{Answer, Vault};
use jeton::Error;
use jeton_core::Class;
use serde_json::{Value, json};

/// The members of the document, as the SDKs spell them.
const MEMBERS: [&str; 5] = [
    "AccessKeyId",
    "SecretAccessKey",
    "SessionToken",
    "Expiration",
    "AccountId",
];

/// Answers with the profile's credentials: its token is the document that `preset = "aws"` gives.
///
/// # Errors
/// `Class::Config` for a profile that gives no AWS credentials, else the source's.
pub fn answer(vault: &mut dyn Vault) -> Result<Answer, Error> {
    let token = vault.token(None)?;
    let none = || {
        Error::new(Class::Config, "aws: the profile gives no AWS credentials").with_hint(
            "name a profile with `grant = \"token-exchange\"` and `preset = \"aws\"`: jeton credential-helper aws PROFILE",
        )
    };
    let given: Value = serde_json::from_str(token.value.reveal()).map_err(|_| none())?;
    let mut document = json!({ "Version": 1 });
    for member in MEMBERS {
        if let Some(text) = given[member].as_str() {
            document[member] = json!(text);
        }
    }
    if document["AccessKeyId"].is_null() || document["SecretAccessKey"].is_null() {
        return Err(none());
    }
    // Credentials without an end are never fetched again; those of a role always have one.
    if document["Expiration"].is_null()
        && let Some(ends) = token.expires_at.and_then(crate::agent::rfc3339)
    {
        document["Expiration"] = json!(ends);
    }
    Ok(Answer::with(format!("{document}\n")))
}
