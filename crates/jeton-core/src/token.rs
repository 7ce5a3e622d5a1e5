//! What was got: a bearer string and what is known of it.
use crate::expiry::Life;
use crate::secret::Secret;
use crate::time::UnixTime;
use alloc::string::String;
use alloc::vec::Vec;

/// A token, unverified: it came from where it came from, and what its claims say was read but not proved.
#[derive(Clone, Debug)]
pub struct Token {
    /// The bearer string.
    pub value: Secret,
    /// The token type as used in an `Authorization` header (RFC 6750): `Bearer`.
    pub token_type: String,
    /// `iss`, when the token is a JWT.
    pub issuer: Option<String>,
    /// `sub`, when the token is a JWT.
    pub subject: Option<String>,
    /// `aud`, or the audience that was asked for when the token is opaque.
    pub audience: Vec<String>,
    /// The granted scopes, where they are known.
    pub scopes: Vec<String>,
    /// The name of the source that gave it, as it is spelled everywhere.
    pub source: String,
    /// When its issuer says it ends (`exp`, or receipt plus `expires_in`); `None` when nobody said.
    pub expires_at: Option<UnixTime>,
    /// Its life as measured here, from the moment of receipt; `None` when nobody said when it ends.
    pub life: Option<Life>,
    /// Whether it came from a cache.
    pub cached: bool,
}
