//! Verification: a token, keys, expectations and a moment go in, proved claims or one rejection come out.
//!
//! | step | may say |
//! |---|---|
//! | size, before anything is copied | `too-large` |
//! | structure and header | `malformed`, `encrypted`, `critical-header` |
//! | algorithm: named by the header, allowed by the caller | `algorithm-none`, `algorithm-not-allowed` |
//! | key: chosen by name, type, algorithm and use | `unknown-key`, `key-unusable` |
//! | signature | `bad-signature` |
//! | claims: type of the token, then `iss`, `aud`, the times, `sub`, the caller's patterns | the rest |
//!
//! Nothing of the claims is looked at before the signature fits: an expired token with a bad signature has a bad
//! signature. Nothing in a token can cause a request.
mod expectations;
mod judge;

pub use expectations::{DEFAULT_LEEWAY, Expectations};

use crate::claims::Claims;
use crate::decode::payload;
use crate::jose::{Algorithm, AlgorithmSet, Compact, Header};
use crate::json::Json;
use crate::jwk::KeySet;
use crate::rejection::Rejection;
use crate::time::UnixTime;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use aws_lc_rs::digest;
use core::ops::Deref;

/// Something whose signature fits a key of the set it was checked against. Only this module makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified<T> {
    value: T,
    algorithm: Algorithm,
    key: String,
}

impl<T> Verified<T> {
    /// The algorithm of the signature.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The thumbprint (RFC 7638) of the key that signed: when it leaves the issuer's set, nothing that was proved with
    /// it may be believed any longer.
    pub fn key_thumbprint(&self) -> &str {
        &self.key
    }

    /// What was proved, taken out.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Verifies `token`.
///
/// # Errors
/// The first thing that is wrong, in the order of the table above.
pub fn verify(
    token: &str,
    keys: &KeySet,
    expect: &Expectations,
    now: UnixTime,
) -> Result<Verified<Claims>, Rejection> {
    Unproved::read(token)?.verify(keys, expect, now)
}

/// A token taken apart once, of which nothing is proved: for whoever has to know whose it says it is before it can be
/// verified.
pub struct Unproved<'a> {
    compact: Compact<'a>,
    header: Result<Header, Rejection>,
    payload: Vec<u8>,
    signature: Vec<u8>,
    claims: Option<Json>,
}

impl<'a> Unproved<'a> {
    /// Takes `token` apart. What else is wrong with its header is told when it is verified.
    ///
    /// # Errors
    /// Size and structure.
    pub fn read(token: &'a str) -> Result<Self, Rejection> {
        let compact = Compact::split(token)?;
        let header = match Header::parse(&compact.header()?) {
            Err(why @ (Rejection::Malformed(_) | Rejection::Encrypted)) => return Err(why),
            header => header,
        };
        // What is wrong with the header is told before what is wrong behind it.
        let part = |part: Result<Vec<u8>, Rejection>| match &header {
            Ok(_) => part,
            Err(_) => Ok(part.unwrap_or_default()),
        };
        Ok(Self {
            payload: part(compact.payload())?,
            signature: part(compact.signature())?,
            compact,
            header,
            claims: None,
        })
    }

    /// Whose token it says it is. Not to be decided upon, but for the choice of the keys that prove it.
    ///
    /// # Errors
    /// Its payload is no JSON object.
    pub fn issuer(&mut self) -> Result<Option<&str>, Rejection> {
        let claims = match self.claims.take() {
            Some(claims) => claims,
            None => payload(&self.payload)?,
        };
        if claims.as_object().is_none() {
            return Err(Rejection::Malformed("the payload is no JSON object"));
        }
        Ok(self.claims.insert(claims).get("iss").and_then(Json::as_str))
    }

    /// As [`screen`].
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn screen(&self, algorithms: AlgorithmSet) -> Result<&Header, Rejection> {
        let header = self.header.as_ref().map_err(Clone::clone)?;
        allowed(header, algorithms)?;
        Ok(header)
    }

    /// As [`verify`]; when it fails it can be tried with other keys.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(
        &mut self,
        keys: &KeySet,
        expect: &Expectations,
        now: UnixTime,
    ) -> Result<Verified<Claims>, Rejection> {
        let key = self.key(keys, expect.algorithms)?;
        let claims = match self.claims.take() {
            Some(claims) => claims,
            None => payload(&self.payload)?,
        };
        let claims = Claims::strict(claims)?;
        let header = self.screen(expect.algorithms)?;
        judge::header(header, expect)?;
        judge::claims(&claims, expect, now)?;
        Ok(Verified {
            value: claims,
            algorithm: header.algorithm,
            key,
        })
    }

    /// The thumbprint of the key that signed it.
    fn key(&self, keys: &KeySet, algorithms: AlgorithmSet) -> Result<String, Rejection> {
        let header = self.screen(algorithms)?;
        let signed = self.compact.signing_input.as_bytes();
        let key = keys
            .candidates(header)?
            .into_iter()
            .find(|key| key.checks(header.algorithm, signed, &self.signature));
        Ok(key.ok_or(Rejection::BadSignature)?.thumbprint().to_owned())
    }
}

/// Judges the claims of a token that was verified before, as if it had just come: for whoever remembers verified
/// tokens. The signature is not checked again; whether its key is still there is the caller's to know.
///
/// # Errors
/// The first claim that does not fit (any more).
pub fn still_fits(
    verified: &Verified<Claims>,
    expect: &Expectations,
    now: UnixTime,
) -> Result<(), Rejection> {
    judge::claims(&verified.value, expect, now)
}

/// Verifies a signature over a payload that is no claims set, and nothing else.
///
/// # Errors
/// The first thing that is wrong: size, structure, header, algorithm, key, signature.
pub fn verify_jws(
    token: &str,
    keys: &KeySet,
    algorithms: AlgorithmSet,
) -> Result<Verified<Vec<u8>>, Rejection> {
    let unproved = Unproved::read(token)?;
    let key = unproved.key(keys, algorithms)?;
    Ok(Verified {
        algorithm: unproved.screen(algorithms)?.algorithm,
        value: unproved.payload,
        key,
    })
}

/// Everything that can be refused before there are keys: size, structure, header, algorithm. Whoever fetches keys
/// asks this first, so that a hopeless token costs no request.
///
/// # Errors
/// The first thing that is wrong.
pub fn screen(token: &str, algorithms: AlgorithmSet) -> Result<Header, Rejection> {
    let unproved = Unproved::read(token)?;
    unproved.screen(algorithms)?;
    unproved.header
}

/// SHA-256 of a token: the name under which a verified one may be remembered.
#[must_use]
pub fn token_digest(token: &str) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

fn allowed(header: &Header, algorithms: AlgorithmSet) -> Result<(), Rejection> {
    if algorithms.has(header.algorithm) {
        return Ok(());
    }
    Err(Rejection::AlgorithmNotAllowed(header.algorithm.name().to_owned()))
}
