//! Google's executable-sourced credentials. The Python library reads standard error together with standard output:
//! nothing at all may be written there, so failures are documents too.
use super::Vault;
use jeton::{Env, Error};
use serde_json::{Value, json};

/// The type of token for which the answer has another member.
const SAML: &str = "urn:ietf:params:oauth:token-type:saml2";
/// The type when nobody says.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// What a consumer must have set before it runs a program: without it somebody else does.
const ALLOWED: &str = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES";

/// An answer: the document, and the file in which the consumer wants it too.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The document.
    pub json: Value,
    /// Where it is kept for the consumer's next run; only for a token.
    pub file: Option<String>,
}

/// Answers with a token for the audience that the consumer names.
pub fn answer(env: &Env, vault: &mut dyn Vault) -> Document {
    match token(env, vault) {
        Ok(json) => Document {
            json,
            file: env.get("GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE").map(str::to_owned),
        },
        Err(e) => failure(&e),
    }
}

/// The document of a failure.
#[must_use]
pub fn failure(e: &Error) -> Document {
    let message = match e.hint() {
        Some(hint) => format!("{e} ({hint})"),
        None => e.to_string(),
    };
    let code = e
        .status()
        .map_or_else(|| "jeton".to_owned(), |status| status.to_string());
    Document {
        json: json!({ "version": 1, "success": false, "code": code, "message": message }),
        file: None,
    }
}

fn token(env: &Env, vault: &mut dyn Vault) -> Result<Value, Error> {
    if env.get(ALLOWED).is_some_and(|allowed| allowed != "1") {
        return Err(super::wrong(format!("gcp: {ALLOWED} is not 1")));
    }
    let audience = env.get("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE");
    let kind = env.get("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE").unwrap_or(JWT);
    let token = vault.token(audience)?;
    let member = if kind == SAML { "saml_response" } else { "id_token" };
    let mut document = json!({ "version": 1, "success": true, "token_type": kind });
    document[member] = json!(token.value.reveal());
    if let Some(ends) = token.expires_at {
        document["expiration_time"] = json!(ends.seconds());
    }
    Ok(document)
}
