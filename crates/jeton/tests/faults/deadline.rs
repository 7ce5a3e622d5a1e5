//! B6: the deadline is one for everything, and a call that is dropped stops at once.
use super::*;
use jeton::context::Observer;
use std::sync::{Arc, Mutex};

/// The most that a deadline may be missed by.
const LATE: Duration = Duration::from_millis(100);

#[tokio::test]
async fn b6_a_deadline_that_passes_during_a_request_is_a_timeout() {
    let issuer = issuer();
    let rows = [
        "stall",
        "connstall",
        "stallbody",
        "slowbody-ms20",
        "slowhead-ms20",
        "stallhead",
    ];
    for fault in rows {
        issuer
            .set_faults(&format!("[[rule]]\nfault = \"{fault}\"\n"))
            .unwrap();
        let mut cx = context();
        cx.policy.attempt_timeout = Duration::from_secs(10);
        let span = Duration::from_millis(300);
        let cx = cx.within(span);
        let started = Instant::now();
        let error = get(&cx, &request(&issuer, "/github/idtoken")).await.unwrap_err();
        let took = started.elapsed();
        assert_eq!(error.kind(), Class::Timeout, "{fault} {error}");
        assert!(took >= span && took < span + LATE, "{fault} {took:?}");
        assert!(
            error.to_string().contains("the deadline passed at attempt 1"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn b6_a_wait_that_would_pass_the_deadline_is_not_begun() {
    let issuer = issuer();
    for (fault, class) in [("s503", Unavailable), ("s429", Throttled)] {
        issuer
            .set_faults(&format!("[[rule]]\nfault = \"{fault}\"\n"))
            .unwrap();
        let mut cx = context();
        cx.policy.backoff = Duration::from_secs(5);
        cx.policy.max_backoff = Duration::from_secs(5);
        let started = Instant::now();
        let before = issuer.connections();
        let error = get(
            &cx.within(Duration::from_secs(2)),
            &request(&issuer, "/github/idtoken"),
        )
        .await
        .unwrap_err();
        assert_eq!(
            (error.kind(), issuer.connections() - before),
            (class, 1),
            "{error}"
        );
        assert!(started.elapsed() < Duration::from_secs(1));
        assert!(error.to_string().contains("passes the deadline"), "{error}");
    }
}

#[tokio::test]
async fn b5_the_wait_that_was_asked_for_is_told() {
    let issuer = issuer();
    issuer.set_faults("[[rule]]\nfault = \"s429-ra99999\"\n").unwrap();
    let error = get(&context(), &request(&issuer, "/github/idtoken"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("it asked to wait 99999"), "{error}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(99_999)));
    assert_eq!(error.status(), Some(429));
}

#[derive(Default)]
struct Waits(Mutex<Vec<Duration>>);

impl Observer for Waits {
    fn waiting(&self, _host: &str, _what: &str, wait: Duration) {
        self.0.lock().unwrap().push(wait);
    }
}

#[tokio::test]
async fn b6_a_call_that_is_dropped_sends_nothing_more_and_closes_its_connection() {
    let issuer = issuer();
    let request = request(&issuer, "/github/idtoken");
    issuer.set_faults("[[rule]]\nfault = \"s503\"\n").unwrap();
    let waits = Arc::new(Waits::default());
    let mut cx = context();
    cx.observer = waits.clone();
    cx.policy.backoff = Duration::from_secs(5);
    cx.policy.max_backoff = Duration::from_secs(5);
    let before = issuer.connections();
    let call = tokio::time::timeout(Duration::from_millis(200), get(&cx, &request));
    assert!(call.await.is_err());
    assert_eq!(waits.0.lock().unwrap().len(), 1, "it was waiting");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(issuer.connections() - before, 1);
}

#[tokio::test]
async fn b6_dropping_a_request_under_way_closes_its_connection() {
    use tokio::io::AsyncReadExt;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let cx = context();
    let call = tokio::spawn(async move { get(&cx, &Request::get(url.parse().unwrap())).await.map(|_| ()) });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = [0_u8; 1024];
    assert!(stream.read(&mut head).await.unwrap() > 0);
    call.abort();
    let rest = tokio::time::timeout(LATE, stream.read(&mut head)).await.unwrap();
    assert!(matches!(rest, Ok(0) | Err(_)));
}

#[tokio::test]
async fn an_error_names_host_attempts_time_and_status() {
    let issuer = issuer();
    issuer.set_faults("[[rule]]\nfault = \"s503\"\n").unwrap();
    let error = get(&context(), &request(&issuer, "/github/idtoken"))
        .await
        .unwrap_err();
    let text = error.to_string();
    let place = issuer.address().to_string();
    for words in [
        "test: ",
        &place,
        "status 503",
        "failed after retries, 5 attempts in 0.",
    ] {
        assert!(text.contains(words), "{words:?} in {text:?}");
    }
    assert_eq!(error.status(), Some(503));
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_request_that_must_not_be_repeated_is_not_when_its_answer_is_lost() {
    let issuer = issuer();
    let mut request = request(&issuer, "/github/idtoken");
    request.repeatable = false;
    let rows = [
        ("rst", 1, Fails(Unavailable)),
        ("stall", 1, Fails(Unavailable)),
        ("trunc", 1, Fails(Unavailable)),
        ("cldup", 1, Fails(Unavailable)),
        ("s503-x1", 2, Got), // an answer that says that nothing was done
    ];
    for (fault, attempts, wanted) in rows {
        issuer
            .set_faults(&format!("[[rule]]\nfault = \"{fault}\"\n"))
            .unwrap();
        let before = issuer.connections();
        let result = get(&context(), &request).await;
        let found = result.as_ref().map_or_else(|error| Fails(error.kind()), |_| Got);
        assert_eq!(
            (issuer.connections() - before, found),
            (attempts, wanted),
            "{fault} {result:?}"
        );
    }
}

#[tokio::test]
async fn a_dying_token_is_asked_for_again_past_caches() {
    let issuer = issuer();
    issuer.set_faults("[[rule]]\nfault = \"expired-x1\"\n").unwrap();
    get(&context(), &request(&issuer, "/github/idtoken"))
        .await
        .unwrap();
    let bypass: Vec<_> = issuer
        .requests()
        .iter()
        .map(|r| r.header("cache-control").map(str::to_owned))
        .collect();
    assert_eq!(bypass, [None, Some("no-cache".to_owned())]);
    issuer
        .set_faults("[[rule]]\nfault = \"expired-n100\"\n[[rule]]\nfault = \"behind-n7200\"\n")
        .unwrap();
    let error = get(&context(), &request(&issuer, "/github/idtoken"))
        .await
        .unwrap_err();
    assert!(
        error.hint().is_some_and(|hint| hint.contains("clock")),
        "{error} {:?}",
        error.hint()
    );
}
