//! Key sets: unusable as a whole, unusable in part, and which key is chosen.
use crate::fixture::*;
use jeton_core::jose::encode_segment;
use jeton_core::{Json, KeySet, Rejection, SigningKey};

fn fails(bytes: &[u8]) -> &'static str {
    KeySet::parse(bytes).map_or_else(|r| r.code(), |_| "accepted")
}

#[test]
fn d7_a_set_of_no_use_is_an_error_of_its_own() {
    // CVE-2026-31837
    let jwk = FIXTURE.ed.public_jwk().to_text();
    let many = format!(r#"{{"keys":[{}]}}"#, vec![jwk.as_str(); 101].join(","));
    let hundred = format!(r#"{{"keys":[{}]}}"#, vec![jwk.as_str(); 100].join(","));
    let rows: [(&str, Vec<u8>); 15] = [
        ("nothing", Vec::new()),
        ("HTML", b"<!doctype html><html></html>".to_vec()),
        ("cut", format!(r#"{{"keys":[{jwk}"#).into_bytes()),
        ("array", format!("[{jwk}]").into_bytes()),
        ("one bare key", jwk.clone().into_bytes()),
        ("null", b"null".to_vec()),
        ("no keys", b"{\"keys\":[]}".to_vec()),
        ("keys is an object", format!(r#"{{"keys":{jwk}}}"#).into_bytes()),
        (
            "keys twice",
            format!(r#"{{"keys":[{jwk}],"keys":[{jwk}]}}"#).into_bytes(),
        ),
        (
            "a member of a key twice",
            format!(r#"{{"keys":[{{"kid":"a",{}]}}"#, &jwk[1..]).into_bytes(),
        ),
        (
            "deep",
            format!(r#"{{"keys":[{}{}]}}"#, "[".repeat(5000), "]".repeat(5000)).into_bytes(),
        ),
        ("trailing", format!(r#"{{"keys":[{jwk}]}} x"#).into_bytes()),
        ("101 keys", many.into_bytes()),
        (
            "more than 1 MiB",
            format!(r#"{{"keys":[{jwk}],"x":"{}"}}"#, "x".repeat(1 << 20)).into_bytes(),
        ),
        (
            "only entries of no use",
            br#"{"keys":[1,"x",{},{"kty":"oct","k":"AAAA"}]}"#.to_vec(),
        ),
    ];
    check(
        rows.iter()
            .map(|(name, bytes)| (name, fails(bytes), "keys-unusable")),
    );
    check([("100 keys", fails(hundred.as_bytes()), "accepted")]);
    assert!(Rejection::KeysUnusable("").is_about_keys());
}

/// Why an entry is skipped; `None` when it is not.
fn skipped(jwk: Json) -> Option<&'static str> {
    let keys = set([jwk, FIXTURE.es512.public_jwk()]);
    keys.skipped().first().map(|s| s.why)
}

fn rsa(n: &[u8], e: &[u8]) -> Json {
    let text = format!(
        r#"{{"kty":"RSA","n":"{}","e":"{}"}}"#,
        encode_segment(n),
        encode_segment(e)
    );
    parse(&text)
}

#[test]
fn d7_a_key_that_can_not_be_trusted_is_skipped_with_its_reason() {
    // RFC 7518 section 3.3
    let f = &*FIXTURE;
    let e = [1, 0, 1];
    let n = |bits: usize| {
        let mut n = vec![0xff; bits / 8];
        n[1] = 0x5a;
        n
    };
    let mut even = n(2048);
    even[255] = 0xfe;
    let sign_byte = [&[0][..], &n(2048)].concat();
    let ec = |changes: &str| skipped(changed(f.es256.public_jwk(), changes));
    let ed = |x: &[u8]| {
        skipped(parse(&format!(
            r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#,
            encode_segment(x)
        )))
    };
    let zeros = encode_segment([0; 32]);
    let order_8 = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x85,
    ];
    let short = "the RSA key is shorter than 2048 bits";
    let long = "the RSA key is longer than 8192 bits";
    let exponent = "the RSA exponent is even, 1 or too large";
    let none = "the numbers are no key: not on the curve, or not RSA";
    let order = "the Ed25519 key is a point of small order";
    let key_ops = "key_ops does not name \"verify\" once";
    let rows: Vec<(&str, Option<&str>, Option<&str>)> = vec![
        ("512 bits", skipped(rsa(&n(512), &e)), Some(short)),
        ("1024 bits", skipped(rsa(&n(1024), &e)), Some(short)),
        ("2040 bits", skipped(rsa(&n(2040), &e)), Some(short)),
        ("2048 bits", skipped(rsa(&n(2048), &e)), None),
        ("a sign byte", skipped(rsa(&sign_byte, &e)), None),
        ("8192 bits", skipped(rsa(&n(8192), &e)), None),
        ("8200 bits", skipped(rsa(&n(8200), &e)), Some(long)),
        ("65536 bits", skipped(rsa(&n(65536), &e)), Some(long)),
        ("even n", skipped(rsa(&even, &e)), Some("the RSA modulus is even")),
        ("e = 1", skipped(rsa(&n(2048), &[1])), Some(exponent)),
        (
            "e = 1 with zeros",
            skipped(rsa(&n(2048), &[0, 0, 1])),
            Some(exponent),
        ),
        ("e = 0", skipped(rsa(&n(2048), &[0])), Some(exponent)),
        ("e = 2", skipped(rsa(&n(2048), &[2])), Some(exponent)),
        ("e = 3", skipped(rsa(&n(2048), &[3])), None),
        (
            "e = n - 2",
            skipped(rsa(&n(2048), &[&n(2048)[..255], &[0xfd]].concat())),
            Some(exponent),
        ),
        (
            "no n",
            skipped(changed(f.rsa.public_jwk(), r#"{"n":null}"#)),
            Some("a number of the key is missing"),
        ),
        (
            "padded n",
            skipped(changed(f.rsa.public_jwk(), r#"{"n":"AQ=="}"#)),
            Some("a number of the key is not base64url"),
        ),
        (
            "RSA-OAEP",
            skipped(changed(f.rsa.public_jwk(), r#"{"alg":"RSA-OAEP"}"#)),
            Some("alg is no signature algorithm that is known here"),
        ),
        (
            "alg of another type",
            skipped(changed(f.rsa.public_jwk(), r#"{"alg":"ES256"}"#)),
            Some("alg does not go with the type of the key"),
        ),
        (
            "alg is a number",
            skipped(changed(f.rsa.public_jwk(), r#"{"alg":1}"#)),
            Some("alg is no string"),
        ),
        (
            "kid is a number",
            skipped(changed(f.rsa.public_jwk(), r#"{"kid":1}"#)),
            Some("kid is no string"),
        ),
        (
            "use enc",
            skipped(changed(f.rsa.public_jwk(), r#"{"use":"enc"}"#)),
            Some("use is not \"sig\""),
        ),
        (
            "use of another type",
            skipped(changed(f.rsa.public_jwk(), r#"{"use":["sig"]}"#)),
            Some("use is not \"sig\""),
        ),
        (
            "no use, no alg",
            skipped(changed(f.rsa.public_jwk(), r#"{"use":null,"alg":null}"#)),
            None,
        ),
        (
            "key_ops verify",
            skipped(changed(f.rsa.public_jwk(), r#"{"key_ops":["verify"]}"#)),
            None,
        ),
        (
            "key_ops encrypt",
            skipped(changed(
                f.rsa.public_jwk(),
                r#"{"key_ops":["encrypt","wrapKey"]}"#,
            )),
            Some(key_ops),
        ),
        (
            "key_ops empty",
            skipped(changed(f.rsa.public_jwk(), r#"{"key_ops":[]}"#)),
            Some(key_ops),
        ),
        (
            "key_ops text",
            skipped(changed(f.rsa.public_jwk(), r#"{"key_ops":"verify"}"#)),
            Some("key_ops is no array"),
        ),
        (
            "a private key",
            skipped(changed(f.rsa.public_jwk(), r#"{"d":"AQAB"}"#)),
            Some("a private key was published"),
        ),
        (
            "off the curve",
            ec(r#"{"y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}"#),
            Some(none),
        ),
        (
            "at infinity",
            ec(&format!(r#"{{"x":"{zeros}","y":"{zeros}"}}"#)),
            Some(none),
        ),
        (
            "short coordinate",
            ec(r#"{"x":"AQ"}"#),
            Some("a coordinate has not the length of its curve"),
        ),
        (
            "coordinates of another curve",
            ec(r#"{"crv":"P-384"}"#),
            Some("a coordinate has not the length of its curve"),
        ),
        (
            "secp256k1",
            ec(r#"{"crv":"secp256k1"}"#),
            Some("the curve is not known here"),
        ),
        (
            "no curve",
            ec(r#"{"crv":null}"#),
            Some("the curve is not known here"),
        ),
        (
            "X25519",
            skipped(parse(r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#)),
            Some("the curve is not one for signatures that is known here"),
        ),
        (
            "short Ed25519",
            ed(&[1; 31]),
            Some("the Ed25519 key has not 32 bytes"),
        ),
        ("order 4", ed(&[0; 32]), Some(order)),
        ("order 8, other sign", ed(&order_8), Some(order)),
        (
            "oct",
            skipped(parse(r#"{"kty":"oct","k":"AAAA","alg":"HS256"}"#)),
            Some("a symmetric key checks nothing"),
        ),
        (
            "unknown kty",
            skipped(parse(r#"{"kty":"AKP","alg":"ML-DSA-44"}"#)),
            Some("the type of the key is not known here"),
        ),
        ("no kty", skipped(parse("{}")), Some("kty is missing")),
        (
            "kty in lower case",
            skipped(changed(f.rsa.public_jwk(), r#"{"kty":"rsa"}"#)),
            Some("the type of the key is not known here"),
        ),
        (
            "no object",
            skipped(Json::from("x")),
            Some("the entry is no JSON object"),
        ),
        (
            "certificates beside it",
            skipped(changed(
                f.rsa.public_jwk(),
                r#"{"x5c":["AAAA"],"x5t":"A","other":{}}"#,
            )),
            None,
        ),
    ];
    for (name, found, wanted) in rows {
        assert_eq!(found, wanted, "{name}");
    }
}

#[test]
fn d7_a_key_is_chosen_by_name_and_never_by_trying_around() {
    let f = &*FIXTURE;
    let named = |kid: &str| {
        f.es256
            .sign_with(&Json::object([("kid", Json::from(kid))]), &good_claims())
            .unwrap()
    };
    let nameless = f
        .es256
        .sign_with(&Json::object([("kid", Json::Null)]), &good_claims())
        .unwrap();
    let as_kid = |key: &SigningKey, kid: &str| changed(key.public_jwk(), &format!(r#"{{"kid":{kid}}}"#));
    let other = SigningKey::generate(jeton_core::Algorithm::Es256).unwrap();
    let third = SigningKey::generate(jeton_core::Algorithm::Es256).unwrap();
    let (ours, mine) = (f.es256.public_jwk(), f.es256.sign(&good_claims()).unwrap());
    let ask = |token: &str, jwks: &[Json]| outcome_as(token, &set(jwks.to_vec()), &expect());
    let broken = changed(f.es256.public_jwk(), r#"{"use":"enc"}"#);
    let five = [&other, &third, &other, &third, &f.es256].map(|key| as_kid(key, r#""a""#));
    check([
        (
            "by name",
            ask(&mine, &[other.public_jwk(), ours.clone()]),
            "accepted",
        ),
        (
            "no name, one key",
            ask(&nameless, std::slice::from_ref(&ours)),
            "accepted",
        ),
        (
            "no name, one that fits",
            ask(&nameless, &[ours.clone(), f.rsa.public_jwk(), f.ed.public_jwk()]),
            "accepted",
        ),
        (
            "no name, two that fit",
            ask(&nameless, &[ours.clone(), other.public_jwk()]),
            "unknown-key",
        ),
        (
            "no name, none that fits",
            ask(&nameless, &[f.rsa.public_jwk()]),
            "unknown-key",
        ),
        (
            "unknown name",
            ask(&named("b"), &[as_kid(&f.es256, r#""a""#)]),
            "unknown-key",
        ),
        (
            "name, one key without",
            ask(&named("a"), &[as_kid(&f.es256, "null")]),
            "accepted",
        ),
        (
            "name, two keys without",
            ask(&named("a"), &[as_kid(&f.es256, "null"), as_kid(&other, "null")]),
            "unknown-key",
        ),
        (
            "name, one without and one with another",
            ask(&named("a"), &[as_kid(&f.es256, "null"), other.public_jwk()]),
            "unknown-key",
        ),
        (
            "one name twice",
            ask(
                &named("a"),
                &[as_kid(&other, r#""a""#), as_kid(&f.es256, r#""a""#)],
            ),
            "accepted",
        ),
        (
            "one name for two types",
            ask(
                &named("a"),
                &[as_kid(&f.rsa, r#""a""#), as_kid(&f.es256, r#""a""#)],
            ),
            "accepted",
        ),
        ("one name too often", ask(&named("a"), &five), "unknown-key"),
        (
            "the named key is skipped",
            ask(&mine, &[broken, other.public_jwk()]),
            "key-unusable",
        ),
        (
            "the named key is another",
            ask(
                &named("a"),
                &[as_kid(&other, r#""a""#), as_kid(&f.es256, r#""b""#)],
            ),
            "bad-signature",
        ),
    ]);
    let keys = set([ours, f.rsa.public_jwk()]);
    assert_eq!((keys.knows(f.es256.key_id()), keys.knows("x")), (true, false));
}

#[test]
fn a_thumbprint_is_that_of_rfc_7638() {
    // RFC 7638 section 3.1 and RFC 8037 appendix A.3.
    let rsa = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
    let ed = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let keys = set([parse(rsa), parse(ed)]);
    let found: Vec<_> = keys.keys().iter().map(|k| k.thumbprint()).collect();
    assert_eq!(
        found,
        [
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        ]
    );
}
