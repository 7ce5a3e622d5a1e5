//! `jeton exec` from outside (D22, D23, A8): what the child gets, how it ends, and what is left of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
use jeton_test::{Command, IssuerProcess, Sandbox, Upstream};
use serde_json::Value;
use std::io::Write;
use std::time::{Duration, Instant};

fn sandbox() -> (Sandbox, IssuerProcess) {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
    let issuer = sandbox.issuer(["--token-life", "5m"]);
    (sandbox, issuer)
}

/// `jeton exec … -- sh -c SCRIPT`.
fn exec(sandbox: &Sandbox, issuer: &IssuerProcess, flags: &[&str], script: &str) -> Command {
    let source = format!("issuer:{}", issuer.url());
    let command = sandbox.command(["exec", "--source", &source, "-a", "api"]);
    let command = command
        .env("PATH", "/usr/bin:/bin")
        .env("JETON", env!("CARGO_BIN_EXE_jeton"));
    let command = flags.iter().fold(command, |c, flag| c.arg(flag));
    ["--", "sh", "-c", script]
        .iter()
        .fold(command, |c, word| c.arg(word))
}

/// What is left of runs.
fn left(sandbox: &Sandbox) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(sandbox.path("run")).unwrap();
    entries.map(|e| e.unwrap().path()).collect()
}

#[test]
fn d23_exit_codes_are_a_shells() {
    let (sandbox, issuer) = sandbox();
    let facts = [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ];
    for (script, code) in facts {
        let _ = exec(&sandbox, &issuer, &[], script).run().ended(code);
    }
    let _ = sandbox
        .run(["exec", "--source", "env:X", "--", "/nonexistent"])
        .ended(127);
    let _ = sandbox
        .run(["exec", "--source", "env:X", "--", "/etc/passwd"])
        .ended(126);
    assert_eq!(left(&sandbox), Vec::<std::path::PathBuf>::new());
}

#[test]
fn d23_the_child_finds_an_agent_that_only_its_user_can_open() {
    let (sandbox, issuer) = sandbox();
    let script =
        "umask 000; stat -c %a $(dirname $JETON_AGENT) $JETON_AGENT; \"$JETON\" token -a other -o json";
    let run = exec(&sandbox, &issuer, &[], script).run().ended(0);
    let mut lines = run.stdout.lines();
    assert_eq!(
        (lines.next(), lines.next()),
        (Some("700"), Some("600")),
        "{run:#?}"
    );
    let token: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(token["audience"], serde_json::json!(["other"]));
}

