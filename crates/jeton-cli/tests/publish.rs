//! A release is published by a client that knows nothing of jeton (A2, A8, A9): through `exec`, and through `proxy`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
use jeton_test::{Publishing, Sandbox, Upstream};
use std::time::Duration;

/// Asks GitHub's request URL before each step, as a client of that platform does.
const PLATFORM_CLIENT: &str = r#"
set -e
sleep 1
bearer() { curl -sf -H "Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=api" |
  sed 's/.*"value":"\([^"]*\)".*/\1/'; }
curl -sf -H "Authorization: Bearer $(bearer)" "$API/token/status"
curl -sf -H "Authorization: Bearer $(bearer)" -d '{}' "$API/upload/octo/1.2.3/9/sum" >/dev/null
curl -sf -T /dev/null "$API/signed"
curl -sf -H "Authorization: Bearer $(bearer)" -d '{}' "$API/publish/u1"
"#;

/// Sends no token at all; the upload goes to its own place.
const PLAIN_CLIENT: &str = r#"
set -e
curl -sf "$PROXY/token/status"
curl -sf -d '{}' "$PROXY/upload/octo/1.2.3/9/sum" >/dev/null
curl -sf -T /dev/null "$API/signed"
curl -sf -d '{}' "$PROXY/publish/u1"
"#;

fn lines(service: &Upstream) -> Vec<String> {
    let seen = service.seen();
    seen.iter()
        .map(|s| s.line().split('/').take(2).collect::<Vec<_>>().join("/"))
        .collect()
}

const WHOLE: [&str; 4] = ["GET /token", "POST /upload", "PUT /signed HTTP", "POST /publish"];

#[test]
fn a2_a8_through_exec_every_step_has_a_living_token() {
    let service = Publishing {
        upload: Duration::from_secs(4),
        ..Publishing::default()
    }
    .start();
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
    let issuer = sandbox.issuer(["--token-life", "3s"]);
    let source = format!("issuer:{}", issuer.url());
    let run = sandbox
        .command([
            "exec",
            "--source",
            &source,
            "--facade",
            "github",
            "--",
            "sh",
            "-c",
            PLATFORM_CLIENT,
        ])
        .env("PATH", "/usr/bin:/bin")
        .env("API", service.url())
        .run()
        .ended(0);
    assert_eq!(lines(&service), WHOLE, "{run:#?}");
}

#[test]
fn a8_a9_through_a_proxy_a_client_without_tokens_publishes() {
    let service = Publishing {
        upload: Duration::from_secs(4),
        first_is_revoked: true,
        ..Publishing::default()
    }
    .start();
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
    let issuer = sandbox.issuer(["--token-life", "3s"]);
    let source = format!("issuer:{}", issuer.url());
    let (proxy, url) = sandbox
        .command([
            "proxy",
            "--upstream",
            service.url(),
            "--source",
            &source,
            "-a",
            "api",
        ])
        .serve();
    let client = std::process::Command::new("sh")
        .args(["-c", PLAIN_CLIENT])
        .env("PROXY", &url)
        .env("API", service.url())
        .output()
        .unwrap();
    proxy.signal("TERM");
    let _ = proxy.wait().ended(0);
    assert!(client.status.success(), "{client:?}");
    assert_eq!(lines(&service)[1..], WHOLE, "and one 401 before it");
}
