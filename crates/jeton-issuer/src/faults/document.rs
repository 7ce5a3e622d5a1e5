//! Faults of the provider's documents: discovery and key set. They are for the routes `discovery` and `jwks`.
use super::Effect::Answer as Change;
use super::{Entry, Play, entry};
use crate::answer::{Answer, Body};
use serde_json::{Value, json};

pub(super) const TABLE: &[Entry] = &[
    entry(
        "issother",
        Change(other_issuer),
        "issuer is `value`, or somebody else",
    ),
    entry(
        "issslash",
        Change(|p, a| set(a, "issuer", json!(format!("{}/", p.url)))),
        "issuer with a slash more",
    ),
    entry(
        "isscase",
        Change(|p, a| set(a, "issuer", json!(upper_scheme(p.url)))),
        "issuer in other letters",
    ),
    entry(
        "issmissing",
        Change(|_, a| drop_member(a, "issuer")),
        "issuer is missing",
    ),
    entry(
        "issnull",
        Change(|_, a| set(a, "issuer", Value::Null)),
        "issuer is null",
    ),
    entry(
        "nojwksuri",
        Change(|_, a| drop_member(a, "jwks_uri")),
        "jwks_uri is missing",
    ),
    entry(
        "notokenep",
        Change(|_, a| drop_member(a, "token_endpoint")),
        "token_endpoint is missing",
    ),
    entry(
        "nodeviceep",
        Change(|_, a| drop_member(a, "device_authorization_endpoint")),
        "no device endpoint",
    ),
    entry(
        "jwksuri",
        Change(jwks_elsewhere),
        "jwks_uri is `value`, or on another host",
    ),
    entry(
        "jwksfile",
        Change(|_, a| set(a, "jwks_uri", json!("file:///etc/passwd"))),
        "jwks_uri is a file",
    ),
    entry(
        "jwksmeta",
        Change(|_, a| set(a, "jwks_uri", json!("http://169.254.169.254/jwks"))),
        "jwks_uri is metadata",
    ),
    entry(
        "jwksrel",
        Change(|_, a| set(a, "jwks_uri", json!("/jwks"))),
        "jwks_uri is relative",
    ),
    entry(
        "tokenep",
        Change(|p, a| set(a, "token_endpoint", json!(p.args.value_or("")))),
        "token_endpoint is `value`",
    ),
    entry("jwksempty", Change(|_, a| set(a, "keys", json!([]))), "no keys"),
    entry(
        "jwksnokid",
        Change(|_, a| each_key(a, |key| drop_key_member(key, "kid"))),
        "keys without kid",
    ),
    entry(
        "jwksnoalg",
        Change(|_, a| each_key(a, |key| drop_key_member(key, "alg"))),
        "keys without alg",
    ),
    entry(
        "jwksdupkid",
        Change(|_, a| with_key(a, |first| first)),
        "the first key twice",
    ),
    entry(
        "jwksodd",
        Change(odd_entries),
        "entries of unknown kinds among the keys",
    ),
    entry("jwksmany", Change(many_keys), "N keys (1000)"),
];

fn set(answer: &mut Answer, name: &str, value: Value) {
    if let Body::Json(Value::Object(members)) = &mut answer.body {
        members.insert(name.to_owned(), value);
    }
}

fn drop_member(answer: &mut Answer, name: &str) {
    if let Body::Json(Value::Object(members)) = &mut answer.body {
        members.remove(name);
    }
}

fn other_issuer(play: &Play<'_>, answer: &mut Answer) {
    set(
        answer,
        "issuer",
        json!(play.args.value_or("https://somebody-else.example.com")),
    );
}

fn upper_scheme(url: &str) -> String {
    url.replacen("http", "HTTP", 1)
}

fn jwks_elsewhere(play: &Play<'_>, answer: &mut Answer) {
    let other = format!("{}/jwks", play.url.replacen("127.0.0.1", "localhost", 1));
    set(answer, "jwks_uri", json!(play.args.value_or(&other)));
}

fn keys(answer: &mut Answer) -> Option<&mut Vec<Value>> {
    match &mut answer.body {
        Body::Json(body) => body.get_mut("keys")?.as_array_mut(),
        Body::Bytes(_) => None,
    }
}

fn each_key(answer: &mut Answer, change: impl Fn(&mut Value)) {
    keys(answer).into_iter().flatten().for_each(change);
}

fn drop_key_member(key: &mut Value, name: &str) {
    if let Value::Object(members) = key {
        members.remove(name);
    }
}

fn with_key(answer: &mut Answer, make: impl Fn(Value) -> Value) {
    if let Some(keys) = keys(answer)
        && let Some(first) = keys.first().cloned()
    {
        keys.push(make(first));
    }
}

fn odd_entries(_: &Play<'_>, answer: &mut Answer) {
    let odd = [
        json!({"kty": "AKP", "kid": "new"}),
        json!({"kty": "RSA"}),
        json!(7),
        json!({"kty": "oct", "k": "AA"}),
    ];
    if let Some(keys) = keys(answer) {
        keys.splice(0..0, odd);
    }
}

fn many_keys(play: &Play<'_>, answer: &mut Answer) {
    for number in 1..play.args.number_or(1000) {
        with_key(answer, |mut key| {
            key["kid"] = json!(format!("more-{number}"));
            key
        });
    }
}
