//! Terraform's credentials helper protocol.
use super::{Answer, Vault, host, wrong};
use jeton::Error;
use serde_json::json;

/// Answers `get`; `store` and `forget` succeed and do nothing.
///
/// # Errors
/// `Class::Config` for a verb that is none, else the source's.
pub fn answer(verb: &str, name: Option<&str>, vault: &mut dyn Vault) -> Result<Answer, Error> {
    match verb {
        "get" => {
            let host = name.and_then(host::canonical);
            let host = host.ok_or_else(|| wrong("terraform: `get` wants a host name"))?;
            let document = match vault.offer(&host)? {
                Some(offer) => json!({ "token": offer.token.value.reveal() }),
                None => json!({}),
            };
            Ok(Answer::with(format!("{document}\n")))
        }
        "store" | "forget" => Ok(Answer::default()),
        _ => Err(wrong("terraform: one of get, store, forget is wanted")),
    }
}
