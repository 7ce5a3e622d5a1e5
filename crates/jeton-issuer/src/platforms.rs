//! The platforms that the issuer can look like: each one's endpoints as its own clients know them, and the variables
//! that make a program take this issuer for it.
//!
//! Every platform's secret (GitHub's request token, Buildkite's agent token, App Service's header, …) is the one
//! request token of the issuer, so that a test knows what to look for.
mod aws;
mod azure;
mod azure_pipelines;
mod buildkite;
mod codefresh;
mod fly;
pub(crate) mod github;
mod google;
mod kubernetes;
mod spiffe;
mod variables;
mod vercel;

use crate::desk::Desk;
use crate::error::Error;
use crate::faults::nearest;
use crate::routes::Route;

/// A variable and its value.
pub(crate) type Variable = (String, String);

/// What a client's environment must be, or why it cannot be made.
pub(crate) type Environment = Result<Vec<Variable>, Error>;

/// A platform: its name as everywhere, its endpoints, its variables.
pub(crate) struct Platform {
    pub(crate) name: &'static str,
    pub(crate) routes: &'static [Route],
    pub(crate) environment: fn(&Desk<'_>) -> Environment,
}

const PLATFORMS: [&[Platform]; 12] = [
    &[github::GITHUB, github::FORGEJO],
    &[kubernetes::KUBERNETES],
    google::PLATFORMS,
    aws::PLATFORMS,
    azure::PLATFORMS,
    &[azure_pipelines::AZURE_PIPELINES],
    &[buildkite::BUILDKITE],
    &[fly::FLY],
    &[codefresh::CODEFRESH],
    &[vercel::VERCEL],
    &[spiffe::SPIFFE],
    variables::PLATFORMS,
];

fn platforms() -> impl Iterator<Item = &'static Platform> {
    PLATFORMS.into_iter().flatten()
}

pub(crate) fn routes() -> impl Iterator<Item = &'static Route> {
    platforms().flat_map(|platform| platform.routes)
}

/// The platforms that the issuer can look like.
pub fn names() -> impl Iterator<Item = &'static str> {
    platforms().map(|platform| platform.name)
}

/// The variables with which a program takes this issuer for that platform.
pub(crate) fn environment(desk: &Desk<'_>, platform: &str) -> Environment {
    match platforms().find(|known| known.name == platform) {
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
fn variables<const N: usize>(rows: [(&str, String); N]) -> Vec<Variable> {
    rows.into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Writes a file that the platform would give to a program, and says where it is.
fn write_file(desk: &Desk<'_>, name: &str, content: &str) -> Result<String, Error> {
    let folder = desk.options().folder.as_ref();
    let folder = folder.ok_or_else(|| {
        Error::new("this platform gives files to a program: start the issuer with a folder for them")
    })?;
    let path = folder.join(name);
    let written = path
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(&path, content));
    written.map_err(|e| Error::io(format!("cannot write {}", path.display()), e))?;
    Ok(path.display().to_string())
}

/// Host and port of an authority such as `127.0.0.1:8080`.
fn host_and_port(authority: &str) -> (String, String) {
    match authority.rsplit_once(':') {
        Some((host, port)) => (host.trim_matches(['[', ']']).to_owned(), port.to_owned()),
        None => (authority.to_owned(), String::new()),
    }
}

/// A time as RFC 3339 has it, whole seconds in UTC; empty for one that jiff cannot hold.
fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map(|time| time.to_string())
        .unwrap_or_default()
}
