//! `broker.toml`, and `JETON_BROKER_…` over it: every key has its variable, which wins.
//!
//! Paths in the file are taken from the file's own folder, paths in variables from where the broker was started.
use crate::store::Database;
use jeton::core::{Algorithm, AlgorithmSet, Audience, Issuer};
use jeton::{Class, Env, Error, duration};
use serde::Deserialize;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod written;

use written::Written;

/// The configuration file when nobody names one.
pub const FILE: &str = "broker.toml";
/// The variable that names it.
pub const VARIABLE: &str = "JETON_BROKER_CONFIG";
/// Where the broker listens when nobody says.
pub const LISTEN: &str = "127.0.0.1:8420";
/// What the routes stand under when nobody says.
pub const BASE_PATH: &str = "/v1";
/// How long requests are answered after a signal to stop when nobody says: long enough for a cluster, which asks every
/// second or two whether a replica is ready, to stop sending any. On this machine nobody spreads requests.
pub const SHUTDOWN_DELAY: Duration = Duration::from_secs(5);
/// The longest that may be: what sends signals does not wait for ever.
const LONGEST_DELAY: Duration = Duration::from_secs(300);

/// The settings of a broker, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file they were read from.
    pub path: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whether something in front of it ends TLS and says for whom it asks (`X-Forwarded-For`).
    pub behind_proxy: bool,
    /// How others reach it; the issuer of the tokens that it mints. Without it, the address it listens on.
    pub public_url: Option<String>,
    /// What the routes stand under: empty, or with a slash in front and none behind.
    pub base_path: String,
    /// Where everything is kept.
    pub database: Database,
    /// The file of keys that encrypt.
    pub keyring: PathBuf,
    /// Who seals the keyring's keys, where somebody does.
    pub key_service: Option<KeyService>,
    /// The private key that signs the broker's own tokens (PEM).
    pub signing_key: PathBuf,
    /// A certificate of its own.
    pub tls: Option<Tls>,
    /// How long it goes on, and says that it is not ready, after a signal to stop.
    pub shutdown_delay: Duration,
    /// Whose tokens are accepted.
    pub issuers: Vec<Accepted>,
    /// Who is `platform:admin` from the start.
    pub admins: Vec<Admin>,
    /// Limits, where some are set.
    pub limits: Limits,
    /// Trust policies that are kept in files: a file, or a folder of them.
    pub policies: Option<PathBuf>,
}

/// A certificate and its key, in files of PEM.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate and those between it and the authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// `[key_service]`: the transit engine of Vault or OpenBao.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct KeyService {
    /// The server.
    pub url: String,
    /// Where the engine is mounted.
    pub mount: String,
    /// The key there.
    pub key: String,
    /// A file with the token to ask with, read for each question: Vault's own agent keeps it fresh.
    pub token_file: PathBuf,
}

/// An issuer whose tokens are accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Its name.
    pub issuer: Issuer,
    /// For whom a token must be: one of these.
    pub audiences: Vec<Audience>,
    /// With what it may be signed.
    pub algorithms: AlgorithmSet,
    /// Its keys, in a file: then nothing is fetched.
    pub jwks_file: Option<PathBuf>,
    /// The most that `exp - iat` may be.
    pub max_token_age: Option<Duration>,
    /// Whether each token is good for one request only.
    pub require_jti: bool,
}

/// A principal that is `platform:admin`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Whose token it is.
    pub issuer: String,
    /// Whom it names.
    pub subject: String,
}

/// `[limits]`: where it says nothing, only failures are limited.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Successful requests a second, for each issuer.
    pub per_issuer: Option<u32>,
    /// Successful exchanges a second, for each trust policy.
    pub per_policy: Option<u32>,
    /// Requests at once.
    pub concurrency: Option<u32>,
    /// Failed requests a second, for each source address and for each issuer.
    pub failures: Option<u32>,
}

