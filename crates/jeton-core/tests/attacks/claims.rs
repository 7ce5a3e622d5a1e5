//! Claims: times, issuer, audience, subject, patterns.
use crate::fixture::*;
use jeton_core::{Audience, Expectations, Issuer, Json, Rejection, UnixTime, verify};
use std::time::Duration;

fn with(changes: &str) -> &'static str {
    with_as(changes, &expect())
}

fn with_as(changes: &str, expect: &Expectations) -> &'static str {
    outcome_as(
        &FIXTURE.ed.sign(&claims_with(changes)).unwrap(),
        &FIXTURE.keys,
        expect,
    )
}

/// Claims written by hand, for numbers that our own JSON would not write.
fn raw(changes: &str) -> &'static str {
    let header = format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, FIXTURE.ed.key_id());
    let payload = format!(r#"{{"iss":"{ISSUER}","sub":"someone","aud":"api",{changes}}}"#);
    outcome(
        &FIXTURE
            .ed
            .sign_bytes(header.as_bytes(), payload.as_bytes())
            .unwrap(),
    )
}

#[test]
fn d7_times_are_numbers_of_seconds_that_can_be() {
    // CVE-2026-25537: a string must not read as absent.
    let never = [
        r#""1900000000""#,
        "false",
        "true",
        "[1900000000]",
        "{}",
        "null",
        "0",
        "-1",
        "-0",
        "-1900000000",
        "1e30",
        "1900000000000",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999999",
        "253402300800",
        "-0.5",
        "0.0",
    ];
    for name in ["exp", "nbf", "iat"] {
        check(never.map(|value| {
            let rest = if name == "exp" {
                String::new()
            } else {
                format!(r#","exp":{}"#, NOW + 300)
            };
            (
                format!("{name}: {value}"),
                raw(&format!(r#""{name}":{value}{rest}"#)),
                "invalid-claim",
            )
        }));
    }
    // What is no JSON number at all is no JSON.
    check(
        [
            "NaN",
            "Infinity",
            "1e400",
            "0x70000000",
            "1_900_000_000",
            "+1900000000",
            "01900000000",
            "1900000000.",
        ]
        .map(|value| (value, raw(&format!(r#""exp":{value}"#)), "malformed")),
    );
    check(
        ["1900000000", "1900000000.5", "1.9e9", "19E8", "253402300799"]
            .map(|value| (value, raw(&format!(r#""exp":{value}"#)), "accepted")),
    );
    check([
        ("no exp", with(r#"{"exp":null}"#), "missing-claim"),
        (
            "EXP",
            with(&format!(r#"{{"exp":null,"EXP":{}}}"#, NOW + 300)),
            "missing-claim",
        ),
        ("no nbf, no iat", with(r#"{"nbf":null,"iat":null}"#), "accepted"),
    ]);
}

#[test]
fn d7_times_are_compared_with_the_leeway_and_exactly() {
    let at = |name: &str, offset: i64, leeway: u64| {
        let expect = expect().leeway(Duration::from_secs(leeway));
        with_as(&format!(r#"{{"{name}":{}}}"#, NOW + offset), &expect)
    };
    check([
        ("exp now", at("exp", 0, 0), "expired"),
        ("exp a second later", at("exp", 1, 0), "accepted"),
        ("exp at the leeway", at("exp", -60, 60), "expired"),
        ("exp inside the leeway", at("exp", -59, 60), "accepted"),
        ("nbf now", at("nbf", 0, 0), "accepted"),
        ("nbf a second later", at("nbf", 1, 0), "not-yet-valid"),
        ("nbf at the leeway", at("nbf", 60, 60), "accepted"),
        ("nbf beyond the leeway", at("nbf", 61, 60), "not-yet-valid"),
        ("iat now", at("iat", 0, 0), "accepted"),
        ("iat at the leeway", at("iat", 60, 60), "accepted"),
        ("iat beyond the leeway", at("iat", 61, 60), "issued-in-future"),
        ("iat far beyond", at("iat", 1_000_000_000, 60), "issued-in-future"),
        (
            "a leeway without end",
            at("exp", -1_000_000_000, u64::MAX),
            "accepted",
        ),
    ]);
    let half = |exp: f64| with_as(&format!(r#"{{"exp":{exp:?}}}"#), &expect().leeway(Duration::ZERO));
    #[expect(clippy::cast_precision_loss, reason = "a time of ten digits is exact")]
    let now = NOW as f64;
    assert_eq!((half(now + 0.5), half(now - 0.5)), ("accepted", "expired"));
    let aged = |iat: &str| {
        with_as(
            iat,
            &expect().leeway(Duration::ZERO).max_age(Duration::from_secs(100)),
        )
    };
    check([
        (
            "just young enough",
            aged(&format!(r#"{{"iat":{}}}"#, NOW - 100)),
            "accepted",
        ),
        ("too old", aged(&format!(r#"{{"iat":{}}}"#, NOW - 101)), "too-old"),
        ("no iat", aged(r#"{"iat":null}"#), "missing-claim"),
    ]);
}

#[test]
fn d7_the_issuer_is_the_same_bytes() {
    // CVE-2024-53861, CVE-2025-30144
    let others = [
        "https://issuer.example/",
        "https://ISSUER.example",
        "https://issuer.example:443",
        "http://issuer.example",
        "https://issuer.example.evil.example",
        "https://evil.example/https://issuer.example",
        "https://issuer.exampl",
        "issuer.example",
        "https://x@issuer.example",
        "https://\u{456}ssuer.example",
        " https://issuer.example",
        "*",
    ];
    check(others.map(|iss| {
        let changes = Json::object([("iss", Json::from(iss))]).to_text();
        (iss, with(&changes), "issuer-mismatch")
    }));
    check([
        ("missing", with(r#"{"iss":null}"#), "missing-claim"),
        (
            "array with ours",
            with(r#"{"iss":["https://issuer.example"]}"#),
            "invalid-claim",
        ),
        ("object", with(r#"{"iss":{}}"#), "invalid-claim"),
        ("number", with(r#"{"iss":1}"#), "invalid-claim"),
        ("empty", with(r#"{"iss":""}"#), "invalid-claim"),
        (
            "line break",
            with(r#"{"iss":"https://issuer.example\n"}"#),
            "invalid-claim",
        ),
        (
            "NUL",
            with(r#"{"iss":"https://issuer.example\u0000"}"#),
            "invalid-claim",
        ),
    ]);
}

#[test]
fn d7_the_audience_is_one_of_ours() {
    // CVE-2020-26160, CVE-2022-31105, CVE-2023-22482, CVE-2024-5798
    let mismatch = [
        r#""API""#,
        r#""api ""#,
        r#""api/""#,
        r#""ap""#,
        r#""apis""#,
        r#""*""#,
        r#""""#,
        r#""other,api""#,
        r#""api other""#,
        "[]",
        r#"[""]"#,
        r#"["other"]"#,
        r#"["api,x"]"#,
        r#""[\"api\"]""#,
    ];
    check(mismatch.map(|aud| (aud, with(&format!(r#"{{"aud":{aud}}}"#)), "audience-mismatch")));
    let invalid = [
        "1",
        "true",
        "{}",
        r#"{"api":1}"#,
        r#"[["api"]]"#,
        r#"["api",1]"#,
        r#"["api",null]"#,
        r#"[{"api":1}]"#,
    ];
    check(invalid.map(|aud| (aud, with(&format!(r#"{{"aud":{aud}}}"#)), "invalid-claim")));
    check([
        ("missing", with(r#"{"aud":null}"#), "missing-claim"),
        ("array with ours", with(r#"{"aud":["other","api"]}"#), "accepted"),
        (
            "two of ours",
            with_as(
                r#"{"aud":"b"}"#,
                &expect().or_audience(Audience::parse("b").unwrap()),
            ),
            "accepted",
        ),
    ]);
    let any = Expectations::any_audience(Issuer::parse(ISSUER).unwrap());
    check([
        ("any, other", with_as(r#"{"aud":"other"}"#, &any), "accepted"),
        ("any, missing", with_as(r#"{"aud":null}"#, &any), "accepted"),
        ("any, number", with_as(r#"{"aud":1}"#, &any), "invalid-claim"),
    ]);
}

#[test]
fn d7_the_subject_is_text_that_prints() {
    let invalid = [
        r#""""#,
        "1",
        "[]",
        r#"["someone"]"#,
        "{}",
        "true",
        r#""a\nb""#,
        r#""a\r""#,
        r#""a\u0000""#,
        r#""a\u202eb""#,
        r#""\u200b""#,
    ];
    check(invalid.map(|sub| (sub, with(&format!(r#"{{"sub":{sub}}}"#)), "invalid-claim")));
    check([
        ("missing", with(r#"{"sub":null}"#), "missing-claim"),
        ("jti is a number", with(r#"{"jti":1}"#), "invalid-claim"),
        ("jti with a line break", with(r#"{"jti":"a\n"}"#), "invalid-claim"),
        ("jti", with(r#"{"jti":"x"}"#), "accepted"),
    ]);
}

#[test]
fn d7_patterns_and_required_claims_are_looked_at_last() {
    let main = expect().subject(pattern("repo:acme/*:ref:refs/heads/main"));
    let claim = |text: &str| expect().claim("ref", pattern(text));
    check([
        (
            "subject",
            with_as(r#"{"sub":"repo:acme/app:ref:refs/heads/main"}"#, &main),
            "accepted",
        ),
        (
            "longer",
            with_as(r#"{"sub":"repo:acme/app:ref:refs/heads/main2"}"#, &main),
            "subject-mismatch",
        ),
        ("another", with_as("{}", &main), "subject-mismatch"),
        (
            "claim",
            with_as(r#"{"ref":"refs/heads/x"}"#, &claim("refs/heads/*")),
            "accepted",
        ),
        (
            "claim in an array",
            with_as(r#"{"ref":["y","refs/heads/x"]}"#, &claim("refs/heads/*")),
            "accepted",
        ),
        (
            "claim of another value",
            with_as(r#"{"ref":"refs/tags/x"}"#, &claim("refs/heads/*")),
            "claim-mismatch",
        ),
        (
            "claim is a number",
            with_as(r#"{"ref":1}"#, &claim("1")),
            "claim-mismatch",
        ),
        (
            "claim is a boolean",
            with_as(r#"{"ref":true}"#, &claim("true")),
            "claim-mismatch",
        ),
        ("claim is missing", with_as("{}", &claim("**")), "missing-claim"),
        (
            "required",
            with_as(r#"{"jti":"1"}"#, &expect().require("jti")),
            "accepted",
        ),
        (
            "required and missing",
            with_as("{}", &expect().require("jti")),
            "missing-claim",
        ),
    ]);
}

#[test]
fn a_rejection_is_exact_and_its_detail_is_fit_to_show() {
    let reject = |changes: &str, expect: &Expectations| {
        let token = FIXTURE.ed.sign(&claims_with(changes)).unwrap();
        verify::verify(&token, &FIXTURE.keys, expect, UnixTime::from_seconds(NOW)).unwrap_err()
    };
    let expired = reject(&format!(r#"{{"exp":{}}}"#, NOW - 100), &expect());
    assert_eq!(expired, Rejection::Expired { seconds_ago: 100 });
    assert_eq!(expired.to_string(), "expired 100 s ago");
    let long = format!(r#"{{"sub":"{}"}}"#, "s p".repeat(500));
    let pattern = expect().subject(pattern("x"));
    assert!(reject(&long, &pattern).to_string().len() < 300);
    let aud = reject(r#"{"aud":["a","eyJhbGciOiJub25lIn0.e30.x"]}"#, &expect());
    assert_eq!(aud.to_string(), r#"the audience is ["a","[redacted]"]"#);
    let mut codes = Rejection::CODES.to_vec();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), 21);
}

#[test]
fn what_was_proved_says_by_which_key() {
    let token = FIXTURE.ed.sign(&good_claims()).unwrap();
    let proved = verify::verify(&token, &FIXTURE.keys, &expect(), UnixTime::from_seconds(NOW)).unwrap();
    assert_eq!(
        (proved.key_thumbprint(), proved.algorithm()),
        (FIXTURE.ed.key_id(), FIXTURE.ed.algorithm())
    );
    assert_eq!(proved.subject(), Some("someone"));
    assert_eq!(proved.expires_at(), Some(UnixTime::from_seconds(NOW + 300)));
    assert_ne!(verify::token_digest(&token), verify::token_digest(&token[1..]));
}
