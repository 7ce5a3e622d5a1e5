//! Logins, ladders and sessions from outside, against the development issuer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]
use jeton_test::{IssuerProcess, Run, Sandbox};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Stdio};
use std::time::{Duration, Instant};

/// How often the state of another process is looked at.
const GLANCE: Duration = Duration::from_millis(10);
/// Delays short enough for a test.
const QUICK: [&str; 4] = ["--backoff", "20ms", "--attempt-timeout", "500ms"];
/// The holders that are killed in an ordinary run, and, with `JETON_TEST_ROUNDS`, in a longer one.
const ROUNDS: u32 = 12;
/// How many processes refresh one session at the same time.
const HERD: u32 = 20;

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_jeton"))
}

/// A login, two rungs on it, and a client on its own.
fn configure(sandbox: &Sandbox, issuer: &str, grant: &str) {
    sandbox.config(&format!(
        r#"
[profiles.cloud]
grant = "{grant}"
issuer = "{issuer}"
client_id = "mycli"
scopes = ["openid", "offline_access", "accesses", "stack:Read", "stack:Write"]

[profiles.stack]
grant = "refresh"
from = "cloud"
resource = "stack://acme/prod"
scopes = ["stack:Read", "stack:Write"]

[profiles.api]
grant = "jwt-bearer"
from = "stack"
issuer = "{issuer}"
scopes = ["openid", "email"]

[profiles.machine]
grant = "client-credentials"
issuer = "{issuer}"
client_id = "machine"
client_secret = "env:MACHINE_SECRET"
scopes = ["m"]

[profiles.changed]
grant = "token-exchange"
from = "stack"
issuer = "{issuer}"
client_id = "mycli"
audience = "other"
"#
    ));
}

/// A sandbox and an issuer whose devices approve themselves.
fn ready(grant: &str, more: &[&str]) -> (Sandbox, IssuerProcess) {
    let sandbox = sandbox();
    let arguments = ["--approve-devices", "--device-interval", "1s"]
        .iter()
        .chain(more);
    let issuer = sandbox.issuer(arguments);
    configure(&sandbox, issuer.url(), grant);
    (sandbox, issuer)
}

fn ask(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    let run = sandbox.command(arguments.iter().chain(&QUICK)).run();
    assert!(!run.stderr.contains("panicked"), "{run:?}");
    run
}

/// Logged in, with the requests of the login forgotten.
fn logged_in(more: &[&str]) -> (Sandbox, IssuerProcess) {
    let (sandbox, issuer) = ready("device", more);
    sandbox.run(["login", "cloud"]).ended(0);
    issuer.forget();
    (sandbox, issuer)
}

fn field(request: &Value, name: &str) -> Option<String> {
    let body = request["body"].as_str()?;
    let pair = |pair: &str| {
        pair.split_once('=')
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
    };
    let found = body.split('&').filter_map(pair).find(|(key, _)| key == name)?;
    Some(found.1.replace("%3A", ":").replace("%2F", "/"))
}

fn grants(issuer: &IssuerProcess) -> Vec<String> {
    issuer
        .requests_of("token")
        .iter()
        .map(|request| field(request, "grant_type").unwrap())
        .map(|grant| grant.rsplit(':').next().unwrap().to_owned())
        .collect()
}

/// A process whose standard error is read while it runs.
struct Live {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Live {
    fn start(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_jeton"))
            .env_clear()
            .env("HOME", sandbox.path("home"))
            .env("XDG_CONFIG_HOME", sandbox.path("config"))
            .env("XDG_CACHE_HOME", sandbox.path("cache"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self {
            child,
            stderr,
            said: String::new(),
        }
    }

    /// The first line that says `wanted`, trimmed.
    fn line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let mut line = String::new();
            assert!(self.stderr.read_line(&mut line).unwrap() > 0, "{}", self.said);
            self.said.push_str(&line);
            if wanted(line.trim()) {
                return line.trim().to_owned();
            }
        }
    }