/// The file that is meant: `flag`, else the variable, else `broker.toml` in `folder`.
#[must_use]
pub fn locate(env: &Env, flag: Option<&Path>, folder: &Path) -> PathBuf {
    let named = flag
        .map(Path::to_owned)
        .or_else(|| env.get(VARIABLE).map(PathBuf::from));
    folder.join(named.unwrap_or_else(|| PathBuf::from(FILE)))
}

impl Config {
    /// Reads and checks the file at `path`; relative paths in variables are taken from `folder`.
    ///
    /// # Errors
    /// `Class::NotFound` when there is no such file, `Class::Config` for what is wrong with it, naming the key.
    pub fn load(env: &Env, path: &Path, folder: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let class = match error.kind() {
                std::io::ErrorKind::NotFound => Class::NotFound,
                _ => Class::Config,
            };
            Error::new(class, format!("{}: {error}", path.display()))
                .with_hint("`jeton broker init` writes one; --config names another")
        })?;
        Self::read(env, &text, path, folder)
    }

    /// Reads and checks the text of the file that is at `path`.
    ///
    /// # Errors
    /// `Class::Config`.
    pub fn read(env: &Env, text: &str, path: &Path, folder: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let beside = path.parent().unwrap_or(folder);
        let mut written = Written::parse(text, &name)?;
        written.resolve(beside);
        written.overlay(env, folder)?;
        let config = written
            .check(path, beside)
            .map_err(|wrong| Error::new(Class::Config, format!("{name}: {wrong}")))?;
        Ok(config)
    }

    /// Where the routes stand on an address that was bound.
    #[must_use]
    pub fn public_url(&self, bound: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        self.public_url
            .clone()
            .unwrap_or_else(|| format!("{scheme}://{bound}"))
    }

    /// What must not be, whatever the file says: a port beyond this machine without encryption.
    fn check_listener(&self) -> Result<(), String> {
        if self.listen.ip().is_loopback() || self.tls.is_some() || self.behind_proxy {
            return Ok(());
        }
        Err(format!(
            "listen: {} is reached from beyond this machine, and there is no [tls]; set it, or `behind_proxy = true` \
             when something in front of the broker ends TLS",
            self.listen
        ))
    }

    /// Every issuer is there once, and at least one is.
    fn check_issuers(&self) -> Result<(), String> {
        if self.issuers.is_empty() {
            return Err(
                "no [[issuers]]: nobody could ask for anything; name at least one issuer and its audiences"
                    .into(),
            );
        }
        let mut seen = HashSet::new();
        for accepted in &self.issuers {
            if !seen.insert(accepted.issuer.as_str()) {
                return Err(format!("issuers: {} is there twice", accepted.issuer));
            }
            if self.public_url.as_deref() == Some(accepted.issuer.as_str()) {
                return Err("issuers: the broker's own tokens are accepted anyway".into());
            }
        }
        Ok(())
    }
}

/// The asymmetric algorithms of these names; all of them when there are none.
fn algorithms(names: &[String]) -> Result<AlgorithmSet, String> {
    if names.is_empty() {
        return Ok(AlgorithmSet::ALL);
    }
    let named: Result<Vec<Algorithm>, String> = names
        .iter()
        .map(|name| {
            Algorithm::named(name)
                .ok_or_else(|| format!("algorithms: {name} is no asymmetric algorithm that is known"))
        })
        .collect();
    Ok(AlgorithmSet::of(&named?))
}

fn span(name: &str, text: &str) -> Result<Duration, String> {
    duration::parse(text).ok_or_else(|| format!("{name}: no duration; write `250ms`, `30s`, `5m` or `1h`"))
}

fn shutdown_delay(text: Option<&str>, listen: SocketAddr) -> Result<Duration, String> {
    match text.map(|text| span("shutdown_delay", text)).transpose()? {
        None if listen.ip().is_loopback() => Ok(Duration::ZERO),
        None => Ok(SHUTDOWN_DELAY),
        Some(delay) if delay <= LONGEST_DELAY => Ok(delay),
        Some(_) => Err(format!(
            "shutdown_delay: is {} s at most",
            LONGEST_DELAY.as_secs()
        )),
    }
}

#[cfg(test)]
mod tests;
