//! How a [`Jeton`] is put together. Everything has a default.
use super::{Inner, Jeton};
use crate::Context;
use crate::cache::memory::Memory;
use crate::cache::{self, Disk};
use crate::chain::Chain;
use crate::context::DEFAULT_TIMEOUT;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Settings on the way to a [`Jeton`].
pub struct Builder {
    cx: Context,
    chain: Chain,
    disk: Place,
    settings: Settings,
}

/// What can be said beside surroundings and sources.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Part of every cache key; empty for the ambient chain.
    pub(crate) profile: String,
    /// The issuer that tokens must come from, where the profile names one.
    pub(crate) issuer: Option<String>,
    /// For everything together.
    pub(crate) timeout: Duration,
    /// The longest re-use; `None`: the token's own life.
    pub(crate) ttl: Option<Duration>,
    /// Whether what is cached is ignored (but replaced).
    pub(crate) refresh: bool,
    /// Whether a token that lives shorter than asked for is an error instead of a warning.
    pub(crate) strict: bool,
}

enum Place {
    Environment,
    Folder(PathBuf),
    Off,
}

impl Builder {
    pub(super) fn new(cx: Context, chain: Chain) -> Self {
        Self {
            cx,
            chain,
            disk: Place::Environment,
            settings: Settings {
                profile: String::new(),
                issuer: None,
                timeout: DEFAULT_TIMEOUT,
                ttl: None,
                refresh: false,
                strict: false,
            },
        }
    }

    /// The profile's name: part of every cache key.
    #[must_use]
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.settings.profile = name.into();
        self
    }

    /// The issuer that tokens must come from; any other one is refused (`Class::Token`).
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.settings.issuer = Some(issuer.into());
        self
    }

    /// The time for everything together: waiting for others, the chain, every attempt. 60 s when nothing is said.
    #[must_use]
    pub fn timeout(mut self, span: Duration) -> Self {
        self.settings.timeout = span;
        self
    }

    /// The longest time a cached token is re-used; zero: nothing is read from or written to any cache.
    #[must_use]
    pub fn cache_ttl(mut self, ttl: Option<Duration>) -> Self {
        self.settings.ttl = ttl;
        self
    }

    /// The disk cache in this folder instead of the one that the environment names.
    #[must_use]
    pub fn cache_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.disk = Place::Folder(folder.into());
        self
    }

    /// No disk cache: tokens are kept in memory alone.
    #[must_use]
    pub fn no_disk_cache(mut self) -> Self {
        self.disk = Place::Off;
        self
    }

    /// Ignore what is on disk but store the new one (`--refresh`).
    #[must_use]
    pub fn refresh(mut self, yes: bool) -> Self {
        self.settings.refresh = yes;
        self
    }

    /// Fail (`Class::Token`) where otherwise a token that lives shorter than asked for is given with a warning.
    #[must_use]
    pub fn strict(mut self, yes: bool) -> Self {
        self.settings.strict = yes;
        self
    }

    /// Puts it together. Touches neither disk nor network.
    #[must_use]
    pub fn build(self) -> Jeton {
        let off = self.settings.ttl == Some(Duration::ZERO);
        let nowhere = matches!(self.disk, Place::Environment);
        let disk = match self.disk {
            _ if off => None,
            Place::Environment => cache::locate(&self.cx.env).map(Disk::at),
            Place::Folder(path) => Some(Disk::at(path)),
            Place::Off => None,
        };
        let homeless = !off && nowhere && disk.is_none();
        Jeton(Arc::new(Inner {
            homeless: homeless.into(),
            cx: self.cx,
            chain: self.chain,
            memory: Memory::default(),
            disk,
            settings: self.settings,
        }))
    }
}
