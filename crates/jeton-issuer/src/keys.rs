//! The issuer's keys: one that signs, and the ones before it that are still published.
use crate::error::Error;
use crate::options::Algorithm;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// How many old keys stay published after a rotation: enough that a token minted just before two rotations verifies.
const OVERLAP_KEYS: usize = 2;
/// Where the modulus of 2048 bits is in the DER of an RSA public key: after two headers of four bytes and a zero.
const RSA_MODULUS: std::ops::Range<usize> = 9..265;

/// A key pair with its public half as a JWK (RFC 7517) whose `kid` is its thumbprint (RFC 7638).
pub(crate) struct SigningKey {
    pair: Pair,
    jwk: Value,
    kid: String,
}

enum Pair {
    Rs256(RsaKeyPair),
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl SigningKey {
    pub(crate) fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        let pair = match algorithm {
            Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Pair::Rs256),
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::Es256),
            Algorithm::EdDsa => Ed25519KeyPair::generate().map(Pair::EdDsa),
        };
        let pair = pair.map_err(|_| Error::new("no key could be made"))?;
        let mut jwk = pair.public_members();
        let kid = encode(digest(&SHA256, jwk.to_string().as_bytes()).as_ref());
        jwk["kid"] = json!(kid);
        jwk["alg"] = json!(pair.algorithm());
        jwk["use"] = json!("sig");
        Ok(Self { pair, jwk, kid })
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        self.pair.algorithm()
    }

    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    pub(crate) fn public_jwk(&self) -> Value {
        self.jwk.clone()
    }

    /// The signature over the input, as JWS wants it (RFC 7518 section 3); empty when the library refuses.
    pub(crate) fn sign(&self, input: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let signed = pair.sign(&RSA_PKCS1_SHA256, &random, input, &mut signature);
                signed.map(|()| signature).unwrap_or_default()
            }
            Pair::Es256(pair) => pair
                .sign(&random, input)
                .map(|s| s.as_ref().to_vec())
                .unwrap_or_default(),
            Pair::EdDsa(pair) => pair.sign(input).as_ref().to_vec(),
        }
    }
}

impl Pair {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rs256(_) => "RS256",
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
        }
    }

    /// The members that a thumbprint is made of, in its order: serde_json writes them sorted, as RFC 7638 asks.
    fn public_members(&self) -> Value {
        match self {
            Self::Rs256(pair) => {
                let der = pair.public_key().as_ref();
                let modulus = der.get(RSA_MODULUS).unwrap_or_default();
                json!({"kty": "RSA", "n": encode(modulus), "e": "AQAB"})
            }
            Self::Es256(pair) => {
                // An uncompressed point: 4, then x and y of 32 bytes each.
                let point = pair.public_key().as_ref();
                let (x, y) = (
                    point.get(1..33).unwrap_or_default(),
                    point.get(33..65).unwrap_or_default(),
                );
                json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})
            }
            Self::EdDsa(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())})
            }
        }
    }
}

/// The key that signs and the ones before it that are still published.
pub(crate) struct KeyRing {
    algorithm: Algorithm,
    /// The newest first.
    keys: Vec<SigningKey>,
}

impl KeyRing {
    pub(crate) fn new(algorithm: Algorithm) -> Result<Self, Error> {
        let keys = vec![SigningKey::generate(algorithm)?];
        Ok(Self { algorithm, keys })
    }

    pub(crate) fn current(&self) -> Option<&SigningKey> {
        self.keys.first()
    }

    /// A new key signs from now on; the old ones stay published for a while, unless they are dropped.
    pub(crate) fn rotate(&mut self, drop_old: bool) -> Result<(), Error> {
        let key = SigningKey::generate(self.algorithm)?;
        self.keys.truncate(if drop_old { 0 } else { OVERLAP_KEYS });
        self.keys.insert(0, key);
        Ok(())
    }

    /// The JWK set (RFC 7517 section 5).
    pub(crate) fn jwks(&self) -> Value {
        let keys: Vec<_> = self.keys.iter().map(SigningKey::public_jwk).collect();
        json!({ "keys": keys })
    }
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

/// The left half of the hash that `at_hash` is (OpenID Connect Core section 3.1.3.6).
pub(crate) fn half_hash(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    let bytes = hash.as_ref();
    encode(bytes.get(..bytes.len() / 2).unwrap_or_default())
}

/// SHA-256 in base64url: the S256 challenge of RFC 7636 section 4.2.
pub(crate) fn hash(text: &str) -> String {
    encode(digest(&SHA256, text.as_bytes()).as_ref())
}
