//! `cargo xtask nightly`: what takes too long, or wants too much installed, for every check.

use crate::run::{self, Tally};
use crate::workspace::Workspace;
use crate::{Outcome, fuzz, postgres, strangers, suite};

/// How much a proxy carries each way at night, in MiB: so much that nothing it kept of it would go unseen.
const STREAM: &str = "10240";

/// The recipe.
pub(crate) fn nightly(workspace: &Workspace, _: &[String]) -> Outcome {
    let mut tally = strangers::night(workspace)?;
    tally.add(postgres::night(workspace)?);
    tally.add(fuzz::night(workspace)?);
    tally.add(stream(workspace)?);
    suite::finish(tally)
}

/// The proxy's stream of the ordinary suite, forty times as long.
fn stream(workspace: &Workspace) -> Outcome<Tally> {
    let mut test = run::cargo(&[
        "test",
        "--locked",
        "--package=jeton-cli",
        "--test=proxy_load",
        "c14_a_stream",
    ]);
    run::count(&workspace.root, test.env("JETON_TEST_STREAM_MIB", STREAM))
}
