//! Key sets (RFC 7517): parsed once into keys that are ready to check signatures, and chosen by strict rules.
//!
//! A set with something odd in it is still a set: entries that cannot be used are skipped and remembered with the
//! reason (RFC 7517 section 5), so that a token that names one is told why. A set in which nothing can be used is an
//! error of its own: it must never stand for "no checks".
mod key;
mod number;

pub use key::PublicKey;
pub(crate) use key::curve_name;

use crate::jose::{Algorithm, Header};
use crate::json::{self, Json};
use crate::rejection::Rejection;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// The largest key set that is read, in bytes. A hundred RSA keys with their certificates have some 300 KiB.
pub const MAX_KEY_SET: usize = 1024 * 1024;

/// The most entries a set may have. Real ones have two to twenty.
pub const MAX_KEYS: usize = 100;

/// How many keys of one name are tried. Names are meant to be unique (RFC 7517 section 4.5); an issuer that repeats
/// one while it rotates has two, and every try costs a signature check that a stranger can ask for.
const MAX_TRIES: usize = 4;

/// A parsed set of public keys.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<PublicKey>,
    skipped: Vec<SkippedKey>,
}

/// An entry of a set that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its `kid`, if it has one.
    pub key_id: Option<String>,
    /// Why it cannot be used.
    pub why: &'static str,
}

impl KeySet {
    /// Parses a JWK set.
    ///
    /// # Errors
    /// [`Rejection::KeysUnusable`]: too large, not strict JSON, no `keys` array, too many entries, or not one entry
    /// that can be used.
    pub fn parse(bytes: &[u8]) -> Result<Self, Rejection> {
        if bytes.len() > MAX_KEY_SET {
            return Err(Rejection::KeysUnusable("the key set is larger than 1 MiB"));
        }
        let set =
            json::parse(bytes).map_err(|_| Rejection::KeysUnusable("the key set is not strict JSON"))?;
        Self::from_json(&set)
    }

    /// Reads a JWK set that was parsed already.
    ///
    /// # Errors
    /// As [`KeySet::parse`].
    pub fn from_json(set: &Json) -> Result<Self, Rejection> {
        let entries = set.get("keys").and_then(Json::as_array);
        let entries = entries.ok_or(Rejection::KeysUnusable("the key set has no array \"keys\""))?;
        if entries.len() > MAX_KEYS {
            return Err(Rejection::KeysUnusable("the key set has more than 100 keys"));
        }
        let mut set = Self {
            keys: Vec::new(),
            skipped: Vec::new(),
        };
        for entry in entries {
            match PublicKey::from_jwk(entry) {
                Ok(key) => set.keys.push(key),
                Err(why) => set.skipped.push(SkippedKey {
                    key_id: kid_of(entry),
                    why,
                }),
            }
        }
        if set.keys.is_empty() {
            return Err(Rejection::KeysUnusable("the key set has no key that can be used"));
        }
        Ok(set)
    }

    /// The document that publishes these public JWKs.
    #[must_use]
    pub fn document(keys: impl IntoIterator<Item = Json>) -> Json {
        Json::object([("keys", Json::Array(keys.into_iter().collect()))])
    }

    /// The keys that can be used.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// The entries that cannot.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// Whether a key or a skipped entry has this name: whether fetching the set again could tell anything new.
    #[must_use]
    pub fn knows(&self, key_id: &str) -> bool {
        self.keys.iter().any(|k| k.key_id() == Some(key_id)) || self.skip_of(key_id).is_some()
    }

    fn skip_of(&self, key_id: &str) -> Option<&SkippedKey> {
        self.skipped.iter().find(|s| s.key_id.as_deref() == Some(key_id))
    }

    /// The keys that may check a token with this header, never more than a few.
    pub(crate) fn candidates(&self, header: &Header) -> Result<Vec<&PublicKey>, Rejection> {
        match &header.key_id {
            Some(key_id) => self.named(key_id, header.algorithm),
            None => self.only(
                header.algorithm,
                "the token names no key, and none of the set fits",
            ),
        }
    }

    fn named(&self, key_id: &str, algorithm: Algorithm) -> Result<Vec<&PublicKey>, Rejection> {
        let mut named = self.keys.iter().filter(|k| k.key_id() == Some(key_id)).peekable();
        if named.peek().is_none() {
            if let Some(skipped) = self.skip_of(key_id) {
                return Err(Rejection::KeyUnusable(skipped.why));
            }
            return self.nameless(algorithm);
        }
        let fitting: Vec<_> = named.filter(|k| k.fits(algorithm)).collect();
        match fitting.len() {
            0 => Err(Rejection::KeyUnusable(
                "the key that the token names is not for its algorithm",
            )),
            1..=MAX_TRIES => Ok(fitting),
            _ => Err(Rejection::UnknownKey(
                "too many keys of the set have the name that the token names",
            )),
        }
    }

    /// The token names a key that the set does not: only a set that names none of the keys that fit can still be
    /// meant, and only when there is one of them.
    fn nameless(&self, algorithm: Algorithm) -> Result<Vec<&PublicKey>, Rejection> {
        let unknown = "the set has no key of the name that the token names";
        let only = self
            .only(algorithm, unknown)
            .map_err(|_| Rejection::UnknownKey(unknown))?;
        if only.iter().any(|k| k.key_id().is_some()) {
            return Err(Rejection::UnknownKey(unknown));
        }
        Ok(only)
    }

    fn only(&self, algorithm: Algorithm, none: &'static str) -> Result<Vec<&PublicKey>, Rejection> {
        let fitting: Vec<_> = self.keys.iter().filter(|k| k.fits(algorithm)).take(2).collect();
        match fitting.len() {
            0 => Err(Rejection::UnknownKey(none)),
            1 => Ok(fitting),
            _ => Err(Rejection::UnknownKey(
                "the token names no key, and several of the set fit",
            )),
        }
    }
}

fn kid_of(entry: &Json) -> Option<String> {
    entry.get("kid").and_then(Json::as_str).map(ToOwned::to_owned)
}
