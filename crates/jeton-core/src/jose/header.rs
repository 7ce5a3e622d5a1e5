//! The JOSE header (RFC 7515 section 4): what it may say, and what it must not say to us.
//!
//! The header is the part of a token that an attacker writes first. It chooses among keys and algorithms that the
//! caller already allows; it can bring no key, no address of one, no extension and no claim.
use super::algorithm::Algorithm;
use crate::json::{self, Json};
use crate::rejection::{Rejection, shown};
use alloc::string::String;

/// Members that bring a key or say where to get one (RFC 7515 sections 4.1.2, 4.1.3, 4.1.5, 4.1.6), claims that
/// stand outside the claims (RFC 7519 section 5.3), and compression (RFC 7516 section 4.1.3).
const FOREIGN_MEMBERS: [(&str, &str); 9] = [
    ("jwk", "the header brings its own key"),
    ("jwks", "the header brings its own keys"),
    ("jku", "the header says where to get keys"),
    ("x5u", "the header says where to get a certificate"),
    ("x5c", "the header brings its own certificate"),
    ("iss", "the header holds claims"),
    ("sub", "the header holds claims"),
    ("aud", "the header holds claims"),
    ("zip", "the token is compressed"),
];

/// A header that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `alg`
    pub algorithm: Algorithm,
    /// `kid`: the name of the key.
    pub key_id: Option<String>,
    /// `typ`: what kind of object this is.
    pub typ: Option<String>,
    /// `cty`: what kind of thing the payload is.
    pub cty: Option<String>,
}

impl Header {
    /// Reads the header's bytes.
    ///
    /// # Errors
    /// The first thing that is wrong: not an object, encrypted, an algorithm that is `none` or unknown, an extension,
    /// a member that must not be there or has the wrong type.
    pub fn parse(bytes: &[u8]) -> Result<Self, Rejection> {
        let mut header =
            json::parse(bytes).map_err(|_| Rejection::Malformed("the header is not strict JSON"))?;
        if header.as_object().is_none() {
            return Err(Rejection::Malformed("the header is no JSON object"));
        }
        if header.get("enc").is_some() {
            return Err(Rejection::Encrypted);
        }
        let algorithm = algorithm(&header)?;
        no_extension(&header)?;
        no_foreign_member(&header)?;
        Ok(Self {
            algorithm,
            key_id: text(&mut header, "kid", "kid is no string")?,
            typ: text(&mut header, "typ", "typ is no string")?,
            cty: text(&mut header, "cty", "cty is no string")?,
        })
    }
}

fn algorithm(header: &Json) -> Result<Algorithm, Rejection> {
    let name = header
        .get("alg")
        .and_then(Json::as_str)
        .ok_or(Rejection::Malformed("the header names no algorithm"))?;
    if name.trim().eq_ignore_ascii_case("none") {
        return Err(Rejection::AlgorithmNone);
    }
    Algorithm::named(name).ok_or_else(|| Rejection::AlgorithmNotAllowed(shown(name)))
}

/// No extension is understood here, so that any `crit` is one too many, and `b64` (RFC 7797) works only with one.
fn no_extension(header: &Json) -> Result<(), Rejection> {
    if header.get("crit").is_some() {
        return Err(Rejection::CriticalHeader(
            "the header has critical extensions, and none is known here",
        ));
    }
    match header.get("b64") {
        Some(_) => Err(Rejection::CriticalHeader(
            "the header has the extension b64, which is not known here",
        )),
        None => Ok(()),
    }
}

fn no_foreign_member(header: &Json) -> Result<(), Rejection> {
    match FOREIGN_MEMBERS
        .iter()
        .find(|(name, _)| header.get(name).is_some())
    {
        Some((_, why)) => Err(Rejection::Malformed(why)),
        None => Ok(()),
    }
}

fn text(header: &mut Json, name: &str, why: &'static str) -> Result<Option<String>, Rejection> {
    match header.take(name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(Rejection::Malformed(why)),
    }
}