    fn end(mut self) -> (Option<i32>, String) {
        self.stderr.read_to_string(&mut self.said).unwrap();
        (self.child.wait().unwrap().code(), self.said)
    }
}

/// Gets a page of a server on loopback: the head and the body.
fn get(url: &str) -> (String, String) {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn location(head: &str) -> String {
    let line = head
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with("location:"));
    line.unwrap().split_once(':').unwrap().1.trim().to_owned()
}

#[test]
fn c1_b12_a_device_is_confirmed_and_the_next_command_needs_no_network() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--device-interval", "1s"]);
    configure(&sandbox, issuer.url(), "device");
    let mut login = Live::start(&sandbox, &["login", "cloud"]);
    let code = login.line(|line| line.len() == 9 && line.as_bytes()[4] == b'-');
    while issuer.count("token") < 1 {
        std::thread::sleep(GLANCE);
    }
    issuer.fault("token", "eslowdown-x1");
    while issuer.count("token") < 2 {
        std::thread::sleep(GLANCE);
    }
    issuer.ask(
        "POST",
        "/device/approve",
        &format!("user_code={code}&subject=ada"),
    );
    let (end, said) = login.end();
    assert_eq!(end, Some(0), "{said}");
    assert!(said.contains("logged in to cloud as ada"), "{said}");
    let begun = &issuer.requests_of("device-authorization")[0];
    assert_eq!(field(begun, "code_challenge_method").as_deref(), Some("S256"));
    assert_eq!(field(begun, "client_id").as_deref(), Some("mycli"));
    let polls = issuer.requests_of("token");
    let times: Vec<u64> = polls
        .iter()
        .map(|poll| poll["since_start_ms"].as_u64().unwrap())
        .collect();
    assert_eq!(polls.len(), 3);
    assert!(times[1] - times[0] >= 1000, "{times:?}");
    assert!(
        times[2] - times[1] >= 6000,
        "slow_down adds five seconds: {times:?}"
    );
    assert!(field(&polls[2], "code_verifier").is_some());
    issuer.forget();
    let token = sandbox.run(["token", "cloud", "-o", "json"]).ended(0).json();
    assert_eq!(
        (token["subject"].as_str(), token["cached"].as_bool()),
        (Some("ada"), Some(true))
    );
    assert!(issuer.requests().is_empty(), "{:?}", issuer.requests());
    let status = sandbox.run(["status", "--json"]).ended(0).json();
    let cloud = &status
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["profile"] == "cloud")
        .unwrap();
    assert_eq!(cloud["subject"], "ada");
    assert_eq!(
        (cloud["logged_in"].as_bool(), cloud["store"].as_str()),
        (Some(true), Some("file"))
    );
}

#[test]
fn c1_b12_each_way_a_device_login_ends_badly() {
    // (route, fault, code)
    let rows = [
        ("token", "edenied", 4),
        ("token", "eexpired", 5),
        ("token", "epending", 5),
        ("device-authorization", "einvalidclient", 4),
        ("device-authorization", "s503", 6),
        ("discovery", "nodeviceep", 8),
        ("discovery", "issother", 8),
        ("token", "badsig", 8),
        ("token", "wrongaud", 8),
        ("token", "wrongiss", 8),
        ("token", "expired", 8),
        ("token", "noidtoken", 8),
    ];
    for (route, fault, code) in rows {
        let (sandbox, issuer) = ready("device", &["--device-life", "3s"]);
        issuer.fault(route, fault);
        let run = sandbox.command(["login", "cloud", "--timeout", "10s"]).run();
        assert_eq!(run.code, Some(code), "{route} {fault}: {run:#?}");
        sandbox.run(["token", "cloud"]).ended(4);
        let kept = sandbox.run(["cache", "list", "--json"]).ended(0).json();
        assert_eq!(kept, serde_json::json!([]), "{route} {fault}");
        assert!(!Sandbox::holds(&sandbox.path("."), "eyJ"), "{route} {fault}");
    }
}

