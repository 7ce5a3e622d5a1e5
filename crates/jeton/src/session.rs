//! A login that lasts: the refresh token on disk, one refresh at a time on the whole machine.
//!
//! The rules that keep a session from being lost: the session's lease is held while its refresh token is used; what
//! the server rotated is on disk before the access token is used; an answer without a refresh token keeps the old
//! one; `invalid_grant` clears only the refresh token, and says who must log in again. That a process is killed in the
//! middle of it costs nothing where a [`courier`] goes.
use crate::config::Store;
use crate::{Context, Error};
use jeton_core::{Class, Json, Secret, UnixTime, json};
use std::path::PathBuf;

pub mod courier;
mod store;

pub use courier::Courier;
pub use store::{Held, SessionStore};

/// What a session is known by: whose login, at which issuer, by which client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionKey {
    /// The profile that logs in.
    pub profile: String,
    /// Its issuer.
    pub issuer: String,
    /// Its client.
    pub client_id: String,
}

/// A login as it is stored.
#[derive(Clone, Debug)]
pub struct Session {
    /// Whose it is.
    pub key: SessionKey,
    /// The subject that logged in, where an ID token said so.
    pub subject: Option<String>,
    /// A random name of this login: another login is another generation, and nothing of the old one is used.
    pub generation: String,
    /// When it began.
    pub since: UnixTime,
    /// The refresh token; `None` once it is dead.
    pub refresh_token: Option<RefreshToken>,
    /// The scopes that were granted at login.
    pub scopes: Vec<String>,
    /// Where its refresh token is kept.
    pub store: Store,
}

/// A live refresh token.
#[derive(Clone, Debug)]
pub enum RefreshToken {
    /// This one.
    Known(Secret),
    /// The one in the keyring, which was not asked for it.
    InKeyring,
}

/// The version of the stored form; another one is not read.
const VERSION: i64 = 1;

impl Session {
    /// The refresh token, where it is known.
    #[must_use]
    pub fn known_token(&self) -> Option<&Secret> {
        match &self.refresh_token {
            Some(RefreshToken::Known(token)) => Some(token),
            Some(RefreshToken::InKeyring) | None => None,
        }
    }

    /// The stored form: what the session's file holds. A refresh token that the keyring keeps is not in it.
    #[must_use]
    pub fn to_json(&self) -> Secret {
        let value = serde_json::json!({
            "version": VERSION,
            "profile": self.key.profile,
            "issuer": self.key.issuer,
            "client_id": self.key.client_id,
            "subject": self.subject,
            "generation": self.generation,
            "since": self.since.seconds(),
            "refresh_token": self.known_token().filter(|_| self.store == Store::File).map(Secret::reveal),
            "in_keyring": self.store == Store::Keyring && self.refresh_token.is_some(),
            "scopes": self.scopes,
            "store": self.store.name(),
        });
        Secret::new(value.to_string())
    }

    /// Reads the stored form; `None` for anything that is not one of this version.
    #[must_use]
    pub fn from_json(bytes: &[u8]) -> Option<Self> {
        let body = json::parse(bytes).ok()?;
        let text = |name: &str| body.get(name).and_then(Json::as_str).map(ToOwned::to_owned);
        if body.get("version").and_then(Json::as_i64) != Some(VERSION) {
            return None;
        }
        let scopes = body.get("scopes").and_then(Json::as_array).unwrap_or_default();
        Some(Self {
            key: SessionKey {
                profile: text("profile")?,
                issuer: text("issuer")?,
                client_id: text("client_id")?,
            },
            subject: text("subject"),
            generation: text("generation")?,
            since: UnixTime::from_seconds(body.get("since").and_then(Json::as_i64)?),
            refresh_token: match body.get("in_keyring").and_then(Json::as_bool) {
                Some(true) => Some(RefreshToken::InKeyring),
                _ => text("refresh_token")
                    .filter(|t| !t.is_empty())
                    .map(|t| RefreshToken::Known(Secret::new(t))),
            },
            scopes: scopes
                .iter()
                .filter_map(Json::as_str)
                .map(ToOwned::to_owned)
                .collect(),
            store: text("store")
                .and_then(|name| Store::named(&name))
                .unwrap_or_default(),
        })
    }
}

/// Where sessions are kept: `JETON_STATE_DIR`, else `sessions` in `JETON_CACHE_DIR` (who moves one moves both), else
/// `$XDG_STATE_HOME/jeton`, else `~/.local/state/jeton`.
#[must_use]
pub fn folder(cx: &Context) -> Option<PathBuf> {
    let absolute = |name: &str| cx.env.get(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute("JETON_STATE_DIR")
        .or_else(|| absolute("JETON_CACHE_DIR").map(|p| p.join("sessions")))
        .or_else(|| absolute("XDG_STATE_HOME").map(|p| p.join("jeton")))
        .or_else(|| cx.env.home().map(|p| p.join(".local/state/jeton")))
}

/// There is nowhere to keep a login.
pub(crate) fn homeless() -> Error {
    Error::new(
        Class::Config,
        "there is no folder to keep a login in: neither HOME nor XDG_STATE_HOME is set",
    )
    .with_hint("set JETON_STATE_DIR to a folder that only you can read")
}

/// The generation of a session that grows from a configured refresh token: another token, another session.
pub(crate) fn generation_of(start: &Secret) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, start.reveal().as_bytes());
    hash.as_ref()
        .iter()
        .take(16)
        .map(|b| format!("{b:02x}"))
        .collect()
}
