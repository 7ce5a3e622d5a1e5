//! Buildkite's agent API, as its agent asks it.
use super::*;
use crate::source::candidate::claims_of;
use crate::source::fixture::{Variables, asking, env, fetched, issuer, looks_like, presence};

#[test]
fn a_job_without_its_variables_is_broken_and_says_which() {
    let (token, job) = ((TOKEN, "canary"), (JOB, "1"));
    let rows: &[(Variables<'_>, &str, &str)] = &[
        (&[], "absent", "BUILDKITE"),
        (&[job], "absent", "BUILDKITE"),
        (&[token, job], "ready", TOKEN),
        (&[("BUILDKITE", "true"), token, job], "ready", "BUILDKITE=true"),
        (&[("BUILDKITE", "true"), job], "broken", TOKEN),
        (&[("BUILDKITE", "true"), token], "broken", JOB),
        (
            &[token, job, (ENDPOINT, "http://agent.example.com/v3")],
            "broken",
            ENDPOINT,
        ),
    ];
    for (rows, status, word) in rows {
        let (found, said) = presence(&Buildkite, &env(rows), &asking(&["a"]));
        assert_eq!(found, *status, "{said}");
        assert!(said.contains(word) && !said.contains("canary"), "{said}");
    }
    assert_eq!(
        presence(&Buildkite, &env(&[token, job]), &asking(&["a", "b"])).0,
        "broken"
    );
}

#[tokio::test]
async fn one_post_with_audience_and_a_life_only_when_it_is_needed() {
    let issuer = issuer();
    let env = looks_like(&issuer, "buildkite");
    let token = fetched(&Buildkite, &env, &asking(&["a"])).await.unwrap();
    assert_eq!(claims_of(&token).unwrap().audience().collect::<Vec<_>>(), ["a"]);
    let long = asking(&[]).min_validity(Duration::from_secs(1000));
    fetched(&Buildkite, &env, &long).await.unwrap();
    let requests = issuer.requests();
    let bodies: Vec<&str> = requests
        .iter()
        .map(|r| std::str::from_utf8(&r.body).unwrap())
        .collect();
    assert_eq!(bodies, [r#"{"audience":"a"}"#, r#"{"lifetime":1060}"#]);
    let path = format!("/v3/jobs/{}/oidc/tokens", env.get(JOB).unwrap());
    assert_eq!(
        (requests[0].method.as_str(), requests[0].path.as_str()),
        ("POST", path.as_str())
    );
    assert_eq!(
        requests[0].header("authorization"),
        Some(format!("Token {}", issuer.request_token()).as_str())
    );
}

#[tokio::test]
async fn final_statuses_are_final_and_passing_ones_pass() {
    let issuer = issuer();
    let env = looks_like(&issuer, "buildkite");
    let rows = [
        ("s400", Some(Class::Refused), 1),
        ("s401", Some(Class::Refused), 1),
        ("s403", Some(Class::Refused), 1),
        ("s422", Some(Class::Refused), 1),
        ("s503-x2", None, 3),
        ("s429-x1", None, 2),
    ];
    for (fault, class, requests) in rows {
        issuer.reset_requests();
        issuer.clear_faults();
        issuer.fault("buildkite", fault).unwrap();
        let result = fetched(&Buildkite, &env, &asking(&["a"])).await;
        assert_eq!(
            (result.err().map(|e| e.0), issuer.requests().len()),
            (class, requests),
            "{fault}"
        );
    }
}