#[test]
fn b12_an_interrupt_leaves_nothing_polling() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--device-interval", "1s"]);
    configure(&sandbox, issuer.url(), "device");
    let login = sandbox.command(["login", "cloud"]).start();
    while issuer.count("token") < 1 {
        std::thread::sleep(GLANCE);
    }
    login.signal("INT");
    assert_eq!(login.wait().code, Some(130));
    let polls = issuer.count("token");
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(issuer.count("token"), polls);
}

#[test]
fn b13_d24_a_browser_login_is_followed_as_a_browser_does() {
    // (route, fault, what the browser gets, code)
    let rows = [
        ("", "", "200", 0),
        ("authorize", "wrongstate", "400", 5),
        ("authorize", "nostate", "400", 5),
        ("authorize", "wrongredirectiss", "400", 8),
        ("authorize", "noredirectiss", "400", 8),
        ("authorize", "nocode", "400", 8),
        ("token", "wrongnonce", "400", 8),
        ("token", "badsig", "400", 8),
        ("token", "wrongaud", "400", 8),
        ("token", "wrongiss", "400", 8),
        ("token", "einvalidgrant", "400", 4),
    ];
    for (route, fault, page, code) in rows {
        let (sandbox, issuer) = ready("browser", &[]);
        if !fault.is_empty() {
            issuer.fault(route, fault);
        }
        let mut login = Live::start(&sandbox, &["login", "cloud", "--timeout", "3s"]);
        let url = login.line(|line| line.starts_with("http://"));
        for part in [
            "code_challenge_method=S256",
            "state=",
            "nonce=",
            "redirect_uri=http%3A%2F%2F127.0.0.1%3A",
        ] {
            assert!(url.contains(part), "{url}");
        }
        let (head, _) = get(&url);
        let (head, body) = get(&location(&head));
        assert!(head.starts_with(&format!("HTTP/1.1 {page}")), "{fault}: {head}");
        assert!(!body.contains("<script"), "{body}");
        let (end, said) = login.end();
        assert_eq!(end, Some(code), "{fault}: {said}");
        if code == 0 {
            assert!(body.contains("You are logged in"), "{body}");
            issuer.forget();
            sandbox.run(["token", "cloud"]).ended(0);
            assert!(issuer.requests().is_empty());
        }
    }
}

