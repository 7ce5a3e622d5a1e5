//! Section 3 of the fault list: what runs, how long, and what is left behind.
use super::*;
use crate::source::fixture::{context, env, overheard};

fn sh(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

fn here() -> Context {
    context(env(&[("PATH", "/usr/bin:/bin"), ("GREETING", "hello")]))
}

#[tokio::test]
async fn a_program_gets_the_environment_no_input_and_gives_its_output() {
    let printed = run(&here(), &sh("cat; printf '%s' \"$GREETING $HOME\""))
        .await
        .unwrap();
    assert_eq!(printed.reveal(), "hello ");
}

#[tokio::test]
async fn failures_have_a_class_and_say_the_code_and_no_secret() {
    let rows = [
        (
            sh("echo went wrong >&2; exit 7"),
            Class::Refused,
            "exit code 7: went wrong",
        ),
        (sh("kill -9 $$"), Class::Refused, "signal 9"),
        (
            sh("echo eyJhbGciOiJub25lIn0.e30.x >&2; exit 1"),
            Class::Refused,
            "[redacted]",
        ),
        (sh("printf '\\377\\376'"), Class::Protocol, "no text"),
        (
            sh("head -c 2000000 /dev/zero"),
            Class::Protocol,
            "more than 1048576 bytes",
        ),
        (
            vec!["no-such-program-anywhere".to_owned()],
            Class::Config,
            "no-such-program-anywhere",
        ),
        (vec!["/etc/passwd".to_owned()], Class::Config, "/etc/passwd"),
        (vec![], Class::Config, "no program"),
    ];
    for (argv, class, words) in rows {
        let error = run(&here(), &argv).await.unwrap_err();
        assert_eq!(error.kind(), class, "{argv:?}: {error}");
        assert!(error.to_string().contains(words), "{argv:?}: {error}");
        assert!(!error.to_string().contains("eyJ"), "{error}");
    }
}

#[tokio::test]
async fn what_it_says_is_passed_on_without_the_token_it_prints() {
    let mut cx = here();
    let ear = overheard(&mut cx);
    let script =
        "echo my-own-secret-token; echo note; echo got my-own-secret-token >&2; printf 'a\\033[31m\\n' >&2";
    let argv = sh(&script.replace("echo note; ", ""));
    run(&cx, &argv).await.unwrap();
    let warnings = ear.warnings.lock().unwrap().clone();
    assert_eq!(warnings, ["sh: got [redacted]", "sh: a\\u{1b}[31m"]);
}

#[tokio::test(start_paused = true)]
async fn b6_the_deadline_and_its_own_limit_end_it() {
    // Time stands still but for timers, so nobody waits.
    for (deadline, limit) in [
        (Duration::from_secs(2), Duration::from_secs(2)),
        (COMMAND_TIMEOUT * 2, COMMAND_TIMEOUT),
    ] {
        let begun = tokio::time::Instant::now();
        let cx = Context {
            deadline: None,
            ..here()
        }
        .within(deadline);
        let error = run(&cx, &sh("sleep 1000")).await.unwrap_err();
        assert_eq!(error.kind(), Class::Timeout);
        assert_eq!(begun.elapsed().as_secs(), limit.as_secs());
    }
}

#[tokio::test]
async fn b6_dropped_it_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("pid");
    let script = format!(
        "sleep 1000 & echo $! >'{0}.new'; mv '{0}.new' '{0}'; wait",
        mark.display()
    );
    let (cx, argv) = (here(), sh(&script));
    let begun = async {
        while !mark.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = run(&cx, &argv) => panic!("{ended:?}"),
        () = begun => {}
    }
    let pid = std::fs::read_to_string(&mark).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    // Killed, it is gone, or a zombie until whoever inherited it looks.
    let lives = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z"));
    for _ in 0..100_000 {
        if !lives() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("its child lives on");
}

#[test]
fn programs_are_found_in_the_environments_path_alone() {
    assert!(find(&env(&[("PATH", "/nowhere:/bin")]), "sh").is_some());
    assert!(find(&env(&[("PATH", "/nowhere")]), "sh").is_none());
    assert!(find(&env(&[]), "sh").is_none());
    assert!(find(&env(&[]), "/bin/sh").is_some());
    assert!(find(&env(&[]), "/bin").is_none());
}
