//! `config.toml`: profiles, ladders, hosts, proxies, files, and defaults for every flag.
//!
//! Nothing secret is written in it, nothing is read from the current directory, and the whole file is checked before
//! anything is sent: an unknown key, a missing one, a circle of profiles, an `http://` issuer beyond this machine are
//! errors of [`Class::Config`] that name the line.
mod ladder;
pub mod nearest;
mod profile;
mod reader;
mod reference;

pub use ladder::AMBIENT;
pub use profile::{ClientAuth, Grant, Input, Profile, Store, is_loopback};
pub use reference::Reference;

use crate::{Env, Error};
use jeton_core::Class;
use reader::{Document, Section};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use url::Url;

/// A configuration larger than this is a mistake, in bytes.
const FILE_CAP: u64 = 1024 * 1024;
/// The rights of a token file when nobody says: its owner's alone.
const FILE_MODE: u32 = 0o600;
/// The keys of `[defaults]`: the flags of `jeton token` that a setting can stand for.
pub const DEFAULTS: &[&str] = &[
    "attempt_timeout",
    "audience",
    "backoff",
    "backoff_factor",
    "ca_file",
    "cache_ttl",
    "connect_timeout",
    "max_attempts",
    "max_backoff",
    "min_validity",
    "name",
    "no_cache",
    "output",
    "refresh",
    "resource",
    "scope",
    "service_account",
    "source",
    "strict",
    "timeout",
];

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Where it was read from; `None` when there is none.
    pub path: Option<PathBuf>,
    /// `[defaults]`, by key.
    pub defaults: BTreeMap<&'static str, DefaultValue>,
    /// `[ambient] order`: exactly these, when it is given.
    pub order: Option<Vec<String>>,
    /// `[ambient] disable`.
    pub disable: Vec<String>,
    /// `[profiles.NAME]`.
    pub profiles: BTreeMap<String, Profile>,
    /// `[hosts."NAME"]`: what credential helpers offer to whom.
    pub hosts: BTreeMap<String, Host>,
    /// `[proxy.NAME]`.
    pub proxies: BTreeMap<String, Proxy>,
    /// `[files]`: kept fresh by the agent.
    pub files: BTreeMap<PathBuf, TokenFile>,
}

/// A value of `[defaults]`, unparsed: whoever has the flag parses both the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultValue {
    /// The value, or the values of a list.
    pub values: Vec<String>,
    /// Where it stands.
    pub line: usize,
}

/// What is offered to one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Whose token; a profile or [`AMBIENT`].
    pub profile: String,
    /// The user name, where the consumer wants one.
    pub username: Option<String>,
    /// The audience of the token.
    pub audience: Option<String>,
    /// Where it stands.
    pub line: usize,
}

/// A proxy that adds tokens to requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where requests go.
    pub upstream: Url,
    /// Whose token; a profile or [`AMBIENT`].
    pub profile: String,
    /// The loopback address to listen on; `None`: any free port.
    pub listen: Option<SocketAddr>,
    /// The audience of the token.
    pub audience: Option<String>,
    /// Where it stands.
    pub line: usize,
}

/// A token file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFile {
    /// Whose token; a profile or [`AMBIENT`].
    pub profile: String,
    /// The audience of the token.
    pub audience: Option<String>,
    /// Its rights.
    pub mode: u32,
    /// Whether it is written as the kubelet writes a volume (`layout = "kubernetes"`).
    pub kubernetes: bool,
    /// Where it stands.
    pub line: usize,
}

