//! Keys made once for all tables, good claims, and the one question every row asks.
use jeton_core::jose::encode_segment;
use jeton_core::{
    Algorithm, Audience, Expectations, Issuer, Json, KeySet, Pattern, SigningKey, UnixTime, json, verify,
};
use std::sync::LazyLock;

pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://issuer.example";

pub(crate) struct Fixture {
    pub(crate) rsa: SigningKey,
    pub(crate) es256: SigningKey,
    pub(crate) es384: SigningKey,
    pub(crate) es512: SigningKey,
    pub(crate) ed: SigningKey,
    /// All five.
    pub(crate) keys: KeySet,
}

pub(crate) static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let key = |a| SigningKey::generate(a).unwrap();
    let (rsa, es256, es384) = (
        key(Algorithm::Rs256),
        key(Algorithm::Es256),
        key(Algorithm::Es384),
    );
    let (es512, ed) = (key(Algorithm::Es512), key(Algorithm::EdDsa));
    let keys = set([&rsa, &es256, &es384, &es512, &ed].map(SigningKey::public_jwk));
    Fixture {
        rsa,
        es256,
        es384,
        es512,
        ed,
        keys,
    }
});

pub(crate) fn set(jwks: impl IntoIterator<Item = Json>) -> KeySet {
    KeySet::parse(KeySet::document(jwks).to_text().as_bytes()).unwrap()
}

pub(crate) fn parse(text: &str) -> Json {
    json::parse(text.as_bytes()).unwrap()
}

/// A JWK with some members changed; `null` takes one away.
pub(crate) fn changed(jwk: Json, changes: &str) -> Json {
    let mut jwk = jwk;
    for (name, value) in parse(changes).as_object().unwrap() {
        match value {
            Json::Null => drop(jwk.take(name)),
            value => jwk.set(name.as_str(), value.clone()),
        }
    }
    jwk
}

pub(crate) fn good_claims() -> Json {
    parse(&format!(
        r#"{{"iss":"{ISSUER}","sub":"someone","aud":"api","iat":{},"nbf":{},"exp":{}}}"#,
        NOW - 10,
        NOW - 10,
        NOW + 300
    ))
}

/// The good claims with some members changed; `null` takes one away.
pub(crate) fn claims_with(changes: &str) -> Json {
    changed(good_claims(), changes)
}

pub(crate) fn expect() -> Expectations {
    let issuer = Issuer::parse(ISSUER).unwrap();
    Expectations::new(issuer, Audience::parse("api").unwrap())
}

pub(crate) fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

/// The code of the rejection, or `accepted`.
pub(crate) fn outcome_as(token: &str, keys: &KeySet, expect: &Expectations) -> &'static str {
    match verify::verify(token, keys, expect, UnixTime::from_seconds(NOW)) {
        Ok(_) => "accepted",
        Err(rejection) => {
            let text = rejection.to_string();
            assert!(
                !text.contains("eyJ") && text.len() < 700,
                "a token in an error: {text}"
            );
            rejection.code()
        }
    }
}

pub(crate) fn outcome(token: &str) -> &'static str {
    outcome_as(token, &FIXTURE.keys, &expect())
}

/// Three segments of these texts, the last one as it is.
pub(crate) fn compact(header: &str, payload: &str, signature: &str) -> String {
    format!(
        "{}.{}.{signature}",
        encode_segment(header),
        encode_segment(payload)
    )
}

/// Asks every row, and shows all that are wrong at once.
pub(crate) fn check<N: AsRef<str>>(rows: impl IntoIterator<Item = (N, &'static str, &'static str)>) {
    let wrong: Vec<String> = rows
        .into_iter()
        .filter(|(_, found, wanted)| found != wanted)
        .map(|(name, found, wanted)| format!("{}: {found}, not {wanted}", name.as_ref()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
