//! The issuer's keys: one that signs, and the ones before it that are still published.
use crate::error::Error;
use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jeton_core::{Algorithm, SigningKey};
use serde_json::{Value, json};

/// How many old keys stay published after a rotation: enough that a token minted just before two rotations verifies.
const OVERLAP_KEYS: usize = 2;

pub(crate) fn generate(algorithm: Algorithm) -> Result<SigningKey, Error> {
    SigningKey::generate(algorithm).map_err(|error| Error::new(format!("no key could be made: {error}")))
}

/// The key that signs and the ones before it that are still published.
pub(crate) struct KeyRing {
    algorithm: Algorithm,
    /// The newest first.
    keys: Vec<SigningKey>,
}

impl KeyRing {
    pub(crate) fn new(algorithm: Algorithm) -> Result<Self, Error> {
        let keys = vec![generate(algorithm)?];
        Ok(Self { algorithm, keys })
    }

    /// What the next token is signed with.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn current(&self) -> Option<&SigningKey> {
        self.keys.first()
    }

    /// A new key signs from now on; the old ones stay published for a while, unless they are dropped.
    pub(crate) fn rotate(&mut self, drop_old: bool) -> Result<(), Error> {
        let key = generate(self.algorithm)?;
        self.keys.truncate(if drop_old { 0 } else { OVERLAP_KEYS });
        self.keys.insert(0, key);
        Ok(())
    }

    /// The JWK set (RFC 7517 section 5).
    pub(crate) fn jwks(&self) -> Value {
        let keys: Vec<_> = self.keys.iter().map(public_jwk).collect();
        json!({ "keys": keys })
    }
}

fn public_jwk(key: &SigningKey) -> Value {
    serde_json::to_value(key.public_jwk()).unwrap_or_default()
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A name nobody can guess, such as a refresh token or a `jti`.
pub(crate) fn unguessable(prefix: &str) -> String {
    /// 128 bits, as RFC 6749 section 10.10 asks of tokens.
    const BYTES: usize = 16;
    let mut bytes = [0_u8; BYTES];
    // AWS-LC ends the process rather than give bad randomness, so there is no error to see here.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    format!("{prefix}{}", encode(&bytes))
}

/// The left half of the hash that `at_hash` is: that of the algorithm which signs (OpenID Connect Core section
/// 3.1.3.6), and for Ed25519 the SHA-512 that is inside of it.
pub(crate) fn half_hash(algorithm: Algorithm, text: &str) -> String {
    let hash = match algorithm {
        Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 => &SHA384,
        Algorithm::Rs512 | Algorithm::Ps512 | Algorithm::Es512 | Algorithm::EdDsa => &SHA512,
        _ => &SHA256,
    };
    let hash = digest(hash, text.as_bytes());
    let bytes = hash.as_ref();
    encode(bytes.get(..bytes.len() / 2).unwrap_or_default())
}

/// SHA-256 in base64url: the S256 challenge of RFC 7636 section 4.2.
pub(crate) fn hash(text: &str) -> String {
    encode(digest(&SHA256, text.as_bytes()).as_ref())
}
