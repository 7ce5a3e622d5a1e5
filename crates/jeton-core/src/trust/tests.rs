use super::*;
use crate::json;
use alloc::string::ToString;

fn policy(text: &str) -> Result<TrustPolicy, PolicyError> {
    TrustPolicy::read("p", &json::parse(text.as_bytes()).expect("test JSON"))
}

fn claims(text: &str) -> Claims {
    Claims::strict(json::parse(text.as_bytes()).expect("test JSON")).expect("claims")
}

const GITHUB: &str = "https://token.actions.githubusercontent.com";

fn matches(subject: &str, sub: &str) -> bool {
    let key = if subject.contains('*') || subject.starts_with("re:") {
        "subject_pattern"
    } else {
        "subject"
    };
    let policy = policy(&format!(
        r#"{{"issuer":"{GITHUB}","{key}":{}}}"#,
        json::Json::from(subject).to_text()
    ));
    let claims = format!(
        r#"{{"iss":"{GITHUB}","sub":{}}}"#,
        json::Json::from(sub).to_text()
    );
    // A subject with a control character is refused before any policy sees it.
    let claims = Claims::strict(json::parse(claims.as_bytes()).expect("test JSON"));
    claims.is_ok_and(|claims| policy.expect("policy").matches(&claims).is_ok())
}

#[test]
fn defect_1_a_pattern_covers_the_whole_value_whatever_it_contains() {
    let rows = [
        (
            "repo:o/r:ref:refs/heads/main",
            "repo:o/r:ref:refs/heads/main",
            true,
        ),
        (
            "repo:o/r:ref:refs/heads/main",
            "repo:o/r:ref:refs/heads/main2",
            false,
        ),
        (
            "repo:o/r:ref:refs/heads/main",
            "repo:o/r:ref:refs/heads/main\n",
            false,
        ),
        (
            "repo:o/*:ref:refs/heads/main",
            "repo:o/x:ref:refs/heads/main",
            true,
        ),
        (
            "repo:o/*:ref:refs/heads/main",
            "repo:o/x/y:ref:refs/heads/main",
            false,
        ),
        ("repo:o/r:environment:*", "repo:o/r:environment:prod", true),
        ("repo:o/r:environment:*", "repo:o/r:environment:prod:ref:x", false),
        ("re:repo:o/a|repo:o/b", "repo:o/b", true),
        ("re:repo:o/a|repo:o/b", "repo:o/b-evil", false),
        ("re:repo:o/a|repo:o/b", "evil-repo:o/a", false),
        ("re:^repo:o/a$", "repo:o/a\n", false),
        ("repo:o.x/r", "repo:oyx/r", false),
        ("repo:o/r:pull_request", "repo:o/r:pull_request_target", false),
        ("repo:o/r", "repo:O/r", false),
        ("repo:o/r:environment:a%3Ab", "repo:o/r:environment:a:b", false),
    ];
    for (pattern, sub, wanted) in rows {
        assert_eq!(matches(pattern, sub), wanted, "{pattern} on {sub}");
    }
}

