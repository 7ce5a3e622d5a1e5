//! A thousand tasks that find no living token: calls upstream, and how long the slowest waits.

use jeton_peers::{issuer, jeton, report, AUDIENCE};
use std::time::{Duration, Instant};

const TASKS: usize = 1000;
/// How slow the upstream is.
const UPSTREAM: Duration = Duration::from_millis(200);
/// How long a failing upstream is watched.
const WATCHED: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    success().await;
    failure().await;
}

async fn success() {
    let issuer = issuer();
    issuer.fault("github", "delay-ms200").expect("a fault");
    let jeton = jeton(&issuer, "github");
    let started = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let jeton = jeton.clone();
            tokio::spawn(async move { jeton.token(&jeton::TokenRequest::audience(AUDIENCE)).await.is_ok() })
        })
        .collect();
    for task in tasks {
        assert!(task.await.expect("it ends"), "a task got no token");
    }
    let slowest = started.elapsed();
    report("herd of 1000 tasks: calls", issuer.requests_of("github").len() as f64, "calls");
    report("herd of 1000 tasks: slowest caller / upstream", slowest.as_secs_f64() / UPSTREAM.as_secs_f64(), "ratio");
}

async fn failure() {
    let issuer = issuer();
    issuer.fault("github", "s503").expect("a fault");
    let jeton = jeton(&issuer, "github");
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let jeton = jeton.clone();
            tokio::spawn(async move { jeton.token(&jeton::TokenRequest::audience(AUDIENCE)).await.is_ok() })
        })
        .collect();
    tokio::time::sleep(WATCHED).await;
    report("herd of 1000 tasks, upstream failing, 5 s: calls", issuer.requests_of("github").len() as f64, "calls");
    drop(tasks);
}
