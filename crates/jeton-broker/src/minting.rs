//! Credentials that are made on demand: short-lived, kept until shortly before their end, one request for all who wait.
//!
//! | provider | asks |
//! |---|---|
//! | [`github`] | GitHub for an installation's token, with an app's private key |
//! | [`google`] | an OAuth token endpoint for an access token, with a refresh token |
//! | [`cloud`] | AWS, Google Cloud, Azure, Vault or any token endpoint, with a token of ours |
pub mod cloud;
mod flight;
pub mod github;
pub mod google;
pub mod lease;

pub use flight::{Key, Mint};

use jeton::http::checked_url;
use jeton::{Class, Error};
use jeton_core::json::Json;
use jeton_core::{Secret, UnixTime};
use std::time::Duration;
use url::Url;

/// What is made this long before its end is made anew: longer than any one use of it takes.
pub const MARGIN: Duration = Duration::from_secs(5 * 60);

/// The longest that a caller waits for a provider.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// What was made.
#[derive(Clone, Debug)]
pub struct Minted {
    /// The token.
    pub token: Secret,
    /// When it ends, where somebody said so.
    pub expires_at: Option<UnixTime>,
    /// Members that belong to it: the parts of a cloud's credentials, granted scopes.
    pub parts: Vec<(&'static str, Secret)>,
    /// A refresh token that takes the place of the one that was used: to be kept before the token is handed out.
    pub rotated: Option<Secret>,
}

impl Minted {
    /// A token and its end.
    #[must_use]
    pub fn new(token: Secret, expires_at: Option<UnixTime>) -> Self {
        Self {
            token,
            expires_at,
            parts: Vec::new(),
            rotated: None,
        }
    }
}

/// The address of a provider, if requests may be sent there: `https`, or this machine where the broker itself is for
/// this machine only. Whoever may write credentials must not reach what listens beside the broker.
///
/// # Errors
/// `Class::Config`.
pub fn provider_url(text: &str, loopback: bool) -> Result<Url, Error> {
    let url = checked_url(text, "url")?;
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(url::Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => true,
    };
    if local && !loopback {
        return Err(Error::new(Class::Config, "url: it must not be this machine"));
    }
    Ok(url)
}

/// `base` with a path behind its own.
fn below(base: &Url, path: &str) -> Result<Url, Error> {
    checked_url(&format!("{}{path}", base.as_str().trim_end_matches('/')), "url")
}

/// A member of a secret that has to be a text.
fn member(secret: &Json, name: &str) -> Result<String, Error> {
    let value = secret.get(name);
    let text = value.and_then(|value| match value {
        Json::String(text) => Some(text.clone()),
        Json::Integer(number) => Some(number.to_string()),
        _ => None,
    });
    text.filter(|text| !text.is_empty())
        .ok_or_else(|| Error::new(Class::Config, format!("secret.{name}: is missing")))
}

/// A member of a secret that may be missing.
fn optional(secret: &Json, name: &str) -> Option<String> {
    let text = secret.get(name).and_then(Json::as_str);
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Scopes as an array or as one text.
fn scopes(secret: &Json) -> Vec<String> {
    match secret.get("scopes").or_else(|| secret.get("scope")) {
        Some(Json::Array(all)) => all.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        Some(Json::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