#[test]
fn d23_what_proves_the_platforms_identity_is_kept_from_the_child() {
    let (sandbox, issuer) = sandbox();
    let run = |flags: &[&str]| {
        let command = exec(&sandbox, &issuer, flags, "env").env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "canary");
        command.run().ended(0).stdout
    };
    assert!(!run(&[]).contains("canary"));
    assert!(run(&["--pass", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"]).contains("=canary\n"));
    let faced = run(&["--facade", "github"]);
    assert!(
        !faced.contains("canary") && faced.contains("ACTIONS_ID_TOKEN_REQUEST_TOKEN="),
        "{faced}"
    );
}

#[test]
fn d23_signals_pass_and_nothing_is_left_behind() {
    let (sandbox, issuer) = sandbox();
    let script =
        |name: &str| format!("trap 'echo got {name}; exit 9' {name}; echo up; while :; do sleep 0.05; done");
    for name in ["TERM", "INT", "HUP", "USR1"] {
        let (running, line) = exec(&sandbox, &issuer, &[], &script(name)).serve();
        assert_eq!(line, "up");
        running.signal(name);
        let run = running.wait().ended(9);
        assert_eq!(run.stdout, format!("got {name}\n"), "once");
    }
    assert_eq!(left(&sandbox), Vec::<std::path::PathBuf>::new());
}

#[test]
fn d23_when_jeton_is_killed_the_child_and_the_folder_go_too() {
    let (sandbox, issuer) = sandbox();
    let (running, child) = exec(
        &sandbox,
        &issuer,
        &["--file", "F"],
        "echo $$; exec >&- 2>&-; exec sleep 60",
    )
    .serve();
    assert_eq!(left(&sandbox).len(), 1);
    running.signal("KILL");
    drop(running.wait());
    let started = Instant::now();
    let is_alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    while !left(&sandbox).is_empty() || is_alive() {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{:?} {child}",
            left(&sandbox)
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn d22_secrets_are_replaced_in_the_output_in_every_spelling() {
    let (sandbox, issuer) = sandbox();
    let script = "echo $T; cat $F >&2; printf %s \"$T\" | base64 -w0; echo; printf %.20s \"$T\"; sleep 0.2; \
                  printf %s \"$T\" | cut -c21-; sleep 50 & exit 3";
    let run = exec(
        &sandbox,
        &issuer,
        &["--redact", "--env", "T", "--file", "F"],
        script,
    )
    .run();
    assert!(
        run.elapsed < Duration::from_secs(30),
        "a grandchild holds the output open"
    );
    let run = run.ended(3);
    let shown = format!("{}{}", run.stdout, run.stderr);
    assert_eq!(shown.matches("[redacted]").count(), 4, "{run:#?}");
    assert!(!shown.contains("eyJ") && !shown.contains("ZXlK"), "{run:#?}");
}

#[test]
fn a8_a_file_stays_fresh_while_the_child_runs() {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
    let issuer = sandbox.issuer(["--token-life", "4s"]);
    let script = "for i in 1 2 3 4 5 6 7; do sleep 0.9; cat $F; echo \" $(date +%s)\"; done";
    let run = exec(&sandbox, &issuer, &["--file", "F"], script).run().ended(0);
    let mut tokens = std::collections::BTreeSet::new();
    for line in run.stdout.lines() {
        let (token, now) = line.split_once(' ').unwrap();
        let read = sandbox
            .command(["inspect", "-"])
            .input(token)
            .run()
            .ended(0)
            .json();
        let (exp, now): (i64, i64) = (read["claims"]["exp"].as_i64().unwrap(), now.parse().unwrap());
        assert!(exp >= now, "dead for {} s: {run:#?}", now - exp);
        tokens.insert(token.to_owned());
    }
    assert!(tokens.len() >= 2, "{}", tokens.len());
}

#[test]
fn a2_a_job_that_never_asks_sends_no_request_and_a_late_one_asks_late() {
    let (sandbox, issuer) = sandbox();
    issuer.forget();
    let _ = exec(&sandbox, &issuer, &["--facade", "github"], "true")
        .run()
        .ended(0);
    assert_eq!(issuer.count("token"), 0, "{:?}", issuer.requests());
    let late = "sleep 1; \"$JETON\" token -a api";
    let run = exec(&sandbox, &issuer, &[], late).run().ended(0);
    assert_eq!(run.line().split('.').count(), 3);
    assert_eq!(issuer.requests().len(), 1, "{:?}", issuer.requests());
}

#[test]
fn d23_the_aws_facade_gives_keys_for_its_own_secret_only() {
    let (sandbox, issuer) = sandbox();
    sandbox.config(&format!(
        "[ambient]\norder = [\"issuer:{}\"]\n[profiles.deploy]\ngrant = \"token-exchange\"\npreset = \"aws\"\n\
         from = \"ambient\"\nrole = \"arn:aws:iam::123456789012:role/build\"\n",
        issuer.url()
    ));
    let script = "ask() { curl -s -o $HOME/body -w '%{http_code}\\n' \"$@\" $AWS_CONTAINER_CREDENTIALS_FULL_URI; }; \
                  ask; ask -H 'Authorization: wrong'; ask -H \"Origin: http://x\" -H \"Authorization: $AWS_CONTAINER_AUTHORIZATION_TOKEN\"; \
                  ask -H \"Authorization: $AWS_CONTAINER_AUTHORIZATION_TOKEN\"; cat $HOME/body";
    let run = sandbox
        .command(["exec", "deploy", "--facade", "aws", "--", "sh", "-c", script])
        .env("PATH", "/usr/bin:/bin")
        .env("AWS_ENDPOINT_URL_STS", &format!("{}/aws/sts", issuer.url()))
        .env("AWS_REGION", "eu-west-1")
        .run()
        .ended(0);
    let (codes, body) = run.stdout.split_once('{').unwrap();
    assert_eq!(codes, "401\n401\n403\n200\n", "{run:#?}");
    let keys: Value = serde_json::from_str(&format!("{{{body}")).unwrap();
    for name in ["AccessKeyId", "SecretAccessKey", "Token", "Expiration"] {
        assert!(
            keys[name].as_str().is_some_and(|text| !text.is_empty()),
            "{name}: {run:#?}"
        );
    }
}

#[test]
fn d23_what_can_be_given_back_is_given_back_when_the_child_has_ended() {
    for (flag, wanted) in [(Some("--revoke"), 2), (None, 1)] {
        let registry = Upstream::new(|_, request, stream| {
            let body = if request.line().starts_with("DELETE") {
                ""
            } else {
                r#"{"token":"registry-token"}"#
            };
            let head = format!(
                "HTTP/1.1 200 X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        });
        let (sandbox, _issuer) = sandbox();
        sandbox.config(&format!(
            "[profiles.publish]\ngrant = \"token-exchange\"\npreset = \"crates-io\"\nfrom = \"env:ID\"\n\
             endpoint = \"{}\"\n",
            registry.url()
        ));
        let command = sandbox.command(["exec", "publish", "--env", "T"]);
        let words = flag.into_iter().chain(["--", "sh", "-c", "echo $T; exit 4"]);
        let command = words.fold(command, |command, word| command.arg(word));
        let run = command
            .env("PATH", "/usr/bin:/bin")
            .env("ID", "identity")
            .run()
            .ended(4);
        assert_eq!(run.stdout, "registry-token\n", "{run:#?}");
        let seen = registry.seen();
        assert_eq!(seen.len(), wanted, "{seen:#?}");
        if let Some(last) = seen.get(1) {
            assert!(
                last.line().starts_with("DELETE ") && last.token() == "registry-token",
                "{last:?}"
            );
        }
    }
}
