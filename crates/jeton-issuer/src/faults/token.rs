//! Faults of tokens: claims, header and signature that are not what was asked for.
use super::Effect::Token;
use super::{Args, Entry, entry};
use crate::keys::unguessable;
use crate::mint::{Mint, Seal};
use serde_json::{Value, json};

/// How long ago an expired token ended, when it is not given: longer than any leeway.
const EXPIRED_SECONDS: i64 = 3600;
/// How far a clock is off when it is not given.
const OFF_SECONDS: i64 = 120;

pub(super) const TABLE: &[Entry] = &[
    entry(
        "wrongaud",
        Token(wrong_audience),
        "the audience is `value`, or somebody else",
    ),
    entry("noaud", Token(|_, m| remove(m, "aud")), "no aud"),
    entry("audlist", Token(audience_list), "aud is a list of two"),
    entry(
        "wrongsub",
        Token(|a, m| claim(m, "sub", json!(a.value_or("somebody-else")))),
        "the subject is `value`",
    ),
    entry(
        "wrongnonce",
        Token(|_, m| claim(m, "nonce", json!("another"))),
        "another nonce",
    ),
    entry("expired", Token(expired), "ended N seconds ago (3600)"),
    entry("exp", Token(expires), "ends N seconds after it was minted (1)"),
    entry("noexp", Token(|_, m| remove(m, "exp")), "no exp"),
    entry("expstr", Token(expiry_text), "exp is a string"),
    entry("noiat", Token(|_, m| remove(m, "iat")), "no iat"),
    entry(
        "future",
        Token(|a, m| shift(m, a.number_or(OFF_SECONDS))),
        "iat, nbf and exp N seconds late (120)",
    ),
    entry(
        "past",
        Token(|a, m| shift(m, -a.number_or(OFF_SECONDS))),
        "iat, nbf and exp N seconds early (120)",
    ),
    entry("algnone", Token(alg_none), "alg none, no signature"),
    entry(
        "unkkid",
        Token(|_, m| header(m, "kid", json!(unguessable("unknown-")))),
        "a kid that nobody knows",
    ),
    entry("nokid", Token(|_, m| header(m, "kid", Value::Null)), "no kid"),
    entry(
        "wrongiss",
        Token(wrong_issuer),
        "iss is `value`, or somebody else",
    ),
    entry(
        "badsig",
        Token(|_, m| m.seal = Seal::Broken),
        "a signature with one bit turned",
    ),
    entry(
        "foreignkey",
        Token(|_, m| m.seal = Seal::Foreign),
        "signed with a key that is not published",
    ),
    entry(
        "crit",
        Token(|_, m| header(m, "crit", json!(["exp"]))),
        "a critical header nobody understands",
    ),
    entry("claims", Token(given), "the claims in `value`, a JSON object"),
];

fn claim(mint: &mut Mint, name: &str, value: Value) {
    mint.claims.insert(name.to_owned(), value);
}

fn remove(mint: &mut Mint, name: &str) {
    mint.claims.remove(name);
}

fn header(mint: &mut Mint, name: &str, value: Value) {
    mint.header.insert(name.to_owned(), value);
}

fn wrong_audience(args: &Args, mint: &mut Mint) {
    claim(
        mint,
        "aud",
        json!(args.value_or("https://somebody-else.example.com")),
    );
}

fn audience_list(_: &Args, mint: &mut Mint) {
    let asked = mint.claims.get("aud").cloned().unwrap_or_default();
    claim(mint, "aud", json!([asked, "https://second.example.com"]));
}

fn wrong_issuer(args: &Args, mint: &mut Mint) {
    claim(
        mint,
        "iss",
        json!(args.value_or("https://somebody-else.example.com")),
    );
}

fn expired(args: &Args, mint: &mut Mint) {
    let ago = args.number_or(EXPIRED_SECONDS);
    let life = mint.claims.get("exp").and_then(Value::as_i64).unwrap_or_default() - mint.now.seconds();
    shift(mint, -(ago + life));
}

fn expires(args: &Args, mint: &mut Mint) {
    claim(mint, "exp", json!(mint.now.seconds() + args.number_or(1)));
}

fn expiry_text(_: &Args, mint: &mut Mint) {
    let exp = mint.claims.get("exp").map(Value::to_string).unwrap_or_default();
    claim(mint, "exp", json!(exp));
}

fn shift(mint: &mut Mint, seconds: i64) {
    for name in ["iat", "nbf", "exp"] {
        mint.shift(name, seconds);
    }
}

fn alg_none(_: &Args, mint: &mut Mint) {
    header(mint, "alg", json!("none"));
    mint.seal = Seal::Nothing;
}

fn given(args: &Args, mint: &mut Mint) {
    if let Ok(Value::Object(claims)) = serde_json::from_str(args.value_or("{}")) {
        mint.claims.extend(claims);
    }
}
