//! `cargo xtask nightly`: what takes too long, or wants too much installed, for every check.

use crate::workspace::Workspace;
use crate::{Outcome, fuzz, postgres, strangers, suite};

/// The recipe.
pub(crate) fn nightly(workspace: &Workspace, _: &[String]) -> Outcome {
    let mut tally = strangers::night(workspace)?;
    tally.add(postgres::night(workspace)?);
    tally.add(fuzz::night(workspace)?);
    suite::finish(tally)
}
