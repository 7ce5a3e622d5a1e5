//! OAuth 2.0 (RFC 6749): the token endpoint with one file per grant and one line per grant in a table, and the
//! endpoints around it.
mod assertion;
mod client;
mod code;
mod device;
mod exchange;
mod introspection;
mod issue;
mod refresh;

use crate::answer::Answer;
use crate::call::{Call, Form};
use crate::desk::{Desk, lock};
use crate::routes::{Reach, Route, route};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use client::Caller;
use http::Method;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

pub(crate) use refresh::planted as plant_refresh_token;

pub(crate) const ROUTES: &[Route] = &[
    route(
        "device-authorization",
        Method::POST,
        "/device_authorization",
        Reach::Issuer,
        device::authorization,
    ),
    route("device-page", Method::GET, "/device", Reach::Issuer, device::page),
    route(
        "device-approve",
        Method::POST,
        "/device/approve",
        Reach::Issuer,
        device::approve,
    ),
    route(
        "authorize",
        Method::GET,
        "/authorize",
        Reach::Issuer,
        code::authorize,
    ),
    route(
        "revoke",
        Method::POST,
        "/revoke",
        Reach::Issuer,
        introspection::revoke,
    ),
    route(
        "introspect",
        Method::POST,
        "/introspect",
        Reach::Issuer,
        introspection::introspect,
    ),
    route(
        "userinfo",
        Method::GET,
        "/userinfo",
        Reach::Issuer,
        introspection::userinfo,
    ),
    route(
        "userinfo",
        Method::POST,
        "/userinfo",
        Reach::Issuer,
        introspection::userinfo,
    ),
];

/// What the grants remember.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Refresh tokens by their value, used ones too: a second use is how a theft shows.
    refresh: HashMap<String, refresh::Held>,
    /// Device codes by their value.
    devices: HashMap<String, device::Pending>,
    /// Authorization codes by their value.
    codes: HashMap<String, code::Authorized>,
    /// Access tokens that were revoked.
    revoked: HashSet<String>,
    /// The `jti` of client assertions that were used.
    used_assertions: HashSet<String>,
}

/// A grant's answer, or its refusal.
type Granted = Result<Answer, Answer>;

/// One grant: its `grant_type`, and what answers it.
struct Grant {
    name: &'static str,
    give: fn(&Desk<'_>, &Caller, &Form) -> Granted,
}

const fn grant(name: &'static str, give: fn(&Desk<'_>, &Caller, &Form) -> Granted) -> Grant {
    Grant { name, give }
}

const GRANTS: &[Grant] = &[
    grant("client_credentials", client::credentials),
    grant("authorization_code", code::exchange),
    grant("refresh_token", refresh::refresh),
    grant("urn:ietf:params:oauth:grant-type:device_code", device::poll),
    grant("urn:ietf:params:oauth:grant-type:jwt-bearer", assertion::bearer),
    grant(
        "urn:ietf:params:oauth:grant-type:token-exchange",
        exchange::exchange,
    ),
];

/// The grants, as discovery lists them.
pub(crate) fn names() -> Vec<&'static str> {
    GRANTS.iter().map(|grant| grant.name).collect()
}

/// `POST /token` with a form.
pub(crate) fn token(desk: &Desk<'_>, call: &Call) -> Answer {
    granted(desk, call).unwrap_or_else(|refusal| refusal)
}

fn granted(desk: &Desk<'_>, call: &Call) -> Granted {
    let form = call.form();
    let name = required(&form, "grant_type")?;
    let grant = GRANTS.iter().find(|grant| grant.name == name);
    let grant = grant.ok_or_else(|| refused("unsupported_grant_type", "no such grant"))?;
    let caller = client::authenticate(desk, call, &form)?;
    (grant.give)(desk, &caller, &form)
}

fn required(form: &Form, name: &str) -> Result<String, Answer> {
    form.one(name)
        .ok_or_else(|| refused("invalid_request", &format!("{name} is missing")))
}

/// An error of the token endpoint that is no client's authentication.
fn refused(error: &str, description: &str) -> Answer {
    Answer::oauth_error(400, error, description)
}

/// The scope that is granted out of a larger one: all of it when nothing is asked for (RFC 6749 section 6).
fn narrowed(whole: &str, asked: Option<String>) -> Result<String, Answer> {
    let Some(asked) = asked else {
        return Ok(whole.to_owned());
    };
    let held: HashSet<_> = whole.split(' ').collect();
    match asked.split(' ').all(|scope| held.contains(scope)) {
        true => Ok(asked),
        false => Err(refused(
            "invalid_scope",
            "the scope is wider than what was granted",
        )),
    }
}

/// The claims of a token, read and not proved; `None` when it is no JWT.
pub(crate) fn unverified_claims(token: &str) -> Option<Map<String, Value>> {
    let [_, claims, _] = token.split('.').collect::<Vec<_>>().try_into().ok()?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Whether this access token was revoked.
fn is_revoked(desk: &Desk<'_>, token: &str) -> bool {
    lock(&desk.provider.ledger).revoked.contains(token)
}
