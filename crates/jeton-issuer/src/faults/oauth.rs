//! Faults of token endpoints (RFC 6749 sections 5.1 and 5.2): errors, and successes with odd members.
use super::Effect::{Answer as Change, Instead};
use super::{Entry, Play, entry};
use crate::answer::{Answer, Body};
use serde_json::{Value, json};

/// A description nobody wants to read: a mebibyte.
const LONG: usize = 1024 * 1024;

pub(super) const TABLE: &[Entry] = &[
    entry(
        "einvalidclient",
        Instead(|p, a| error(p, a, 401, "invalid_client")),
        "invalid_client",
    ),
    entry(
        "einvalidgrant",
        Instead(|p, a| error(p, a, 400, "invalid_grant")),
        "invalid_grant",
    ),
    entry(
        "einvalidrequest",
        Instead(|p, a| error(p, a, 400, "invalid_request")),
        "invalid_request",
    ),
    entry(
        "einvalidscope",
        Instead(|p, a| error(p, a, 400, "invalid_scope")),
        "invalid_scope",
    ),
    entry(
        "einvalidtarget",
        Instead(|p, a| error(p, a, 400, "invalid_target")),
        "invalid_target",
    ),
    entry(
        "eunauthorized",
        Instead(|p, a| error(p, a, 400, "unauthorized_client")),
        "unauthorized_client",
    ),
    entry(
        "eunsupported",
        Instead(|p, a| error(p, a, 400, "unsupported_grant_type")),
        "unsupported_grant_type",
    ),
    entry(
        "edenied",
        Instead(|p, a| error(p, a, 400, "access_denied")),
        "access_denied",
    ),
    entry(
        "epending",
        Instead(|p, a| error(p, a, 400, "authorization_pending")),
        "authorization_pending",
    ),
    entry(
        "eslowdown",
        Instead(|p, a| error(p, a, 400, "slow_down")),
        "slow_down",
    ),
    entry(
        "eexpired",
        Instead(|p, a| error(p, a, 400, "expired_token")),
        "expired_token",
    ),
    entry(
        "etemp",
        Instead(|p, a| error(p, a, 400, "temporarily_unavailable")),
        "temporarily_unavailable with 400",
    ),
    entry(
        "eserver",
        Instead(|p, a| error(p, a, 400, "server_error")),
        "server_error with 400",
    ),
    entry(
        "e200",
        Instead(|p, a| error(p, a, 200, "invalid_grant")),
        "an error with 200",
    ),
    entry(
        "eansi",
        Instead(|_, a| described(a, "\u{1b}[31mred\u{1b}]0;title\u{7}")),
        "escapes in the description",
    ),
    entry(
        "ecrlf",
        Instead(|_, a| described(a, "one\r\nforged: line\n::error::two")),
        "line breaks in it",
    ),
    entry(
        "ebidi",
        Instead(|_, a| described(a, "right\u{202e}tfel\u{2066}\u{200b}")),
        "direction marks in it",
    ),
    entry(
        "elong",
        Instead(|_, a| described(a, &"long ".repeat(LONG / 5))),
        "a mebibyte of it",
    ),
    entry("eleak", Instead(echo), "an echo of the request's secrets in it"),
    entry(
        "expstring",
        Change(|p, a| member(a, "expires_in", text_of(p, "3600"))),
        "expires_in is a string",
    ),
    entry(
        "expfloat",
        Change(|_, a| member(a, "expires_in", json!(3600.5))),
        "expires_in is a fraction",
    ),
    entry(
        "expmissing",
        Change(|_, a| remove(a, "expires_in")),
        "expires_in is missing",
    ),
    entry(
        "expzero",
        Change(|_, a| member(a, "expires_in", json!(0))),
        "expires_in is 0",
    ),
    entry(
        "expneg",
        Change(|_, a| member(a, "expires_in", json!(-5))),
        "expires_in is negative",
    ),
    entry(
        "expnull",
        Change(|_, a| member(a, "expires_in", Value::Null)),
        "expires_in is null",
    ),
    entry(
        "exphuge",
        Change(|_, a| member(a, "expires_in", json!(1e18))),
        "expires_in is huge",
    ),
    entry(
        "expword",
        Change(|_, a| member(a, "expires_in", json!("soon"))),
        "expires_in is a word",
    ),
    entry(
        "expin",
        Change(|p, a| member(a, "expires_in", json!(p.args.number_or(1)))),
        "expires_in is N (1)",
    ),
    entry(
        "ttmissing",
        Change(|_, a| remove(a, "token_type")),
        "token_type is missing",
    ),
    entry(
        "ttmac",
        Change(|_, a| member(a, "token_type", json!("MAC"))),
        "token_type is MAC",
    ),
    entry(
        "ttlower",
        Change(|_, a| member(a, "token_type", json!("bearer"))),
        "token_type is bearer",
    ),
    entry(
        "ttna",
        Change(|_, a| member(a, "token_type", json!("N_A"))),
        "token_type is N_A",
    ),
    entry(
        "issuedmissing",
        Change(|_, a| remove(a, "issued_token_type")),
        "issued_token_type is missing",
    ),
    entry(
        "issuedwrong",
        Change(|_, a| member(a, "issued_token_type", json!(SAML))),
        "issued_token_type is SAML",
    ),
    entry(
        "scopeless",
        Change(|p, a| member(a, "scope", text_of(p, ""))),
        "the scope is `value`, or empty",
    ),
    entry(
        "norefresh",
        Change(|_, a| remove(a, "refresh_token")),
        "no refresh_token",
    ),
    entry("noidtoken", Change(|_, a| remove(a, "id_token")), "no id_token"),
    entry("nointerval", Change(|_, a| remove(a, "interval")), "no interval"),
    entry(
        "wrongstate",
        Change(|_, a| in_location(a, "state", Some("another"))),
        "another state in the redirect",
    ),
    entry(
        "nostate",
        Change(|_, a| in_location(a, "state", None)),
        "no state in the redirect",
    ),
    entry(
        "wrongredirectiss",
        Change(|_, a| in_location(a, "iss", Some("https://somebody-else.example.com"))),
        "another iss in the redirect (RFC 9207)",
    ),
    entry(
        "noredirectiss",
        Change(|_, a| in_location(a, "iss", None)),
        "no iss in the redirect, though the issuer promises it (RFC 9207)",
    ),
    entry(
        "nocode",
        Change(|_, a| in_location(a, "code", None)),
        "no code in the redirect",
    ),
];

