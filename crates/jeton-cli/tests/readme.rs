//! What the README shows is run as it stands there.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]
use std::path::Path;
use std::process::{Command, Stdio};

/// The blocks of the README in this language.
fn blocks(language: &str) -> Vec<String> {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")).unwrap();
    let opening = format!("```{language}\n");
    let after = text.split(opening.as_str()).skip(1);
    after
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_sixty_seconds_on_a_laptop_hold() {
    let blocks = blocks("sh");
    assert_eq!(blocks.len(), 1, "one block is meant to be run");
    let home = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_jeton"));
    let path = std::env::var("PATH").unwrap();
    let done = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &blocks[0]])
        .current_dir(home.path())
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", format!("{}:{path}", program.parent().unwrap().display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let shown = String::from_utf8_lossy(&done.stdout);
    assert!(shown.contains("https://registry.example.com"), "{shown}");
}

/// Every command that the README mentions exists.
#[test]
fn the_commands_of_the_readme_exist() {
    for line in blocks("console").concat().lines() {
        let Some(command) = line.strip_prefix("$ jeton ") else {
            continue;
        };
        let name = command.split_whitespace().next().unwrap();
        let help = Command::new(env!("CARGO_BIN_EXE_jeton"))
            .args([name, "--help"])
            .output()
            .unwrap();
        assert!(help.status.success(), "{name}");
    }
}
