//! Cargo's credential provider protocol (`--cargo-plugin`): one JSON object a line.
use super::{Vault, host_of};
use jeton::Error;
use jeton_core::Class;
use serde_json::{Value, json};
use url::Url;

/// The only version there is.
const VERSION: u64 = 1;

/// What is said before anything is asked.
#[must_use]
pub fn hello() -> String {
    format!("{}\n", json!({ "v": [VERSION] }))
}

/// Answers one line.
pub fn answer(line: &str, vault: &mut dyn Vault) -> String {
    let answer = match serde_json::from_str::<Value>(line) {
        Ok(asked) if asked["v"].as_u64() == Some(VERSION) => respond(&asked, vault),
        Ok(_) => fault("other", "another version of the protocol is spoken"),
        Err(_) => fault("other", "the question is no JSON"),
    };
    format!("{answer}\n")
}

fn respond(asked: &Value, vault: &mut dyn Vault) -> Value {
    match asked["kind"].as_str() {
        Some("get") => match get(asked, vault) {
            Ok(answer) => answer,
            Err(e) if e.kind() == Class::NotFound => fault("not-found", &e.to_string()),
            Err(e) => fault("other", &e.to_string()),
        },
        // Nothing is stored here; cargo takes that for "somebody else's business" and goes on.
        Some("login" | "logout") => fault(
            "operation-not-supported",
            "jeton keeps no registry tokens: profiles log in with `jeton login`",
        ),
        _ => fault("operation-not-supported", "this operation is not known"),
    }
}

fn get(asked: &Value, vault: &mut dyn Vault) -> Result<Value, Error> {
    let index = asked["registry"]["index-url"].as_str().unwrap_or_default();
    let url = Url::parse(index.strip_prefix("sparse+").unwrap_or(index)).ok();
    let Some(host) = url.as_ref().and_then(host_of) else {
        return Ok(fault(
            "url-not-supported",
            "only registries over https are served",
        ));
    };
    let Some(offer) = vault.offer(&host)? else {
        return Ok(fault("url-not-supported", "no [hosts] entry names this registry"));
    };
    let token = offer.token.value.reveal();
    // With a user name of `token` the registry wants it bare.
    let value = match offer.username.as_deref() {
        Some("token") => token.to_owned(),
        _ => format!("Bearer {token}"),
    };
    let is_read = asked["operation"].as_str() == Some("read");
    let mut answer = json!({
        "kind": "get",
        "token": value,
        // What a token for publishing may do is another operation's business: it is asked for each time.
        "cache": "never",
        "operation_independent": false,
    });
    if let Some(ends) = offer.ends().filter(|_| is_read) {
        answer["cache"] = json!("expires");
        answer["expiration"] = json!(ends);
        answer["operation_independent"] = json!(true);
    }
    Ok(json!({ "Ok": answer }))
}

fn fault(kind: &str, message: &str) -> Value {
    // Only `other` takes a message of its own (cargo's book); the rest is known by its name.
    match kind {
        "other" => json!({ "Err": { "kind": kind, "message": message, "caused-by": [] } }),
        _ => json!({ "Err": { "kind": kind } }),
    }
}
