//! Proof key for code exchange, method S256 (RFC 7636).
use crate::secret::Secret;
use alloc::string::String;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A code verifier: 43 characters of 256 random bits (RFC 7636 section 4.1).
#[derive(Clone, Debug)]
pub struct Verifier(Secret);

impl Verifier {
    /// The verifier made of these random bytes.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(Secret::new(URL_SAFE_NO_PAD.encode(random)))
    }

    /// The verifier, for the token request.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.0
    }

    /// The challenge, for the first request.
    #[must_use]
    pub fn challenge(&self) -> String {
        s256(self.0.reveal())
    }
}

/// BASE64URL(SHA256(ASCII(verifier))) (RFC 7636 section 4.2).
#[must_use]
pub fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        verifier.as_bytes(),
    ))
}
