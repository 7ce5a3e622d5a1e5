//! The cache from outside: rights, keys, life, faults of the disk, one flight on the machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
use jeton_test::{Command, IssuerProcess, Sandbox};
use serde_json::Value;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_jeton"))
}

fn token(sandbox: &Sandbox, issuer: &IssuerProcess, arguments: &[&str]) -> Command {
    let arguments = ["token", "-a", "x"].iter().chain(arguments);
    sandbox.command(arguments).envs(&issuer.environment("github"))
}

fn mode(path: &std::path::Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn c5_a_token_is_reused_for_its_ttl_and_zero_keeps_nothing() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "1h"]);
    let first = token(&sandbox, &issuer, &["--cache-ttl", "2s"]).run().ended(0);
    let begun = Instant::now();
    let second = token(&sandbox, &issuer, &["--cache-ttl", "2s"]).run().ended(0);
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "too slow a machine for this test"
    );
    assert_eq!(first.line(), second.line());
    assert_eq!(issuer.count("github"), 1);
    std::thread::sleep(Duration::from_millis(2100));
    let third = token(&sandbox, &issuer, &["--cache-ttl", "2s"]).run().ended(0);
    assert_ne!(first.line(), third.line());
    assert_eq!(issuer.count("github"), 2);

    let fresh = self::sandbox();
    issuer.forget();
    for arguments in [["--cache-ttl", "0"], ["--cache-ttl", "0s"], ["--no-cache", "-q"]] {
        let _ = token(&fresh, &issuer, &arguments).run().ended(0);
    }
    let _ = token(&fresh, &issuer, &[])
        .env("JETON_CACHE_TTL", "0")
        .run()
        .ended(0);
    assert_eq!(issuer.count("github"), 4);
    assert!(!fresh.cache().exists());
    // The flag beats the variable.
    for _ in 0..2 {
        let _ = token(&fresh, &issuer, &["--cache-ttl", "5m"])
            .env("JETON_CACHE_TTL", "0")
            .run()
            .ended(0);
    }
    assert_eq!(issuer.count("github"), 5);
}

#[test]
fn refresh_ignores_what_is_kept_and_keeps_the_new_one() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "1h"]);
    let old = token(&sandbox, &issuer, &[]).run().ended(0);
    let new = token(&sandbox, &issuer, &["--refresh"]).run().ended(0);
    let after = token(&sandbox, &issuer, &["-o", "json"]).run().ended(0).json();
    assert_ne!(old.line(), new.line());
    assert_eq!(after["token"], new.line());
    assert_eq!(after["cached"], true);
    assert_eq!(issuer.count("github"), 2);
}

#[test]
fn c6_a_token_with_less_life_than_asked_for_is_not_reused() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "60s"]);
    let _ = token(&sandbox, &issuer, &["--min-validity", "10s"])
        .run()
        .ended(0);
    let _ = token(&sandbox, &issuer, &["--min-validity", "10s"])
        .run()
        .ended(0);
    assert_eq!(issuer.count("github"), 1);
    let run = token(&sandbox, &issuer, &["--min-validity", "2m"]).run().ended(0);
    assert!(run.stderr.contains("warning"), "{run:?}");
    assert!(issuer.count("github") >= 2);
}

#[test]
fn c4_folders_and_files_are_this_users_alone_whatever_the_umask() {
    for umask in ["000", "077", "777"] {
        let sandbox = sandbox();
        let issuer = sandbox.issuer(["--token-life", "1h"]);
        let line = format!("umask {umask}; exec {} token -a x", env!("CARGO_BIN_EXE_jeton"));
        let mut shell = std::process::Command::new("/bin/sh");
        shell
            .env_clear()
            .args(["-c", &line])
            .envs(issuer.environment("github"));
        let status = shell
            .env("XDG_CACHE_HOME", sandbox.path("cache"))
            .output()
            .unwrap();
        assert!(status.status.success(), "{status:?}");
        assert_eq!(mode(&sandbox.cache()), 0o700, "{umask}");
        let files = sandbox.cached_files();
        assert_eq!(files.len(), 1, "{umask} {files:?}");
        for entry in std::fs::read_dir(sandbox.cache()).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600, "{umask}");
        }
    }
}

