//! Who asks: client authentication (RFC 6749 section 2.3, RFC 7523 section 2.2), and the grant that needs nothing else.
use super::issue::Issue;
use super::{Granted, assertion};
use crate::answer::Answer;
use crate::call::{Call, Form};
use crate::desk::{Desk, lock};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The client that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) id: String,
}

/// How a client introduced itself.
struct Introduction {
    id: String,
    secret: Option<String>,
    /// By `Authorization`, so that a refusal must carry a challenge.
    by_header: bool,
}

/// Authenticates by assertion, by `Authorization: Basic`, by form, or not at all for a public client.
pub(super) fn authenticate(desk: &Desk<'_>, call: &Call, form: &Form) -> Result<Caller, Answer> {
    if let Some(assertion) = form.one("client_assertion") {
        return by_assertion(desk, form, &assertion);
    }
    let client = introduction(call, form)?;
    let known = &desk.options().clients;
    if known.is_empty() {
        return Ok(Caller { id: client.id });
    }
    let registered = known.iter().find(|one| one.id == client.id);
    match registered.ok_or_else(|| refused(&client))?.secret.as_ref() {
        Some(right) if client.secret.as_ref() != Some(right) => Err(refused(&client)),
        _ => Ok(Caller { id: client.id }),
    }
}

fn introduction(call: &Call, form: &Form) -> Result<Introduction, Answer> {
    let Some(basic) = call.authorization("basic") else {
        let id = form.one("client_id").unwrap_or_default();
        return Ok(Introduction {
            id,
            secret: form.one("client_secret"),
            by_header: false,
        });
    };
    if form.one("client_secret").is_some() {
        return Err(super::refused(
            "invalid_request",
            "two ways of client authentication",
        ));
    }
    let decoded = BASE64_STANDARD
        .decode(basic)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = decoded.as_deref().and_then(|pair| pair.split_once(':'));
    let (id, secret) = pair.ok_or_else(|| super::refused("invalid_request", "Basic is no id:secret"))?;
    Ok(Introduction {
        id: form_decoded(id),
        secret: Some(form_decoded(secret)),
        by_header: true,
    })
}

/// Both halves are form-encoded inside Basic (RFC 6749 section 2.3.1).
fn form_decoded(text: &str) -> String {
    let plain = text.replace('+', " ");
    percent_encoding::percent_decode_str(&plain)
        .decode_utf8_lossy()
        .into_owned()
}

fn refused(client: &Introduction) -> Answer {
    let answer = Answer::oauth_error(401, "invalid_client", "unknown client or wrong secret");
    match client.by_header {
        true => answer.with("www-authenticate", "Basic realm=\"jeton\""),
        false => answer,
    }
}

/// `private_key_jwt`: signed with a key that is registered for the client, for this issuer, and new.
fn by_assertion(desk: &Desk<'_>, form: &Form, assertion: &str) -> Result<Caller, Answer> {
    let refused = |why: &str| Answer::oauth_error(401, "invalid_client", why);
    if form.one("client_assertion_type").as_deref() != Some(ASSERTION_TYPE) {
        return Err(refused("client_assertion_type is not jwt-bearer"));
    }
    let claims = assertion::proved(desk, assertion).map_err(|why| refused(&why))?;
    let id = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    if claims.get("iss") != Some(&json!(id)) {
        return Err(refused("iss and sub of the assertion differ"));
    }
    if form.one("client_id").is_some_and(|given| given != id) {
        return Err(refused("client_id is not the assertion's"));
    }
    if !assertion::is_for_us(desk, &claims) {
        return Err(refused("the assertion is for somebody else"));
    }
    let jti = claims.get("jti").and_then(Value::as_str);
    let jti = jti.ok_or_else(|| refused("the assertion has no jti"))?;
    match lock(&desk.provider.ledger).used_assertions.insert(jti.to_owned()) {
        true => Ok(Caller { id: id.to_owned() }),
        false => Err(refused("the assertion was used before")),
    }
}

/// `grant_type=client_credentials` (RFC 6749 section 4.4).
pub(super) fn credentials(desk: &Desk<'_>, caller: &Caller, form: &Form) -> Granted {
    if caller.id.is_empty() {
        return Err(Answer::oauth_error(
            401,
            "invalid_client",
            "this grant needs a client",
        ));
    }
    Ok(Issue::new(caller, &caller.id, form).answer(desk))
}
