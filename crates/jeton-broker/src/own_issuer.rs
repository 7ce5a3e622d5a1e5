//! The broker as an issuer: its keys, its discovery document, the tokens it signs and those it takes back.
//!
//! Tokens of ours are verified with the keys that are in memory: never with a request to ourselves.
use crate::keyring::hex;
use arc_swap::ArcSwap;
use jeton_core::json::Json;
use jeton_core::jwk::KeySet;
use jeton_core::oauth::grant_type;
use jeton_core::signing::{SigningError, SigningKey};
use jeton_core::verify::{Expectations, Verified, verify};
use jeton_core::{Claims, Issuer, Rejection, Secret, UnixTime};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

mod key_file;

pub use key_file::{KeyFileError, generate, rotate};

/// How far replicas' clocks may differ. Tokens of ours end when they say: the usual minute would add a fifth to the
/// life of a session's token.
const OWN_LEEWAY: Duration = Duration::from_secs(5);

/// How long others may keep the key set, in seconds: a new key is published before the old one leaves, and who
/// meets an unknown key asks again anyway.
pub const KEYS_MAX_AGE: u32 = 300;

/// The keys of one moment: the first signs, all are published.
struct Keys {
    signing: Vec<SigningKey>,
    set: KeySet,
}

/// The broker's own issuer. Cheap to clone.
#[derive(Clone)]
pub struct OwnIssuer(Arc<Inner>);

struct Inner {
    issuer: Issuer,
    base_path: String,
    keys: ArcSwap<Keys>,
}

impl OwnIssuer {
    /// The issuer `public_url`, with the keys of a file. `base_path` is where the token endpoint is.
    ///
    /// # Errors
    /// [`KeyFileError`] for a file that others can read, or that holds no usable key.
    pub fn open(issuer: Issuer, base_path: &str, file: &Path) -> Result<Self, KeyFileError> {
        Ok(Self(Arc::new(Inner {
            issuer,
            base_path: base_path.trim_end_matches('/').to_owned(),
            keys: ArcSwap::from_pointee(Keys::read(file)?),
        })))
    }

    /// Takes the keys of the file, if they can be used; otherwise the old ones stay.
    ///
    /// # Errors
    /// As [`OwnIssuer::open`].
    pub fn reload(&self, file: &Path) -> Result<(), KeyFileError> {
        self.0.keys.store(Arc::new(Keys::read(file)?));
        Ok(())
    }

    /// The issuer's name, byte for byte.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.issuer.as_str()
    }

    /// Where the token endpoint is.
    #[must_use]
    pub fn token_endpoint(&self) -> String {
        let root = self.name().trim_end_matches('/');
        format!("{root}{}/token", self.0.base_path)
    }

    /// The metadata (OpenID Connect Discovery 1.0 section 3, RFC 8414 section 2).
    #[must_use]
    pub fn discovery(&self) -> Json {
        let root = self.name().trim_end_matches('/');
        let keys = self.0.keys.load();
        let mut algorithms: Vec<&str> = keys.signing.iter().map(|k| k.algorithm().name()).collect();
        algorithms.dedup();
        Json::object([
            ("issuer", Json::from(self.name())),
            ("jwks_uri", Json::from(format!("{root}/jwks"))),
            ("token_endpoint", Json::from(self.token_endpoint())),
            // Required members; there is no authorization endpoint, and so no answer of one.
            ("response_types_supported", Json::from(Vec::<Json>::new())),
            ("subject_types_supported", Json::from(&["public"][..])),
            (
                "id_token_signing_alg_values_supported",
                Json::from(&algorithms[..]),
            ),
            (
                "grant_types_supported",
                Json::from(&[grant_type::TOKEN_EXCHANGE, grant_type::JWT_BEARER][..]),
            ),
            ("token_endpoint_auth_methods_supported", Json::from(&["none"][..])),
            (
                "claims_supported",
                Json::from(&["iss", "sub", "aud", "exp", "iat", "jti", "scope", "act"][..]),
            ),
        ])
    }

    /// The key set (RFC 7517 section 5).
    #[must_use]
    pub fn jwks(&self) -> Json {
        KeySet::document(self.0.keys.load().signing.iter().map(SigningKey::public_jwk))
    }

    /// Signs claims; `iss`, `iat`, `exp` and a fresh `jti` are put in.
    ///
    /// # Errors
    /// [`SigningError::Failed`] when the library cannot sign or the machine has no randomness.
    pub fn sign(&self, mut claims: Json, now: UnixTime, life: Duration) -> Result<Secret, SigningError> {
        claims.set("iss", self.name());
        claims.set("iat", now.seconds());
        claims.set("exp", now.plus(life).seconds());
        claims.set("jti", random_id()?);
        let keys = self.0.keys.load();
        let key = keys.signing.first().ok_or(SigningError::Failed)?;
        key.sign(&claims).map(Secret::new)
    }

    /// Verifies a token that we are said to have signed, for any audience: whoever asks checks what it may do here.
    ///
    /// # Errors
    /// The [`Rejection`].
    pub fn verify(&self, token: &str, now: UnixTime) -> Result<Verified<Claims>, Rejection> {
        let expect = Expectations::any_audience(self.0.issuer.clone()).leeway(OWN_LEEWAY);
        verify(token, &self.0.keys.load().set, &expect, now)
    }
}

impl Keys {
    fn read(file: &Path) -> Result<Self, KeyFileError> {
        let signing = key_file::read(file)?;
        let document = KeySet::document(signing.iter().map(SigningKey::public_jwk));
        let set = KeySet::from_json(&document).map_err(|_| KeyFileError::Unusable(SigningError::Weak))?;
        Ok(Self { signing, set })
    }
}

/// A name of 128 random bits, in hexadecimal.
pub(crate) fn random_id() -> Result<String, SigningError> {
    let mut bytes = [0u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| SigningError::Failed)?;
    Ok(hex(&bytes))
}

#[cfg(test)]
mod tests;