#[test]
fn c4_what_cannot_be_trusted_is_ignored_with_a_warning_and_replaced() {
    type Spoil = fn(&std::path::Path, &std::path::Path);
    let rows: [(&str, Spoil); 6] = [
        ("truncated", |file, _| {
            let text = std::fs::read(file).unwrap();
            std::fs::write(file, &text[..text.len() / 2]).unwrap();
        }),
        ("zeroed", |file, _| std::fs::write(file, [0; 500]).unwrap()),
        ("empty", |file, _| std::fs::write(file, "").unwrap()),
        ("world-readable", |file, _| {
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
        }),
        ("a link", |file, victim| {
            std::fs::copy(file, victim).unwrap();
            std::fs::remove_file(file).unwrap();
            symlink(victim, file).unwrap();
        }),
        ("a folder", |file, _| {
            std::fs::remove_file(file).unwrap();
            std::fs::create_dir(file).unwrap();
        }),
    ];
    for (what, spoil) in rows {
        let sandbox = sandbox();
        let issuer = sandbox.issuer(["--token-life", "1h"]);
        let first = token(&sandbox, &issuer, &[]).run().ended(0);
        let file = sandbox.cached_files().remove(0);
        let victim = sandbox.path("victim");
        spoil(&file, &victim);
        let before = std::fs::read(&victim).unwrap_or_default();
        let run = token(&sandbox, &issuer, &[]).run().ended(0);
        assert_ne!(run.line(), first.line(), "{what}");
        assert!(run.stderr.contains("warning"), "{what}: {run:?}");
        assert_eq!(std::fs::read(&victim).unwrap_or_default(), before, "{what}");
        let again = token(&sandbox, &issuer, &["-o", "json"]).run().ended(0).json();
        assert_eq!(again["cached"], true, "{what}");
        assert_eq!(again["token"], run.line(), "{what}");
        assert_eq!(mode(&sandbox.cached_files()[0]), 0o600, "{what}");
    }
}

#[test]
fn c12_anything_else_is_a_miss_and_another_job_gets_its_own() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "1h"]);
    let other = sandbox.issuer(["--token-life", "1h", "--request-token", "another-job"]);
    sandbox.config("[profiles.p]\ngrant = \"ambient\"\naudience = \"x\"\n");
    let first = token(&sandbox, &issuer, &[]).run().ended(0).line().to_owned();
    let mut seen = vec![first.clone()];
    let others = [
        token(&sandbox, &issuer, &["-a", "X"]).without("nothing"),
        sandbox
            .command(["token", "-a", "X"])
            .envs(&issuer.environment("github")),
        sandbox
            .command(["token", "-a", "../../x"])
            .envs(&issuer.environment("github")),
        sandbox
            .command(["token", "p"])
            .envs(&issuer.environment("github")),
        sandbox
            .command(["token", "-a", "x"])
            .envs(&other.environment("github")),
    ];
    for (row, command) in others.into_iter().enumerate().skip(1) {
        let line = command.run().ended(0).line().to_owned();
        assert!(!seen.contains(&line), "row {row}");
        seen.push(line);
    }
    assert_eq!(token(&sandbox, &issuer, &[]).run().ended(0).line(), first);
    let shown = sandbox.cached_files();
    assert!(
        shown.iter().all(|file| file.parent() == Some(&*sandbox.cache())),
        "{shown:?}"
    );
}

#[test]
fn c4_nowhere_to_write_fails_nothing() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer([""; 0]);
    let file = sandbox.write("file", "");
    let places = [
        Some(file.join("below").display().to_string()),
        Some("/proc/nowhere".to_owned()),
        None,
    ];
    for place in places {
        let command = token(&sandbox, &issuer, &[])
            .without("XDG_CACHE_HOME")
            .without("HOME");
        let command = match &place {
            Some(place) => command.env("JETON_CACHE_DIR", place),
            None => command,
        };
        let run = command.run().ended(0);
        assert!(run.line().starts_with("eyJ"), "{place:?}");
    }
}

#[test]
fn c11_twenty_processes_fetch_once() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "1h"]);
    issuer.fault("github", "delay-ms300");
    let running: Vec<_> = (0..20).map(|_| token(&sandbox, &issuer, &[]).start()).collect();
    let tokens: Vec<_> = running
        .into_iter()
        .map(|one| one.wait().ended(0).line().to_owned())
        .collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(issuer.count("github"), 1);
}

