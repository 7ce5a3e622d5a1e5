//! The fault table of the contract as data: what is played, how often it is asked, with what code it ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]
use jeton_test::{IssuerProcess, Run, Sandbox};
use std::time::Duration;

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_jeton"))
}

/// Delays short enough for a test.
const QUICK: [&str; 2] = ["--backoff", "20ms"];
/// For faults in which nothing comes: a machine that is busy is given time in all others.
const IMPATIENT: &[&str] = &["--attempt-timeout", "500ms"];

fn ask(sandbox: &Sandbox, issuer: &IssuerProcess, arguments: &[&str]) -> Run {
    let arguments = ["token", "--no-cache", "-a", "x"]
        .iter()
        .chain(&QUICK)
        .chain(arguments);
    let run = sandbox
        .command(arguments)
        .envs(&issuer.environment("github"))
        .run();
    assert!(!run.stderr.contains("panicked"), "{run:?}");
    run
}

/// Row numbers of the fault table: fault, arguments beyond the usual, code, requests seen.
const ROWS: &[(&str, &str, &[&str], i32, usize)] = &[
    ("6", "stall", IMPATIENT, 6, 3),
    ("10", "rst", &[], 6, 5),
    ("10", "fin", &[], 6, 5),
    ("12", "stallhead", IMPATIENT, 6, 3),
    ("12", "stallbody", IMPATIENT, 6, 3),
    ("13", "slowbody-ms50", IMPATIENT, 6, 2),
    ("14", "rstbody", &[], 6, 5),
    ("14", "trunc", &[], 6, 5),
    ("14", "chunktrunc", &[], 6, 5),
    ("15", "chunkbad", &[], 8, 2),
    ("15", "cldup", &[], 8, 2),
    ("15", "clte", &[], 8, 2),
    ("15", "teunk", &[], 8, 2),
    ("15", "clneg", &[], 8, 2),
    ("15", "clplus", &[], 8, 2),
    ("16", "clshort", &[], 0, 1),
    ("16", "unsolicited", &[], 0, 1),
    ("17", "http09", &[], 8, 2),
    ("17", "badstatus", &[], 8, 2),
    ("17", "garbage", &[], 8, 2),
    ("17", "hdrnul", &[], 8, 2),
    ("18", "early103", &[], 0, 1),
    ("19", "bighead-m1", &[], 8, 1),
    ("19", "manyheads-n10000", &[], 8, 1),
    ("20", "s503-x1", &[], 0, 2),
    ("21", "s503-x3", &[], 0, 4),
    ("22", "s500", &[], 6, 5),
    ("22", "s502", &["--max-attempts", "3"], 6, 3),
    ("22", "s504", &["--max-attempts", "1"], 6, 1),
    ("23", "s501", &[], 4, 1),
    ("23", "s505", &[], 4, 1),
    ("23", "s511", &[], 4, 1),
    ("24", "s408-x1", &[], 0, 2),
    ("24", "s425-x1", &[], 0, 2),
    ("27", "ra99999", &[], 6, 1),
    ("27", "s429-ra99999", &[], 7, 1),
    ("28", "rabad-x1", &[], 0, 2),
    ("28", "raneg-x1", &[], 0, 2),
    ("28", "rafrac-x1", &[], 0, 2),
    ("28", "raempty-x1", &[], 0, 2),
    ("28", "rapast-x1", &[], 0, 2),
    ("29", "s429", &[], 7, 5),
    ("30", "s400", &[], 4, 1),
    ("30", "s404", &[], 4, 1),
    ("30", "s405", &[], 4, 1),
    ("30", "s410", &[], 4, 1),
    ("30", "s413", &[], 4, 1),
    ("30", "s415", &[], 4, 1),
    ("30", "s422", &[], 4, 1),
    ("31", "s401", &[], 4, 1),
    ("32", "s403", &[], 4, 1),
    ("36", "eansi", &[], 4, 1),
    ("36", "elong", &[], 4, 1),
    ("36", "eleak", &[], 4, 1),
    ("37", "empty200", &[], 8, 3),
    ("38", "html200", &[], 8, 2),
    ("38", "htmljson", &[], 8, 2),
    ("39", "s204", &[], 8, 1),
    ("39", "s206", &[], 8, 1),
    ("39", "redirnone", &[], 8, 1),
    ("40", "truncjson", &[], 8, 2),
    ("40", "jsonarray", &[], 8, 1),
    ("40", "jsonstring", &[], 8, 1),
    ("40", "jsonnull", &[], 8, 1),
    ("41", "valmissing", &[], 8, 1),
    ("41", "valnull", &[], 8, 1),
    ("41", "valempty", &[], 8, 1),
    ("41", "valnumber", &[], 8, 1),
    ("41", "valobject", &[], 8, 1),
    ("42", "notjwt", &[], 8, 1),
    ("42", "seg2", &[], 8, 1),
    ("42", "jwe", &[], 8, 1),
    ("42", "bearer", &[], 8, 1),
    ("42", "valbig", &[], 8, 1),
    ("43", "dup", &[], 8, 1),
    ("44", "deep", &[], 8, 1),
    ("45", "textct", &[], 0, 1),
    ("45", "noct", &[], 0, 1),
    ("45", "htmlct", &[], 8, 2),
    ("46", "big-m2", &[], 8, 1),
    ("46", "bigchunk", &[], 8, 1),
    ("47", "gzip", &[], 8, 1),
    ("47", "gzipbomb-m4", &[], 8, 1),
    ("48", "redirect", &[], 8, 1),
    ("49", "redirother", &[], 8, 1),
    ("49", "redirloop", &[], 8, 1),
    ("49", "redirfile", &[], 8, 1),
    ("49", "redirmeta", &[], 8, 1),
    ("50", "expired", &[], 8, 2),
    ("53", "future-n120", &[], 0, 1),
    ("55", "wrongaud", &[], 8, 1),
];

