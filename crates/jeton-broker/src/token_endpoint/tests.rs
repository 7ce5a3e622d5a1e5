use super::*;
use jeton_core::oauth::{grant_type, token_type};
use jeton_core::trust::TrustPolicy;
use jeton_core::{Claims, UnixTime, json};
use std::time::Duration;

const BROKER: &str = "https://broker.example.com";
const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields).finish().into_bytes()
}

/// An exchange with these further fields.
fn exchange(fields: &[(&str, &str)]) -> TokenRequest {
    let mut all = vec![
        ("grant_type", grant_type::TOKEN_EXCHANGE),
        ("subject_token", "a.b.c"),
        ("subject_token_type", token_type::JWT),
    ];
    all.extend_from_slice(fields);
    parse(&form(&all)).expect("request")
}

fn claims(text: &str) -> Claims {
    Claims::strict(json::parse(text.as_bytes()).expect("JSON")).expect("claims")
}

fn policy(name: &str, text: &str) -> TrustPolicy {
    TrustPolicy::read(name, &json::parse(text.as_bytes()).expect("JSON")).expect("policy")
}

fn judged(
    policies: &[TrustPolicy],
    subject: &str,
    own: bool,
    actor: Option<&str>,
    request: &TokenRequest,
) -> Judged {
    let subject = claims(subject);
    let actor = actor.map(claims);
    let subject = Subject {
        claims: &subject,
        own,
    };
    judge(policies, subject, actor.as_ref(), request, BROKER, NOW)
}

fn code(judged: &Judged) -> &str {
    judged.outcome.as_ref().map_or_else(|e| e.code, |_| "given")
}

#[test]
fn a_form_is_read_strictly_and_unknown_parameters_are_nobodys_business() {
    const X: &str = grant_type::TOKEN_EXCHANGE;
    const J: &str = token_type::JWT;
    let subject = [
        ("grant_type", X),
        ("subject_token", "t"),
        ("subject_token_type", J),
    ];
    let with = |more: &[(&'static str, &'static str)]| [&subject[..], more].concat();
    let saml = vec![
        ("grant_type", X),
        ("subject_token", "t"),
        ("subject_token_type", "urn:saml2"),
    ];
    let rows: &[(Vec<(&str, &str)>, &str)] = &[
        (with(&[]), "ok"),
        (with(&[("unknown", "1"), ("client_id", "x")]), "ok"),
        (
            with(&[("audience", "a"), ("audience", "b"), ("resource", "c")]),
            "ok",
        ),
        (with(&[("actor_token", "t"), ("actor_token_type", J)]), "ok"),
        (with(&[("requested_token_type", token_type::ACCESS_TOKEN)]), "ok"),
        (
            vec![("grant_type", grant_type::JWT_BEARER), ("assertion", "t")],
            "ok",
        ),
        (vec![], "invalid_request"),
        (vec![("grant_type", "")], "invalid_request"),
        (
            vec![("grant_type", "client_credentials")],
            "unsupported_grant_type",
        ),
        (
            vec![("grant_type", X), ("subject_token_type", J)],
            "invalid_request",
        ),
        (vec![("grant_type", X), ("subject_token", "t")], "invalid_request"),
        (with(&[("subject_token", "u")]), "invalid_request"),
        (with(&[("grant_type", X)]), "invalid_request"),
        (with(&[("scope", "a"), ("scope", "b")]), "invalid_request"),
        (with(&[("scope", "a\"b")]), "invalid_scope"),
        (with(&[("actor_token", "t")]), "invalid_request"),
        (with(&[("actor_token_type", J)]), "invalid_request"),
        (
            with(&[("requested_token_type", token_type::REFRESH_TOKEN)]),
            "invalid_request",
        ),
        (saml, "invalid_request"),
        (vec![("grant_type", grant_type::JWT_BEARER)], "invalid_request"),
    ];
    for (fields, wanted) in rows {
        let got = parse(&form(fields)).map_or_else(|e| e.code, |_| "ok");
        assert_eq!(got, *wanted, "{fields:?}");
    }
}

