//! The token endpoint (RFC 6749 section 3.2): one file per grant, one line per grant in a table.
mod client;
mod issue;

use crate::answer::Answer;
use crate::call::{Call, Form};
use crate::desk::Desk;
use crate::routes::Route;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use client::Caller;
use serde_json::{Map, Value};

pub(crate) const ROUTES: &[Route] = &[];

/// What the grants remember.
#[derive(Debug, Default)]
pub(crate) struct Ledger {}

/// A grant's answer, or its refusal.
type Granted = Result<Answer, Answer>;

/// One grant: its `grant_type`, and what answers it.
struct Grant {
    name: &'static str,
    give: fn(&Desk<'_>, &Caller, &Form) -> Granted,
}

const GRANTS: &[Grant] = &[Grant {
    name: "client_credentials",
    give: client::credentials,
}];

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
    let grant = grant.ok_or_else(|| Answer::oauth_error(400, "unsupported_grant_type", "no such grant"))?;
    let caller = client::authenticate(desk, call, &form)?;
    (grant.give)(desk, &caller, &form)
}

fn required(form: &Form, name: &str) -> Result<String, Answer> {
    let missing = || Answer::oauth_error(400, "invalid_request", &format!("{name} is missing"));
    form.one(name).ok_or_else(missing)
}

/// The claims of a token, read and not proved; `None` when it is no JWT.
pub(crate) fn unverified_claims(token: &str) -> Option<Map<String, Value>> {
    let [_, claims, _] = token.split('.').collect::<Vec<_>>().try_into().ok()?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
    serde_json::from_slice(&bytes).ok()
}
