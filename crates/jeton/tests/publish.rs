//! A release is published with tokens that live shorter than the job (A2, A8, A9, A10): the example, from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]
use jeton_core::UnixTime;
use jeton_issuer::{Algorithm, Issuer, Options, RunningIssuer};
use jeton_test::Publishing;
use std::process::{Command, Output};
use std::time::Duration;

fn issuer() -> RunningIssuer {
    let present = || {
        let millis = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        UnixTime::from_millis(i64::try_from(millis).unwrap())
    };
    let options = Options {
        token_life: Duration::from_secs(3),
        ..Options::new(present).with_algorithm(Algorithm::Es256)
    };
    Issuer::in_thread(options).unwrap()
}

/// Publishes; what the program said, what it left for later steps, and the request lines that the service saw.
fn publish(service: Publishing, more: &[&str]) -> (Output, String, Vec<String>, usize) {
    let (issuer, home) = (issuer(), tempfile::tempdir().unwrap());
    let upstream = service.start();
    let file = home.path().join("release.tar.gz");
    std::fs::write(&file, "a release").unwrap();
    let outputs = home.path().join("outputs");
    let tests = std::env::current_exe().unwrap();
    let example = tests.parent().unwrap().parent().unwrap().join("examples/publish");
    let output = Command::new(example)
        .args([upstream.url(), "octo", "1.2.3"])
        .arg(&file)
        .args(more)
        .env_clear()
        .envs(issuer.environment("github").unwrap())
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_OUTPUT", &outputs)
        .env(
            "GITHUB_CONTEXT",
            r#"{"event":{"repository":{"owner":{"type":"Organization"}}}}"#,
        )
        .env("HOME", home.path())
        .output()
        .unwrap();
    let seen = upstream.seen();
    let lines = seen
        .iter()
        .map(|s| s.line().split('/').take(2).collect::<Vec<_>>().join("/"))
        .collect();
    let mut tokens: Vec<_> = seen.iter().flat_map(|s| s.fields("authorization")).collect();
    tokens.sort_unstable();
    tokens.dedup();
    let minted = tokens.len();
    (
        output,
        std::fs::read_to_string(outputs).unwrap_or_default(),
        lines,
        minted,
    )
}

const WHOLE: [&str; 4] = ["GET /token", "POST /upload", "PUT /signed HTTP", "POST /publish"];

#[test]
fn a8_a10_every_use_has_a_living_token_and_the_outputs_are_written() {
    let slow = Publishing {
        upload: Duration::from_secs(4),
        ..Publishing::default()
    };
    let (output, outputs, lines, minted) = publish(slow, &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(lines, WHOLE, "no 401, no request twice");
    assert!(minted >= 2, "{minted}");
    for name in [
        "flake_name",
        "flake_version",
        "flakeref_at_least",
        "flakeref_exact",
    ] {
        assert!(outputs.contains(&format!("{name}<<")), "{outputs}");
    }
}

#[test]
fn a9_a_401_costs_one_more_token_and_one_more_try() {
    let revoked = Publishing {
        first_is_revoked: true,
        ..Publishing::default()
    };
    let (output, _, lines, _) = publish(revoked, &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(lines[..2], ["GET /token", "GET /token"]);
    assert_eq!(lines[1..], WHOLE);
    let nobody = Publishing {
        knows_nobody: true,
        ..Publishing::default()
    };
    let (output, _, lines, minted) = publish(nobody, &[]);
    assert_eq!((output.status.success(), lines.len(), minted), (false, 2, 2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("::error title=Registration required.::"),
        "{stderr}"
    );
}

#[test]
fn a10_a_version_that_is_there_is_a_success_unless_asked_otherwise() {
    let released = Publishing {
        is_released: true,
        ..Publishing::default()
    };
    let (output, outputs, lines, _) = publish(released, &[]);
    assert!(
        output.status.success() && outputs.contains("flake_name<<"),
        "{output:?}"
    );
    assert_eq!(lines, WHOLE[..2]);
    let (output, _, _, _) = publish(released, &["--error-on-conflict"]);
    assert!(!output.status.success());
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .starts_with("::error title=Conflict::")
    );
}

#[test]
fn a9_a10_each_refusal_is_one_line_that_says_what_is_wrong() {
    let rows = [
        (
            "GET /token",
            403,
            "title=Registration required.::An owner of this organization",
            1,
        ),
        ("GET /token", 404, "title=Registration required.::", 1),
        (
            "GET /token",
            500,
            "title=Unauthenticated::The service answered 500.",
            1,
        ),
        // After a 401 one more token is tried, once.
        ("POST /upload", 401, "title=Unauthorized::", 3),
        ("POST /upload", 400, "title=Bad request::", 2),
        (
            "POST /publish",
            500,
            "title=Not published::publish answered 500",
            4,
        ),
    ];
    for (step, status, said, requests) in rows {
        let service = Publishing {
            says: Some((step, status)),
            ..Publishing::default()
        };
        let (output, outputs, lines, _) = publish(service, &[]);
        assert_eq!(
            (output.status.success(), lines.len(), outputs.as_str()),
            (false, requests, ""),
            "{step} {status}: {lines:?} {output:?}"
        );
        let stderr = String::from_utf8(output.stderr).unwrap();
        let annotations: Vec<&str> = stderr
            .lines()
            .filter(|line| line.starts_with("::error "))
            .collect();
        assert_eq!(annotations.len(), 1, "{stderr}");
        assert!(annotations[0].contains(said), "{stderr}");
    }
}

#[test]
fn a2_a_release_that_is_only_put_somewhere_asks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string();
    let (output, _, lines, minted) = publish(Publishing::default(), &["--dest-dir", &place]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!((lines.len(), minted), (0, 0));
    let put = std::fs::read_to_string(folder.path().join("octo-1.2.3.tar.gz")).unwrap();
    assert_eq!(put, "a release");
}
