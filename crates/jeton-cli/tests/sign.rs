//! Keyless signing from outside, against a private instance that misbehaves on request.
#![cfg(feature = "sign")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
#[path = "sign/attestations.rs"]
mod attestations;
#[path = "sign/files.rs"]
mod files;
#[path = "sign/instances.rs"]
mod instances;
#[path = "sign/person.rs"]
mod person;
#[path = "sign/verdicts.rs"]
mod verdicts;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jeton_test::sigstore::{FULCIO, Flaw, Outage, REKOR, Sigstore};
use jeton_test::{Command, IssuerProcess, Run, Sandbox, Upstream};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, UNIX_EPOCH};

/// Who the tokens of these tests are for: `sub` of GitHub's tokens in the development issuer is taken as it is.
struct Scene {
    sandbox: Sandbox,
    issuer: IssuerProcess,
    sigstore: Sigstore,
}

impl Scene {
    fn new(issuer: &[&str]) -> Self {
        let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
        sandbox.write("f", "hello\n");
        let sigstore = Sigstore::start();
        sandbox.write("root.json", &sigstore.trusted_root().to_string());
        let issuer = sandbox.issuer(issuer);
        Self {
            sandbox,
            issuer,
            sigstore,
        }
    }

    /// `jeton COMMAND …` with the instance's services.
    fn command(&self, arguments: &[&str]) -> Command {
        let command = self.sandbox.command(arguments);
        command
            .arg("--fulcio-url")
            .arg(self.sigstore.url())
            .arg("--rekor-url")
            .arg(self.sigstore.url())
    }

    /// The same in a job of GitHub's, and what is to be trusted.
    fn in_ci(&self, arguments: &[&str]) -> Command {
        self.trusting(arguments).envs(&self.issuer.environment("github"))
    }

    fn trusting(&self, arguments: &[&str]) -> Command {
        self.command(arguments).arg("--trusted-root").arg("root.json")
    }

    /// A token from elsewhere.
    fn token(&self, claims: Value) -> String {
        let mut all = json!({"aud": "sigstore", "sub": "someone"});
        all.as_object_mut()
            .unwrap()
            .extend(claims.as_object().unwrap().clone());
        self.issuer.mint(&all).trim().to_owned()
    }

    fn verify(&self, bundle: &str, identity: &str, more: &[&str]) -> Run {
        let verify = [
            "verify-bundle",
            "f",
            "--bundle",
            bundle,
            "--trusted-root",
            "root.json",
            "--json",
        ];
        let command = self
            .sandbox
            .command(verify)
            .arg("--certificate-oidc-issuer")
            .arg(self.issuer.url());
        let command = command.arg("--certificate-identity").arg(identity);
        more.iter()
            .fold(command, |command, argument| command.arg(argument))
            .run()
    }

    /// The subject of the tokens that a job gets.
    fn subject(&self) -> String {
        let asked = self.sigstore.asked();
        let asked = asked
            .iter()
            .rfind(|asked| asked.path == FULCIO)
            .expect("a request for a certificate");
        claims(asked.request.token())["sub"].as_str().unwrap().to_owned()
    }
}

fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

fn codes(run: &Run) -> Vec<String> {
    let report = run.json();
    let failures = report["failures"].as_array().unwrap();
    failures
        .iter()
        .map(|f| f["code"].as_str().unwrap().to_owned())
        .collect()
}

const SIGN: [&str; 4] = ["sign", "f", "--bundle", "b.json"];

