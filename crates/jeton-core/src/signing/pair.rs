//! The library's key pairs behind one face.
use super::{SigningError, der};
use crate::jose::{Algorithm, KeyType, encode_segment};
use crate::json::Json;
use crate::jwk::curve_name;
use alloc::vec::Vec;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self as lc, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, RsaKeyPair};
use aws_lc_rs::signature::{KeyPair as _, RsaEncoding};
use zeroize::Zeroizing;

/// A private key and its public half.
pub(super) enum KeyPair {
    Rsa(RsaKeyPair),
    Curve(KeyType, EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
}

/// The usual algorithm of each curve. An RSA key and an Ed25519 key are tried on their own.
const CURVES: [Algorithm; 3] = [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512];

impl KeyPair {
    pub(super) fn generate(algorithm: Algorithm) -> Result<Self, SigningError> {
        let pair = match (algorithm.key_type(), ecdsa(algorithm)) {
            (KeyType::Rsa, _) => RsaKeyPair::generate(KeySize::Rsa2048).map(Self::Rsa),
            (key_type, Some(curve)) => EcdsaKeyPair::generate(curve).map(|pair| Self::Curve(key_type, pair)),
            (_, None) => Ed25519KeyPair::generate().map(Self::Edwards),
        };
        pair.map_err(|_| SigningError::Failed)
    }

    /// The key in `der` and the usual algorithm for it. DER names its type, so that at most one of these succeeds.
    pub(super) fn from_der(der: &[u8]) -> Result<(Self, Algorithm), SigningError> {
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)) {
            return Ok((Self::Rsa(pair), Algorithm::Rs256));
        }
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            return Ok((Self::Edwards(pair), Algorithm::EdDsa));
        }
        let curve = |a: Algorithm| {
            let pair = EcdsaKeyPair::from_private_key_der(ecdsa(a)?, der).ok()?;
            Some((Self::Curve(a.key_type(), pair), a))
        };
        CURVES.into_iter().find_map(curve).ok_or(SigningError::Unknown)
    }

    pub(super) fn key_type(&self) -> KeyType {
        match self {
            Self::Rsa(_) => KeyType::Rsa,
            Self::Curve(key_type, _) => *key_type,
            Self::Edwards(_) => KeyType::Ed25519,
        }
    }

    pub(super) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SigningError> {
        let bytes = match self {
            Self::Rsa(pair) => AsDer::<Pkcs8V1Der>::as_der(pair).map(|der| der.as_ref().to_vec()),
            Self::Curve(_, pair) => pair.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
            Self::Edwards(pair) => pair.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
        };
        bytes.map(Zeroizing::new).map_err(|_| SigningError::Failed)
    }

    /// The required members of the public JWK (RFC 7518 section 6, RFC 8037 section 2).
    pub(super) fn public_jwk(&self) -> Result<Json, SigningError> {
        let members = match self {
            Self::Rsa(pair) => {
                let (n, e) = der::rsa_public_key(pair.public_key().as_ref()).ok_or(SigningError::Failed)?;
                let unsigned = |number: &[u8]| encode_segment(number.strip_prefix(&[0]).unwrap_or(number));
                [("kty", "RSA".into()), ("n", unsigned(n)), ("e", unsigned(e))].to_vec()
            }
            Self::Curve(key_type, pair) => {
                // An uncompressed point: 4, x, y (SEC 1 section 2.3.3).
                let point = pair.public_key().as_ref().get(1..).ok_or(SigningError::Failed)?;
                let (x, y) = point.split_at(point.len() / 2);
                let crv = curve_name(*key_type).into();
                [
                    ("kty", "EC".into()),
                    ("crv", crv),
                    ("x", encode_segment(x)),
                    ("y", encode_segment(y)),
                ]
                .to_vec()
            }
            Self::Edwards(pair) => {
                let x = encode_segment(pair.public_key());
                [
                    ("kty", "OKP".into()),
                    ("crv", curve_name(KeyType::Ed25519).into()),
                    ("x", x),
                ]
                .to_vec()
            }
        };
        Ok(Json::object(
            members
                .into_iter()
                .map(|(name, value)| (name, Json::String(value))),
        ))
    }

    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let random = SystemRandom::new();
        let signed = match self {
            Self::Rsa(pair) => {
                let padding = rsa(algorithm).ok_or(SigningError::Algorithm)?;
                let mut signature = alloc::vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature)
                    .map(|()| signature)
            }
            Self::Curve(_, pair) => pair.sign(&random, message).map(|s| s.as_ref().to_vec()),
            Self::Edwards(pair) => pair.try_sign(message).map(|s| s.as_ref().to_vec()),
        };
        signed.map_err(|_| SigningError::Failed)
    }
}

fn ecdsa(algorithm: Algorithm) -> Option<&'static EcdsaSigningAlgorithm> {
    Some(match algorithm {
        Algorithm::Es256 => &lc::ECDSA_P256_SHA256_FIXED_SIGNING,
        Algorithm::Es384 => &lc::ECDSA_P384_SHA384_FIXED_SIGNING,
        Algorithm::Es512 => &lc::ECDSA_P521_SHA512_FIXED_SIGNING,
        _ => return None,
    })
}

fn rsa(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        Algorithm::Rs256 => &lc::RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &lc::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &lc::RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &lc::RSA_PSS_SHA256,
        Algorithm::Ps384 => &lc::RSA_PSS_SHA384,
        Algorithm::Ps512 => &lc::RSA_PSS_SHA512,
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 | Algorithm::EdDsa => return None,
    })
}
