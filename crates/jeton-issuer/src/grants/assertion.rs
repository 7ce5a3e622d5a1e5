//! Assertions (RFC 7521): who may have signed one, and the JWT bearer grant (RFC 7523 section 2.1).
use super::client::Caller;
use super::issue::Issue;
use super::{Granted, is_revoked, refused, required, unverified_claims};
use crate::call::Form;
use crate::desk::Desk;
use jeton_core::verify::verify_jws;
use jeton_core::{AlgorithmSet, KeySet};
use serde_json::{Map, Value, json};

/// How far clocks may be apart.
const LEEWAY_SECONDS: i64 = 60;

/// The claims of a token that was signed with our keys, or with keys that are registered for its `iss`, and is alive.
pub(super) fn proved(desk: &Desk<'_>, token: &str) -> Result<Map<String, Value>, String> {
    let claimed = unverified_claims(token).ok_or("it is no JWT")?;
    let issuer = claimed.get("iss").and_then(Value::as_str).unwrap_or_default();
    let jwks = keys_of(desk, issuer).ok_or("its issuer is not trusted")?;
    let keys = KeySet::parse(jwks.to_string().as_bytes());
    let keys = keys.map_err(|rejection| format!("the keys of its issuer cannot be read: {rejection}"))?;
    let payload = verify_jws(token, &keys, AlgorithmSet::ALL);
    let payload = payload.map_err(|rejection| format!("{rejection}"))?;
    let claims: Map<_, _> = serde_json::from_slice(&payload).map_err(|_| "its claims are no object")?;
    alive(desk, &claims)?;
    match is_revoked(desk, token) {
        true => Err("it was revoked".into()),
        false => Ok(claims),
    }
}

fn keys_of(desk: &Desk<'_>, issuer: &str) -> Option<Value> {
    if issuer == desk.url() {
        return Some(desk.provider.keys().jwks());
    }
    let trusted = desk.options().trusted.iter().find(|(name, _)| name == issuer)?;
    Some(trusted.1.clone())
}

fn alive(desk: &Desk<'_>, claims: &Map<String, Value>) -> Result<(), String> {
    let now = desk.now().seconds();
    let time = |name: &str| claims.get(name).and_then(Value::as_i64);
    let exp = time("exp").ok_or("it has no exp")?;
    if exp <= now.saturating_sub(LEEWAY_SECONDS) {
        return Err("it has expired".into());
    }
    match time("nbf").is_some_and(|nbf| nbf > now.saturating_add(LEEWAY_SECONDS)) {
        true => Err("it is not valid yet".into()),
        false => Ok(()),
    }
}

/// Whether the audience is this issuer or its token endpoint.
pub(super) fn is_for_us(desk: &Desk<'_>, claims: &Map<String, Value>) -> bool {
    let ours = [desk.url().to_owned(), format!("{}/token", desk.url())];
    match claims.get("aud") {
        Some(Value::String(one)) => ours.contains(one),
        Some(Value::Array(many)) => many.iter().any(|one| ours.iter().any(|our| one == our)),
        _ => false,
    }
}

/// `grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer`. Our own tokens are taken whatever they are for; those of
/// others must be for us.
pub(super) fn bearer(desk: &Desk<'_>, caller: &Caller, form: &Form) -> Granted {
    let assertion = required(form, "assertion")?;
    let claims =
        proved(desk, &assertion).map_err(|why| refused("invalid_grant", &format!("the assertion: {why}")))?;
    let own = claims.get("iss") == Some(&json!(desk.url()));
    if !own && !is_for_us(desk, &claims) {
        return Err(refused("invalid_grant", "the assertion is for somebody else"));
    }
    let subject = claims.get("sub").and_then(Value::as_str);
    let subject = subject.ok_or_else(|| refused("invalid_grant", "the assertion has no sub"))?;
    let issue = Issue::new(caller, subject, form);
    Ok(issue.refreshed_answer(desk, None))
}
