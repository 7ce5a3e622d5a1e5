//! `jeton issuer` from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
use jeton_test::Sandbox;
use serde_json::{Value, json};
use std::time::Duration;

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_jeton"))
}

#[test]
fn a6_claims_in_token_out_that_verifies_and_the_path_is_kept() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--path", "/jwt/issuer"]);
    assert!(issuer.url().ends_with("/jwt/issuer"), "{}", issuer.url());
    let token = issuer.ask(
        "POST",
        "/jwt/issuer/token",
        &json!({"sub": "me", "aud": "api"}).to_string(),
    );
    let run = sandbox
        .command([
            "verify",
            "-",
            "--json",
            "--issuer",
            issuer.url(),
            "--audience",
            "api",
        ])
        .input(&token);
    let claims = run.run().ended(0).json()["claims"].clone();
    assert_eq!(claims["iss"], issuer.url());
    let names = "aud iss sub exp iat jti nbf actor actor_id base_ref environment event_name head_ref job_workflow_ref \
                 job_workflow_sha ref ref_type repository repository_id repository_owner repository_owner_id \
                 repository_visibility run_id run_number run_attempt runner_environment workflow workflow_ref \
                 workflow_sha";
    for name in names.split_whitespace() {
        assert!(claims.get(name).is_some(), "{name}: {claims}");
    }
}

#[test]
fn a6_the_source_issuer_mints_and_reports_a_refusal() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--path", "/p"]);
    let spec = format!("issuer:{}", issuer.url());
    let run = sandbox
        .run(["token", "--source", &spec, "-a", "api", "-o", "json"])
        .ended(0)
        .json();
    assert_eq!(run["issuer"], issuer.url());
    assert_eq!(run["audience"], json!(["api"]));
    issuer.fault("token", "s403");
    let _ = sandbox
        .run(["token", "--no-cache", "--source", &spec, "-a", "api"])
        .ended(4);
}

#[test]
fn it_says_where_it_is_and_that_it_is_not_for_production_and_stops_cleanly() {
    let sandbox = sandbox();
    let file = sandbox.path("url");
    for (signal, code) in [("INT", 0), ("TERM", 0)] {
        let _ = std::fs::remove_file(&file);
        let path = file.display().to_string();
        let running = sandbox
            .command([
                "issuer",
                "--listen",
                "127.0.0.1:0",
                "--algorithm",
                "ES256",
                "--url-file",
                &path,
                "-v",
            ])
            .start();
        while !std::fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n')) {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(100));
        running.signal(signal);
        let run = running.wait().ended(code);
        assert_eq!(run.stdout, std::fs::read_to_string(&file).unwrap());
        assert!(run.stdout.starts_with("http://127.0.0.1:"), "{run:?}");
        assert!(run.stderr.contains("not for production"), "{run:?}");
        assert!(
            run.stderr.contains("github") && !run.stderr.contains("eyJ"),
            "{run:?}"
        );
    }
}

#[test]
fn it_refuses_to_listen_beyond_loopback_and_reads_faults_with_care() {
    let sandbox = sandbox();
    let run = sandbox.run(["issuer", "--listen", "0.0.0.0:0"]).ended(2);
    assert!(run.stderr.contains("loopback"), "{run:?}");
    let faults = sandbox
        .write("faults.toml", "[[rule]]\nfault = \"stal\"\n")
        .display()
        .to_string();
    let run = sandbox.run(["issuer", "--faults", &faults]).ended(2);
    assert!(run.stderr.contains("stall"), "{run:?}");
    let _ = sandbox.run(["issuer", "--faults", "missing.toml"]).ended(3);
    let _ = sandbox.run(["issuer", "--token-life", "soon"]).ended(2);
    let _ = sandbox.run(["issuer", "--algorithm", "HS256"]).ended(2);
    let faults = sandbox
        .write("good.toml", "[[rule]]\nfault = \"s503-x1\"\nroute = \"github\"\n")
        .display()
        .to_string();
    let issuer = sandbox.issuer(["--faults", &faults]);
    let command = sandbox
        .command(["token", "-a", "x", "--backoff", "10ms"])
        .envs(&issuer.environment("github"));
    let _ = command.run().ended(0);
    assert_eq!(issuer.count("github"), 2);
    let seen: Vec<Value> = issuer.requests_of("github");
    assert_eq!(seen[0]["faults"][0], "s503-x1");
}
