//! Rows A3, A7, B4 and faults 1, 2, 31, 32.
use super::*;
use crate::source::fixture::{NOW, Variables, asking, env, fetched, issuer, jwt_until, looks_like, presence};
use bytes::Bytes;

const URL: (&str, &str) = (REQUEST_URL, "https://actions.example.com/token?api-version=2.0");
const TOKEN: (&str, &str) = (REQUEST_TOKEN, "canary-request-token");
const JOB: (&str, &str) = ("GITHUB_ACTIONS", "true");

#[test]
fn a1_a7_fault_1_the_environment_says_what_is_here_and_what_is_missing() {
    let rows: &[(Variables<'_>, &str, &[&str])] = &[
        (&[], "absent", &["GITHUB_ACTIONS"]),
        (&[("GITHUB_ACTIONS", "false")], "absent", &["GITHUB_ACTIONS"]),
        (&[URL], "absent", &["GITHUB_ACTIONS"]),
        (&[TOKEN], "absent", &["GITHUB_ACTIONS"]),
        (&[URL, TOKEN], "ready", &[REQUEST_URL, REQUEST_TOKEN]),
        (&[JOB, URL, TOKEN], "ready", &["GITHUB_ACTIONS=true"]),
        (
            &[("GITHUB_ACTION", "__run"), URL, TOKEN],
            "ready",
            &["GITHUB_ACTION is set"],
        ),
        (
            &[JOB, URL],
            "broken",
            &[REQUEST_TOKEN, "id-token: write", "forks", "act"],
        ),
        (
            &[JOB, URL, (REQUEST_TOKEN, "")],
            "broken",
            &[REQUEST_TOKEN, "id-token: write"],
        ),
        (&[JOB, TOKEN], "broken", &[REQUEST_URL, "is not set"]),
        (
            &[JOB],
            "broken",
            &[REQUEST_URL, REQUEST_TOKEN, "id-token: write", "forks", "act"],
        ),
    ];
    for (rows, status, words) in rows {
        let (found, said) = presence(&Github, &env(rows), &asking(&[]));
        assert_eq!(found, *status, "{rows:?}: {said}");
        for word in *words {
            assert!(said.contains(word), "{rows:?}: {said}");
        }
        assert!(!said.contains("canary"), "{said}");
    }
}

#[tokio::test]
async fn fault_2_a_request_url_that_must_not_be_asked_is_refused_before_anything_is_sent() {
    for url in [
        "http://actions.example.com/token",
        "ftp://127.0.0.1/token",
        "https://user:pw@actions.example.com/",
        "https://actions.example.com/\r\nHost: evil",
        "file:///etc/passwd",
        "no url",
    ] {
        let env = env(&[JOB, (REQUEST_URL, url), TOKEN]);
        assert_eq!(presence(&Github, &env, &asking(&["a"])).0, "broken", "{url}");
        let (class, said) = fetched(&Github, &env, &asking(&["a"])).await.unwrap_err();
        assert_eq!(class, Class::Config, "{url}");
        assert!(said.contains(REQUEST_URL) && !said.contains("canary"), "{said}");
    }
}

#[tokio::test]
async fn a3_one_request_with_the_audience_and_the_request_token_gives_the_value() {
    let issuer = issuer();
    for platform in ["github", "forgejo"] {
        issuer.reset_requests();
        let env = looks_like(&issuer, platform);
        let audience = "https://a.example.com/x?y=1&z:2#f g+";
        let token = fetched(&Github, &env, &asking(&[audience])).await.unwrap();
        let claims = claims_of(&token).unwrap();
        assert_eq!(claims.audience().collect::<Vec<_>>(), [audience]);
        let requests = issuer.requests();
        assert_eq!(requests.len(), 1);
        let bearer = format!("Bearer {}", issuer.request_token());
        assert_eq!(requests[0].method, "GET");
        assert_eq!(requests[0].header("authorization"), Some(bearer.as_str()));
        assert!(
            requests[0]
                .query
                .contains("audience=https%3A%2F%2Fa.example.com%2Fx%3Fy%3D1%26z%3A2%23f%20g%2B")
        );
    }
}

#[tokio::test]
async fn a3_a_url_without_a_query_works_and_without_audience_it_is_asked_as_it_is() {
    let issuer = issuer();
    let full = looks_like(&issuer, "github");
    let url = full.get(REQUEST_URL).unwrap().to_owned();
    let bare = url.split('?').next().unwrap().to_owned();
    let env = full.clone().with(REQUEST_URL, bare);
    assert!(fetched(&Github, &env, &asking(&["a"])).await.is_ok());
    assert!(fetched(&Github, &full, &asking(&[])).await.is_ok());
    let queries: Vec<String> = issuer
        .requests()
        .into_iter()
        .map(|request| request.query)
        .collect();
    assert_eq!(queries, ["audience=a", "api-version=2.0"]);
}

#[tokio::test]
async fn several_audiences_are_a_usage_error_and_ask_nobody() {
    let issuer = issuer();
    let env = looks_like(&issuer, "github");
    assert_eq!(presence(&Github, &env, &asking(&["a", "b"])).0, "broken");
    let (class, _) = fetched(&Github, &env, &asking(&["a", "b"])).await.unwrap_err();
    assert_eq!((class, issuer.requests().len()), (Class::Config, 0));
}

#[tokio::test]
async fn b2_b4_faults_31_to_55_every_bad_answer_has_its_class_and_its_number_of_requests() {
    let issuer = issuer();
    let rows: &[(&str, Class, usize)] = &[
        ("s401", Class::Refused, 1),
        ("s403", Class::Refused, 1),
        ("s404", Class::Refused, 1),
        ("s503", Class::Unavailable, 5),
        ("s429", Class::Throttled, 5),
        ("s204", Class::Protocol, 1),
        ("empty200", Class::Protocol, 3),
        ("html200", Class::Protocol, 2),
        ("valmissing", Class::Protocol, 1),
        ("valnull", Class::Protocol, 1),
        ("valempty", Class::Protocol, 1),
        ("valnumber", Class::Protocol, 1),
        ("valobject", Class::Protocol, 1),
        ("notjwt", Class::Token, 1),
        ("wrongaud", Class::Token, 1),
        ("expired", Class::Token, 2),
        ("dup", Class::Protocol, 1),
        ("deep", Class::Protocol, 1),
        ("bigchunk", Class::Protocol, 1),
        ("redirect", Class::Trust, 1),
    ];
    for (fault, class, requests) in rows {
        issuer.reset_requests();
        issuer.clear_faults();
        issuer.fault("github", fault).unwrap();
        let env = looks_like(&issuer, "github");
        let (found, said) = fetched(&Github, &env, &asking(&["a"])).await.unwrap_err();
        assert_eq!(
            (found, issuer.requests().len()),
            (*class, *requests),
            "{fault}: {said}"
        );
        assert!(!said.contains(issuer.request_token()), "{fault}: {said}");
        assert!(!said.contains("eyJ"), "{fault}: {said}");
    }
}

#[tokio::test]
async fn b1_a_passing_failure_passes() {
    let issuer = issuer();
    issuer.fault("github", "s503-x2").unwrap();
    let env = looks_like(&issuer, "github");
    assert!(fetched(&Github, &env, &asking(&["a"])).await.is_ok());
    assert_eq!(issuer.requests().len(), 3);
}

#[tokio::test]
async fn fault_55_a_token_for_somebody_else_is_not_handed_out() {
    let issuer = issuer();
    let env = looks_like(&issuer, "github");
    // The endpoint is made to lose the audience, as clients that appended it wrongly made it.
    issuer.fault("github", "wrongaud").unwrap();
    let (class, said) = fetched(&Github, &env, &asking(&["mine"])).await.unwrap_err();
    assert_eq!(class, Class::Token);
    assert!(said.contains("mine"), "{said}");
}

fn response(status: u16, body: &'static str) -> Response {
    Response {
        status,
        headers: http::HeaderMap::new(),
        body: Bytes::from_static(body.as_bytes()),
        date: None,
        received: crate::Clock::manual(UnixTime::from_seconds(NOW)).now(),
        url: Url::parse("https://actions.example.com/").unwrap(),
        secrets: Vec::new(),
    }
}

#[test]
fn fault_32_only_a_pending_or_delayed_job_is_asked_for_again() {
    let rows = [
        (
            403,
            "Can't issue ID_TOKEN for job in 'Pending' state",
            Failure::JobPending,
        ),
        (
            403,
            r#"{"message":"can't issue ID_TOKEN for job in 'Delayed' state"}"#,
            Failure::JobPending,
        ),
        (
            403,
            "Can't issue ID_TOKEN for job in 'Completed' state",
            Failure::Status(403),
        ),
        (403, "pending review", Failure::Status(403)),
        (403, "", Failure::Status(403)),
        (401, "job in 'Pending' state", Failure::Status(401)),
        (500, "job in 'Pending' state", Failure::Status(500)),
    ];
    for (status, body, failure) in rows {
        assert_eq!(
            granted(&response(status, body)).unwrap_err().failure,
            failure,
            "{status} {body}"
        );
    }
    let hint = |status| {
        granted(&response(status, ""))
            .unwrap_err()
            .hint
            .unwrap_or_default()
    };
    assert!(hint(403).contains("id-token: write"));
    assert!(hint(401).contains("six hours"));
    assert!(granted(&response(200, "")).is_ok());
}

#[test]
fn the_life_of_the_request_token_can_be_read() {
    let left = |token: &str| {
        let env = env(&[(REQUEST_TOKEN, token)]);
        request_token_left(&env, UnixTime::from_seconds(NOW)).map(|left| left.as_secs())
    };
    assert_eq!(left(&jwt_until("", NOW + 100)), Some(100));
    assert_eq!(left(&jwt_until("", NOW - 100)), Some(0));
    assert_eq!(left("opaque"), None);
    assert_eq!(request_token_left(&env(&[]), UnixTime::from_seconds(NOW)), None);
}

#[test]
fn another_job_has_another_fingerprint() {
    let of = |token: &str| {
        Job::of(&env(&[URL, (REQUEST_TOKEN, token)]))
            .unwrap()
            .fingerprint()
    };
    assert_eq!(of("a"), of("a"));
    assert_ne!(of("a"), of("b"));
}
