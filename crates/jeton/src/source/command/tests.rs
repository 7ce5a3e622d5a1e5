//! Section 3 of the fault list: what runs, how long, and what is left behind.
use super::*;
use crate::source::fixture::{context, env, overheard};
use std::time::Instant;

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

#[tokio::test]
async fn b6_the_deadline_kills_it_and_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("alive");
    let script = format!("(sleep 1; touch '{}') & wait", mark.display());
    let begun = Instant::now();
    let cx = here().within(Duration::from_millis(200));
    let error = run(&cx, &sh(&script)).await.unwrap_err();
    assert_eq!(error.kind(), Class::Timeout);
    assert!(
        begun.elapsed() < Duration::from_millis(800),
        "{:?}",
        begun.elapsed()
    );
    std::thread::sleep(Duration::from_millis(1100).saturating_sub(begun.elapsed()));
    assert!(!mark.exists(), "its child lived on");
}

#[test]
fn programs_are_found_in_the_environments_path_alone() {
    assert!(find(&env(&[("PATH", "/nowhere:/bin")]), "sh").is_some());
    assert!(find(&env(&[("PATH", "/nowhere")]), "sh").is_none());
    assert!(find(&env(&[]), "sh").is_none());
    assert!(find(&env(&[]), "/bin/sh").is_some());
    assert!(find(&env(&[]), "/bin").is_none());
}
