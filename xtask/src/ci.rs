//! `cargo xtask ci`: everything that has to hold before a change lands, cheapest first.

use crate::run::{self, Tally};
use crate::workspace::Workspace;
use crate::{Outcome, deny, docs, fuzz, report, suite, tidy};

/// A check that a change must pass: its name and how it is run.
type Check = (&'static str, fn(&Workspace) -> Outcome);

/// The checks before the tests. All of them run even when one fails, so that one run tells everything.
const CHECKS: &[Check] = &[
    ("format", |workspace| {
        cargo(workspace, &["fmt", "--all", "--check"])
    }),
    ("tidy", |workspace| tidy::tidy(workspace, &[])),
    ("dependency policy", |workspace| deny::deny(workspace, &[])),
    ("clippy", |workspace| {
        cargo(
            workspace,
            &[
                "clippy",
                "--locked",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ],
        )
    }),
    ("documentation", documentation),
];

/// The recipe.
pub(crate) fn ci(workspace: &Workspace, _: &[String]) -> Outcome {
    let mut tally = Tally::default();
    for (name, check) in CHECKS {
        tally.count(told(name, || check(workspace)));
    }
    tally.add(suite::everything(workspace)?);
    tally.count(told("generated pages", || {
        docs::docs(workspace, &["--check".into()])
    }));
    tally.add(fuzz::drive(workspace, fuzz::SMOKE, None)?);
    suite::finish(tally)
}

/// Runs a check, says why it failed and how long it took.
fn told(name: &str, check: impl FnOnce() -> Outcome) -> bool {
    let watch = report::Stopwatch::start();
    let outcome = check();
    if let Err(reason) = &outcome {
        report::failure(&format!("{name}: {reason}"));
    }
    report::note(&format!("{name}: {:.1} s", watch.elapsed().as_secs_f64()));
    outcome.is_ok()
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Outcome {
    run::check(&workspace.root, &mut run::cargo(arguments))
}

fn documentation(workspace: &Workspace) -> Outcome {
    let mut command = run::cargo(&["doc", "--locked", "--workspace", "--no-deps"]);
    run::check(&workspace.root, command.env("RUSTDOCFLAGS", "-D warnings"))
}