fn play(rows: &[(&str, &str, &[&str], i32, usize)]) -> Vec<String> {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "5m"]);
    let wrong = rows.iter().filter_map(|(row, fault, arguments, code, count)| {
        issuer.heal();
        issuer.forget();
        issuer.fault("github", fault);
        let run = ask(&sandbox, &issuer, arguments);
        let seen = issuer.count("github");
        let fits = run.code == Some(*code)
            && seen == *count
            && run.elapsed < Duration::from_secs(10)
            && run.stdout.is_empty() == (*code != 0)
            && run.stderr.len() < 4000
            && !run.stderr.contains('\u{1b}');
        (!fits).then(|| {
            format!(
                "row {row}, {fault}: {code} after {count} wanted, {:?} after {seen} seen: {}",
                run.code, run.stderr
            )
        })
    });
    wrong.collect()
}

/// In four parts, which run in parallel.
fn part(number: usize) {
    let size = ROWS.len().div_ceil(4);
    let wrong = play(ROWS.chunks(size).nth(number).unwrap());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn b1_b2_b3_b4_b5_the_fault_table_first_quarter() {
    part(0);
}

#[test]
fn b1_b2_b3_b4_b5_the_fault_table_second_quarter() {
    part(1);
}

#[test]
fn b1_b2_b3_b4_b5_the_fault_table_third_quarter() {
    part(2);
}

#[test]
fn b1_b2_b3_b4_b5_the_fault_table_fourth_quarter() {
    part(3);
}

/// The gaps between the requests that were seen.
fn gaps(issuer: &IssuerProcess) -> Vec<Duration> {
    let times: Vec<u64> = issuer
        .requests_of("github")
        .iter()
        .map(|request| request["since_start_ms"].as_u64().unwrap())
        .collect();
    times
        .windows(2)
        .map(|pair| Duration::from_millis(pair[1] - pair[0]))
        .collect()
}

#[test]
fn b1_gaps_grow_as_they_are_told() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    issuer.fault("github", "s500-x2");
    let pace = [
        "--backoff",
        "300ms",
        "--backoff-factor",
        "3",
        "--max-attempts",
        "3",
    ];
    let _ = ask_with(&sandbox, &issuer, &pace).ended(0);
    let gaps = gaps(&issuer);
    assert_eq!(gaps.len(), 2);
    assert!(
        gaps[0] >= Duration::from_millis(300) && gaps[0] < Duration::from_secs(2),
        "{gaps:?}"
    );
    assert!(
        gaps[1] >= Duration::from_millis(900) && gaps[1] < Duration::from_secs(3),
        "{gaps:?}"
    );
}

fn ask_with(sandbox: &Sandbox, issuer: &IssuerProcess, arguments: &[&str]) -> Run {
    let arguments = ["token", "--no-cache", "-a", "x"].iter().chain(arguments);
    sandbox
        .command(arguments)
        .envs(&issuer.environment("github"))
        .run()
}

#[test]
fn b1_the_last_failure_is_told_with_host_status_attempts_and_time() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    issuer.fault("github", "s500");
    let run = ask(&sandbox, &issuer, &["--max-attempts", "3"]).ended(6);
    let host = issuer.url().trim_start_matches("http://");
    for word in [host, "500", "3", "failed after retries", " s"] {
        assert!(run.stderr.contains(word), "{word}: {run:?}");
    }
}

