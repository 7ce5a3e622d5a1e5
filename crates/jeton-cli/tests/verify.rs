//! `jeton verify`, `verify-jws` and `inspect` from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
use jeton_test::{IssuerProcess, Run, Sandbox};
use serde_json::{Value, json};

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_jeton"))
}

fn claims() -> Value {
    json!({"sub": "repo:acme/app:ref:refs/heads/main", "aud": "api", "repository": "acme/app", "level": 3})
}

fn verify(sandbox: &Sandbox, issuer: &IssuerProcess, token: &str, arguments: &[&str]) -> Run {
    let usual = ["verify", "-", "--json", "--issuer", issuer.url()];
    let arguments = usual.iter().chain(arguments);
    sandbox.command(arguments).input(&format!("{token}\n")).run()
}

#[test]
fn d7_a_good_token_gives_its_claims_by_discovery_url_and_file() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--path", "/some/path"]);
    let token = issuer.ask("POST", "/some/path/token", &claims().to_string());
    let file = sandbox
        .write("keys.json", &issuer.ask("GET", "/some/path/jwks", ""))
        .display()
        .to_string();
    issuer.forget();
    let url = format!("{}/jwks", issuer.url());
    let ways: [(&[&str], usize); 3] = [(&[], 2), (&["--jwks", &url], 1), (&["--jwks", &file], 0)];
    for (way, requests) in ways {
        issuer.forget();
        let arguments: Vec<&str> = ["--audience", "api"].iter().chain(way).copied().collect();
        let run = verify(&sandbox, &issuer, &token, &arguments).ended(0).json();
        assert_eq!(run["valid"], true);
        assert_eq!(run["claims"]["repository"], "acme/app");
        assert_eq!(issuer.requests().len(), requests, "{way:?}");
    }
    let plain = sandbox
        .command(["verify", "--issuer", issuer.url(), "--audience", "api"])
        .input(&token)
        .run()
        .ended(0);
    assert_eq!(plain.json()["sub"], claims()["sub"]);
}

#[test]
fn d7_every_rejection_has_its_code_and_exit() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "5m"]);
    let keys = sandbox.write("keys.json", &issuer.jwks()).display().to_string();
    let good = issuer.mint(&claims());
    let mut broken = good.clone().into_bytes();
    let last = broken.len() - 10;
    broken[last] = if broken[last] == b'A' { b'B' } else { b'A' };
    let broken = String::from_utf8(broken).unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let none = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
    let hs256 = format!("eyJhbGciOiJIUzI1NiJ9.{}.{}", parts[1], parts[2]);
    let past = issuer.mint(&json!({"sub": "s", "aud": "api", "iat": 1000, "nbf": 1000, "exp": 2000}));
    let future =
        issuer.mint(&json!({"sub": "s", "aud": "api", "nbf": 4_000_000_000_u64, "exp": 4_000_000_600_u64}));
    issuer.fault("token", "noexp");
    let endless = issuer.mint(&claims());
    issuer.heal();
    issuer.fault("token", "unkkid");
    let stranger = issuer.mint(&claims());
    issuer.heal();
    let rows: [(&str, &[&str], &str); 17] = [
        (&broken, &[], "bad-signature"),
        (&none, &[], "algorithm-none"),
        (&hs256, &[], "algorithm-not-allowed"),
        (&good, &["--algorithm", "RS256"], "algorithm-not-allowed"),
        ("nonsense", &[], "malformed"),
        ("", &[], "malformed"),
        ("a.b.c.d.e", &[], "malformed"),
        (&past, &[], "expired"),
        (&future, &[], "not-yet-valid"),
        (&endless, &[], "missing-claim"),
        (&stranger, &[], "unknown-key"),
        (&good, &["--audience", "other"], "audience-mismatch"),
        (&good, &["--subject", "repo:acme/*"], "subject-mismatch"),
        (&good, &["--claim", "repository=acme/other"], "claim-mismatch"),
        (&good, &["--now", "4000000000"], "expired"),
        (&good, &["--now", "1000"], "not-yet-valid"),
        (
            &good,
            &["--max-age", "1s", "--leeway", "0", "--now", "FUTURE"],
            "too-old",
        ),
    ];
    let soon = (now() + 60).to_string();
    for (token, arguments, code) in rows {
        let arguments = arguments.iter().map(|a| if *a == "FUTURE" { &*soon } else { *a });
        let arguments: Vec<&str> = ["--jwks", &keys].into_iter().chain(arguments).collect();
        let run = verify(&sandbox, &issuer, token, &arguments).ended(4);
        let report = run.json();
        assert_eq!(report["valid"], false);
        assert_eq!(report["rejection"], code, "{arguments:?} {run:?}");
        assert!(report["detail"].is_string());
        assert!(!run.stderr.contains("eyJ"), "{run:?}");
    }
    let run = sandbox
        .command([
            "verify",
            "-",
            "--json",
            "--issuer",
            "https://other.example.com",
            "--jwks",
            &keys,
        ])
        .input(&good)
        .run()
        .ended(4);
    assert_eq!(run.json()["rejection"], "issuer-mismatch");
}

fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

#[test]
fn d7_patterns_cover_whole_values() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    let keys = sandbox.write("keys.json", &issuer.jwks()).display().to_string();
    let token = issuer.mint(&claims());
    let rows: [(&[&str], i32); 9] = [
        (&["--claim", "repository=acme/*"], 0),
        (&["--subject", "repo:acme/app:ref:refs/heads/main"], 0),
        (&["--subject", "repo:acme/*:ref:refs/heads/main"], 0),
        (&["--subject", "repo:acme/**"], 0),
        (&["--subject", "repo:acme/app"], 4),
        (&["--subject", "re:repo:acme/.*"], 0),
        (&["--subject", "re:acme"], 4),
        (&["--claim", "repository=acme/*", "--claim", "level=3"], 4),
        (&["--claim", "nothing=*"], 4),
    ];
    for (arguments, code) in rows {
        let arguments: Vec<&str> = ["--jwks", &keys]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let run = verify(&sandbox, &issuer, &token, &arguments);
        assert_eq!(run.code, Some(code), "{arguments:?} {run:?}");
    }
}

