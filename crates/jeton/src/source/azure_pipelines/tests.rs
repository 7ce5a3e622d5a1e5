//! Azure Pipelines' request URI.
use super::*;
use crate::source::fixture::{Variables, asking, env, fetched, issuer, looks_like, presence};

#[test]
fn a_step_without_the_access_token_is_told_how_to_map_it() {
    let (uri, token) = (
        (REQUEST_URI, "https://dev.example.com/o/_apis"),
        (ACCESS_TOKEN, "canary"),
    );
    let rows: &[(Variables<'_>, &[&str], &str, &str)] = &[
        (&[], &[], "absent", "TF_BUILD"),
        (&[uri, token], &[], "ready", REQUEST_URI),
        (
            &[("TF_BUILD", "True"), uri, token],
            &[AUDIENCE],
            "ready",
            "TF_BUILD",
        ),
        (
            &[("TF_BUILD", "True"), uri],
            &[],
            "broken",
            "$(System.AccessToken)",
        ),
        (&[("TF_BUILD", "True"), token], &[], "broken", REQUEST_URI),
        (&[uri, token], &["other"], "broken", AUDIENCE),
    ];
    for (rows, audience, status, word) in rows {
        let (found, said) = presence(&AzurePipelines, &env(rows), &asking(audience));
        assert_eq!(found, *status, "{said}");
        assert!(said.contains(word) && !said.contains("canary"), "{said}");
    }
}

#[tokio::test]
async fn one_empty_post_with_a_version_gives_the_token() {
    let issuer = issuer();
    let env = looks_like(&issuer, "azure-pipelines").with(CONNECTION, "c-1");
    fetched(&AzurePipelines, &env, &asking(&[AUDIENCE]))
        .await
        .unwrap();
    let requests = issuer.requests();
    assert_eq!((requests.len(), requests[0].method.as_str()), (1, "POST"));
    assert_eq!(requests[0].query, "api-version=7.1&serviceConnectionId=c-1");
    assert_eq!(requests[0].header("content-length"), Some("0"));
    assert_eq!(requests[0].header("x-tfs-fedauthredirect"), Some("Suppress"));
    assert!(requests[0].body.is_empty());
}

#[tokio::test]
async fn a_refused_access_token_is_final() {
    let issuer = issuer();
    let env = looks_like(&issuer, "azure-pipelines").with(ACCESS_TOKEN, "canary-of-another-job");
    let (class, said) = fetched(&AzurePipelines, &env, &asking(&[])).await.unwrap_err();
    assert_eq!((class, issuer.requests().len()), (Class::Refused, 1));
    assert!(said.contains("401") && !said.contains("canary"), "{said}");
}
