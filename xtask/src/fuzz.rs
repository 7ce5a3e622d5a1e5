//! `cargo xtask fuzz`, and the fuzzing of `cargo xtask nightly`: the targets of `fuzz/`, for some seconds each.

use crate::run::{self, Tally};
use crate::workspace::Workspace;
use crate::{Outcome, report, suite};
use std::process::Command;

/// How long each target runs in an ordinary check, in seconds.
pub(crate) const SMOKE: u64 = 5;

/// How long each target runs at night, in seconds.
const NIGHT: u64 = 60;

/// The recipe of every check: `[--seconds N] [TARGET]`.
pub(crate) fn fuzz(workspace: &Workspace, arguments: &[String]) -> Outcome {
    let (seconds, target) = match arguments {
        [] => (SMOKE, None),
        [flag, number] if flag == "--seconds" => (parse(number)?, None),
        [flag, number, target] if flag == "--seconds" => (parse(number)?, Some(target)),
        [target] => (SMOKE, Some(target)),
        _ => return Err("usage: cargo xtask fuzz [--seconds N] [TARGET]".into()),
    };
    suite::finish(drive(workspace, seconds, target.map(String::as_str))?)
}

/// Every target for longer.
pub(crate) fn night(workspace: &Workspace) -> Outcome<Tally> {
    let nightly = || run::is_here("rustup", "--version") && rustup_has_nightly(workspace);
    if !run::is_here("cargo-fuzz", "--version") || !nightly() {
        report::note("cargo-fuzz or a nightly compiler is not installed: the stable driver runs instead");
        return drive(workspace, NIGHT, None);
    }
    let mut tally = Tally::default();
    for target in names(workspace)? {
        let mut command = Command::new("cargo");
        command.args(["+nightly", "fuzz", "run", "--fuzz-dir", "fuzz/libfuzzer", "any"]);
        command.arg(format!("fuzz/seeds/{target}"));
        command
            .args(["--", &format!("-max_total_time={NIGHT}")])
            .env("JETON_FUZZ_TARGET", &target);
        let outcome = run::check(&workspace.root, &mut command);
        if let Err(reason) = &outcome {
            report::failure(reason);
        }
        tally.count(outcome.is_ok());
    }
    Ok(tally)
}

/// Runs the driver of stable Rust.
pub(crate) fn drive(workspace: &Workspace, seconds: u64, target: Option<&str>) -> Outcome<Tally> {
    let mut command = Command::new(workspace.program("jeton-fuzz")?);
    command
        .arg(workspace.root.join("fuzz/seeds"))
        .arg(seconds.to_string())
        .args(target);
    run::count(&workspace.root, &mut command)
}

/// The targets: each has a folder of seeds.
fn names(workspace: &Workspace) -> Outcome<Vec<String>> {
    let files = workspace.files()?;
    let mut names: Vec<String> = files
        .iter()
        .filter_map(|name| name.strip_prefix("fuzz/seeds/")?.split('/').next())
        .map(str::to_owned)
        .collect();
    names.dedup();
    Ok(names)
}

fn rustup_has_nightly(workspace: &Workspace) -> bool {
    let mut command = Command::new("rustup");
    run::output(&workspace.root, command.args(["toolchain", "list"]))
        .is_ok_and(|list| list.contains("nightly"))
}

fn parse(number: &str) -> Outcome<u64> {
    number
        .parse()
        .map_err(|_| format!("`{number}` is no number of seconds"))
}
