//! One public key out of a set, ready to check signatures (RFC 7517 section 4, RFC 7518 section 6, RFC 8037).
use super::number::{RsaNumbers, is_small_order};
use crate::jose::{Algorithm, KeyType, decode_segment, encode_segment};
use crate::json::Json;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use aws_lc_rs::digest;
use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};
use core::fmt;

/// A public key and the algorithms it may be used with.
#[derive(Clone)]
pub struct PublicKey {
    key_id: Option<String>,
    thumbprint: String,
    key_type: KeyType,
    /// The key as the library wants it, once for each algorithm: parsed here, never again.
    checks: Vec<(Algorithm, ParsedPublicKey)>,
}

impl PublicKey {
    /// Reads one JWK.
    ///
    /// # Errors
    /// Why it cannot be used to check signatures.
    pub fn from_jwk(jwk: &Json) -> Result<Self, &'static str> {
        if jwk.as_object().is_none() {
            return Err("the entry is no JSON object");
        }
        let key_id = match jwk.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str().ok_or("kid is no string")?.to_owned()),
        };
        is_for_checking(jwk)?;
        let material = Material::read(jwk)?;
        let pinned = pinned(jwk)?;
        let algorithms = Algorithm::ALL
            .into_iter()
            .filter(|a| a.key_type() == material.key_type());
        let algorithms = algorithms.filter(|a| pinned.is_none_or(|p| p == *a));
        let checks: Vec<_> = algorithms
            .map(|a| Ok((a, material.parse(a)?)))
            .collect::<Result<_, &str>>()?;
        if checks.is_empty() {
            return Err("alg does not go with the type of the key");
        }
        Ok(Self {
            key_id,
            thumbprint: material.thumbprint(),
            key_type: material.key_type(),
            checks,
        })
    }

    /// `kid`: the name the set gives it.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The key's own name: base64url of the SHA-256 of its canonical form (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// What kind of key it is.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// Whether it may check signatures of `algorithm`.
    #[must_use]
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.checks.iter().any(|(a, _)| *a == algorithm)
    }

    /// Whether `signature` is a signature of `message` by this key under `algorithm`.
    #[must_use]
    pub fn checks(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let parsed = self.checks.iter().find(|(a, _)| *a == algorithm);
        parsed.is_some_and(|(_, key)| key.verify_sig(message, signature).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?} {})", self.key_type, self.thumbprint)
    }
}

/// `use` (RFC 7517 section 4.2), `key_ops` (section 4.3), and that it is no private key: one that was published
/// proves nothing any more.
fn is_for_checking(jwk: &Json) -> Result<(), &'static str> {
    if jwk.get("use").is_some_and(|u| u.as_str() != Some("sig")) {
        return Err("use is not \"sig\"");
    }
    if let Some(operations) = jwk.get("key_ops") {
        let names = operations.as_array().ok_or("key_ops is no array")?;
        let verify = names.iter().filter(|n| n.as_str() == Some("verify")).count();
        if verify != 1 {
            return Err("key_ops does not name \"verify\" once");
        }
    }
    if jwk.get("d").is_some() {
        return Err("a private key was published");
    }
    Ok(())
}

/// `alg` (RFC 7517 section 4.4): the one algorithm the key is for.
fn pinned(jwk: &Json) -> Result<Option<Algorithm>, &'static str> {
    match jwk.get("alg") {
        None => Ok(None),
        Some(alg) => {
            let name = alg.as_str().ok_or("alg is no string")?;
            Algorithm::named(name)
                .map(Some)
                .ok_or("alg is no signature algorithm that is known here")
        }
    }
}

/// The numbers a key is made of.
enum Material {
    Rsa(RsaNumbers),
    /// An uncompressed point: 4, x, y (SEC 1 section 2.3.3).
    Point(KeyType, Vec<u8>),
    Edwards(Vec<u8>),
}

