//! Every example runs against the development issuer, as a CI job would run it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]
use jeton_core::UnixTime;
use jeton_issuer::{Issuer, Options, RunningIssuer};
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn issuer() -> RunningIssuer {
    let present = || {
        let millis = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        UnixTime::from_millis(i64::try_from(millis).unwrap())
    };
    Issuer::in_thread(Options::new(present).with_algorithm(jeton_issuer::Algorithm::Es256)).unwrap()
}

/// Built beside the tests; `None` without the feature it needs.
fn example(name: &str) -> Option<PathBuf> {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent()?.parent()?.join("examples").join(name);
    path.exists().then_some(path)
}

/// Runs an example and gives what it prints.
fn run(issuer: &RunningIssuer, name: &str, arguments: &[&str], input: &str) -> Option<String> {
    use std::io::Write as _;
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new(example(name)?)
        .args(arguments)
        .env_clear()
        .envs(issuer.environment("github").unwrap())
        .env("HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{name}: {output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_token_for_an_audience() {
    let issuer = issuer();
    let shown = run(&issuer, "token", &["https://aud.example"], "").unwrap();
    assert!(shown.contains("source   github\n"), "{shown}");
    assert!(shown.contains("audience https://aud.example\n"), "{shown}");
    assert!(!shown.contains("eyJ"), "no token is shown");
}

#[test]
fn which_source_and_why() {
    let shown = run(&issuer(), "explain", &[], "").unwrap();
    assert!(shown.ends_with("chosen: github\n"), "{shown}");
}

#[test]
fn a_token_is_verified() {
    let issuer = issuer();
    let claims = serde_json::json!({"aud": "a", "sub": "me"});
    let token = issuer.mint(claims.as_object().unwrap().clone());
    let shown = run(&issuer, "verify", &[issuer.url(), "a"], &token).unwrap();
    assert_eq!(shown, "subject  me\nby       ES256\n");
}

#[test]
fn a_token_on_a_hot_path() {
    let issuer = issuer();
    run(&issuer, "slot", &[], "").unwrap();
    assert_eq!(issuer.requests_of("github").len(), 1);
}

#[test]
fn the_features_examples() {
    let issuer = issuer();
    let url = format!("{}/.well-known/openid-configuration", issuer.url());
    let rows: [(&str, &[&str], &str); 3] = [
        ("blocking", &[], "github gave a token for https://example.com\n"),
        ("reqwest", &[&url], "status 200 OK\n"),
        ("tower", &[], "status 200 OK\n"),
    ];
    for (name, arguments, shown) in rows {
        if let Some(found) = run(&issuer, name, arguments, "") {
            assert_eq!(found, shown);
        }
    }
}