#[test]
fn keys_that_are_of_no_use_or_cannot_be_fetched_have_their_codes() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    let token = issuer.mint(&claims());
    for (name, text) in [
        ("empty", ""),
        ("html", "<html>"),
        ("none", "{\"keys\":[]}"),
        ("odd", "[1]"),
    ] {
        let path = sandbox.write(name, text).display().to_string();
        let run = verify(&sandbox, &issuer, &token, &["--jwks", &path]).ended(8);
        assert_eq!(run.json()["rejection"], "keys-unusable", "{name}");
    }
    let pace = ["--backoff", "10ms", "--attempt-timeout", "300ms"];
    let rows = [
        ("s404", "*", 4),
        ("s503", "*", 6),
        ("s429", "*", 7),
        ("issother", "discovery", 8),
        ("html200", "discovery", 8),
        ("jwksfile", "discovery", 8),
    ];
    for (fault, route, code) in rows {
        issuer.heal();
        issuer.fault(route, fault);
        let run = verify(&sandbox, &issuer, &token, &pace).ended(code);
        let code = if fault == "html200" {
            "keys-unusable"
        } else {
            "keys-unavailable"
        };
        assert_eq!(run.json()["rejection"], code, "{fault}");
    }
    issuer.heal();
    issuer.fault("discovery", "stall");
    let run = verify(&sandbox, &issuer, &token, &["--timeout", "500ms"]).ended(5);
    assert_eq!(run.json()["rejection"], "keys-unavailable");
    // A token that no key could save costs no request.
    issuer.heal();
    issuer.forget();
    let _ = verify(&sandbox, &issuer, "a.b", &[]).ended(4);
    assert!(issuer.requests().is_empty());
}

#[test]
fn one_odd_key_spoils_no_set_and_rotation_is_seen() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    issuer.fault("jwks", "jwksodd");
    let token = issuer.mint(&claims());
    let _ = verify(&sandbox, &issuer, &token, &["--audience", "api"]).ended(0);
    issuer.heal();
    let _ = issuer.ask("POST", "/rotate", "");
    let new = issuer.mint(&claims());
    let _ = verify(&sandbox, &issuer, &new, &["--audience", "api"]).ended(0);
    let _ = verify(&sandbox, &issuer, &token, &["--audience", "api"]).ended(0);
}

#[test]
fn bad_expectations_are_usage_errors() {
    let sandbox = sandbox();
    let rows: [&[&str]; 8] = [
        &["--issuer", "http://example.com"],
        &["--issuer", "nonsense"],
        &["--issuer", "https://x.example", "--algorithm", "none"],
        &["--issuer", "https://x.example", "--algorithm", "HS256"],
        &["--issuer", "https://x.example", "--leeway", "5"],
        &["--issuer", "https://x.example", "--now", "today"],
        &["--issuer", "https://x.example", "--claim", "novalue"],
        &["--issuer", "https://x.example", "--subject", "re:("],
    ];
    for arguments in rows {
        let arguments: Vec<&str> = ["verify", "-"]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let run = sandbox.command(&arguments).input("x").run().ended(2);
        assert_eq!(run.stdout, "");
    }
    let _ = sandbox.run(["verify", "-"]).ended(2);
}

#[test]
fn verify_jws_prints_the_payload_or_one_rejection() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    let keys = sandbox.write("keys.json", &issuer.jwks()).display().to_string();
    let token = issuer.mint(&claims());
    let run = sandbox
        .command(["verify-jws", "--jwks", &keys, "-"])
        .input(&token)
        .run()
        .ended(0);
    assert_eq!(run.json()["repository"], "acme/app");
    let spoiled = format!("{}A", &token[..token.len() - 4]);
    let run = sandbox
        .command(["verify-jws", "--jwks", &keys])
        .input(&spoiled)
        .run()
        .ended(4);
    assert_eq!(run.stdout, "");
    let run = sandbox
        .command(["verify-jws", "--json", "--jwks", &keys])
        .input("x")
        .run()
        .ended(4);
    assert_eq!(run.json()["rejection"], "malformed");
}

#[test]
fn inspect_decodes_without_network_and_says_unverified() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "5m"]);
    let token = issuer.mint(&claims());
    issuer.forget();
    let run = sandbox.command(["inspect"]).input(&token).run().ended(0);
    assert!(run.stderr.contains("unverified"), "{run:?}");
    let shown = run.json();
    assert_eq!(shown["header"]["alg"], "ES256");
    assert_eq!(shown["claims"]["sub"], claims()["sub"]);
    assert!((290..=300).contains(&shown["expires_in"].as_i64().unwrap()));
    assert_eq!(shown["warnings"], json!([]));
    let argument = sandbox.run(["inspect", &token]).ended(0);
    assert!(argument.stderr.contains("warning"), "{argument:?}");
    assert!(issuer.requests().is_empty());
    let old = issuer.mint(&json!({"sub": "s", "exp": 2000, "iat": 1000}));
    let old = sandbox
        .command(["inspect", "-"])
        .input(&old)
        .run()
        .ended(0)
        .json();
    assert!(old["expires_in"].as_i64().unwrap() < 0);
    assert!(old["warnings"].to_string().contains("expired"), "{old}");
    let _ = sandbox.command(["inspect"]).input("nonsense").run().ended(4);
}
