//! Codefresh's request URL.
use super::*;
use crate::source::fixture::{Variables, asking, env, fetched, issuer, looks_like, presence};

#[test]
fn a_build_without_both_variables_is_broken() {
    let (url, token) = (
        (REQUEST_URL, "https://g.example.com/oidc"),
        (REQUEST_TOKEN, "canary"),
    );
    let rows: &[(Variables<'_>, &str, &str)] = &[
        (&[], "absent", REQUEST_URL),
        (&[url, token], "ready", REQUEST_URL),
        (&[url], "broken", REQUEST_TOKEN),
        (&[token], "broken", REQUEST_URL),
        (&[("CF_BUILD_ID", "1")], "broken", REQUEST_URL),
    ];
    for (rows, status, word) in rows {
        let (found, said) = presence(&Codefresh, &env(rows), &asking(&["a"]));
        assert_eq!(found, *status, "{said}");
        assert!(said.contains(word) && !said.contains("canary"), "{said}");
    }
}

#[tokio::test]
async fn the_request_token_stands_bare_and_the_audience_in_the_query() {
    let issuer = issuer();
    let env = looks_like(&issuer, "codefresh");
    fetched(&Codefresh, &env, &asking(&["a b"])).await.unwrap();
    let requests = issuer.requests();
    assert_eq!(
        (requests.len(), requests[0].query.as_str()),
        (1, "audience=a%20b")
    );
    assert_eq!(requests[0].header("authorization"), Some(issuer.request_token()));
    let wrong = env.with(REQUEST_TOKEN, "canary-wrong");
    let (class, said) = fetched(&Codefresh, &wrong, &asking(&["a"])).await.unwrap_err();
    assert_eq!(class, Class::Refused);
    assert!(!said.contains("canary"), "{said}");
}