#[test]
fn a_claim_pattern_matches_texts_and_elements_but_no_number_and_no_boolean() {
    let policy = policy(&format!(
        r#"{{"issuer":"{GITHUB}","subject":"s","claim_pattern":{{"c":"true","g":"dev-*"}}}}"#
    ));
    let policy = policy.expect("policy");
    let rows = [
        (r#""c":"true","g":["ops","dev-1"]"#, Ok(())),
        (r#""c":true,"g":["dev-1"]"#, Err(Mismatch::Claim("c".into()))),
        (r#""c":"true","g":["ops"]"#, Err(Mismatch::Claim("g".into()))),
        (r#""c":"true","g":"dev-1/x""#, Err(Mismatch::Claim("g".into()))),
        (r#""c":"true""#, Err(Mismatch::Claim("g".into()))),
    ];
    for (members, wanted) in rows {
        let claims = claims(&format!(r#"{{"iss":"{GITHUB}","sub":"s",{members}}}"#));
        assert_eq!(policy.matches(&claims), wanted, "{members}");
    }
}

#[test]
fn a_policy_says_who() {
    let rows = [
        (format!(r#"{{"issuer":"{GITHUB}"}}"#), "subject"),
        (
            format!(r#"{{"issuer":"{GITHUB}","claim_pattern":{{"repository":"o/r"}}}}"#),
            "subject",
        ),
        (
            format!(r#"{{"issuer":"{GITHUB}","claim_pattern":{{"repository_id":"*"}}}}"#),
            "subject",
        ),
        (r#"{"subject":"s"}"#.to_string(), "issuer"),
        (
            r#"{"issuer":"http://evil.example","subject":"s"}"#.to_string(),
            "issuer",
        ),
        (
            format!(r#"{{"issuer":"{GITHUB}","subject":"s","subject_pattern":"s*"}}"#),
            "subject_pattern",
        ),
        (format!(r#"{{"issuer":"{GITHUB}","subject":""}}"#), "subject"),
        (format!(r#"{{"issuer":"{GITHUB}","subject":7}}"#), "subject"),
        (
            format!(r#"{{"issuer":"{GITHUB}","subject":"s","ttl":"0s"}}"#),
            "ttl",
        ),
        (
            format!(r#"{{"issuer":"{GITHUB}","subject":"s","ttl":"13h"}}"#),
            "ttl",
        ),
        (
            format!(r#"{{"issuer":"{GITHUB}","subject":"s","mode":"off"}}"#),
            "mode",
        ),
        (
            format!(r#"{{"issuer":"{GITHUB}","subject":"s","sbject":"x"}}"#),
            "sbject",
        ),
        (
            format!(r#"{{"issuer":"{GITHUB}","subject_pattern":"re:("}}"#),
            "subject_pattern",
        ),
        (
            format!(r#"{{"issuer":"{GITHUB}","subject":"s","name":"q"}}"#),
            "name",
        ),
    ];
    for (text, field) in rows {
        assert_eq!(policy(&text).expect_err(&text).field, field, "{text}");
    }
    assert!(
        policy(&format!(
            r#"{{"issuer":"{GITHUB}","claim_pattern":{{"repository_id":"42"}}}}"#
        ))
        .is_ok()
    );
}

#[test]
fn the_first_policy_by_name_decides_and_a_report_decides_nothing() {
    let named = |name: &str, mode: &str| {
        let text = format!(r#"{{"issuer":"{GITHUB}","subject":"s","audience":"a","mode":"{mode}"}}"#);
        TrustPolicy::read(name, &json::parse(text.as_bytes()).expect("JSON")).expect("policy")
    };
    let all = [named("c", "enforce"), named("b", "enforce"), named("a", "report")];
    let claims = claims(&format!(r#"{{"iss":"{GITHUB}","sub":"s"}}"#));
    let verdict = decide(&all, &claims, |_| true);
    assert_eq!(verdict.allowed_by.map(|p| p.name.as_str()), Some("b"));
    assert_eq!(verdict.reported, ["a"]);
    let only_report = decide(&all[2..], &claims, |_| true);
    assert!(only_report.allowed_by.is_none());
    assert!(decide(&all, &claims, |_| false).allowed_by.is_none());
}

#[test]
fn lint_names_what_is_wider_than_it_looks() {
    let codes = |members: &str| -> Vec<&'static str> {
        let policy = policy(&format!(r#"{{"issuer":"{GITHUB}","audience":"a",{members}}}"#)).expect(members);
        lint(&policy).into_iter().map(|f| f.code).collect()
    };
    let id = r#","claim_pattern":{"repository_owner_id":"42"}"#;
    assert_eq!(
        codes(&format!(r#""subject":"repo:o/r:ref:refs/heads/main"{id}"#)),
        [""; 0]
    );
    assert_eq!(
        codes(r#""subject":"repo:o/r:ref:refs/heads/main""#),
        ["shared-issuer"]
    );
    assert_eq!(
        codes(&format!(r#""subject_pattern":"re:repo:o/a|repo:o/b"{id}"#)),
        ["unanchored-alternation"]
    );
    assert_eq!(
        codes(&format!(r#""subject_pattern":"repo:o/r:**"{id}"#)),
        ["crosses-slash"]
    );
    assert_eq!(
        codes(&format!(r#""subject_pattern":"**"{id}"#)),
        ["matches-everything"]
    );
    assert_eq!(
        codes(&format!(r#""subject_pattern":"re:.*"{id}"#)),
        ["matches-everything"]
    );
    assert_eq!(
        codes(&format!(r#""subject_pattern":"repo:octo*"{id}"#)),
        ["owner-prefix"]
    );
    assert_eq!(
        codes(&format!(r#""subject_pattern":"re:repo:o.x/r"{id}"#)),
        ["dot-as-wildcard", "crosses-slash"]
    );
    let mutable = r#""subject":"s","claim_pattern":{"repository":"o/r","repository_owner_id":"42"}"#;
    assert_eq!(codes(mutable), ["mutable-name"]);
    let never = r#""subject":"s","claim_pattern":{"sub":"t","repository_owner_id":"42"}"#;
    assert_eq!(codes(never), ["never-matches"]);
    let number = r#""subject":"s","claim_pattern":{"exp":"1","repository_owner_id":"42"}"#;
    assert_eq!(codes(number), ["never-matches"]);
}

#[test]
fn scopes_are_a_list_or_words_of_a_text() {
    let rows: [(&str, &[&str]); 4] = [
        (r#""read write""#, &["read", "write"]),
        (r#"["read","write"]"#, &["read", "write"]),
        (r#"" read ""#, &["read"]),
        ("[]", &[]),
    ];
    for (scope, expected) in rows {
        let text = format!(r#"{{"issuer":"{GITHUB}","subject":"s","scope":{scope}}}"#);
        assert_eq!(policy(&text).expect("policy").scope, expected, "{scope}");
    }
}
