//! What token endpoints answer, row by row of the fault list (33 to 36, 57 to 72), and profiles beside each other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jeton_test::{IssuerProcess, Run, Sandbox};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// How often the state of another process is looked at.
const GLANCE: Duration = Duration::from_millis(10);

/// Two logins at one issuer, a rung on the first, and a machine's own client.
fn ready(more: &[&str]) -> (Sandbox, IssuerProcess) {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
    let usual = ["--approve-devices", "--device-interval", "1s"];
    let issuer = sandbox.issuer(usual.iter().chain(more));
    let url = issuer.url();
    let login = |name: &str| {
        format!(
            "[profiles.{name}]\ngrant = \"device\"\nissuer = \"{url}\"\nclient_id = \"mycli\"\n\
             scopes = [\"openid\", \"offline_access\", \"s\"]\n"
        )
    };
    sandbox.config(&format!(
        r#"{}{}
[profiles.api]
grant = "jwt-bearer"
from = "one"
issuer = "{url}"
client_id = "mycli"

[profiles.changed]
grant = "token-exchange"
from = "one"
issuer = "{url}"
client_id = "mycli"

[profiles.machine]
grant = "client-credentials"
issuer = "{url}"
client_id = "machine"
client_secret = "env:MACHINE_SECRET"
scopes = ["a", "b"]
"#,
        login("one"),
        login("two")
    ));
    (sandbox, issuer)
}

fn machine(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    let quick = ["--backoff", "20ms"];
    let arguments = ["token", "machine"].iter().chain(arguments).chain(&quick);
    sandbox
        .command(arguments)
        .env("MACHINE_SECRET", "s3cr3t+value")
        .run()
}

#[test]
fn faults_33_to_36_and_57_to_60_each_answer_of_a_token_endpoint_has_its_end() {
    // (row, fault, code, requests, what is said, whether the token is kept for the next command)
    let rows: [(u32, &str, i32, usize, &str, bool); 27] = [
        (33, "einvalidclient", 4, 1, "invalid_client", false),
        (33, "einvalidgrant", 4, 1, "invalid_grant", false),
        (33, "einvalidscope", 4, 1, "invalid_scope", false),
        (33, "eunauthorized", 4, 1, "unauthorized_client", false),
        (33, "eunsupported", 4, 1, "unsupported_grant_type", false),
        (33, "edenied", 4, 1, "access_denied", false),
        (33, "e200", 4, 1, "invalid_grant", false),
        (34, "etemp", 6, 5, "temporarily_unavailable", false),
        (34, "eserver", 6, 5, "server_error", false),
        (34, "etemp-x2", 0, 3, "", true),
        (36, "ecrlf", 4, 1, "", false),
        (36, "ebidi", 4, 1, "", false),
        (36, "eansi", 4, 1, "", false),
        (36, "elong", 4, 1, "", false),
        (36, "eleak", 4, 1, "", false),
        (57, "expstring", 0, 1, "", true),
        (57, "expfloat", 0, 1, "", true),
        (57, "expmissing", 0, 1, "", true),
        (57, "expnull", 0, 1, "", true),
        (57, "exphuge", 0, 1, "", true),
        (57, "expzero", 8, 1, "", false),
        (57, "expneg", 8, 1, "", false),
        (58, "ttlower", 0, 1, "", true),
        (58, "ttmissing", 0, 1, "", true),
        (58, "ttmac", 8, 1, "token_type", false),
        (60, "scopeless", 4, 1, "was not granted", false),
        (60, "", 0, 1, "", true),
    ];
    for (row, fault, code, requests, said, kept) in rows {
        let (sandbox, issuer) = ready(&[]);
        if !fault.is_empty() {
            issuer.fault("token", fault);
        }
        let run = machine(&sandbox, &[]);
        assert_eq!(run.code, Some(code), "{row} {fault}: {run:#?}");
        assert_eq!(issuer.count("token"), requests, "{row} {fault}");
        assert!(run.stderr.contains(said), "{row} {fault}: {run:#?}");
        let plain = |c: char| !c.is_control() || c == '\n';
        assert!(run.stderr.chars().all(plain), "{row} {fault}: {run:?}");
        assert!(
            !run.stderr.contains('\u{202e}') && !run.stderr.contains("\n::error"),
            "{fault}: {run:?}"
        );
        assert!(run.stderr.len() < 1500, "{row} {fault}: {run:#?}");
        assert!(!run.stderr.contains("s3cr3t"), "{row} {fault}: {run:#?}");
        assert_eq!(run.stdout.is_empty(), code != 0, "{row} {fault}");
        issuer.heal();
        issuer.forget();
        machine(&sandbox, &[]).ended(0);
        assert_eq!(issuer.count("token"), usize::from(!kept), "{row} {fault}: kept");
    }
}