#[test]
fn b14_a_job_signs_with_its_own_identity_and_the_bundle_verifies() {
    let scene = Scene::new(&[]);
    let run = scene.in_ci(&SIGN).run().ended(0);
    assert_eq!(run.stdout, "");
    let path = scene.sandbox.path("b.json");
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let bundle: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(
        bundle["mediaType"],
        "application/vnd.dev.sigstore.bundle.v0.3+json"
    );
    let verified = scene.verify("b.json", &scene.subject(), &[]).ended(0).json();
    assert_eq!(verified["level"], "verified");
    assert_eq!(verified["verified"], true);
    assert_eq!(verified["identity"], scene.subject().as_str());
    assert_eq!(verified["issuer"], scene.issuer.url());
    assert!(verified["logged_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(verified["failures"], json!([]));
    assert_eq!(
        (scene.sigstore.count(FULCIO), scene.sigstore.count(REKOR)),
        (1, 1)
    );
    // But for the line that has GitHub's log hide it, the token is nowhere.
    let shown = run
        .stderr
        .lines()
        .filter(|line| !line.starts_with("::add-mask::"));
    assert!(shown.clone().all(|line| !line.contains("eyJ")), "{}", run.stderr);
}

#[test]
fn b14_the_key_is_proven_over_a_verified_address_else_over_the_subject() {
    let scene = Scene::new(&[]);
    let rows = [
        (
            json!({"email": "a@example.com", "email_verified": true}),
            "a@example.com",
        ),
        (
            json!({"email": "a@example.com", "email_verified": "true"}),
            "a@example.com",
        ),
        (
            json!({"email": "a@example.com", "email_verified": false}),
            "someone",
        ),
        (json!({"email": "a@example.com"}), "someone"),
        (json!({}), "someone"),
    ];
    for (given, name) in rows {
        let token = scene.token(given.clone());
        scene
            .trusting(&SIGN)
            .env("SIGSTORE_ID_TOKEN", &token)
            .run()
            .ended(0);
        let run = scene.verify("b.json", name, &[]).ended(0);
        assert_eq!(run.json()["identity"], name, "{given}");
    }
}

#[test]
fn b11_each_signature_has_a_token_of_its_own_asked_for_when_the_certificate_is() {
    let scene = Scene::new(&["--token-life", "3s"]);
    scene.in_ci(&SIGN).run().ended(0);
    std::thread::sleep(Duration::from_secs(6));
    scene.in_ci(&["sign", "f", "--bundle", "c.json"]).run().ended(0);
    let mints = scene.issuer.requests_of("github");
    let asked: Vec<_> = scene
        .sigstore
        .asked()
        .into_iter()
        .filter(|asked| asked.path == FULCIO)
        .collect();
    assert_eq!((mints.len(), asked.len()), (2, 2));
    let tokens: Vec<_> = asked
        .iter()
        .map(|asked| asked.request.token().to_owned())
        .collect();
    assert_ne!(tokens[0], tokens[1]);
    for asked in &asked {
        let minted = claims(asked.request.token())["iat"].as_u64().unwrap();
        let sent = asked.at.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(sent - (minted as f64) < 2.0, "minted at {minted}, sent at {sent}");
    }
}

#[test]
fn b11_a_retry_never_carries_a_token_that_has_run_out() {
    let scene = Scene::new(&["--token-life", "5s"]);
    scene.sigstore.fail(FULCIO, 4, Outage::Status(503, "{}".into()));
    let pace = ["--backoff", "1200ms", "--backoff-factor", "1"];
    scene.in_ci(&[&SIGN[..], &pace[..]].concat()).run().ended(0);
    let asked: Vec<_> = scene
        .sigstore
        .asked()
        .into_iter()
        .filter(|asked| asked.path == FULCIO)
        .collect();
    assert_eq!(asked.len(), 5);
    for asked in &asked {
        let end = claims(asked.request.token())["exp"].as_u64().unwrap();
        let sent = asked.at.duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(sent < end, "sent at {sent}, ended at {end}");
    }
    assert!(scene.issuer.count("github") >= 2);
    assert!(
        scene.issuer.count("github") < 5,
        "a living token is carried again"
    );
}

#[test]
fn b2_services_that_fail_for_a_while_cost_time_and_those_that_fail_for_ever_have_their_class() {
    let unavailable = || Outage::Status(503, r#"{"message":"not now"}"#.into());
    let rows = [
        (FULCIO, 1, unavailable(), 0, 2),
        (FULCIO, 2, Outage::Cut, 0, 3),
        (FULCIO, 99, unavailable(), 6, 5),
        (FULCIO, 99, Outage::Status(429, "{}".into()), 7, 5),
        (
            FULCIO,
            99,
            Outage::Status(403, r#"{"message":"no"}"#.into()),
            4,
            1,
        ),
        (REKOR, 1, unavailable(), 0, 2),
        (REKOR, 2, unavailable(), 0, 3),
        (REKOR, 99, Outage::Cut, 6, 5),
        (REKOR, 99, Outage::Status(400, r#"{"message":"no"}"#.into()), 4, 1),
        (REKOR, 99, Outage::Status(200, "<html>".into()), 8, 2),
    ];
    for (path, times, outage, code, attempts) in rows {
        let scene = Scene::new(&[]);
        scene.sigstore.fail(path, times, outage.clone());
        let run = scene.in_ci(&SIGN).arg("--backoff").arg("10ms").run().ended(code);
        assert_eq!(
            scene.sigstore.count(path),
            attempts,
            "{path} {outage:?}: {}",
            run.stderr
        );
        assert_eq!(
            scene.sandbox.path("b.json").exists(),
            code == 0,
            "written whole or not at all"
        );
        assert_eq!(
            scene.issuer.count("github"),
            1,
            "a living token is asked for once"
        );
    }
}

#[test]
fn b2_an_entry_whose_answer_was_lost_is_found_again() {
    let scene = Scene::new(&[]);
    scene.sigstore.fail(REKOR, 1, Outage::LostAnswer);
    scene.in_ci(&SIGN).arg("--backoff").arg("10ms").run().ended(0);
    assert_eq!(scene.sigstore.count(REKOR), 2);
    scene.verify("b.json", &scene.subject(), &[]).ended(0);
}

#[test]
fn b18_an_error_that_echoes_the_token_is_shown_without_it() {
    let scene = Scene::new(&[]);
    let token = scene.token(json!({"aud": "elsewhere"}));
    let command = scene.command(&SIGN).arg("--audience").arg("elsewhere").arg("-v");
    let run = command.env("SIGSTORE_ID_TOKEN", &token).run().ended(4);
    assert!(
        run.stderr.contains("error processing the identity token"),
        "{}",
        run.stderr
    );
    assert!(
        !run.stderr.contains(&token) && !run.stderr.contains("eyJ"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("--for-signing"), "{}", run.stderr);
}

#[test]
fn b14_nothing_is_written_when_what_was_answered_does_not_verify() {
    let rows = [
        (Flaw::NoSct, "sct"),
        (Flaw::ForeignAuthority, "certificate-chain"),
        (Flaw::Expired, "certificate-expired"),
        (Flaw::OtherEntry, "log-inclusion"),
        (Flaw::BadProof, "log-inclusion"),
        (Flaw::BadCheckpoint, "checkpoint"),
        (Flaw::BadPromise, "log-inclusion"),
        (Flaw::OtherKey, "another key"),
    ];
    for (flaw, word) in rows {
        let scene = Scene::new(&[]);
        scene.sigstore.flaw(flaw);
        let run = scene.in_ci(&SIGN).run().ended(8);
        assert!(run.stderr.contains(word), "{flaw:?}: {}", run.stderr);
        assert!(!scene.sandbox.path("b.json").exists(), "{flaw:?}");
    }
}

#[test]
fn b10_the_first_identity_that_is_there_signs() {
    let scene = Scene::new(&[]);
    let token = scene.token(json!({"sub": "named"}));
    let other = scene.token(json!({"sub": "variable"}));
    scene.sandbox.write("token", &token);
    let all = |arguments: &[&str]| {
        let command = scene.trusting(
            &[
                &SIGN[..],
                &["--device", "--browser", "--oidc-issuer", "http://127.0.0.1:1"],
                arguments,
            ]
            .concat(),
        );
        command.envs(&scene.issuer.environment("github"))
    };
    all(&["--identity-token", "file:token"])
        .env("SIGSTORE_ID_TOKEN", &other)
        .run()
        .ended(0);
    assert_eq!(scene.subject(), "named");
    all(&[]).env("SIGSTORE_ID_TOKEN", &other).run().ended(0);
    assert_eq!(scene.subject(), "variable");
    all(&[]).run().ended(0);
    assert!(scene.subject().starts_with("repo:"), "{}", scene.subject());
    assert_eq!(scene.issuer.count("github"), 1);
    // Half of what an ambient source needs is none: a login is next, and here nobody listens.
    let half = scene.trusting(
        &[
            &SIGN[..],
            &[
                "--device",
                "--oidc-issuer",
                "http://127.0.0.1:1",
                "--max-attempts",
                "1",
            ],
        ]
        .concat(),
    );
    let run = half
        .env("ACTIONS_ID_TOKEN_REQUEST_URL", "http://127.0.0.1:1/x")
        .run()
        .ended(6);
    assert!(run.stderr.contains("127.0.0.1:1"), "{}", run.stderr);
    // Nobody at all.
    scene.trusting(&SIGN).run().ended(3);
    // A token has no place in an argument list.
    let run = scene
        .trusting(&SIGN)
        .arg("--identity-token")
        .arg(&token)
        .run()
        .ended(2);
    assert!(!run.stderr.contains(&token), "{}", run.stderr);
}

#[test]
fn b11_a_dry_run_asks_nobody_for_anything() {
    let scene = Scene::new(&[]);
    scene.in_ci(&SIGN).arg("--dry-run").run().ended(0);
    assert_eq!(
        (scene.sigstore.asked().len(), scene.issuer.count("github")),
        (0, 0)
    );
    assert!(!scene.sandbox.path("b.json").exists());
}

#[test]
fn b11_a_batch_uses_one_certificate_and_singles_have_their_own() {
    let scene = Scene::new(&[]);
    scene.sandbox.write("g", "g");
    scene.sandbox.write("out/keep", "");
    scene
        .in_ci(&["sign", "f", "g", "--bundle-dir", "out", "--batch"])
        .run()
        .ended(0);
    assert_eq!(
        (
            scene.issuer.count("github"),
            scene.sigstore.count(FULCIO),
            scene.sigstore.count(REKOR)
        ),
        (1, 1, 2)
    );
    scene
        .in_ci(&["sign", "f", "g", "--bundle-dir", "out"])
        .run()
        .ended(0);
    assert_eq!(
        (
            scene.issuer.count("github"),
            scene.sigstore.count(FULCIO),
            scene.sigstore.count(REKOR)
        ),
        (3, 3, 4)
    );
    scene
        .verify("out/f.sigstore.json", &scene.subject(), &[])
        .ended(0);
}

#[test]
fn b17_a_private_instance_is_named_whole_or_not_at_all() {
    let scene = Scene::new(&[]);
    let rows: [&[&str]; 5] = [
        &["--fulcio-url", "http://127.0.0.1:1"],
        &["--rekor-url", "http://127.0.0.1:1"],
        &["--timestamp-server-url", "http://127.0.0.1:1"],
        &["--fulcio-url", "http://127.0.0.1:1", "--rekor-url", "nowhere"],
        &["--signing-config", "f"],
    ];
    for arguments in rows {
        let command = scene.sandbox.command([&SIGN[..], arguments].concat());
        command.envs(&scene.issuer.environment("github")).run().ended(2);
    }
    assert_eq!(scene.issuer.count("github"), 0, "no token for nothing");
    let config = json!({
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": [{"url": scene.sigstore.url(), "majorApiVersion": 1, "validFor": {"start": "2020-01-01T00:00:00Z"}, "operator": "x"}],
        "rekorTlogUrls": [{"url": scene.sigstore.url(), "majorApiVersion": 1, "validFor": {"start": "2020-01-01T00:00:00Z"}, "operator": "x"}],
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaConfig": {"selector": "ANY"},
    });
    scene.sandbox.write("config.json", &config.to_string());
    let configured = ["--signing-config", "config.json", "--trusted-root", "root.json"];
    let command = scene.sandbox.command([&SIGN[..], &configured[..]].concat());
    command.envs(&scene.issuer.environment("github")).run().ended(0);
    // A log without a time of its own, and nobody who stamps.
    let config = config.to_string().replacen(
        r#""rekorTlogUrls":[{"majorApiVersion":1"#,
        r#""rekorTlogUrls":[{"majorApiVersion":2"#,
        1,
    );
    scene.sandbox.write("config.json", &config);
    let run = scene.sandbox.run([&SIGN[..], &configured[..]].concat()).ended(2);
    assert!(run.stderr.contains("timestamp"), "{}", run.stderr);
}

#[test]
fn c6_the_doctor_says_whether_a_signature_would_be_accepted() {
    let issuer = "ISSUER";
    // (what the authority takes, audience, exit, status, words)
    let rows = [
        (
            json!([{"issuerUrl": issuer, "audience": "sigstore", "challengeClaim": "sub"}]),
            None,
            0,
            "ok",
            "takes this",
        ),
        (
            json!([{"wildcardIssuerUrl": "http://*", "audience": "sigstore"}]),
            None,
            4,
            "fail",
            "no identities of",
        ),
        (
            json!([{"issuerUrl": "https://other.example.com"}]),
            None,
            4,
            "fail",
            "no identities of",
        ),
        (
            json!([{"issuerUrl": issuer, "audience": "elsewhere"}]),
            None,
            4,
            "fail",
            "audience elsewhere",
        ),
        (
            json!([{"issuerUrl": issuer, "audience": "elsewhere"}]),
            Some("elsewhere"),
            0,
            "ok",
            "takes this",
        ),
        (
            json!([{"issuerUrl": issuer, "challengeClaim": "email"}]),
            None,
            4,
            "fail",
            "address",
        ),
        (Value::Null, None, 0, "warn", "does not say"),
    ];
    for (takes, audience, code, status, words) in rows {
        let scene = Scene::new(&[]);
        let takes: Value =
            serde_json::from_str(&takes.to_string().replace(issuer, scene.issuer.url())).unwrap();
        if takes != Value::Null {
            scene.sigstore.takes(&takes);
        }
        let mut command = scene.in_ci(&["doctor", "--for-signing", "--json"]);
        if let Some(audience) = audience {
            command = command.arg("-a").arg(audience);
        }
        let report = command.run().ended(code).json();
        let checks = report["checks"].as_array().unwrap();
        let found = checks
            .iter()
            .find(|check| check["check"] == "certificate authority")
            .unwrap();
        assert_eq!(found["status"], status, "{report}");
        assert!(found["detail"].as_str().unwrap().contains(words), "{found}");
        assert_eq!(
            (scene.sigstore.count(FULCIO), scene.sigstore.count(REKOR)),
            (0, 0),
            "nothing is public"
        );
    }
    let scene = Scene::new(&[]);
    let run = scene.sandbox.command([
        "doctor",
        "--for-signing",
        "--fulcio-url",
        "http://127.0.0.1:1",
        "--max-attempts",
        "1",
    ]);
    run.envs(&scene.issuer.environment("github")).run().ended(2);
    scene.in_ci(&["doctor"]).run().ended(2);
}

#[test]
fn b17_public_hosts_are_never_dialled_when_others_are_named() {
    let scene = Scene::new(&[]);
    // Every way out of this machine leads through here.
    let proxy = Upstream::saying("HTTP/1.1 502 X\r\ncontent-length: 0\r\n\r\n");
    let out = |command: Command| {
        command
            .env("HTTPS_PROXY", proxy.url())
            .env("HTTP_PROXY", proxy.url())
    };
    out(scene.in_ci(&SIGN)).run().ended(0);
    out(scene.command(&SIGN).envs(&scene.issuer.environment("github")))
        .run()
        .ended(0);
    let verify = [
        "verify-bundle",
        "f",
        "--bundle",
        "b.json",
        "--trusted-root",
        "root.json",
    ];
    let who = [
        "--certificate-identity-regexp",
        ".*",
        "--certificate-oidc-issuer",
        scene.issuer.url(),
    ];
    out(scene.sandbox.command([&verify[..], &who[..]].concat()))
        .run()
        .ended(0);
    // A person of a private instance does not log in at the public issuer.
    out(scene.trusting(&[&SIGN[..], &["--device"]].concat()))
        .run()
        .ended(2);
    let seen: Vec<_> = proxy.seen().iter().map(|seen| seen.line().to_owned()).collect();
    assert!(seen.is_empty(), "{seen:?}");
    // Where nobody else is named, it is the public repository that is asked first, and no token before that.
    let before = scene.issuer.count("github");
    let public = scene
        .sandbox
        .command(SIGN)
        .envs(&scene.issuer.environment("github"));
    let run = out(public).arg("--max-attempts").arg("1").run();
    assert_ne!(run.code, Some(0));
    let first = proxy.seen()[0].line().to_owned();
    assert!(
        first.starts_with("CONNECT tuf-repo-cdn.sigstore.dev:443"),
        "{first}"
    );
    assert_eq!(scene.issuer.count("github"), before);
}

#[test]
fn b11_a_batch_does_not_use_a_certificate_that_has_ended() {
    let scene = Scene::new(&[]);
    scene.sigstore.flaw(Flaw::Expired);
    scene.sandbox.write("g", "g");
    scene.sandbox.write("out/keep", "");
    let command = scene.command(&["sign", "f", "g", "--bundle-dir", "out", "--batch"]);
    command.envs(&scene.issuer.environment("github")).run().ended(0);
    assert_eq!(
        (scene.issuer.count("github"), scene.sigstore.count(FULCIO)),
        (2, 2)
    );
}

#[test]
fn b14_a_log_whose_clock_is_a_little_ahead_is_waited_for() {
    for (ahead, code) in [(2, 0), (3600, 8)] {
        let scene = Scene::new(&[]);
        scene.sigstore.flaw(Flaw::Ahead(ahead));
        let run = scene.in_ci(&SIGN).run().ended(code);
        assert_eq!(scene.sandbox.path("b.json").exists(), code == 0);
        match code {
            0 => assert!(run.elapsed >= Duration::from_millis(900), "{run:?}"),
            _ => assert!(run.stderr.contains("future"), "{}", run.stderr),
        }
    }
    let scene = Scene::new(&[]);
    let stamped = scene
        .in_ci(&SIGN)
        .arg("--timestamp-server-url")
        .arg(scene.sigstore.url())
        .run()
        .ended(4);
    assert!(stamped.stderr.contains("/api/v1/timestamp"), "{}", stamped.stderr);
    assert_eq!(
        scene.sigstore.count(REKOR),
        0,
        "nothing is logged that would have no time"
    );
}

#[test]
fn c5_every_setting_of_signing_has_its_variable() {
    let scene = Scene::new(&["--approve-devices", "--device-interval", "1s"]);
    let device = ["--device", "--oidc-issuer", scene.issuer.url()];
    let rows: [(&str, &[&str], i32); 10] = [
        ("JETON_IDENTITY_TOKEN", &[], 2),
        ("JETON_PROFILE", &[], 3),
        ("JETON_KEY", &[], 3),
        ("JETON_TIMESTAMP_SERVER_URL", &[], 2),
        ("JETON_SIGNING_CONFIG", &[], 3),
        ("JETON_TRUSTED_ROOT", &[], 3),
        ("JETON_OIDC_ISSUER", &["--device"], 2),
        ("JETON_OIDC_CLIENT_ID", &device, 4),
        ("JETON_YES", &device, 2),
        ("JETON_AUDIENCE", &["--dry-run"], 0),
    ];
    for (name, arguments, code) in rows {
        let run = scene
            .command(&[&SIGN[..], arguments].concat())
            .env(name, "?!")
            .run();
        assert_eq!(run.code, Some(code), "{name}: {}", run.stderr);
    }
    let job = scene.issuer.environment("github");
    for name in ["JETON_FULCIO_URL", "JETON_REKOR_URL"] {
        scene
            .sandbox
            .command(SIGN)
            .envs(&job)
            .env(name, "?!")
            .run()
            .ended(2);
    }
    let url = scene.sigstore.url();
    let private = scene
        .sandbox
        .command(SIGN)
        .envs(&job)
        .env("JETON_FULCIO_URL", url)
        .env("JETON_REKOR_URL", url);
    private.env("JETON_TRUSTED_ROOT", "root.json").run().ended(0);
    let verify = [
        "verify-bundle",
        "f",
        "--bundle",
        "b.json",
        "--certificate-identity",
        "x",
        "--certificate-oidc-issuer",
        "y",
    ];
    let verify = |name: &str| scene.sandbox.command(verify).env(name, "?!").run();
    verify("JETON_MIN_TRUST_LEVEL").ended(2);
    verify("JETON_TRUSTED_ROOT").ended(3);
}