#[test]
fn c11_the_holder_of_the_lease_may_be_killed() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "1h"]);
    issuer.fault("github", "stall-x1");
    let holder = token(&sandbox, &issuer, &[]).start();
    while issuer.count("github") == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let waiting = token(&sandbox, &issuer, &[]).start();
    std::thread::sleep(Duration::from_millis(200));
    holder.signal("KILL");
    let run = waiting.wait().ended(0);
    assert!(run.elapsed < Duration::from_secs(3), "{run:?}");
    assert_eq!(holder.wait().signal, Some(9));
    assert_eq!(issuer.count("github"), 2);
}

#[test]
fn c4_killed_writers_leave_whole_files() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "1h"]);
    let _ = token(&sandbox, &issuer, &[]).run().ended(0);
    for round in 0..200 {
        let writer = token(&sandbox, &issuer, &["--refresh"]).start();
        std::thread::sleep(Duration::from_micros(100 * round));
        writer.signal("KILL");
        let _ = writer.wait();
        for file in sandbox
            .cached_files()
            .iter()
            .filter(|file| file.extension() == Some("json".as_ref()))
        {
            let text = std::fs::read_to_string(file).unwrap();
            assert!(
                serde_json::from_str::<Value>(&text).is_ok(),
                "round {round}: {text}"
            );
        }
    }
    let run = token(&sandbox, &issuer, &["-o", "json"]).run().ended(0);
    assert_eq!(run.json()["cached"], true);
    assert!(!run.stderr.contains("warning"), "{run:?}");
}

#[test]
fn cache_path_list_and_clear_show_no_secret() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "1h"]);
    sandbox.config("[profiles.p]\ngrant = \"ambient\"\naudience = \"y\"\n");
    let first = token(&sandbox, &issuer, &[]).run().ended(0);
    let _ = sandbox
        .command(["token", "p"])
        .envs(&issuer.environment("github"))
        .run()
        .ended(0);
    let path = sandbox.run(["cache", "path"]).ended(0);
    assert_eq!(path.line(), sandbox.cache().display().to_string());
    let own = sandbox
        .command(["cache", "path"])
        .env("JETON_CACHE_DIR", "/somewhere/else")
        .run()
        .ended(0);
    assert_eq!(own.line(), "/somewhere/else");
    let listed = sandbox.run(["cache", "list", "--json"]).ended(0);
    assert!(!listed.stdout.contains(first.line()));
    let listed = listed.json();
    let mut profiles: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["profile"].as_str().unwrap())
        .collect();
    profiles.sort_unstable();
    assert_eq!(profiles, ["ambient", "p"]);
    assert!(sandbox.run(["cache", "list"]).ended(0).stdout.contains("github"));
    let _ = sandbox.run(["cache", "clear", "p"]).ended(0);
    assert_eq!(
        sandbox
            .run(["cache", "list", "--json"])
            .ended(0)
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let _ = sandbox.run(["cache", "clear"]).ended(0);
    assert!(!Sandbox::holds(&sandbox.cache(), first.line()));
    let _ = sandbox
        .command(["cache", "path"])
        .without("HOME")
        .without("XDG_CACHE_HOME")
        .run()
        .ended(3);
}

#[test]
fn a_warm_call_sends_nothing() {
    let sandbox = sandbox();
    let issuer = sandbox.issuer(["--token-life", "1h"]);
    let variables = issuer.environment("github");
    let first = sandbox
        .command(["token", "-a", "x"])
        .envs(&variables)
        .run()
        .ended(0);
    drop(issuer);
    let warm = sandbox
        .command(["token", "-a", "x"])
        .envs(&variables)
        .run()
        .ended(0);
    assert_eq!(warm.line(), first.line());
    // The long way round gives the same.
    let long = sandbox
        .command(["token", "-v", "-a", "x"])
        .envs(&variables)
        .run()
        .ended(0);
    assert_eq!(long.line(), first.line());
}

#[test]
fn a_slip_of_the_pen_in_cache_clear_is_said() {
    let sandbox = sandbox();
    sandbox.config("[profiles.cloud]\ngrant = \"env:X\"\n");
    let run = sandbox.run(["cache", "clear", "clod"]).ended(3);
    assert!(run.stderr.contains("did you mean `cloud`"), "{run:?}");
    for name in ["cloud", "ambient"] {
        sandbox.run(["cache", "clear", name]).ended(0);
    }
}
