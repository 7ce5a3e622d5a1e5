//! `alg`: none, symmetric with a public key as the secret, mismatched, unknown, of another type.
use crate::fixture::*;
use aws_lc_rs::hmac;
use jeton_core::jose::{AlgorithmSet, encode_segment};
use jeton_core::{Algorithm, Json, SigningKey};

#[test]
fn d7_every_algorithm_is_accepted_with_its_own_key() {
    let f = &*FIXTURE;
    let rsa_any = changed(f.rsa.public_jwk(), r#"{"alg":null}"#);
    let pem = f.rsa.to_pem().unwrap();
    let rsa = [
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
    ]
    .map(|a| SigningKey::from_pem(pem.reveal(), Some(a)).unwrap());
    let keys = set([rsa_any]);
    let rows = rsa.iter().map(|key| {
        let token = key.sign(&good_claims()).unwrap();
        (
            key.algorithm().name(),
            outcome_as(&token, &keys, &expect()),
            "accepted",
        )
    });
    check(rows);
    let own = [&f.rsa, &f.es256, &f.es384, &f.es512, &f.ed];
    check(own.map(|key| {
        (
            key.algorithm().name(),
            outcome(&key.sign(&good_claims()).unwrap()),
            "accepted",
        )
    }));
    let header = parse(r#"{"alg":"Ed25519"}"#);
    assert_eq!(
        outcome(&f.ed.sign_with(&header, &good_claims()).unwrap()),
        "accepted"
    );
}

#[test]
fn d7_none_in_any_spelling_is_none() {
    // CVE-2015-2951, CVE-2020-28042, CVE-2022-23540, CVE-2022-29165
    let claims = good_claims().to_text();
    let kid = FIXTURE.rsa.key_id();
    for alg in ["none", "None", "NONE", "nOnE", "none ", " none"] {
        for signature in ["", "AAAA"] {
            let header = format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#);
            assert_eq!(
                outcome(&compact(&header, &claims, signature)),
                "algorithm-none",
                "{alg:?}"
            );
        }
    }
    let real = FIXTURE.rsa.sign(&good_claims()).unwrap();
    let stripped = &real[..=real.rfind('.').unwrap()];
    check([
        ("signature stripped", outcome(stripped), "bad-signature"),
        (
            "signature and dot stripped",
            outcome(stripped.trim_end_matches('.')),
            "malformed",
        ),
        (
            "alg twice",
            outcome(&compact(r#"{"alg":"none","alg":"RS256"}"#, &claims, "")),
            "malformed",
        ),
        (
            "no alg",
            outcome(&compact(r#"{"typ":"JWT"}"#, &claims, "")),
            "malformed",
        ),
        (
            "empty alg",
            outcome(&compact(r#"{"alg":""}"#, &claims, "")),
            "algorithm-not-allowed",
        ),
    ]);
}

#[test]
fn d7_a_public_key_is_never_a_secret() {
    // CVE-2015-9235, CVE-2016-5431, CVE-2016-10555, CVE-2017-11424, CVE-2022-29217, CVE-2023-48223, CVE-2024-33663,
    // CVE-2024-37568, CVE-2025-65945, CVE-2026-22817, CVE-2026-85394
    let f = &*FIXTURE;
    let keys = [&f.rsa, &f.es256, &f.ed];
    for key in keys {
        let jwk = key.public_jwk().to_text();
        let secrets = [
            jwk.clone(),
            format!("-----BEGIN PUBLIC KEY-----\n{jwk}\n-----END PUBLIC KEY-----\n"),
            String::new(),
        ];
        for (alg, mac) in [
            ("HS256", hmac::HMAC_SHA256),
            ("HS384", hmac::HMAC_SHA384),
            ("HS512", hmac::HMAC_SHA512),
        ] {
            for secret in &secrets {
                let header = format!(r#"{{"alg":"{alg}","kid":"{}"}}"#, key.key_id());
                let signed = format!(
                    "{}.{}",
                    encode_segment(header),
                    encode_segment(good_claims().to_text())
                );
                let tag = hmac::sign(&hmac::Key::new(mac, secret.as_bytes()), signed.as_bytes());
                let token = format!("{signed}.{}", encode_segment(tag));
                let no_alg = set([changed(key.public_jwk(), r#"{"alg":null}"#)]);
                assert_eq!(outcome(&token), "algorithm-not-allowed");
                assert_eq!(outcome_as(&token, &no_alg, &expect()), "algorithm-not-allowed");
            }
        }
    }
}

#[test]
fn d7_an_algorithm_that_does_not_go_with_the_key_is_refused() {
    let f = &*FIXTURE;
    let sign = |key: &SigningKey, header: &str| key.sign_with(&parse(header), &good_claims()).unwrap();
    let as_kid = |key: &SigningKey, alg: &str, other: &SigningKey| {
        sign(key, &format!(r#"{{"alg":"{alg}","kid":"{}"}}"#, other.key_id()))
    };
    let pem = f.rsa.to_pem().unwrap();
    let ps256 = SigningKey::from_pem(pem.reveal(), Some(Algorithm::Ps256)).unwrap();
    let only_es = expect().algorithms(AlgorithmSet::of(&[Algorithm::Es256]));
    check([
        (
            "RS256 by a P-256 key",
            outcome(&as_kid(&f.es256, "RS256", &f.es256)),
            "key-unusable",
        ),
        (
            "ES256 by an RSA key",
            outcome(&as_kid(&f.rsa, "ES256", &f.rsa)),
            "key-unusable",
        ),
        (
            "ES256 by a P-384 key",
            outcome(&as_kid(&f.es384, "ES256", &f.es384)),
            "key-unusable",
        ),
        (
            "ES384 by a P-256 key",
            outcome(&as_kid(&f.es256, "ES384", &f.es256)),
            "key-unusable",
        ),
        (
            "EdDSA by a P-256 key",
            outcome(&as_kid(&f.es256, "EdDSA", &f.es256)),
            "key-unusable",
        ),
        (
            "the JWK is pinned to RS256",
            outcome(&ps256.sign(&good_claims()).unwrap()),
            "key-unusable",
        ),
        (
            "RS384 with the key of RS256",
            outcome(&sign(&f.rsa, r#"{"alg":"RS384"}"#)),
            "key-unusable",
        ),
        (
            "another key's name",
            outcome(&as_kid(&f.es256, "RS256", &f.rsa)),
            "bad-signature",
        ),
        (
            "not on the list",
            outcome_as(&sign(&f.rsa, "{}"), &f.keys, &only_es),
            "algorithm-not-allowed",
        ),
        (
            "on the list",
            outcome_as(&sign(&f.es256, "{}"), &f.keys, &only_es),
            "accepted",
        ),
    ]);
    let loose = set([changed(f.rsa.public_jwk(), r#"{"alg":null}"#)]);
    check([
        (
            "hash swapped",
            outcome_as(&sign(&f.rsa, r#"{"alg":"RS384"}"#), &loose, &expect()),
            "bad-signature",
        ),
        (
            "padding swapped",
            outcome_as(&sign(&f.rsa, r#"{"alg":"PS256"}"#), &loose, &expect()),
            "bad-signature",
        ),
    ]);
}

#[test]
fn d7_an_unknown_algorithm_or_one_of_another_type_is_refused() {
    let sign = |alg: Json| {
        let header = Json::object([("alg", alg)]);
        outcome(&FIXTURE.rsa.sign_with(&header, &good_claims()).unwrap())
    };
    let names = [
        "RS1",
        "ES256K",
        "rs256",
        "Rs256",
        "RS256\0",
        " RS256",
        "RS256,none",
        "HS256",
        "A128KW",
        "Ed448",
        "EdDSA2",
    ];
    check(names.map(|name| (name, sign(Json::from(name)), "algorithm-not-allowed")));
    check(["1", "true", r#"["RS256"]"#, r#"{"RS256":1}"#].map(|alg| (alg, sign(parse(alg)), "malformed")));
}