impl Config {
    /// Reads the file that `named` or `JETON_CONFIG` names, else the user's own, which need not be there.
    ///
    /// # Errors
    /// [`Class::NotFound`] when a named file does not exist, [`Class::Config`] for everything wrong in it.
    pub fn load(env: &Env, named: Option<&Path>) -> Result<Self, Error> {
        let named = named
            .map(Path::to_path_buf)
            .or_else(|| env.get("JETON_CONFIG").map(PathBuf::from));
        let Some(path) = named.clone().or_else(|| Self::usual_path(env)) else {
            return Ok(Self::default());
        };
        match read(&path) {
            Ok(text) => {
                let mut config = Self::parse(&text, &path.display().to_string())?;
                config.settle(path.parent().unwrap_or(Path::new("")));
                config.path = Some(path);
                Ok(config)
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && named.is_none() => Ok(Self::default()),
            Err(e) => {
                let class = match e.kind() {
                    std::io::ErrorKind::NotFound => Class::NotFound,
                    _ => Class::Config,
                };
                Err(Error::new(class, format!("configuration {}: {e}", path.display())).with_source(e))
            }
        }
    }

    /// Takes paths that say no folder from `folder`, the file's own: nobody's current directory decides what is read.
    fn settle(&mut self, folder: &Path) {
        for profile in self.profiles.values_mut() {
            profile.settle(folder);
        }
        for spec in self.order.iter_mut().flatten() {
            *spec = profile::settled(spec, folder);
        }
        if let Some(sources) = self.defaults.get_mut("source") {
            for spec in &mut sources.values {
                *spec = profile::settled(spec, folder);
            }
        }
        if let Some(authorities) = self.defaults.get_mut("ca_file") {
            for path in &mut authorities.values {
                *path = folder.join(&path).display().to_string();
            }
        }
    }

    /// Where the user's own file would be.
    #[must_use]
    pub fn usual_path(env: &Env) -> Option<PathBuf> {
        let folder = env.get("XDG_CONFIG_HOME").map(PathBuf::from);
        let folder = folder.filter(|path| path.is_absolute());
        let folder = folder.or_else(|| env.home().map(|home| home.join(".config")))?;
        Some(folder.join("jeton/config.toml"))
    }

    /// Reads and checks `text`; `name` is what the file is called in messages.
    ///
    /// # Errors
    /// [`Class::Config`], with the line.
    pub fn parse(text: &str, name: &str) -> Result<Self, Error> {
        let document = Document { name, text };
        let table = document.table()?;
        let known = ["defaults", "ambient", "profiles", "hosts", "proxy", "files"];
        let root = Section::root(document, &table, &known)?;
        let mut config = Self {
            defaults: defaults(&root)?,
            ..Self::default()
        };
        if let Some(ambient) = root.child("ambient", &["order", "disable"])? {
            config.order = ambient.texts("order")?;
            config.disable = ambient.texts("disable")?.unwrap_or_default();
        }
        for (name, section) in root.children("profiles", profile::KEYS)? {
            config
                .profiles
                .insert(name.clone(), profile::read(&name, &section)?);
        }
        config.hosts = hosts(&root)?;
        config.proxies = proxies(&root)?;
        config.files = files(&root)?;
        ladder::check(&config, document)?;
        Ok(config)
    }

    /// The profile of that name.
    ///
    /// # Errors
    /// [`Class::NotFound`], with the nearest name there is.
    pub fn profile(&self, name: &str) -> Result<&Profile, Error> {
        self.profiles.get(name).ok_or_else(|| {
            let shown = jeton_core::redact::foreign(name, &[]);
            let error = Error::new(Class::NotFound, format!("there is no profile `{shown}`"));
            let names = self.profiles.keys().map(String::as_str);
            match (nearest::nearest(name, names), &self.path) {
                (Some(meant), _) => error.with_hint(format!("did you mean `{meant}`?")),
                (None, Some(path)) => error.with_hint(format!(
                    "profiles are tables `[profiles.NAME]` in {}",
                    path.display()
                )),
                (None, None) => error.with_hint("there is no config.toml; see `jeton help environment`"),
            }
        })
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::{Error, ErrorKind, Read};
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(FILE_CAP + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_CAP {
        return Err(Error::other("larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "no UTF-8 text"))
}

fn defaults(root: &Section<'_>) -> Result<BTreeMap<&'static str, DefaultValue>, Error> {
    let Some(section) = root.child("defaults", DEFAULTS)? else {
        return Ok(BTreeMap::new());
    };
    let mut found = BTreeMap::new();
    for key in DEFAULTS {
        if let Some(values) = section.values(key)? {
            let line = section.line_of(key);
            found.insert(*key, DefaultValue { values, line });
        }
    }
    Ok(found)
}

fn hosts(root: &Section<'_>) -> Result<BTreeMap<String, Host>, Error> {
    let sections = root.children("hosts", &["profile", "username", "audience"])?;
    let read = |(name, section): (String, Section<'_>)| {
        let host = Host {
            profile: section.needed("profile", "whose token is offered")?,
            username: section.text("username")?,
            audience: section.text("audience")?,
            line: section.line,
        };
        Ok((name, host))
    };
    sections.into_iter().map(read).collect()
}

fn proxies(root: &Section<'_>) -> Result<BTreeMap<String, Proxy>, Error> {
    let sections = root.children("proxy", &["upstream", "profile", "listen", "audience"])?;
    let read = |(name, section): (String, Section<'_>)| {
        let upstream = section.needed("upstream", "where requests go")?;
        let proxy = Proxy {
            upstream: profile::address(&section, "upstream", &upstream)?,
            profile: section.needed("profile", "whose token is added")?,
            listen: listen(&section)?,
            audience: section.text("audience")?,
            line: section.line,
        };
        Ok((name, proxy))
    };
    sections.into_iter().map(read).collect()
}

fn listen(section: &Section<'_>) -> Result<Option<SocketAddr>, Error> {
    let Some(text) = section.text("listen")? else {
        return Ok(None);
    };
    let address: SocketAddr = text
        .parse()
        .map_err(|_| section.fault("listen", &format!("`{text}` is no address with a port")))?;
    if !address.ip().is_loopback() {
        return Err(section.fault("listen", "only a loopback address: whoever connects acts as you"));
    }
    Ok(Some(address))
}

fn files(root: &Section<'_>) -> Result<BTreeMap<PathBuf, TokenFile>, Error> {
    let sections = root.children("files", &["profile", "audience", "mode", "layout"])?;
    let read = |(path, section): (String, Section<'_>)| {
        if !Path::new(&path).is_absolute() {
            return Err(section.fault("profile", &format!("`{path}` is no absolute path")));
        }
        let file = TokenFile {
            profile: section.needed("profile", "whose token is kept there")?,
            audience: section.text("audience")?,
            mode: mode(&section)?,
            kubernetes: kubernetes(&section)?,
            line: section.line,
        };
        Ok((PathBuf::from(path), file))
    };
    sections.into_iter().map(read).collect()
}

fn kubernetes(section: &Section<'_>) -> Result<bool, Error> {
    match section.text("layout")?.as_deref() {
        None | Some("plain") => Ok(false),
        Some("kubernetes") => Ok(true),
        Some(other) => Err(section.fault(
            "layout",
            &format!("`{other}` is neither `plain` nor `kubernetes`"),
        )),
    }
}

fn mode(section: &Section<'_>) -> Result<u32, Error> {
    let Some(text) = section.text("mode")? else {
        return Ok(FILE_MODE);
    };
    u32::from_str_radix(&text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| section.fault("mode", &format!("`{text}` are no file rights; write `\"0600\"`")))
}

#[cfg(test)]
mod tests;
