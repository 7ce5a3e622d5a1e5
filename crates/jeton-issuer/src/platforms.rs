//! The platforms that the issuer can look like: each one's endpoints as its own clients know them, and the variables
//! that make a program take this issuer for it.
//!
//! Every platform's secret (GitHub's request token, Buildkite's agent token, App Service's header, …) is the one
//! request token of the issuer, so that a test knows what to look for.
pub(crate) mod github;

use crate::desk::Desk;
use crate::error::Error;
use crate::faults::nearest;
use crate::routes::Route;

/// A variable and its value.
pub(crate) type Variable = (String, String);

/// A platform: its name as everywhere, its endpoints, its variables.
pub(crate) struct Platform {
    pub(crate) name: &'static str,
    pub(crate) routes: &'static [Route],
    pub(crate) environment: fn(&Desk<'_>) -> Result<Vec<Variable>, Error>,
}

const PLATFORMS: &[Platform] = &[github::GITHUB, github::FORGEJO];

pub(crate) fn routes() -> impl Iterator<Item = &'static Route> {
    PLATFORMS.iter().flat_map(|platform| platform.routes)
}

/// The platforms that the issuer can look like.
pub fn names() -> impl Iterator<Item = &'static str> {
    PLATFORMS.iter().map(|platform| platform.name)
}

/// The variables with which a program takes this issuer for that platform.
pub(crate) fn environment(desk: &Desk<'_>, platform: &str) -> Result<Vec<Variable>, Error> {
    match PLATFORMS.iter().find(|known| known.name == platform) {
        Some(known) => (known.environment)(desk),
        None => Err(match nearest(platform, names()) {
            Some(near) => Error::new(format!(
                "no platform is called `{platform}`; did you mean `{near}`?"
            )),
            None => Error::new(format!("no platform is called `{platform}`")),
        }),
    }
}

/// Variables, from rows.
pub(crate) fn variables<const N: usize>(rows: [(&str, String); N]) -> Vec<Variable> {
    rows.into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
