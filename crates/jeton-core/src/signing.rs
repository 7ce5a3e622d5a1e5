//! Private keys that sign tokens: for `private_key_jwt` (RFC 7523), for the development issuer and for the broker.
//!
//! A key is parsed once and keeps everything it needs: the library's own form, its public JWK, its name (the
//! RFC 7638 thumbprint, so that two programs that load the same file publish the same name) and the usual header,
//! already encoded.
mod der;
mod pair;
mod pem;

use crate::jose::{Algorithm, encode_segment};
use crate::json::Json;
use crate::jwk::PublicKey;
use crate::secret::Secret;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use pair::KeyPair;

/// Room for the dots and the longest usual signature in a token: 256 bytes of RSA are 342 characters.
const SIGNATURE_ROOM: usize = 348;

/// A private key with the algorithm it signs with.
pub struct SigningKey {
    pair: KeyPair,
    algorithm: Algorithm,
    key_id: String,
    public: Json,
    /// `{"alg":…,"typ":"JWT","kid":…}`, encoded.
    usual_header: String,
}

/// Why a private key cannot be used, or could not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningError {
    /// No PEM block with an unencrypted private key.
    Pem,
    /// Not a private key that is known here: PKCS#8 (RFC 5208), PKCS#1 (RFC 8017) or SEC 1 (RFC 5915) of RSA, P-256,
    /// P-384, P-521 or Ed25519.
    Unknown,
    /// A key of another type than the algorithm needs.
    Algorithm,
    /// An RSA key that nobody should accept: too short, too long, a strange exponent.
    Weak,
    /// The library failed.
    Failed,
}

impl SigningKey {
    /// Makes a new key; RSA keys have 2048 bits.
    ///
    /// # Errors
    /// [`SigningError::Failed`] when the machine has no randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningError> {
        Self::new(KeyPair::generate(algorithm)?, algorithm)
    }

    /// Loads a private key from PEM text: `PRIVATE KEY`, `RSA PRIVATE KEY` or `EC PRIVATE KEY`. Without `algorithm`, the
    /// usual one of the key's type: RS256, ES256, ES384, ES512 or EdDSA.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn from_pem(text: &str, algorithm: Option<Algorithm>) -> Result<Self, SigningError> {
        Self::from_der(&pem::private_key(text)?, algorithm)
    }

    /// Loads a private key from DER: PKCS#8, or the older forms PKCS#1 and SEC 1.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn from_der(der: &[u8], algorithm: Option<Algorithm>) -> Result<Self, SigningError> {
        let (pair, usual) = KeyPair::from_der(der)?;
        Self::new(pair, algorithm.unwrap_or(usual))
    }

    fn new(pair: KeyPair, algorithm: Algorithm) -> Result<Self, SigningError> {
        let mut public = pair.public_jwk()?;
        public.set("alg", algorithm.name());
        public.set("use", "sig");
        if pair.key_type() != algorithm.key_type() {
            return Err(SigningError::Algorithm);
        }
        // The same eyes that will look at it elsewhere.
        let key = PublicKey::from_jwk(&public).map_err(|_| SigningError::Weak)?;
        let key_id = key.thumbprint().to_owned();
        public.set("kid", key_id.as_str());
        let usual_header = encode_segment(usual_header(algorithm, &key_id).to_text());
        Ok(Self {
            pair,
            algorithm,
            key_id,
            public,
            usual_header,
        })
    }

    /// The algorithm it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its name: the thumbprint of its public half (RFC 7638).
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public half as a JWK, with `kid`, `alg` and `use`.
    #[must_use]
    pub fn public_jwk(&self) -> Json {
        self.public.clone()
    }

    /// The private key as PKCS#8 PEM text.
    ///
    /// # Errors
    /// [`SigningError::Failed`] when the library cannot write it.
    pub fn to_pem(&self) -> Result<Secret, SigningError> {
        Ok(Secret::new(pem::encode(&self.pair.to_pkcs8()?)))
    }

    /// Signs `claims` as a JWT with the usual header: `alg`, `typ` = `JWT`, `kid`.
    ///
    /// # Errors
    /// [`SigningError::Failed`] when the library cannot sign.
    pub fn sign(&self, claims: &Json) -> Result<String, SigningError> {
        self.finish(&self.usual_header, claims.to_text().as_bytes())
    }

    /// Signs `claims` with a header of one's own: the members of `header` come in place of, or beside, the usual
    /// ones; `null` takes one away.
    ///
    /// # Errors
    /// [`SigningError::Failed`] when the library cannot sign.
    pub fn sign_with(&self, header: &Json, claims: &Json) -> Result<String, SigningError> {
        let mut whole = usual_header(self.algorithm, &self.key_id);
        for (name, value) in header.as_object().unwrap_or_default() {
            match value {
                Json::Null => drop(whole.take(name)),
                value => whole.set(name.as_str(), value.clone()),
            }
        }
        self.sign_bytes(whole.to_text().as_bytes(), claims.to_text().as_bytes())
    }

    /// Signs exactly these bytes as a compact JWS, whatever they are: for payloads that are no claims, and for an
    /// issuer that misbehaves on purpose.
    ///
    /// # Errors
    /// [`SigningError::Failed`] when the library cannot sign.
    pub fn sign_bytes(&self, header: &[u8], payload: &[u8]) -> Result<String, SigningError> {
        self.finish(&encode_segment(header), payload)
    }

    /// The bare signature of `message`.
    ///
    /// # Errors
    /// [`SigningError::Failed`] when the library cannot sign.
    pub fn signature(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.pair.sign(self.algorithm, message)
    }

    fn finish(&self, header: &str, payload: &[u8]) -> Result<String, SigningError> {
        let mut token = String::with_capacity(header.len() + payload.len() * 4 / 3 + SIGNATURE_ROOM);
        token.push_str(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

fn usual_header(algorithm: Algorithm, key_id: &str) -> Json {
    Json::object(
        [("alg", algorithm.name()), ("typ", "JWT"), ("kid", key_id)].map(|(n, v)| (n, Json::from(v))),
    )
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.algorithm.name(), self.key_id)
    }
}

impl fmt::Display for SigningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pem => "no PEM block with an unencrypted private key",
            Self::Unknown => "not a private key of a kind that is known (RSA, P-256, P-384, P-521, Ed25519)",
            Self::Algorithm => "the private key is not of the type that the algorithm needs",
            Self::Weak => "the private key is one that nobody should accept",
            Self::Failed => "the cryptographic library failed",
        })
    }
}

impl core::error::Error for SigningError {}

#[cfg(test)]
mod tests;