#[test]
fn d24_b13_a_page_shows_an_error_escaped_and_nobody_coming_is_a_timeout() {
    let (sandbox, _issuer) = ready("browser", &[]);
    let mut login = Live::start(&sandbox, &["login", "cloud", "--timeout", "5s"]);
    let url = login.line(|line| line.starts_with("http://"));
    let value = |name: &str| {
        let rest = url.split_once(&format!("{name}=")).unwrap().1;
        rest.split('&').next().unwrap().to_owned()
    };
    let back = value("redirect_uri").replace("%3A", ":").replace("%2F", "/");
    let (_, body) = get(&format!(
        "{back}?state={}&error=access_denied&error_description=%3Cimg%20src=x%20onerror=alert(1)%3E%1b[31m",
        value("state")
    ));
    assert!(!body.contains("<img") && !body.contains('\u{1b}'), "{body}");
    let (end, said) = login.end();
    assert_eq!(end, Some(4), "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
    let login = Live::start(&sandbox, &["login", "cloud", "--timeout", "700ms"]);
    assert_eq!(login.end().0, Some(5));
}

#[test]
fn a_login_in_ci_wants_to_be_asked_for_by_name_and_no_other_command_starts_one() {
    let (sandbox, issuer) = ready("device", &[]);
    sandbox
        .command(["login", "cloud"])
        .env("CI", "true")
        .run()
        .ended(2);
    let run = sandbox.run(["token", "cloud"]).ended(4);
    assert!(run.stderr.contains("jeton login cloud"), "{run:?}");
    let run = sandbox.run(["token", "api"]).ended(4);
    assert!(run.stderr.contains("jeton login cloud"), "{run:?}");
    assert!(issuer.requests().is_empty(), "{:?}", issuer.requests());
    sandbox
        .command(["login", "cloud", "--device"])
        .env("CI", "true")
        .run()
        .ended(0);
    sandbox.run(["login", "machine"]).ended(2);
    sandbox.run(["login", "nobody"]).ended(3);
}

#[test]
fn c2_c3_c7_a_ladder_is_climbed_once_and_its_top_is_enough() {
    let (sandbox, issuer) = logged_in(&[]);
    let first = sandbox.run(["token", "api"]).ended(0);
    assert_eq!(grants(&issuer), ["refresh_token", "jwt-bearer"]);
    let asked = issuer.requests_of("token");
    assert_eq!(field(&asked[0], "resource").as_deref(), Some("stack://acme/prod"));
    assert_eq!(
        field(&asked[0], "scope").as_deref(),
        Some("stack:Read+stack:Write")
    );
    assert_eq!(field(&asked[1], "scope").as_deref(), Some("openid+email"));
    assert!(field(&asked[1], "assertion").is_some());
    assert_eq!(issuer.count("discovery"), 0, "the login's document is used");
    let second = sandbox.run(["token", "api"]).ended(0);
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(grants(&issuer).len(), 2, "C7: nothing below the top is touched");
    // The middle rung is gone, the top is good.
    sandbox.run(["cache", "clear", "stack"]).ended(0);
    sandbox.run(["token", "api"]).ended(0);
    assert_eq!(grants(&issuer).len(), 2);
    // The top rung is gone, the middle is good or not.
    sandbox.run(["cache", "clear", "api"]).ended(0);
    sandbox.run(["token", "api"]).ended(0);
    assert_eq!(grants(&issuer)[2..], ["refresh_token", "jwt-bearer"]);
    sandbox.run(["cache", "clear", "api"]).ended(0);
    sandbox.run(["token", "api"]).ended(0);
    assert_eq!(grants(&issuer)[4..], ["jwt-bearer"]);
}

#[test]
fn c2_c12_a_rung_that_was_revoked_is_climbed_again_and_only_that() {
    let (sandbox, issuer) = logged_in(&[]);
    let stack = sandbox.run(["token", "stack"]).ended(0).line().to_owned();
    issuer.ask("POST", "/revoke", &format!("token={stack}"));
    issuer.forget();
    sandbox.run(["token", "api"]).ended(0);
    assert_eq!(grants(&issuer), ["jwt-bearer", "refresh_token", "jwt-bearer"]);
    let fresh = sandbox.run(["token", "stack"]).ended(0);
    assert_ne!(fresh.line(), stack);
    issuer.forget();
    // RFC 8693, from the same rung.
    let run = sandbox.run(["token", "changed", "-o", "json"]).ended(0);
    assert_eq!(run.json()["audience"][0], "other");
    assert_eq!(grants(&issuer), ["token-exchange"]);
}

#[test]
fn c3_each_refusal_of_an_exchange_says_what_it_is() {
    // (fault, code, what is said)
    let rows = [
        ("s401", 4, "unauthorized access"),
        ("s403", 4, "forbidden access"),
        ("s418", 4, "418"),
        ("einvalidscope", 4, "invalid_scope"),
        ("ttmac", 8, "token_type"),
        ("eansi", 4, ""),
        ("elong", 4, ""),
        ("eleak", 4, ""),
    ];
    for (fault, code, said) in rows {
        let (sandbox, issuer) = logged_in(&[]);
        sandbox.run(["token", "stack"]).ended(0);
        issuer.fault("token", fault);
        let command = sandbox
            .command(["token", "machine"])
            .env("MACHINE_SECRET", "s3cr3t+value");
        let run = command.run().ended(code);
        assert!(run.stderr.contains(said), "{fault}: {run:#?}");
        assert!(
            run.stderr.len() < 1500 && !run.stderr.contains('\u{1b}'),
            "{fault}: {run:#?}"
        );
        assert!(
            !run.stderr.contains("s3cr3t") && run.stdout.is_empty(),
            "{fault}: {run:#?}"
        );
    }
    for (fault, code) in [("issuedmissing", 8), ("issuedwrong", 8)] {
        let (sandbox, issuer) = logged_in(&[]);
        sandbox.run(["token", "stack"]).ended(0);
        issuer.fault("token", fault);
        ask(&sandbox, &["token", "changed"]).ended(code);
    }
}

#[test]
fn c19_client_credentials_are_kept_and_expiry_is_read_in_every_spelling() {
    // (fault, whether the next command is answered from the cache, code)
    let rows = [
        ("", true, 0),
        ("expstring", true, 0),
        ("expfloat", true, 0),
        ("expmissing", true, 0),
        ("exphuge", true, 0),
        ("ttlower", true, 0),
        ("ttmissing", true, 0),
    ];
    for (fault, kept, code) in rows {
        let (sandbox, issuer) = ready("device", &[]);
        if !fault.is_empty() {
            issuer.fault("token", fault);
        }
        let run = || {
            sandbox
                .command(["token", "machine"])
                .env("MACHINE_SECRET", "a b:+")
                .run()
        };
        let (first, second) = (run().ended(code), run().ended(code));
        assert_eq!(first.stdout == second.stdout, kept, "{fault}");
        assert_eq!(issuer.count("token"), if kept { 1 } else { 2 }, "{fault}");
        let sent = issuer.requests_of("token")[0]["headers"].to_string();
        // "machine:a+b%3A%2B" in base64
        assert!(sent.contains("Basic bWFjaGluZTphK2IlM0ElMkI="), "{sent}");
    }
}

#[test]
fn c5_the_longest_reuse_is_a_flag_a_variable_and_a_key() {
    let (sandbox, issuer) = logged_in(&[]);
    let run = |arguments: &[&str], variable: Option<&str>| {
        let command = sandbox.command(["token", "api"].iter().chain(arguments));
        match variable {
            Some(ttl) => command.env("JETON_CACHE_TTL", ttl).run(),
            None => command.run(),
        }
    };
    let exchanges = || {
        grants(&issuer)
            .iter()
            .filter(|grant| *grant == "jwt-bearer")
            .count()
    };
    run(&["--cache-ttl", "1s"], None).ended(0);
    run(&["--cache-ttl", "1s"], Some("0")).ended(0);
    assert_eq!(exchanges(), 1, "the flag beats the variable");
    std::thread::sleep(Duration::from_millis(1100));
    run(&[], Some("1s")).ended(0);
    assert_eq!(exchanges(), 2);
    run(&[], Some("0")).ended(0);
    run(&["--cache-ttl", "0"], None).ended(0);
    assert_eq!(exchanges(), 4);
    let bad = run(&[], Some("soon")).ended(2);
    assert!(bad.stderr.contains("JETON_CACHE_TTL"), "{bad:?}");
    sandbox.run(["cache", "clear"]).ended(0);
    run(&["--cache-ttl", "0"], None).ended(0);
    let kept = sandbox.run(["cache", "list", "--json"]);
    assert!(!kept.stdout.contains("api"), "{kept:?}");
}

#[test]
fn c8_c9_discovery_is_lazy_retried_and_held_to_its_name() {
    let (sandbox, issuer) = ready("device", &[]);
    let run = || {
        let arguments = ["token", "machine"].iter().chain(&QUICK);
        sandbox.command(arguments).env("MACHINE_SECRET", "x").run()
    };
    issuer.fault("discovery", "s500");
    let failed = run().ended(6);
    assert!(!failed.stderr.contains("RUST_BACKTRACE") && !failed.stderr.contains("stack backtrace"));
    issuer.heal();
    issuer.fault("discovery", "s500-x1");
    run().ended(0);
    for fault in ["issother", "issslash", "issmissing", "issnull"] {
        let (sandbox, issuer) = ready("device", &[]);
        issuer.fault("discovery", fault);
        let run = sandbox
            .command(["token", "machine"])
            .env("MACHINE_SECRET", "x")
            .run()
            .ended(8);
        assert_eq!(
            (issuer.count("discovery"), issuer.count("token")),
            (1, 0),
            "{fault}: {run:?}"
        );
    }
}

#[test]
fn c10_c13_a_refresh_keeps_what_it_must_and_says_who_must_log_in() {
    let (sandbox, issuer) = logged_in(&[]);
    // An answer without a refresh token keeps the old one.
    issuer.fault("token", "norefresh-x1");
    sandbox.run(["token", "stack", "--refresh"]).ended(0);
    issuer.heal();
    // The issuer rotated and did not say: its reuse detection ends the login. Only the refresh token is dead.
    let run = sandbox.run(["token", "stack", "--refresh"]).ended(4);
    assert!(
        run.stderr.contains("login again") && run.stderr.contains("jeton login cloud"),
        "{run:?}"
    );
    sandbox.run(["token", "cloud"]).ended(0);
    issuer.forget();
    sandbox.run(["token", "stack", "--refresh"]).ended(4);
    assert!(
        issuer.requests().is_empty(),
        "a dead refresh token is not sent again"
    );
    // Another login mends it, and a new grant needs none (C13).
    sandbox.run(["login", "cloud"]).ended(0);
    issuer.fault("token", "einvalidtarget-x1");
    sandbox
        .run(["token", "stack", "--resource", "stack://acme/new"])
        .ended(4);
    sandbox
        .run(["token", "stack", "--resource", "stack://acme/new"])
        .ended(0);
    // A server that does not rotate.
    let (sandbox, _issuer) = logged_in(&["--keep-refresh"]);
    for _ in 0..2 {
        sandbox.run(["token", "stack", "--refresh"]).ended(0);
    }
}

#[test]
fn c10_a_lost_answer_is_not_asked_for_again_in_a_loop() {
    // (fault, requests, code, code of the next command)
    for (fault, requests, code, next) in [("lostrst", 1, 6, 4), ("s503-x1", 2, 0, 0)] {
        let (sandbox, issuer) = logged_in(&[]);
        issuer.fault("token", fault);
        ask(&sandbox, &["token", "stack"]).ended(code);
        assert_eq!(issuer.count("token"), requests, "{fault}");
        issuer.heal();
        sandbox.run(["token", "stack", "--refresh"]).ended(next);
    }
}

#[test]
fn c11_defect_19_twenty_processes_share_one_refresh() {
    let (sandbox, issuer) = logged_in(&[]);
    let running: Vec<_> = (0..20)
        .map(|_| sandbox.command(["token", "stack"]).start())
        .collect();
    let ends: Vec<Run> = running.into_iter().map(jeton_test::Running::wait).collect();
    assert!(ends.iter().all(|run| run.code == Some(0)), "{ends:#?}");
    assert!(ends.iter().all(|run| run.stdout == ends[0].stdout));
    assert_eq!(grants(&issuer), ["refresh_token"]);
}

#[test]
fn c11_holders_are_killed_at_any_moment_and_no_session_is_lost() {
    let (sandbox, issuer) = logged_in(&[]);
    let said = std::env::var("JETON_TEST_ROUNDS").ok();
    let rounds: u32 = said.and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let mut answers = 0;
    for round in 0..rounds {
        sandbox.run(["cache", "clear", "stack"]).ended(0);
        issuer.forget();
        // Killed from before the request to after the answer was stored: alone, or with all of its group.
        let mut holder = group_of_its_own(&sandbox, &["token", "stack"]);
        let moment = Instant::now() + Duration::from_millis(u64::from(round * 7 % 90));
        let others: Vec<_> = (1..HERD)
            .map(|_| sandbox.command(["token", "stack"]).start())
            .collect();
        std::thread::sleep(moment.saturating_duration_since(Instant::now()));
        let group = if round % 2 == 0 { "" } else { "-" };
        let _ = std::process::Command::new("kill")
            .args(["-KILL", "--", &format!("{group}{}", holder.id())])
            .stderr(Stdio::null())
            .status();
        answers += u32::from(holder.wait().unwrap().code() == Some(0));
        let ends: Vec<Run> = others.into_iter().map(jeton_test::Running::wait).collect();
        for end in &ends {
            assert_eq!(end.code, Some(0), "round {round}: {end:#?}");
            assert_eq!(end.stdout, ends[0].stdout, "round {round}");
        }
        assert_eq!(grants(&issuer), ["refresh_token"], "round {round}");
    }
    assert!(answers < rounds, "no holder was killed in time");
}

#[test]
fn c11_b6_who_gives_up_before_the_refresh_token_is_sent_leaves_nobody_asking() {
    let (sandbox, issuer) = logged_in(&[]);
    issuer.fault("token", "s503");
    let holder = sandbox.command(["token", "stack", "--backoff", "600ms"]).start();
    while issuer.count("token") < 1 {
        std::thread::sleep(GLANCE);
    }
    // Refused, and waiting for the next attempt.
    std::thread::sleep(Duration::from_millis(150));
    holder.signal("INT");
    let end = holder.wait();
    assert_eq!(end.code, Some(130), "{end:?}");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(issuer.count("token"), 1);
    issuer.heal();
    // What happens to a courier is told by whoever sent him.
    issuer.fault("token", "s503-x1");
    let run = sandbox.command(["token", "stack", "-v"]).run().ended(0);
    assert!(run.stderr.contains("attempt 2 of 5"), "{run:?}");
    assert!(!run.stderr.contains("eyJ"), "{run:?}");
}

/// A process that leads a group of its own, as a shell's job does.
fn group_of_its_own(sandbox: &Sandbox, arguments: &[&str]) -> Child {
    std::process::Command::new(env!("CARGO_BIN_EXE_jeton"))
        .env_clear()
        .env("HOME", sandbox.path("home"))
        .env("XDG_CONFIG_HOME", sandbox.path("config"))
        .env("XDG_CACHE_HOME", sandbox.path("cache"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap()
}

#[test]
fn c12_c16_d24_logging_in_as_somebody_else_or_out_leaves_nothing() {
    let (sandbox, issuer) = logged_in(&[]);
    let api = sandbox.run(["token", "api"]).ended(0).line().to_owned();
    let stack = sandbox.run(["token", "stack"]).ended(0).line().to_owned();
    let cloud = sandbox.run(["token", "cloud"]).ended(0).line().to_owned();
    let holds = |token: &str| Sandbox::holds(&sandbox.path("."), token);
    assert!(holds(&api) && holds(&stack) && holds(&cloud));
    sandbox.run(["login", "cloud"]).ended(0);
    assert!(!holds(&api) && !holds(&stack) && !holds(&cloud));
    sandbox.run(["token", "api"]).ended(0);
    issuer.forget();
    let run = sandbox.run(["logout", "cloud"]).ended(0);
    assert!(run.stderr.contains("logged out of cloud"), "{run:?}");
    let revoked = issuer.requests_of("revoke");
    assert_eq!(revoked.len(), 1);
    let refresh = field(&revoked[0], "token").unwrap();
    assert!(!holds(&refresh) && !holds("eyJ"), "a token is left");
    sandbox.run(["token", "api"]).ended(4);
    let status = sandbox.run(["status", "--json"]).ended(0).json();
    for name in ["cloud", "stack", "api"] {
        let profile = status
            .as_array()
            .unwrap()
            .iter()
            .find(|s| s["profile"] == name)
            .unwrap();
        assert_eq!(profile["logged_in"], false, "{name}");
    }
    // Out of all, also when the issuer is gone: here nothing is left.
    sandbox.run(["login", "cloud"]).ended(0);
    issuer.fault("revoke", "s500");
    let run = sandbox
        .command(["logout", "--all"])
        .env("JETON_BACKOFF", "20ms")
        .run();
    assert_eq!(run.code, Some(6), "{run:?}");
    assert!(!holds("eyJ") && !holds("refresh_token\":\""));
}

#[test]
fn c12_another_issuer_endpoint_or_scope_is_a_miss() {
    let (sandbox, issuer) = ready("device", &[]);
    let run = |arguments: &[&str]| {
        let arguments = ["token", "machine"].iter().chain(arguments);
        sandbox
            .command(arguments)
            .env("MACHINE_SECRET", "x")
            .run()
            .ended(0)
    };
    run(&[]);
    run(&["--scope", "other"]);
    run(&["--resource", "https://r"]);
    run(&["-a", "else"]);
    assert_eq!(issuer.count("token"), 4);
    for _ in 0..2 {
        run(&[]);
    }
    assert_eq!(issuer.count("token"), 4);
    let other = sandbox.issuer(["--device-interval", "1s"]);
    configure(&sandbox, other.url(), "device");
    run(&[]);
    assert_eq!((issuer.count("token"), other.count("token")), (4, 1));
}

#[test]
fn a_terminal_and_a_profile_that_says_so_start_the_login() {
    let (sandbox, issuer) = ready("device", &[]);
    let config = std::fs::read_to_string(sandbox.path("config/jeton/config.toml")).unwrap();
    sandbox.config(&config.replace("grant = \"device\"", "grant = \"device\"\ninteractive = true"));
    let on_a_terminal = |ci: Option<&str>| {
        let line = format!("{} token api", env!("CARGO_BIN_EXE_jeton"));
        let mut command = std::process::Command::new("/usr/bin/script");
        command
            .args(["-qec", &line, "/dev/null"])
            .env_clear()
            .env("PATH", "/nowhere")
            .env("HOME", sandbox.path("home"))
            .env("XDG_CONFIG_HOME", sandbox.path("config"))
            .env("XDG_CACHE_HOME", sandbox.path("cache"))
            .envs(ci.map(|ci| ("CI", ci)))
            .stdin(Stdio::null());
        let output = command.output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (code, said) = on_a_terminal(Some("true"));
    assert_eq!(code, Some(4), "{said}");
    assert_eq!(issuer.count("device-authorization"), 0);
    let (code, said) = on_a_terminal(None);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("To log in, visit"), "{said}");
    sandbox.run(["token", "api"]).ended(0);
    assert_eq!(issuer.count("device-authorization"), 1);
}

#[test]
fn c16_a_login_that_cannot_be_kept_is_not_asked_for() {
    let (sandbox, issuer) = ready("device", &[]);
    let in_the_way = sandbox.path("in-the-way");
    std::fs::write(&in_the_way, "").unwrap();
    let login = sandbox
        .command(["login", "cloud"])
        .env("JETON_STATE_DIR", in_the_way.to_str().unwrap());
    let run = login.run().ended(1);
    assert!(
        run.stderr.contains("cannot be stored") && run.stderr.contains("JETON_STATE_DIR"),
        "{run:?}"
    );
    // A keyring, where there is no session bus.
    configure(&sandbox, issuer.url(), "device\"\nstore = \"keyring");
    let run = sandbox.run(["login", "cloud"]).ended(2);
    assert!(run.stderr.contains("keyring"), "{run:?}");
    assert!(issuer.requests().is_empty(), "{:?}", issuer.requests());
}
