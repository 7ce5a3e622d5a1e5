//! What every command keeps to: streams, exit codes, signals, masks, annotations, words of help.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]
use jeton_test::Sandbox;
use serde_json::Value;
use std::time::Duration;

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_jeton"))
}

const COMMANDS: [&str; 12] = [
    "token",
    "explain",
    "doctor",
    "inspect",
    "verify",
    "verify-jws",
    "cache",
    "issuer",
    "demo",
    "completions",
    "man",
    "help",
];

#[test]
fn every_help_page_has_an_example_and_goes_to_standard_output() {
    let sandbox = sandbox();
    for command in COMMANDS {
        let run = sandbox.run([command, "--help"]).ended(0);
        assert!(run.stdout.contains("Example"), "{command}");
        assert!(run.stdout.contains(&format!("jeton {command}")), "{command}");
        assert_eq!(run.stderr, "");
        assert_eq!(
            sandbox.run(["help", command]).ended(0).stdout.trim(),
            run.stdout.trim()
        );
    }
    for arguments in [&["--help"][..], &[]] {
        let run = sandbox.run(arguments.iter().copied()).ended(0);
        assert!(
            COMMANDS.iter().all(|command| run.stdout.contains(command)),
            "{run:?}"
        );
    }
    assert!(sandbox.run(["--version"]).ended(0).stdout.starts_with("jeton "));
}

#[test]
fn b7_the_table_of_exit_codes_is_printed_whole() {
    let table = sandbox().run(["help", "exit-codes"]).ended(0).stdout;
    for code in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "130", "143"] {
        assert!(
            table
                .lines()
                .any(|line| line.split_whitespace().next() == Some(code)),
            "{code}\n{table}"
        );
    }
}

#[test]
fn help_names_every_variable_and_every_variable_is_read() {
    let sandbox = sandbox();
    let page = sandbox.run(["help", "environment"]).ended(0).stdout;
    for name in [
        "JETON_MIN_VALIDITY",
        "JETON_CACHE_DIR",
        "JETON_TOKEN_FILE",
        "HTTPS_PROXY",
        "SSL_CERT_FILE",
    ] {
        assert!(page.contains(name), "{name}");
    }
    // The settings of other commands are shown to be read by those commands' own tests.
    let flags = sandbox.run(["token", "--help"]).ended(0).stdout;
    let flags: Vec<&str> = flags
        .split_whitespace()
        .filter(|word| word.starts_with("--"))
        .collect();
    let rows = page.lines().filter(|line| {
        let mut words = line.split_whitespace();
        let is_ours = words.next().is_some_and(|name| name.starts_with("JETON_"));
        is_ours && words.next().is_some_and(|flag| flags.contains(&flag))
    });
    let rows: Vec<&str> = rows.collect();
    assert!(rows.len() > 15, "{rows:?}");
    let bad: Vec<_> = rows
        .iter()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| {
            ![
                "JETON_CONFIG",
                "JETON_CA_FILE",
                "JETON_AUDIENCE",
                "JETON_SCOPE",
                "JETON_RESOURCE",
            ]
            .contains(name)
        })
        .filter(|name| {
            let run = sandbox
                .command(["token", "-a", "x", "-o", "env", "--name", "X"])
                .without("x");
            let run = if *name == "JETON_NAME" {
                sandbox.command(["token", "-o", "env"])
            } else {
                run
            };
            let run = if *name == "JETON_OUTPUT" {
                sandbox.command(["token"])
            } else {
                run
            };
            let run = if *name == "JETON_SERVICE_ACCOUNT" {
                sandbox.command(["token", "--source", "kubernetes"])
            } else {
                run
            };
            run.env(name, "?!").run().code == Some(3)
        })
        .collect();
    assert_eq!(bad, [""; 0], "these are not read");
}

#[test]
fn unknown_commands_and_flags_suggest_the_nearest() {
    let sandbox = sandbox();
    for (arguments, meant) in [
        (["tokn", ""], "token"),
        (["token", "--audienc"], "--audience"),
        (["help", "explian"], "explain"),
    ] {
        let run = sandbox.run(arguments.iter().filter(|a| !a.is_empty())).ended(2);
        assert!(run.stderr.contains(meant), "{run:?}");
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn c5_an_unparsable_value_names_the_setting_and_where_it_came_from() {
    let sandbox = sandbox();
    let rows: [(&[&str], (&str, &str), &[&str]); 6] = [
        (&["--timeout", "5"], ("A", ""), &["timeout", "--timeout"]),
        (
            &[],
            ("JETON_CACHE_TTL", "5 minutes"),
            &["cache-ttl", "JETON_CACHE_TTL"],
        ),
        (
            &["--max-attempts", "0"],
            ("A", ""),
            &["max-attempts", "--max-attempts"],
        ),
        (
            &["--backoff-factor", "x"],
            ("A", ""),
            &["backoff-factor", "--backoff-factor"],
        ),
        (&[], ("JETON_STRICT", "maybe"), &["strict", "JETON_STRICT"]),
        (
            &[],
            ("JETON_LOG_FORMAT", "xml"),
            &["log-format", "JETON_LOG_FORMAT"],
        ),
    ];
    for (arguments, (name, value), says) in rows {
        let arguments = ["token", "--source", "env:T"]
            .into_iter()
            .chain(arguments.iter().copied());
        let run = sandbox
            .command(arguments)
            .env("T", "t")
            .env(name, value)
            .run()
            .ended(2);
        assert!(says.iter().all(|word| run.stderr.contains(word)), "{run:?}");
    }
    sandbox.config("[defaults]\ncache_ttl = \"soon\"\n");
    let run = sandbox
        .command(["token", "--source", "env:T"])
        .env("T", "t")
        .run()
        .ended(2);
    assert!(run.stderr.contains("config.toml:2"), "{run:?}");
}

#[test]
fn b6_signals_end_a_wait_at_once_with_their_code_and_nothing_is_sent_after() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    for (fault, backoff) in [("stall", "250ms"), ("s503", "30s")] {
        issuer.heal();
        issuer.fault("github", fault);
        for (signal, code) in [("INT", 130), ("TERM", 143)] {
            issuer.forget();
            let command = sandbox.command(["token", "-a", "x", "--backoff", backoff, "--max-backoff", "30s"]);
            let running = command.envs(&issuer.environment("github")).start();
            while issuer.count("github") == 0 {
                std::thread::sleep(Duration::from_millis(10));
            }
            std::thread::sleep(Duration::from_millis(100));
            let sent = std::time::Instant::now();
            running.signal(signal);
            let run = running.wait().ended(code);
            assert!(sent.elapsed() < Duration::from_millis(500), "{run:?}");
            assert_eq!(run.stdout, "");
            assert_eq!(issuer.count("github"), 1);
            assert!(sandbox.cached_files().is_empty(), "{:?}", sandbox.cached_files());
        }
    }
}

#[test]
fn b6_the_deadline_is_a_timeout_in_time() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    issuer.fault("github", "stall");
    let run = sandbox
        .command(["token", "-a", "x", "--timeout", "1s"])
        .envs(&issuer.environment("github"))
        .run()
        .ended(5);
    assert!(run.elapsed < Duration::from_millis(1600), "{run:?}");
}

