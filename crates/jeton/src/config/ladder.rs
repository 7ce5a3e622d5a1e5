//! What can only be said of the file as a whole: every name leads somewhere, and no ladder bites its own tail.
use super::reader::Document;
use super::{Config, Input, Profile};
use crate::Error;
use crate::config::nearest::nearest;

/// The name that stands for the ambient chain wherever a profile may be named.
pub const AMBIENT: &str = "ambient";

pub(super) fn check(config: &Config, document: Document<'_>) -> Result<(), Error> {
    for profile in config.profiles.values() {
        if let Some(Input::Profile(name)) = &profile.from {
            exists(config, document, profile.line, "from", name)?;
        }
    }
    for profile in config.profiles.values() {
        climb(config, document, profile)?;
    }
    for (place, line, name) in named(config) {
        exists(config, document, line, &place, name)?;
    }
    Ok(())
}

/// Every place outside of profiles that names one.
fn named(config: &Config) -> impl Iterator<Item = (String, usize, &str)> {
    let hosts = config
        .hosts
        .iter()
        .map(|(name, host)| (format!("hosts.\"{name}\""), host.line, host.profile.as_str()));
    let proxies = config
        .proxies
        .iter()
        .map(|(name, proxy)| (format!("proxy.{name}"), proxy.line, proxy.profile.as_str()));
    let files = config.files.iter().map(|(path, file)| {
        (
            format!("files.\"{}\"", path.display()),
            file.line,
            file.profile.as_str(),
        )
    });
    hosts.chain(proxies).chain(files)
}

fn exists(
    config: &Config,
    document: Document<'_>,
    line: usize,
    place: &str,
    name: &str,
) -> Result<(), Error> {
    if name == AMBIENT || config.profiles.contains_key(name) {
        return Ok(());
    }
    let error = document.error(
        line,
        &format!("`{place}` names `{name}`, and there is no such profile"),
    );
    Err(match nearest(name, config.profiles.keys().map(String::as_str)) {
        Some(meant) => error.with_hint(format!("did you mean `{meant}`?")),
        None => error,
    })
}

/// Follows `from` until it leaves the profiles, or comes back.
fn climb(config: &Config, document: Document<'_>, start: &Profile) -> Result<(), Error> {
    let mut path = vec![start.name.as_str()];
    let mut rung = start;
    while let Some(Input::Profile(name)) = &rung.from {
        let Some(next) = config.profiles.get(name) else {
            return Ok(());
        };
        let seen = path.contains(&name.as_str());
        path.push(name);
        if seen {
            let way = path.join(" -> ");
            return Err(document.error(start.line, &format!("`from` is a cycle: {way}")));
        }
        rung = next;
    }
    Ok(())
}