#[test]
fn fault_59_an_exchange_says_what_it_issued() {
    for (fault, code) in [("issuedmissing", 8), ("issuedwrong", 8), ("ttna", 0), ("", 0)] {
        let (sandbox, issuer) = ready(&[]);
        sandbox.run(["login", "one"]).ended(0);
        if !fault.is_empty() {
            issuer.fault("token", fault);
        }
        let run = sandbox.run(["token", "changed"]);
        assert_eq!(run.code, Some(code), "{fault}: {run:#?}");
    }
}

#[test]
fn c3_an_exchange_names_who_acts_for_the_subject() {
    let (sandbox, issuer) = ready(&[]);
    let config = std::fs::read_to_string(sandbox.path("config/jeton/config.toml")).unwrap();
    let config = config.replace(
        "[profiles.changed]",
        "[profiles.changed]\nactor_token = \"env:ACTOR\"\nactor_token_type = \"access_token\"",
    );
    sandbox.config(&config);
    sandbox.run(["login", "one"]).ended(0);
    let actor = |name: &str| issuer.mint(&json!({"sub": name, "aud": issuer.url()}));
    let run = |actor: &str| sandbox.command(["token", "changed"]).env("ACTOR", actor).run();
    let first = run(&actor("robot")).ended(0);
    let claims: Value = {
        let payload = first.line().split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    };
    assert_eq!(claims["act"]["sub"], "robot", "{claims}");
    let asked = issuer.requests_of("token").pop().unwrap();
    let kind = "actor_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";
    assert!(asked["body"].as_str().unwrap().contains(kind), "{asked}");
    // Somebody else acts: another token.
    let second = run(&actor("another")).ended(0);
    assert_ne!(first.stdout, second.stdout);
    run("").ended(2);
}

#[test]
fn fault_62_a_repeated_request_carries_a_fresh_assertion() {
    let (sandbox, issuer) = ready(&[]);
    let key = "-----BEGIN PRIVATE KEY-----\n\
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+WI6FA6Lgse87We+\n\
        UMdUu8QpP3s+YBAv/sy8YxbQvkihRANCAAQHkB43elXzQZWkIKlhxY4vLAaVixZU\n\
        lMGai20E1B79XoaKuhWnyG0XksYK/dKefAgDnYwT8IPfCXXrJBXB7Cx1\n\
        -----END PRIVATE KEY-----\n";
    let key = sandbox.write("key.pem", key);
    sandbox.config(&format!(
        "[profiles.signer]\ngrant = \"client-credentials\"\nissuer = \"{}\"\nclient_id = \"signer\"\n\
         client_auth = \"private-key-jwt\"\nclient_key = \"file:{}\"\nclient_key_id = \"k1\"\n",
        issuer.url(),
        key.display()
    ));
    issuer.fault("token", "s503-x2");
    sandbox.run(["token", "signer", "--backoff", "20ms"]);
    let claims = |request: &Value| -> Value {
        let body = request["body"].as_str().unwrap();
        let field = body
            .split('&')
            .find_map(|pair| pair.strip_prefix("client_assertion="));
        let payload = field.unwrap().split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    };
    let sent: Vec<Value> = issuer.requests_of("token").iter().map(claims).collect();
    assert_eq!(sent.len(), 3);
    let mut ids: Vec<_> = sent
        .iter()
        .map(|claims| claims["jti"].as_str().unwrap())
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 3, "{sent:?}");
    for claims in &sent {
        assert_eq!(
            (&claims["iss"], &claims["sub"]),
            (&json!("signer"), &json!("signer"))
        );
        assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() <= 60);
    }
}