#[test]
fn c18_b18_nothing_secret_is_said_in_any_format() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    let variables: Vec<_> = issuer
        .environment("github")
        .into_iter()
        .filter(|(name, _)| name != "GITHUB_ACTIONS")
        .collect();
    let secret = variables
        .iter()
        .find(|(name, _)| name.ends_with("_TOKEN"))
        .unwrap()
        .1
        .clone();
    for (fault, ending) in [
        ("ok", 0),
        ("eleak", 4),
        ("s500-x1", 0),
        ("wrongaud", 8),
        ("notjwt", 8),
    ] {
        issuer.heal();
        issuer.fault("github", fault);
        for format in ["text", "json"] {
            let command = sandbox.command([
                "token",
                "--no-cache",
                "-a",
                "x",
                "-v",
                "--log-format",
                format,
                "--source",
                "github",
            ]);
            let run = command
                .envs(&variables)
                .env("RUST_BACKTRACE", "full")
                .env("RUST_LOG", "trace")
                .run();
            let run = run.ended(ending);
            assert!(!run.stderr.contains(&secret), "{fault} {format}: {run:?}");
            assert!(!run.stderr.contains("eyJ"), "{fault} {format}: {run:?}");
            if format == "json" {
                for line in run.stderr.lines() {
                    let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
                    assert!(
                        line["level"].is_string() && line["message"].is_string() && line["time"].is_string()
                    );
                }
            }
        }
    }
}

#[test]
fn errors_for_machines_have_code_class_and_hint() {
    let sandbox = sandbox();
    let run = sandbox.run(["token", "--log-format", "json"]).ended(3);
    let line: Value = serde_json::from_str(run.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(line["level"], "error");
    assert_eq!(line["code"], 3);
    assert_eq!(line["class"], "not-found");
    assert!(line["hint"].is_string());
}

#[test]
fn quiet_is_silent_but_for_errors() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "10s"]);
    let variables: Vec<_> = issuer
        .environment("github")
        .into_iter()
        .filter(|(name, _)| name != "GITHUB_ACTIONS")
        .collect();
    let run = sandbox
        .command(["token", "-q", "--source", "github", "-a", "x"])
        .envs(&variables)
        .run()
        .ended(0);
    assert_eq!(run.stderr, "");
    let run = sandbox.run(["token", "-q"]).ended(3);
    assert!(run.stderr.contains("error"), "{run:?}");
}

#[test]
fn the_mask_comes_before_the_token_and_standard_output_has_the_token_alone() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    for _ in 0..2 {
        let run = sandbox
            .command(["token", "-a", "x"])
            .envs(&issuer.environment("github"))
            .run()
            .ended(0);
        let masks = run
            .stderr
            .lines()
            .filter(|line| line.starts_with("::add-mask::"))
            .collect::<Vec<_>>();
        assert_eq!(masks, [format!("::add-mask::{}", run.line())]);
        assert_eq!(run.stdout.lines().count(), 1);
    }
}

#[test]
fn completions_and_manual_pages_are_generated() {
    let sandbox = sandbox();
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            sandbox
                .run(["completions", shell])
                .ended(0)
                .stdout
                .contains("verify-jws"),
            "{shell}"
        );
    }
    assert!(sandbox.run(["man"]).ended(0).stdout.contains(".TH JETON 1"));
    let folder = sandbox.path("man1");
    sandbox
        .run(["man", "--dir", &folder.display().to_string()])
        .ended(0);
    for command in COMMANDS {
        assert!(folder.join(format!("jeton-{command}.1")).is_file(), "{command}");
    }
}

#[test]
fn the_demonstration_ends_well_in_ten_seconds_without_anything() {
    let sandbox = sandbox();
    let run = sandbox.command(["demo"]).without("HOME").run().ended(0);
    assert!(run.elapsed < Duration::from_secs(10), "{run:?}");
    assert!(run.stdout.contains("401"), "{run:?}");
    assert!(run.stdout.contains("published"), "{run:?}");
    assert!(!run.stdout.contains('\u{1b}'), "{run:?}");
}
