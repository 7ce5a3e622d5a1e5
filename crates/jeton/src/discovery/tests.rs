use super::*;
use crate::{Clock, Env};
use jeton_issuer::{Issuer, Options, RunningIssuer};

const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

async fn issuer(clock: &Clock, path: &str) -> RunningIssuer {
    let clock = clock.clone();
    let options = Options::new(move || clock.now().wall).with_algorithm(jeton_issuer::Algorithm::Es256);
    Issuer::start(options.with_path(path)).await.unwrap()
}

fn context(clock: &Clock) -> Context {
    let mut cx = Context::new(Env::default(), clock.clone());
    cx.policy.backoff = Duration::from_millis(1);
    cx
}

#[tokio::test]
async fn c9_another_issuers_document_is_refused_at_once() {
    // (fault, class, requests)
    let rows = [
        ("issother", Class::Trust, 1),
        ("issslash", Class::Trust, 1),
        ("isscase", Class::Trust, 1),
        ("issmissing", Class::Trust, 1),
        ("issnull", Class::Trust, 1),
        ("s500", Class::Unavailable, 5),
        ("s403", Class::Refused, 1),
        ("jsonarray", Class::Trust, 1),
    ];
    for (fault, class, requests) in rows {
        let clock = Clock::manual(NOW);
        let (running, cx) = (issuer(&clock, "").await, context(&clock));
        running.fault("discovery", fault).unwrap();
        let discovery = Discovery::new(running.url());
        assert_eq!(
            discovery.document(&cx).await.unwrap_err().kind(),
            class,
            "{fault}"
        );
        assert_eq!(running.requests().len(), requests, "{fault}");
    }
}

#[tokio::test]
async fn c8_a_failure_is_never_kept_and_a_success_is() {
    let clock = Clock::manual(NOW);
    let (running, cx) = (issuer(&clock, "").await, context(&clock));
    let discovery = Discovery::new(running.url());
    assert_eq!(
        running.requests().len(),
        0,
        "nothing is asked before it is needed"
    );
    running.fault("discovery", "s500-x5").unwrap();
    assert_eq!(
        discovery.document(&cx).await.unwrap_err().kind(),
        Class::Unavailable
    );
    discovery.document(&cx).await.unwrap();
    assert_eq!(running.requests().len(), 6);
    clock.advance(Duration::from_secs(59));
    discovery.document(&cx).await.unwrap();
    assert_eq!(running.requests().len(), 6);
    clock.advance(Duration::from_secs(2));
    running.fault("discovery", "s500").unwrap();
    discovery.document(&cx).await.unwrap();
    assert_eq!(
        running.requests().len(),
        11,
        "old but known, while the issuer is down"
    );
    clock.advance(Duration::from_secs(24 * 3600));
    assert!(discovery.document(&cx).await.is_err(), "but not for ever");
}

#[tokio::test]
async fn a_hundred_callers_make_one_call() {
    let clock = Clock::manual(NOW);
    let (running, cx) = (issuer(&clock, "").await, context(&clock));
    let discovery = Discovery::new(running.url());
    let calls = (0..100).map(|_| discovery.document(&cx));
    for document in futures_util::future::join_all(calls).await {
        document.unwrap();
    }
    assert_eq!(running.requests().len(), 1);
}

#[tokio::test]
async fn another_process_need_not_ask_while_the_document_is_fresh() {
    let clock = Clock::manual(NOW);
    let (running, cx) = (issuer(&clock, "/tenant").await, context(&clock));
    let dir = tempfile::tempdir().unwrap();
    let disk = || Some(Disk::at(dir.path().join("jeton")));
    Discovery::kept_on(disk(), running.url())
        .document(&cx)
        .await
        .unwrap();
    Discovery::kept_on(disk(), running.url())
        .document(&cx)
        .await
        .unwrap();
    assert_eq!(running.requests().len(), 1);
    clock.advance(Duration::from_secs(61));
    Discovery::kept_on(disk(), running.url())
        .document(&cx)
        .await
        .unwrap();
    assert_eq!(running.requests().len(), 2);
}

#[tokio::test]
async fn fields_are_required_where_they_are_needed_and_lead_to_nothing_private() {
    // (fault, field, class)
    let rows = [
        ("nojwksuri", "jwks_uri", Some(Class::Protocol)),
        ("nojwksuri", "token_endpoint", None),
        ("notokenep", "token_endpoint", Some(Class::Protocol)),
        ("jwksfile", "jwks_uri", Some(Class::Trust)),
        ("jwksrel", "jwks_uri", Some(Class::Trust)),
        ("jwksmeta", "jwks_uri", Some(Class::Trust)),
    ];
    for (fault, field, class) in rows {
        let clock = Clock::manual(NOW);
        let (running, cx) = (issuer(&clock, "").await, context(&clock));
        running.fault("discovery", fault).unwrap();
        let request = Discovery::new(running.url()).public(&cx, field).await;
        assert_eq!(request.err().map(|e| e.kind()), class, "{fault} {field}");
    }
}

#[test]
fn where_the_document_may_be() {
    let rows: [(&str, &[&str]); 3] = [
        (
            "https://a.example",
            &[
                "https://a.example/.well-known/openid-configuration",
                "https://a.example/.well-known/oauth-authorization-server",
            ],
        ),
        (
            "https://a.example/",
            &[
                "https://a.example/.well-known/openid-configuration",
                "https://a.example/.well-known/oauth-authorization-server",
            ],
        ),
        (
            "https://a.example/t/1/",
            &[
                "https://a.example/t/1/.well-known/openid-configuration",
                "https://a.example/.well-known/oauth-authorization-server/t/1",
                "https://a.example/.well-known/openid-configuration/t/1",
            ],
        ),
    ];
    for (issuer, expected) in rows {
        let found: Vec<_> = places(&Url::parse(issuer).unwrap())
            .iter()
            .map(Url::to_string)
            .collect();
        assert_eq!(found, expected);
    }
}
