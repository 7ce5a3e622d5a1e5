//! `jeton explain` and `jeton doctor` from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
use jeton_test::Sandbox;
use serde_json::Value;

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_jeton"))
}

fn row<'a>(report: &'a Value, source: &str) -> &'a Value {
    let rows = report["sources"].as_array().unwrap();
    rows.iter()
        .find(|row| row["source"] == source)
        .unwrap_or_else(|| panic!("{source}: {report}"))
}

#[test]
fn a1_nothing_here_is_told_source_by_source() {
    let sandbox = sandbox();
    let run = sandbox.run(["explain", "--json"]).ended(3);
    let report = run.json();
    assert_eq!(report["chosen"], Value::Null);
    let names: Vec<_> = report["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["source"].as_str().unwrap())
        .collect();
    for name in ["github", "gitlab", "kubernetes", "gcp", "aws", "azure"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for row in report["sources"].as_array().unwrap() {
        assert_eq!(row["status"], "absent");
        assert!(
            row["reason"].as_str().is_some_and(|reason| !reason.is_empty()),
            "{row}"
        );
        assert!(row["elapsed_ms"].is_u64() && row["token"].is_null(), "{row}");
    }
    assert!(run.elapsed.as_secs() < 2, "{run:?}");
}

#[test]
fn ready_broken_and_skipped_send_nothing_without_fetch() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    let github = issuer.environment("github");
    let gitlab = issuer.environment("gitlab");
    issuer.forget();
    let run = sandbox
        .command(["explain", "--json", "-a", "x"])
        .envs(&github)
        .envs(&gitlab)
        .run()
        .ended(0);
    let report = run.json();
    assert_eq!(report["chosen"], "github");
    assert_eq!(row(&report, "github")["status"], "ready");
    assert_eq!(row(&report, "gitlab")["status"], "skipped");
    let run = sandbox
        .command(["explain", "--json"])
        .env("GITHUB_ACTIONS", "true")
        .run()
        .ended(2);
    let report = run.json();
    assert_eq!(row(&report, "github")["status"], "broken");
    assert!(
        row(&report, "github")["hint"]
            .as_str()
            .unwrap()
            .contains("id-token: write"),
        "{report}"
    );
    let mark = sandbox.path("ran");
    let spec = format!("command:touch {}", mark.display());
    let _ = sandbox.run(["explain", "--source", &spec]);
    assert!(!mark.exists());
    assert!(issuer.requests().is_empty());
}

#[test]
fn fetch_shows_claims_or_ends_with_the_failures_own_code() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "5m"]);
    let explain = |arguments: &[&str]| {
        let arguments = ["explain", "--fetch", "-a", "x", "--backoff", "10ms"]
            .iter()
            .chain(arguments);
        sandbox
            .command(arguments)
            .envs(&issuer.environment("github"))
            .run()
    };
    let report = explain(&["--json"]).ended(0).json();
    assert_eq!(row(&report, "github")["status"], "ok");
    assert_eq!(row(&report, "github")["token"]["aud"], "x");
    let table = explain(&[]).ended(0);
    assert!(
        table.stdout.contains("* github") || table.stdout.contains("*  github"),
        "{table:?}"
    );
    assert!(!table.stdout.contains("eyJ"));
    for (fault, code) in [("s403", 4), ("s503", 6), ("valnull", 8)] {
        issuer.heal();
        issuer.fault("github", fault);
        let report = explain(&["--json"]).ended(code).json();
        assert_eq!(row(&report, "github")["status"], "failed", "{fault}");
    }
    issuer.heal();
    let _ = issuer.ask("PUT", "/_clock", "{\"offset_seconds\": 3600}");
    let report = explain(&["--json"]).ended(0).json();
    assert!(report["warnings"].to_string().contains("clock"), "{report}");
}

#[test]
fn explain_follows_the_order_and_the_disabled_of_the_configuration() {
    let sandbox = sandbox();
    sandbox.config("[ambient]\norder = [\"gitlab\", \"env:MINE\"]\n");
    let run = sandbox
        .command(["explain", "--json"])
        .env("MINE", "t")
        .env("GITHUB_ACTIONS", "true")
        .run()
        .ended(0);
    let report = run.json();
    assert_eq!(report["chosen"], "env:MINE");
    assert_eq!(report["sources"].as_array().unwrap().len(), 2);
    sandbox.config("[ambient]\ndisable = [\"github\"]\n");
    let run = sandbox
        .command(["explain", "--json"])
        .env("GITHUB_ACTIONS", "true")
        .run()
        .ended(3);
    assert_eq!(row(&run.json(), "github")["status"], "skipped");
}

#[test]
fn doctor_says_what_holds_and_mends_what_does_not() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "5m"]);
    let doctor = |arguments: &[&str]| {
        let arguments = ["doctor", "--json", "-a", "x"].iter().chain(arguments);
        sandbox
            .command(arguments)
            .envs(&issuer.environment("github"))
            .run()
    };
    let report = doctor(&[]).ended(0).json();
    assert_eq!(report["ok"], true);
    let checks = report["checks"].as_array().unwrap();
    for name in [
        "configuration",
        "source",
        "permission",
        "audience",
        "clock",
        "proxy",
        "cache",
    ] {
        let check = checks
            .iter()
            .find(|check| check["check"] == name)
            .unwrap_or_else(|| panic!("{name}"));
        assert_eq!(check["status"], "ok", "{check}");
    }
    let long = doctor(&["--for", "45m"]).ended(0).json();
    assert!(
        long["checks"]
            .as_array()
            .unwrap()
            .iter()
            .any(|c| c["check"] == "life" && c["status"] == "warn"),
        "{long}"
    );
    issuer.fault("github", "s403");
    let failed = doctor(&[]).ended(4).json();
    assert_eq!(failed["ok"], false);
    let run = sandbox
        .command(["doctor"])
        .env("GITHUB_ACTIONS", "true")
        .run()
        .ended(2);
    assert!(
        run.stdout.contains("fail") && run.stdout.contains("id-token: write"),
        "{run:?}"
    );
    let run = sandbox
        .command(["doctor", "--json"])
        .env("JETON_TIMOUT", "5s")
        .run()
        .ended(3);
    assert!(run.stdout.contains("JETON_TIMEOUT"), "{run:?}");
}

#[test]
fn doctor_sees_that_the_request_token_ends_before_the_job() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    let soon = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        + 600;
    let request = issuer.mint(&serde_json::json!({"sub": "job", "exp": soon}));
    let other = sandbox.issuer(["--request-token", &request]);
    let doctor = |planned: &str| {
        sandbox
            .command(["doctor", "--json", "-a", "x", "--for", planned])
            .envs(&other.environment("github"))
            .run()
    };
    assert_eq!(doctor("5m").ended(0).json()["ok"], true);
    let run = doctor("45m").ended(4);
    assert!(
        run.stdout.contains("request token") && !run.stdout.contains(&request),
        "{run:?}"
    );
}
