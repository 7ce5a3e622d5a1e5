//! Verifying and signing: ours, the raw provider with a parsed key, and jsonwebtoken.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self as raw, KeyPair, UnparsedPublicKey};
use jeton_core::verify::{verify, Expectations};
use jeton_core::{Algorithm, Audience, Issuer, Json, KeySet, SigningKey, UnixTime};
use jeton_peers::{nanoseconds, report, AUDIENCE};
use std::hint::black_box;

const ISSUER: &str = "https://issuer.example.com";
const NOW: i64 = 1_800_000_000;
const CALLS: u32 = 1000;

fn main() {
    for (name, algorithm) in [("RS256", Algorithm::Rs256), ("ES256", Algorithm::Es256), ("EdDSA", Algorithm::EdDsa)] {
        let key = SigningKey::generate(algorithm).expect("a key");
        let claims = Json::object([
            ("iss", Json::from(ISSUER)),
            ("sub", Json::from("repo:octo-org/octo-repo:ref:refs/heads/main")),
            ("aud", Json::from(AUDIENCE)),
            ("iat", Json::from(NOW - 10)),
            ("exp", Json::from(NOW + 300)),
        ]);
        let token = key.sign(&claims).expect("a token");
        ours(name, &key, &claims, &token);
        let pem = key.to_pem().expect("PEM");
        floor(name, pem.reveal(), &token);
        peer(name, pem.reveal(), &key, &claims, &token);
    }
}

fn ours(name: &str, key: &SigningKey, claims: &Json, token: &str) {
    let keys = KeySet::from_json(&KeySet::document([key.public_jwk()])).expect("a set");
    let expect = Expectations::new(Issuer::parse(ISSUER).expect("an issuer"), Audience::parse(AUDIENCE).expect("an audience"));
    let now = UnixTime::from_seconds(NOW);
    verify(token, &keys, &expect, now).expect("it verifies");
    let check = || {
        black_box(verify(token, &keys, &expect, now).is_ok());
    };
    report(&format!("verify {name}: jeton"), nanoseconds(CALLS, check) / 1e3, "us");
    let sign = || {
        black_box(key.sign(claims).is_ok());
    };
    report(&format!("sign {name}: jeton"), nanoseconds(CALLS, sign) / 1e3, "us");
}

/// The signature alone, with the key parsed once.
fn floor(name: &str, pem: &str, token: &str) {
    let der = der(pem);
    let input = token.rsplit_once('.').expect("a token").0.as_bytes().to_vec();
    let random = SystemRandom::new();
    let (sign, algorithm, public): (Box<dyn Fn(&[u8]) -> Vec<u8>>, &'static dyn raw::VerificationAlgorithm, Vec<u8>) = match name {
        "RS256" => {
            let key = raw::RsaKeyPair::from_pkcs8(&der).expect("a key");
            let public = key.public_key().as_ref().to_vec();
            let sign = move |input: &[u8]| {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&raw::RSA_PKCS1_SHA256, &random, input, &mut signature).expect("a signature");
                signature
            };
            (Box::new(sign), &raw::RSA_PKCS1_2048_8192_SHA256, public)
        }
        "ES256" => {
            let key = raw::EcdsaKeyPair::from_pkcs8(&raw::ECDSA_P256_SHA256_FIXED_SIGNING, &der).expect("a key");
            let public = key.public_key().as_ref().to_vec();
            let sign = move |input: &[u8]| key.sign(&random, input).expect("a signature").as_ref().to_vec();
            (Box::new(sign), &raw::ECDSA_P256_SHA256_FIXED, public)
        }
        _ => {
            let key = raw::Ed25519KeyPair::from_pkcs8(&der).expect("a key");
            let public = key.public_key().as_ref().to_vec();
            (Box::new(move |input: &[u8]| key.sign(input).as_ref().to_vec()), &raw::ED25519, public)
        }
    };
    let signature = sign(&input);
    let check = parsed_check(algorithm, &public, name, &input, &signature);
    report(&format!("verify {name}: floor, raw aws-lc-rs with a parsed key"), nanoseconds(CALLS, check) / 1e3, "us");
    let work = || {
        black_box(sign(&input));
    };
    report(&format!("sign {name}: floor, raw aws-lc-rs"), nanoseconds(CALLS, work) / 1e3, "us");
}

fn parsed_check<'a>(
    algorithm: &'static dyn raw::VerificationAlgorithm,
    public: &[u8],
    name: &str,
    input: &'a [u8],
    signature: &'a [u8],
) -> Box<dyn FnMut() + 'a> {
    let parsed = match name {
        "RS256" => raw::ParsedPublicKey::new(&raw::RSA_PKCS1_2048_8192_SHA256, public),
        "ES256" => raw::ParsedPublicKey::new(&raw::ECDSA_P256_SHA256_FIXED, public),
        _ => raw::ParsedPublicKey::new(&raw::ED25519, public),
    };
    match parsed {
        Ok(key) => Box::new(move || {
            black_box(key.verify_sig(input, signature).is_ok());
        }),
        Err(_) => {
            let key = UnparsedPublicKey::new(algorithm, public.to_vec());
            Box::new(move || {
                black_box(key.verify(input, signature).is_ok());
            })
        }
    }
}

fn peer(name: &str, pem: &str, key: &SigningKey, claims: &Json, token: &str) {
    let algorithm = match name {
        "RS256" => jsonwebtoken::Algorithm::RS256,
        "ES256" => jsonwebtoken::Algorithm::ES256,
        _ => jsonwebtoken::Algorithm::EdDSA,
    };
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_str(&key.public_jwk().to_text()).expect("a JWK");
    let public = jsonwebtoken::DecodingKey::from_jwk(&jwk).expect("a key");
    let mut expect = jsonwebtoken::Validation::new(algorithm);
    expect.set_audience(&[AUDIENCE]);
    expect.set_issuer(&[ISSUER]);
    // Its clock is the machine's.
    expect.validate_exp = false;
    jsonwebtoken::decode::<serde_json::Value>(token, &public, &expect).expect("it verifies");
    let check = || {
        black_box(jsonwebtoken::decode::<serde_json::Value>(token, &public, &expect).is_ok());
    };
    report(&format!("verify {name}: jsonwebtoken"), nanoseconds(CALLS, check) / 1e3, "us");
    let private = match name {
        "RS256" => jsonwebtoken::EncodingKey::from_rsa_pem(pem.as_bytes()),
        "ES256" => jsonwebtoken::EncodingKey::from_ec_pem(pem.as_bytes()),
        _ => jsonwebtoken::EncodingKey::from_ed_pem(pem.as_bytes()),
    };
    let private = private.expect("a key");
    let header = jsonwebtoken::Header::new(algorithm);
    let claims: serde_json::Value = serde_json::from_str(&claims.to_text()).expect("claims");
    let sign = || {
        black_box(jsonwebtoken::encode(&header, &claims, &private).is_ok());
    };
    report(&format!("sign {name}: jsonwebtoken"), nanoseconds(CALLS, sign) / 1e3, "us");
}

/// The bytes inside a PEM text.
fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let letters = body.bytes().filter(|byte| *byte != b'=');
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0, 0u32);
    for letter in letters {
        held = held << 6 | value(letter);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
        }
    }
    bytes
}
