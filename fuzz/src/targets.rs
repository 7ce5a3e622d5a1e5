//! What is done with the bytes, and what must hold.

use jeton::config::Config;
use jeton::hostile;
use jeton_core::decode::{self, decode};
use jeton_core::verify::{self as core_verify, Expectations};
use jeton_core::{
    Algorithm, Audience, Issuer, KeySet, SigningKey, UnixTime, jose, json, oauth, pattern::Pattern, redact,
};
use std::sync::LazyLock;

/// What is written is what was read.
pub(crate) fn json(bytes: &[u8]) {
    if let Ok(value) = json::parse(bytes) {
        let again = json::parse(value.to_text().as_bytes());
        assert_eq!(
            again.as_ref(),
            Ok(&value),
            "a value changes when it is written and read"
        );
    }
}

/// A token as it comes from anywhere.
pub(crate) fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if decode::inspect(text).is_ok() {
        assert_eq!(text.matches('.').count(), 2, "a token has three segments");
        assert!(text.len() <= jose::MAX_TOKEN, "a token has a size");
    }
}

/// The bytes are a JOSE header.
pub(crate) fn header(bytes: &[u8]) {
    let _ = jose::Header::parse(bytes);
    let token = format!("{}.e30.AA", jose::encode_segment(bytes));
    if let Ok(inspection) = decode::inspect(&token) {
        let judged = jose::Header::parse(bytes);
        assert_eq!(
            inspection.warnings.is_empty(),
            judged.is_ok(),
            "inspection and header agree"
        );
    }
}

/// The bytes are claims.
pub(crate) fn claims(bytes: &[u8]) {
    const HEADER: &str = "eyJhbGciOiJFUzI1NiJ9";
    let token = format!("{HEADER}.{}.AA", jose::encode_segment(bytes));
    if let Ok(claims) = decode(&token) {
        let all = claims.peek().all().clone();
        assert_eq!(json::parse(bytes), Ok(all), "claims are what the payload says");
    }
}

/// A key set that was fetched.
pub(crate) fn key_set(bytes: &[u8]) {
    if let Ok(set) = KeySet::parse(bytes) {
        assert!(!set.keys().is_empty(), "a set without a key is refused");
        for key in set.keys() {
            assert!(!key.thumbprint().is_empty(), "every key has a thumbprint");
        }
    }
}

/// A private key in a file. What is read and written again is the same key.
pub(crate) fn pem(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(key) = SigningKey::from_pem(text, None) {
        assert!(
            KeySet::from_json(&KeySet::document([key.public_jwk()])).is_ok(),
            "its public half is a key"
        );
    }
    let _ = SigningKey::from_der(bytes, None);
}

/// What a token endpoint answered.
pub(crate) fn oauth(bytes: &[u8]) {
    let Ok(body) = json::parse(bytes) else { return };
    if let Ok(answer) = oauth::TokenAnswer::read(&body) {
        assert!(
            !answer.access_token.reveal().is_empty(),
            "an answer without a token is none"
        );
    }
    let _ = oauth::DeviceAnswer::read(&body);
    let _ = oauth::OAuthError::read(&body, &["canary"]);
}

/// Somebody else's text, made fit to show.
pub(crate) fn foreign_text(bytes: &[u8]) {
    const SECRET: &str = "canary-of-the-fuzzer";
    let text = format!("{}{SECRET}", String::from_utf8_lossy(bytes));
    let shown = redact::foreign(&text, &[SECRET]);
    assert!(!shown.contains(SECRET), "a known secret is shown");
    assert!(
        !shown.chars().any(redact::is_unprintable),
        "a control character is shown"
    );
    assert!(
        shown.len() <= redact::FOREIGN_TEXT_CAP + '…'.len_utf8(),
        "too much is shown"
    );
}

/// A configuration file.
pub(crate) fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Err(error) = Config::parse(text, "config.toml") {
        assert!(!error.to_string().is_empty(), "an error says what is wrong");
    }
}

/// Two texts, with a NUL between them.
fn halves(bytes: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(bytes).ok()?.split_once('\0')
}

/// Claims under a signature that is right: everything that is judged after it.
pub(crate) fn verify(bytes: &[u8]) {
    /// Some moment of 2027, in seconds.
    const NOW: i64 = 1_800_000_100;
    const LEEWAY: i64 = 60;
    let Some((key, keys)) = &*SIGNER else { return };
    let Ok(token) = key.sign_bytes(br#"{"alg":"EdDSA","typ":"JWT"}"#, bytes) else {
        return;
    };
    let (Ok(issuer), Ok(audience)) = (Issuer::parse(ISSUER), Audience::parse("https://example.com")) else {
        return;
    };
    let expect = Expectations::new(issuer, audience);
    if let Ok(verified) = core_verify::verify(&token, keys, &expect, UnixTime::from_seconds(NOW)) {
        assert_eq!(verified.issuer(), Some(ISSUER), "the issuer is exact");
        assert!(
            verified
                .audience()
                .any(|audience| audience == "https://example.com"),
            "the audience is ours"
        );
        assert!(
            verified.subject().is_some_and(|subject| !subject.is_empty()),
            "a subject is there"
        );
        let end = verified.expires_at().map(UnixTime::seconds);
        assert!(end.is_some_and(|end| end > NOW - LEEWAY), "it is alive");
    }
}

const ISSUER: &str = "https://issuer.example.com";

static SIGNER: LazyLock<Option<(SigningKey, KeySet)>> = LazyLock::new(|| {
    let key = SigningKey::generate(Algorithm::EdDsa).ok()?;
    let keys = KeySet::from_json(&KeySet::document([key.public_jwk()])).ok()?;
    Some((key, keys))
});

/// A pattern, and a value that it is held against.
pub(crate) fn pattern(bytes: &[u8]) {
    let Some((pattern, value)) = halves(bytes) else {
        return;
    };
    assert!(Pattern::literal(value).matches(value), "a literal covers itself");
    let Ok(pattern) = Pattern::parse(pattern) else {
        return;
    };
    let covered = pattern.matches(value);
    if let Some(literal) = pattern.as_literal() {
        assert_eq!(covered, literal == value, "a literal covers nothing else");
    }
}

/// A `Retry-After`.
pub(crate) fn retry_after(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = hostile::retry_after(text);
}

/// A file where a cached token should be, as it is and with its sum mended.
pub(crate) fn cache_file(bytes: &[u8]) {
    let _ = hostile::is_cache_entry(bytes);
    let _ = hostile::is_cache_entry(&hostile::sealed(bytes));
}

/// An issuer's metadata.
pub(crate) fn discovery(bytes: &[u8]) {
    if hostile::is_metadata_of(ISSUER, bytes) {
        let document = json::parse(bytes);
        let named = document
            .as_ref()
            .ok()
            .and_then(|document| document.get("issuer")?.as_str());
        assert_eq!(named, Some(ISSUER), "metadata names its issuer");
    }
}
