//! Where a request is answered: the issuer's state, and what the faults of this one request change.
use crate::error::Error;
use crate::faults::{Board, TokenTwist};
use crate::grants::Ledger;
use crate::keys::{self, KeyRing, unguessable};
use crate::mint::Mint;
use crate::options::Options;
use crate::record::Recorded;
use jeton_core::{Algorithm, SigningKey, UnixTime};
use serde_json::{Map, Value};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The state of an issuer, shared by all its connections.
pub(crate) struct Provider {
    pub(crate) options: Options,
    /// The issuer URL, path included, no slash at its end.
    pub(crate) url: String,
    /// What a platform's client must show.
    pub(crate) request_token: String,
    /// The authority of its certificate.
    pub(crate) ca_pem: Option<String>,
    pub(crate) record: Mutex<Vec<Recorded>>,
    pub(crate) connections: AtomicU64,
    pub(crate) faults: Mutex<Board>,
    pub(crate) ledger: Mutex<Ledger>,
    /// Seconds that the issuer's clock is ahead, by its owner's wish.
    pub(crate) offset_seconds: AtomicI64,
    keys: Mutex<KeyRing>,
    foreign: SigningKey,
    started: Instant,
}

impl Provider {
    pub(crate) fn new(options: Options, url: String, ca_pem: Option<String>) -> Result<Self, Error> {
        let request_token = options.request_token.clone();
        Ok(Self {
            url,
            ca_pem,
            request_token: request_token.unwrap_or_else(|| unguessable("request-")),
            record: Mutex::default(),
            connections: AtomicU64::new(0),
            faults: Mutex::new(Board::new(options.faults.clone())),
            ledger: Mutex::default(),
            offset_seconds: AtomicI64::new(0),
            keys: Mutex::new(KeyRing::new(options.algorithm)?),
            foreign: keys::generate(Algorithm::Es256)?,
            started: Instant::now(),
            options,
        })
    }

    pub(crate) fn keys(&self) -> MutexGuard<'_, KeyRing> {
        lock(&self.keys)
    }

    pub(crate) fn since_start(&self) -> Duration {
        self.started.elapsed()
    }

    /// The part of the URL after the authority.
    pub(crate) fn prefix(&self) -> &str {
        let after_scheme = self.url.split_once("://").map_or("", |(_, rest)| rest);
        after_scheme.find('/').map_or("", |at| &after_scheme[at..])
    }

    /// The URL without its path.
    pub(crate) fn origin(&self) -> &str {
        self.url.strip_suffix(self.prefix()).unwrap_or(&self.url)
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> &str {
        self.origin().split_once("://").map_or("", |(_, rest)| rest)
    }
}

/// A poisoned lock is taken as it is: a test's panic elsewhere must not hide behind one here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state as one request sees it.
pub(crate) struct Desk<'a> {
    pub(crate) provider: &'a Provider,
    /// What the faults of this request do to tokens.
    pub(crate) twists: Vec<TokenTwist>,
    /// Seconds that the clock is ahead for this request.
    pub(crate) offset_seconds: i64,
}

impl<'a> Desk<'a> {
    pub(crate) fn plain(provider: &'a Provider) -> Self {
        Self {
            provider,
            twists: Vec::new(),
            offset_seconds: 0,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.provider.url
    }

    pub(crate) fn options(&self) -> &Options {
        &self.provider.options
    }

    /// The present as this issuer tells it, offsets included.
    pub(crate) fn now(&self) -> UnixTime {
        let own = self.provider.offset_seconds.load(Ordering::Relaxed);
        let ahead = own.saturating_add(self.offset_seconds).saturating_mul(1000);
        let present = (self.options().clock)();
        UnixTime::from_millis(present.millis().saturating_add(ahead))
    }

    /// An identity token with these claims.
    pub(crate) fn identity_token(&self, claims: Map<String, Value>) -> String {
        self.sign(Mint::new(
            self.url(),
            self.now(),
            self.options().token_life,
            claims,
        ))
    }

    /// Signs, after the faults of this request had their way.
    pub(crate) fn sign(&self, mut mint: Mint) -> String {
        for twist in &self.twists {
            twist.apply(&mut mint);
        }
        let keys = self.provider.keys();
        match keys.current() {
            Some(key) => mint.sign(key, &self.provider.foreign),
            None => String::new(),
        }
    }
}

/// The claims, from rows of names and values.
pub(crate) fn claims<const N: usize>(rows: [(&str, Value); N]) -> Map<String, Value> {
    rows.into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