#[test]
fn faults_63_to_66_a_discovery_document_is_held_to_its_issuer_and_read_where_it_is_needed() {
    // (row, fault, code of a client's token, requests for the document, code of a login)
    let rows = [
        (63, "issother", 8, 1, 8),
        (63, "issslash", 8, 1, 8),
        (63, "isscase", 8, 1, 8),
        (63, "issmissing", 8, 1, 8),
        (63, "issnull", 8, 1, 8),
        (64, "notokenep", 8, 1, 8),
        // Where it is not needed, nobody misses it.
        (64, "nojwksuri", 0, 1, 8),
        (64, "nodeviceep", 0, 1, 8),
        (65, "jwksfile", 0, 1, 8),
        (65, "jwksmeta", 0, 1, 8),
        (65, "jwksrel", 0, 1, 8),
        (66, "s503-x1", 0, 2, 0),
    ];
    for (row, fault, code, requests, login) in rows {
        let (sandbox, issuer) = ready(&[]);
        issuer.fault("discovery", fault);
        let run = machine(&sandbox, &[]);
        assert_eq!(run.code, Some(code), "{row} {fault}: {run:#?}");
        assert_eq!(issuer.count("discovery"), requests, "{row} {fault}");
        let (sandbox, issuer) = ready(&[]);
        issuer.fault("discovery", fault);
        let run = sandbox.run(["login", "one", "--timeout", "15s"]);
        assert_eq!(run.code, Some(login), "{row} {fault}: {run:#?}");
    }
}

#[test]
fn c8_fault_72_a_document_is_shared_by_commands_within_bounds() {
    // (what the issuer says, requests of two commands)
    let rows = [
        ("public", 1),
        ("max-age=0", 1),
        ("max-age=99999999", 1),
        ("no-store", 2),
        ("no-cache", 2),
    ];
    for (said, requests) in rows {
        let (sandbox, issuer) = ready(&[]);
        issuer.rules(&format!(
            "[[rule]]\nfault = \"cache\"\nroute = \"discovery\"\nvalue = \"{said}\"\n"
        ));
        machine(&sandbox, &[]).ended(0);
        machine(&sandbox, &["--scope", "c"]).ended(0);
        assert_eq!(
            (issuer.count("discovery"), issuer.count("token")),
            (requests, 2),
            "{said}"
        );
    }
}

#[test]
fn faults_67_to_71_an_id_token_is_verified_with_the_issuers_keys_or_not_at_all() {
    // (row, route, fault, code)
    let rows = [
        (68, "token", "unkkid", 8),
        (69, "jwks", "s503", 6),
        (70, "jwks", "jwksempty", 8),
        (70, "jwks", "html200", 8),
        (70, "jwks", "truncjson", 8),
        (71, "token", "nokid", 0),
        (71, "jwks", "jwksodd", 0),
        (71, "jwks", "jwksnoalg", 0),
    ];
    for (row, route, fault, code) in rows {
        let (sandbox, issuer) = ready(&[]);
        issuer.fault(route, fault);
        let run = sandbox
            .command(["login", "one", "--timeout", "20s"])
            .env("JETON_BACKOFF", "20ms")
            .run();
        assert_eq!(run.code, Some(code), "{row} {fault}: {run:#?}");
        let fetches = issuer.count("jwks");
        assert!(
            fetches <= if fault == "s503" { 5 } else { 2 },
            "{row} {fault}: {fetches}"
        );
    }
}

#[test]
fn c16_profiles_of_one_issuer_and_client_are_two_people() {
    let (sandbox, issuer) = ready(&[]);
    sandbox.run(["login", "one"]).ended(0);
    sandbox.run(["token", "two"]).ended(4);
    sandbox.run(["login", "two"]).ended(0);
    let token = |profile: &str| sandbox.run(["token", profile]).ended(0).line().to_owned();
    let (one, two, api) = (token("one"), token("two"), token("api"));
    assert_ne!(one, two);
    issuer.forget();
    assert_eq!(
        (token("one"), token("two"), token("api")),
        (one.clone(), two.clone(), api.clone())
    );
    sandbox.run(["logout", "one"]).ended(0);
    assert_eq!(issuer.count("revoke"), 1);
    let holds = |token: &str| Sandbox::holds(&sandbox.path("."), token);
    assert!(!holds(&one) && !holds(&api) && holds(&two));
    sandbox.run(["token", "one"]).ended(4);
    sandbox.run(["token", "api"]).ended(4);
    assert_eq!(token("two"), two);
    sandbox.run(["token", "two", "--refresh"]).ended(0);
}

#[test]
fn c17_a_token_is_one_exchange_and_all_that_is_on_standard_output() {
    let (sandbox, issuer) = ready(&[]);
    sandbox.run(["login", "one"]).ended(0);
    issuer.forget();
    let run = sandbox.run(["token", "api"]).ended(0);
    let parts = run.stdout.strip_suffix('\n').unwrap().split('.').count();
    assert_eq!((parts, run.stdout.matches('\n').count()), (3, 1), "{run:?}");
    assert_eq!(run.stderr, "");
    assert_eq!(issuer.count("token"), 1);
    // Explained, or warned about: on standard error.
    for arguments in [
        vec!["-v"],
        vec!["--min-validity", "9h"],
        vec!["-v", "--log-format", "json", "--refresh"],
    ] {
        let run = sandbox.run(["token", "api"].iter().chain(&arguments)).ended(0);
        assert_eq!(run.stdout.matches('\n').count(), 1, "{arguments:?}: {run:?}");
        assert!(
            !run.stderr.is_empty() && !run.stderr.contains(run.line()),
            "{run:?}"
        );
    }
}