#[test]
fn b5_retry_after_in_seconds_and_as_a_date_is_waited_for() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    for fault in ["s429-ra2-x1", "radate-n2-x1"] {
        issuer.heal();
        issuer.forget();
        issuer.fault("github", fault);
        let _ = ask(&sandbox, &issuer, &[]).ended(0);
        let gaps = gaps(&issuer);
        assert!(
            gaps[0] >= Duration::from_millis(1900) && gaps[0] < Duration::from_secs(5),
            "{fault} {gaps:?}"
        );
    }
}

#[test]
fn b5_a_wait_beyond_the_deadline_is_not_begun_and_is_told() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    issuer.fault("github", "s429-ra99999");
    let run = ask(&sandbox, &issuer, &[]).ended(7);
    assert!(run.elapsed < Duration::from_secs(2), "{run:?}");
    assert!(run.stderr.contains("99999"), "{run:?}");
}

#[test]
fn row_32_a_pending_job_is_asked_again_after_a_second() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    issuer.fault("github", "pending403-x1");
    let _ = ask(&sandbox, &issuer, &[]).ended(0);
    assert!(gaps(&issuer)[0] >= Duration::from_secs(1));
}

#[test]
fn rows_4_and_9_nobody_there_and_certificates_that_do_not_fit() {
    let sandbox = sandbox();
    let closed = [
        ("GITHUB_ACTIONS".to_owned(), "true".to_owned()),
        (
            "ACTIONS_ID_TOKEN_REQUEST_URL".to_owned(),
            "http://127.0.0.1:1/x?y=z".to_owned(),
        ),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN".to_owned(), "secret".to_owned()),
    ];
    let arguments = ["token", "-a", "x"].iter().chain(&QUICK);
    let run = sandbox.command(arguments).envs(&closed).run().ended(6);
    assert!(run.stderr.contains("127.0.0.1:1"), "{run:?}");
    for (mode, code) in [("ok", 0), ("expired", 8), ("wrong-host", 8), ("self-signed", 8)] {
        let issuer = sandbox.issuer(["--tls", mode]);
        let ca = issuer.ca_file().display().to_string();
        let run = ask(&sandbox, &issuer, &["--ca-file", &ca]).ended(code);
        assert_eq!(issuer.count("github"), usize::from(code == 0), "{mode} {run:?}");
    }
    let issuer = sandbox.issuer(["--tls", "ok"]);
    let _ = ask(&sandbox, &issuer, &[]).ended(8);
}

#[test]
fn b3_a_handshake_that_is_cut_is_tried_again() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--tls", "ok"]);
    let ca = issuer.ca_file().display().to_string();
    issuer.fault("*", "rst_after_read-x2");
    let _ = ask(&sandbox, &issuer, &["--ca-file", &ca]).ended(0);
    assert_eq!(issuer.count("github"), 1);
}

#[test]
fn row_2_a_request_url_that_is_none_is_a_usage_error() {
    let sandbox = sandbox();
    for url in [
        "http://example.com/x",
        "ftp://example.com/x",
        "https://user@example.com/x",
        "nonsense",
        "file:///etc/passwd",
    ] {
        let run = sandbox
            .command(["token", "-a", "x"])
            .env("GITHUB_ACTIONS", "true")
            .env("ACTIONS_ID_TOKEN_REQUEST_URL", url)
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "secret-request-token")
            .run()
            .ended(2);
        assert!(!run.stderr.contains("secret-request-token"), "{run:?}");
    }
}

#[test]
fn row_49_the_other_place_sees_nothing() {
    let sandbox = sandbox();
    let (issuer, evil) = (sandbox.issuer([""; 0]), sandbox.issuer([""; 0]));
    issuer.rules(&format!(
        "[[rule]]\nfault = \"redirect\"\nvalue = \"{}/github/idtoken\"\n",
        evil.url()
    ));
    let _ = ask(&sandbox, &issuer, &[]).ended(8);
    assert!(evil.requests().is_empty());
}

#[test]
fn row_54_a_dead_token_is_fine_when_the_date_shows_that_the_clock_is_wrong() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "5m"]);
    let _ = issuer.ask("PUT", "/_clock", "{\"offset_seconds\": -7200}");
    let run = ask(&sandbox, &issuer, &["-o", "json"]).ended(0);
    assert!(run.json()["expires_in"].as_i64().unwrap() > 250, "{run:?}");
}
