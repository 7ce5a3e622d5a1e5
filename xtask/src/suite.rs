//! `cargo xtask test`: every test there is, with what they need installed first.

use crate::run::{self, Tally};
use crate::workspace::Workspace;
use crate::{Outcome, postgres, report, strangers};

/// The recipe: runs everything and ends with one line of counts.
pub(crate) fn test(workspace: &Workspace, _: &[String]) -> Outcome {
    finish(everything(workspace)?)
}

/// Runs every suite and gives back the counts.
pub(crate) fn everything(workspace: &Workspace) -> Outcome<Tally> {
    let mut tally = Tally::default();
    tally.add(units(workspace)?);
    tally.add(run::count(
        &workspace.root,
        &mut run::cargo(&["test", "--locked", "--workspace", "--doc"]),
    )?);
    tally.add(traces(workspace)?);
    tally.add(postgres::meet(workspace)?);
    tally.add(strangers::meet(workspace, None)?);
    Ok(tally)
}

/// Prints the last line, which stands alone, and fails when a test did.
pub(crate) fn finish(tally: Tally) -> Outcome {
    report::line(&tally.sentence());
    // The counts say it all: nothing follows them.
    if tally.failed == 0 {
        Ok(())
    } else {
        Err(String::new())
    }
}

/// What is behind a feature that is off by default: traces.
fn traces(workspace: &Workspace) -> Outcome<Tally> {
    const OTEL: &[&str] = &[
        "test",
        "--locked",
        "--package",
        "jeton-broker",
        "--features",
        "otel",
    ];
    let mut command = run::cargo(OTEL);
    run::count(
        &workspace.root,
        command.args(["--lib", "--test", "running", "trace"]),
    )
}

/// Unit and integration tests, under nextest where it is installed: one process per test.
fn units(workspace: &Workspace) -> Outcome<Tally> {
    const ALL: &[&str] = &["--locked", "--workspace", "--all-targets", "--no-fail-fast"];
    // Tests of examples run them as programs; `--all-targets` builds only their test harnesses under nextest.
    let examples = &["build", "--locked", "--workspace", "--examples"];
    run::check(&workspace.root, &mut run::cargo(examples))?;
    let mut command = if run::is_here("cargo-nextest", "--version") {
        let mut nextest = run::cargo(&["nextest", "run", "--no-tests=pass"]);
        nextest.env("NEXTEST_HIDE_PROGRESS_BAR", "1");
        nextest
    } else {
        run::cargo(&["test"])
    };
    run::count(&workspace.root, command.args(ALL))
}