#[test]
fn c5_a_profiles_longest_reuse_stands_below_flag_and_variable_and_zero_leaves_no_file() {
    let (sandbox, issuer) = ready(&[]);
    let config = std::fs::read_to_string(sandbox.path("config/jeton/config.toml")).unwrap();
    let with = |ttl: &str| {
        sandbox.config(&config.replace(
            "[\"a\", \"b\"]",
            &format!("[\"a\", \"b\"]\ncache_ttl = \"{ttl}\""),
        ));
    };
    let listed = || sandbox.run(["cache", "list", "--json"]).ended(0).json();
    with("0");
    for _ in 0..2 {
        machine(&sandbox, &[]).ended(0);
    }
    assert_eq!((issuer.count("token"), listed()), (2, json!([])), "0 is off");
    assert!(!Sandbox::holds(&sandbox.path("cache"), "eyJ"));
    machine(&sandbox, &["--cache-ttl", "1h"]).ended(0);
    machine(&sandbox, &["--cache-ttl", "1h"]).ended(0);
    assert_eq!(issuer.count("token"), 3, "the flag is above the profile");
    with("1s");
    std::thread::sleep(Duration::from_millis(1100));
    machine(&sandbox, &[]).ended(0);
    machine(&sandbox, &[]).ended(0);
    assert_eq!(issuer.count("token"), 4);
    with("soon");
    let run = machine(&sandbox, &[]).ended(2);
    assert!(
        run.stderr.contains("cache_ttl") && run.stderr.contains("soon"),
        "{run:?}"
    );
}

#[test]
fn defect_13_a_login_that_waits_blocks_nobody_and_a_corrupt_file_is_none() {
    let (sandbox, issuer) = ready(&[]);
    sandbox.run(["login", "one"]).ended(0);
    // Another login of the same profile waits for a person: the first one is good meanwhile.
    issuer.fault("token", "epending-x1");
    issuer.forget();
    let waiting = sandbox.command(["login", "one"]).start();
    while issuer.count("token") < 1 {
        std::thread::sleep(GLANCE);
    }
    let run = sandbox.run(["token", "one", "--refresh", "--timeout", "900ms"]);
    assert_eq!(run.code, Some(0), "{run:#?}");
    assert_eq!(waiting.wait().code, Some(0));
    // A cache entry or a session that is no more what was written.
    for file in sandbox.cached_files() {
        std::fs::write(&file, "{").unwrap();
    }
    let run = sandbox.run(["token", "one"]).ended(0);
    assert!(run.stderr.contains("warning"), "{run:?}");
    let folder = sandbox.path("home/.local/state/jeton");
    for file in std::fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .map(|file| file.path())
    {
        std::fs::write(&file, "{").unwrap();
    }
    let run = sandbox.run(["token", "one", "--refresh"]).ended(4);
    assert!(run.stderr.contains("jeton login one"), "{run:?}");
    assert_eq!(run.stderr.matches("is not readable").count(), 1, "{run:?}");
    sandbox.run(["login", "one"]).ended(0);
    sandbox.run(["token", "one", "--refresh"]).ended(0);
}

#[test]
fn defect_14_what_a_login_leaves_is_its_owners_alone_whatever_the_umask() {
    for umask in ["000", "077"] {
        let (sandbox, _issuer) = ready(&[]);
        let line = format!("umask {umask}; exec {} login one", env!("CARGO_BIN_EXE_jeton"));
        let end = std::process::Command::new("/bin/sh")
            .args(["-c", &line])
            .env_clear()
            .env("HOME", sandbox.path("home"))
            .env("XDG_CONFIG_HOME", sandbox.path("config"))
            .env("XDG_CACHE_HOME", sandbox.path("cache"))
            .output()
            .unwrap();
        assert!(end.status.success(), "{end:?}");
        for folder in [sandbox.cache(), sandbox.path("home/.local/state/jeton")] {
            let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&folder), 0o700, "{umask} {folder:?}");
            for file in std::fs::read_dir(&folder)
                .unwrap()
                .flatten()
                .map(|file| file.path())
            {
                assert_eq!(mode(&file), 0o600, "{umask} {file:?}");
            }
        }
    }
}