#[test]
fn a_policy_gives_what_it_names_and_the_error_says_no_more_than_it_must() {
    const X: (&str, &str) = ("audience", "https://x");
    const Z: (&str, &str) = ("audience", "https://z");
    let policies = [
        policy(
            "a",
            r#"{"issuer":"https://i.example","subject":"s","audience":["https://x","https://y"],"scope":["read","write"]}"#,
        ),
        policy(
            "b",
            r#"{"issuer":"https://i.example","subject":"cred","credential":"c1"}"#,
        ),
        policy(
            "c",
            r#"{"issuer":"https://i.example","subject":"role","roles":["platform:viewer"]}"#,
        ),
        policy(
            "d",
            r#"{"issuer":"https://i.example","subject":"seen","mode":"report","audience":"https://x"}"#,
        ),
    ];
    let token = |sub: &str| format!(r#"{{"iss":"https://i.example","sub":"{sub}"}}"#);
    let rows: &[(&str, &[(&str, &str)], &str, Option<&str>)] = &[
        ("s", &[X], "given", Some("a")),
        (
            "s",
            &[("resource", "https://y"), ("scope", "read")],
            "given",
            Some("a"),
        ),
        ("s", &[], "invalid_target", None),
        ("s", &[Z], "invalid_target", None),
        ("s", &[X, Z], "invalid_target", None),
        ("s", &[X, ("scope", "read admin")], "invalid_scope", None),
        ("t", &[X], "invalid_request", None),
        ("t", &[Z, ("scope", "admin")], "invalid_request", None),
        ("cred", &[], "given", Some("b")),
        ("cred", &[("resource", "c1")], "given", Some("b")),
        ("cred", &[("resource", "c2")], "invalid_target", None),
        ("role", &[], "given", Some("c")),
        ("role", &[("audience", BROKER)], "given", Some("c")),
        ("role", &[X], "invalid_target", None),
        ("seen", &[X], "invalid_request", None),
    ];
    for (sub, fields, wanted, rule) in rows {
        let judged = judged(&policies, &token(sub), false, None, &exchange(fields));
        assert_eq!(
            (code(&judged), judged.rule.as_deref()),
            (*wanted, *rule),
            "{sub} {fields:?}"
        );
    }
    let seen = judged(&policies, &token("seen"), false, None, &exchange(&[]));
    assert_eq!(seen.reported, ["d"]);
    let assertion = form(&[("grant_type", grant_type::JWT_BEARER), ("assertion", "t")]);
    let assertion = parse(&assertion).expect("request");
    let refused = judged(&policies, &token("t"), false, None, &assertion);
    assert_eq!(code(&refused), "invalid_grant");
}

#[test]
fn the_claims_are_the_subjects_and_the_policys_and_nothing_else() {
    let policies = [policy(
        "ci",
        r#"{"issuer":"https://i.example","subject":"s","audience":"https://x","scope":["read","write"],"roles":["project:viewer"],"ttl":"10m"}"#,
    )];
    let subject = r#"{"iss":"https://i.example","sub":"s","admin":true,"scope":"everything","roles":["platform:admin"]}"#;
    let judged = judged(&policies, subject, false, None, &exchange(&[]));
    let given = judged.outcome.expect("given");
    assert_eq!(given.life, Duration::from_secs(600));
    assert_eq!(
        given.claims.to_text(),
        r#"{"sub":"s","aud":"https://x","trust_policy":"ci","subject_issuer":"https://i.example","scope":"read write","roles":["project:viewer"]}"#
    );
}

#[test]
fn what_a_token_of_ours_gives_can_only_shrink() {
    let text = format!(
        r#"{{"issuer":"{BROKER}","subject":"s","audience":"https://x","scope":["read","write"],"roles":["project:viewer","platform:viewer"],"ttl":"1h"}}"#
    );
    let policies = [policy("again", &text)];
    let end = NOW.plus(Duration::from_secs(120)).seconds();
    let subject = format!(
        r#"{{"iss":"{BROKER}","sub":"s","exp":{end},"scope":"read","roles":["project:viewer"],"subject_issuer":"https://i.example"}}"#
    );
    let own =
        |subject: &str, fields: &[(&str, &str)]| judged(&policies, subject, true, None, &exchange(fields));
    let given = own(&subject, &[]).outcome.expect("given");
    assert_eq!(given.scopes, ["read"]);
    assert_eq!(given.life, Duration::from_secs(120));
    let text = given.claims.to_text();
    assert!(text.contains(r#""roles":["project:viewer"]"#), "{text}");
    assert!(text.contains(r#""subject_issuer":"https://i.example""#), "{text}");
    assert_eq!(code(&own(&subject, &[("scope", "write")])), "invalid_scope");
    let bare = format!(r#"{{"iss":"{BROKER}","sub":"s","exp":{end}}}"#);
    let given = own(&bare, &[]).outcome.expect("given");
    assert!(given.scopes.is_empty() && given.claims.get("roles").is_none());
    let dead = format!(r#"{{"iss":"{BROKER}","sub":"s","exp":{}}}"#, NOW.seconds());
    assert_eq!(code(&own(&dead, &[])), "invalid_request");
}

#[test]
fn actors_are_nested_the_newest_outermost_and_five_at_most() {
    let policies = [policy(
        "p",
        r#"{"issuer":"https://i.example","subject":"s","audience":"https://x"}"#,
    )];
    let chain = |depth: usize| {
        (1..depth).fold(r#"{"sub":"a0"}"#.to_owned(), |inner, n| {
            format!(r#"{{"sub":"a{n}","act":{inner}}}"#)
        })
    };
    let subject = |extra: &str| format!(r#"{{"iss":"https://i.example","sub":"s"{extra}}}"#);
    let actor = r#"{"iss":"https://j.example","sub":"robot"}"#;
    let act = |subject: &str, actor: Option<&str>| {
        let given = judged(&policies, subject, false, actor, &exchange(&[])).outcome?;
        Ok::<_, TokenError>(given.claims.get("act").map_or("none".to_owned(), Json::to_text))
    };
    assert_eq!(act(&subject(""), None).as_deref(), Ok("none"));
    let robot = r#"{"sub":"robot","iss":"https://j.example"}"#;
    assert_eq!(act(&subject(""), Some(actor)).as_deref(), Ok(robot));
    let one = subject(&format!(r#","act":{}"#, chain(1)));
    assert_eq!(act(&one, None).as_deref(), Ok(r#"{"sub":"a0"}"#));
    assert_eq!(
        act(&one, Some(actor)).as_deref(),
        Ok(r#"{"sub":"robot","iss":"https://j.example","act":{"sub":"a0"}}"#)
    );
    for (depth, acted, fits) in [
        (4, true, true),
        (5, false, true),
        (5, true, false),
        (6, false, false),
    ] {
        let subject = subject(&format!(r#","act":{}"#, chain(depth)));
        assert_eq!(
            act(&subject, acted.then_some(actor)).is_ok(),
            fits,
            "{depth} {acted}"
        );
    }
    for (may_act, fits) in [
        (r#"{"sub":"robot"}"#, true),
        (r#"{"sub":"robot","iss":"https://j.example"}"#, true),
        (r#"{"sub":"robot","iss":"https://k.example"}"#, false),
        (r#"{"sub":"other"}"#, false),
        (r#"{"iss":"https://j.example"}"#, false),
        (r#""robot""#, false),
        ("null", false),
    ] {
        let got = act(&subject(&format!(r#","may_act":{may_act}"#)), Some(actor));
        assert_eq!(got.is_ok(), fits, "{may_act}");
    }
    for broken in [r#""robot""#, "[]", r#"{"iss":"x"}"#, r#"{"sub":1}"#] {
        let got = act(&subject(&format!(r#","act":{broken}"#)), None);
        assert!(got.is_err(), "{broken}");
    }
}
