//! Bazel's credential helper protocol.
use super::{Answer, Vault, host_of, wrong};
use jeton::Error;
use serde_json::{Value, json};
use url::Url;

/// Answers `get`: header fields for a URI, none for one that no entry names.
///
/// # Errors
/// `Class::Config` for a question that is not of the protocol, else the source's.
pub fn answer(verb: &str, input: &[u8], vault: &mut dyn Vault) -> Result<Answer, Error> {
    if verb != "get" {
        // Verbs that do not exist yet change nothing here.
        return Ok(Answer::default());
    }
    let asked: Value = serde_json::from_slice(input).map_err(|_| wrong("bazel: the question is no JSON"))?;
    let uri = asked["uri"]
        .as_str()
        .ok_or_else(|| wrong("bazel: the question has no `uri`"))?;
    let url = Url::parse(uri).map_err(|_| wrong("bazel: the `uri` is none"))?;
    let found = match host_of(&url) {
        Some(host) => vault.offer(&host)?,
        None => None,
    };
    let Some(offer) = found else {
        return Ok(Answer::with("{}\n"));
    };
    let mut document = json!({
        "headers": { "Authorization": [format!("Bearer {}", offer.token.value.reveal())] },
    });
    if let Some(ends) = offer.ends_text() {
        document["expires"] = json!(ends);
    }
    Ok(Answer::with(format!("{document}\n")))
}
