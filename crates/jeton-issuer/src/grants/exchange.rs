//! Token exchange (RFC 8693).
use super::client::Caller;
use super::issue::{Issue, answer};
use super::{Granted, assertion, narrowed, refused, required};
use crate::answer::Answer;
use crate::call::Form;
use crate::desk::{Desk, claims};
use serde_json::{Map, Value, json};

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// `grant_type=urn:ietf:params:oauth:grant-type:token-exchange`.
pub(super) fn exchange(desk: &Desk<'_>, caller: &Caller, form: &Form) -> Granted {
    let subject = presented(desk, form, "subject_token")?;
    let actor = match form.one("actor_token") {
        Some(_) => Some(presented(desk, form, "actor_token")?),
        None if form.one("actor_token_type").is_some() => {
            return Err(refused("invalid_request", "actor_token_type without actor_token"));
        }
        None => None,
    };
    let kind = form
        .one("requested_token_type")
        .unwrap_or_else(|| ACCESS_TOKEN.into());
    let mut issue = Issue::new(caller, &text(&subject, "sub"), form);
    if let Some(whole) = subject.get("scope").and_then(Value::as_str) {
        issue.scope = narrowed(whole, form.one("scope"))?;
    }
    if let Some(actor) = actor {
        issue.more.insert("act".into(), acting(&actor, &subject));
    }
    issued(desk, &issue, &kind)
}

/// The claims of a token that was presented, with its type.
fn presented(desk: &Desk<'_>, form: &Form, name: &str) -> Result<Map<String, Value>, Answer> {
    let token = required(form, name)?;
    let kind = required(form, &format!("{name}_type"))?;
    if ![ACCESS_TOKEN, ID_TOKEN, JWT].contains(&kind.as_str()) {
        return Err(refused(
            "invalid_request",
            &format!("{name}_type is not supported"),
        ));
    }
    // RFC 8693 section 2.2.2 calls a token that is not acceptable an invalid_request.
    let proved = assertion::proved(desk, &token);
    proved.map_err(|why| refused("invalid_request", &format!("the {name}: {why}")))
}

/// Who acts (RFC 8693 section 4.1); whoever acted before stands inside.
fn acting(actor: &Map<String, Value>, subject: &Map<String, Value>) -> Value {
    let mut act = json!({"sub": text(actor, "sub"), "iss": text(actor, "iss")});
    if let Some(before) = subject.get("act") {
        act["act"] = before.clone();
    }
    act
}

fn text(claims: &Map<String, Value>, name: &str) -> String {
    claims
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn issued(desk: &Desk<'_>, issue: &Issue, kind: &str) -> Granted {
    let access = issue.access_token(desk);
    let (token, token_type) = match kind {
        ACCESS_TOKEN => (access, "Bearer"),
        JWT => (access, "N_A"),
        ID_TOKEN => (issue.id_token(desk, &access), "N_A"),
        _ => {
            return Err(refused(
                "invalid_request",
                "requested_token_type is not supported",
            ));
        }
    };
    Ok(answer(claims([
        ("access_token", json!(token)),
        ("issued_token_type", json!(kind)),
        ("token_type", json!(token_type)),
        ("expires_in", json!(desk.options().access_life.as_secs())),
        ("scope", json!(issue.scope)),
    ])))
}