impl Material {
    fn read(jwk: &Json) -> Result<Self, &'static str> {
        let kty = jwk.get("kty").and_then(Json::as_str).ok_or("kty is missing")?;
        let crv = jwk.get("crv").and_then(Json::as_str);
        match (kty, crv) {
            ("RSA", _) => Ok(Self::Rsa(RsaNumbers::new(
                &number(jwk, "n")?,
                &number(jwk, "e")?,
            )?)),
            ("EC", Some("P-256")) => Self::point(KeyType::P256, 32, jwk),
            ("EC", Some("P-384")) => Self::point(KeyType::P384, 48, jwk),
            ("EC", Some("P-521")) => Self::point(KeyType::P521, 66, jwk),
            ("EC", _) => Err("the curve is not known here"),
            ("OKP", Some("Ed25519")) => Self::edwards(number(jwk, "x")?),
            ("OKP", _) => Err("the curve is not one for signatures that is known here"),
            ("oct", _) => Err("a symmetric key checks nothing"),
            _ => Err("the type of the key is not known here"),
        }
    }

    fn point(key_type: KeyType, width: usize, jwk: &Json) -> Result<Self, &'static str> {
        let (x, y) = (number(jwk, "x")?, number(jwk, "y")?);
        if x.len() != width || y.len() != width {
            return Err("a coordinate has not the length of its curve");
        }
        let mut point = alloc::vec![4];
        point.extend(x);
        point.extend(y);
        Ok(Self::Point(key_type, point))
    }

    fn edwards(key: Vec<u8>) -> Result<Self, &'static str> {
        if key.len() != 32 {
            return Err("the Ed25519 key has not 32 bytes");
        }
        if is_small_order(&key) {
            return Err("the Ed25519 key is a point of small order");
        }
        Ok(Self::Edwards(key))
    }

    fn key_type(&self) -> KeyType {
        match self {
            Self::Rsa(_) => KeyType::Rsa,
            Self::Point(key_type, _) => *key_type,
            Self::Edwards(_) => KeyType::Ed25519,
        }
    }

    fn parse(&self, algorithm: Algorithm) -> Result<ParsedPublicKey, &'static str> {
        let parsed = match (self, algorithm.rsa(), algorithm.curve()) {
            (Self::Rsa(numbers), Some(parameters), _) => RsaPublicKeyComponents {
                n: &numbers.n,
                e: &numbers.e,
            }
            .to_parsed_public_key(parameters),
            (Self::Point(_, bytes) | Self::Edwards(bytes), _, Some(curve)) => {
                ParsedPublicKey::new(curve, bytes)
            }
            _ => return Err("alg does not go with the type of the key"),
        };
        parsed.map_err(|_| "the numbers are no key: not on the curve, or not RSA")
    }

    /// RFC 7638 section 3: the required members only, in the order of their names, without white space.
    fn thumbprint(&self) -> String {
        let canonical = match self {
            Self::Rsa(RsaNumbers { n, e }) => {
                format!(
                    r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
                    encode_segment(e),
                    encode_segment(n)
                )
            }
            Self::Point(key_type, point) => {
                let (x, y) = point[1..].split_at(point.len() / 2);
                let crv = curve_name(*key_type);
                format!(
                    r#"{{"crv":"{crv}","kty":"EC","x":"{}","y":"{}"}}"#,
                    encode_segment(x),
                    encode_segment(y)
                )
            }
            Self::Edwards(key) => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode_segment(key))
            }
        };
        encode_segment(digest::digest(&digest::SHA256, canonical.as_bytes()))
    }
}

/// The registered name of a curve (RFC 7518 section 6.2.1.1, RFC 8037 section 2); RSA has none.
pub(crate) const fn curve_name(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::Rsa => "",
        KeyType::P256 => "P-256",
        KeyType::P384 => "P-384",
        KeyType::P521 => "P-521",
        KeyType::Ed25519 => "Ed25519",
    }
}

fn number(jwk: &Json, name: &str) -> Result<Vec<u8>, &'static str> {
    let text = jwk
        .get(name)
        .and_then(Json::as_str)
        .ok_or("a number of the key is missing")?;
    decode_segment(text).ok_or("a number of the key is not base64url")
}