const SAML: &str = "urn:ietf:params:oauth:token-type:saml2";

fn error(play: &Play<'_>, answer: &mut Answer, status: u16, error: &str) {
    *answer = Answer::oauth_error(
        status,
        error,
        play.args.value_or("as the script of faults has it"),
    );
}

fn described(answer: &mut Answer, description: &str) {
    *answer = Answer::oauth_error(400, "invalid_request", description);
}

fn echo(play: &Play<'_>, answer: &mut Answer) {
    let sent = play.call.header("authorization").unwrap_or_default();
    let body = String::from_utf8_lossy(&play.call.body);
    described(answer, &format!("this is what you sent: {sent} {body}"));
}

fn text_of(play: &Play<'_>, default: &str) -> Value {
    json!(play.args.value_or(default))
}

fn member(answer: &mut Answer, name: &str, value: Value) {
    if let Body::Json(Value::Object(members)) = &mut answer.body {
        members.insert(name.to_owned(), value);
    }
}

fn remove(answer: &mut Answer, name: &str) {
    if let Body::Json(Value::Object(members)) = &mut answer.body {
        members.remove(name);
    }
}

/// Changes a parameter of the address that the answer sends the browser to.
fn in_location(answer: &mut Answer, name: &str, value: Option<&str>) {
    let found = answer.headers.iter_mut().find(|(field, _)| field == "location");
    let Some((_, location)) = found else { return };
    let Ok(mut url) = url::Url::parse(location) else {
        return;
    };
    let pairs: Vec<_> = url
        .query_pairs()
        .into_owned()
        .filter(|(key, _)| key != name)
        .collect();
    url.query_pairs_mut()
        .clear()
        .extend_pairs(pairs)
        .extend_pairs(value.map(|value| (name, value)));
    *location = url.into();
}
