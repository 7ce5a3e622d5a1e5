//! Keys that sign: one made for the moment and gone with the signature, or a local one from a PEM file.
use crate::Artifact;
use crate::artifact::{document, unusable};
use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jeton::{Class, Error};
use jeton_core::signing::SigningKey;
use jeton_core::{Algorithm, Secret};
use sigstore_types::{DerPublicKey, HashAlgorithm, MessageDigest, MessageSignature, SignatureBytes};
use std::path::Path;
use zeroize::Zeroizing;

/// A private key. Never shown, never written.
pub struct Key(Pair);

enum Pair {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    /// A new key for one signature: ECDSA P-256, the algorithm that every log takes. It never leaves memory.
    ///
    /// # Errors
    /// `Class::Other` when the system has no randomness to give.
    pub fn generate() -> Result<Self, Error> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING);
        Ok(Self(Pair::P256(pair.map_err(|_| failed())?)))
    }

    /// A local key: a PEM file with an unencrypted private key of P-256, P-384 or Ed25519, as PKCS#8 or SEC 1.
    ///
    /// # Errors
    /// `Class::NotFound` when the file is not there, `Class::Protocol` when there is no such key in it.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = Secret::new(document(path)?);
        Self::from_pem(&text).map_err(|why| {
            unusable(path, why)
                .with_hint("`openssl ecparam -name prime256v1 -genkey -noout -out KEY` makes one")
        })
    }

    fn from_pem(text: &Secret) -> Result<Self, &'static str> {
        if text.reveal().contains("ENCRYPTED") {
            return Err("the key is encrypted; only keys without a password are read");
        }
        let no_key = "there is no unencrypted private key in it";
        let key = SigningKey::from_pem(text.reveal(), None).map_err(|_| no_key)?;
        // The older forms become PKCS#8 on the way.
        let pem = key.to_pem().map_err(|_| no_key)?;
        let der = body(&pem).ok_or(no_key)?;
        let pair = match key.algorithm() {
            Algorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der).map(Pair::P256)
            }
            Algorithm::Es384 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &der).map(Pair::P384)
            }
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(&der).map(Pair::Ed25519),
            _ => return Err("its type is not one that signs here: P-256, P-384 and Ed25519 do"),
        };
        pair.map(Self).map_err(|_| no_key)
    }

    /// Its public half.
    ///
    /// # Errors
    /// `Class::Other` when the library fails.
    pub fn public_key(&self) -> Result<DerPublicKey, Error> {
        let der = match &self.0 {
            Pair::P256(pair) | Pair::P384(pair) => pair.public_key().as_der(),
            Pair::Ed25519(pair) => pair.public_key().as_der(),
        };
        der.map(|der| DerPublicKey::from_bytes(der.as_ref()))
            .map_err(|_| failed())
    }

    /// The name by which a bundle says which key it was signed with: the hash of the public half.
    ///
    /// # Errors
    /// As [`Key::public_key`].
    pub fn hint(&self) -> Result<String, Error> {
        Ok(hint(&self.public_key()?))
    }

    /// Signs bytes that are in memory: a proof of possession, an envelope.
    ///
    /// # Errors
    /// `Class::Other` when the library fails.
    pub fn sign(&self, message: &[u8]) -> Result<SignatureBytes, Error> {
        match &self.0 {
            Pair::P256(pair) => signed(pair, &digest::digest(&digest::SHA256, message)),
            Pair::P384(pair) => signed(pair, &digest::digest(&digest::SHA384, message)),
            Pair::Ed25519(pair) => Ok(SignatureBytes::from_bytes(pair.sign(message).as_ref())),
        }
    }

    /// Signs a file, by its digest where the scheme can.
    ///
    /// # Errors
    /// `Class::Other` when the library fails; what reading the file once more fails with.
    pub fn sign_artifact(&self, artifact: &Artifact) -> Result<MessageSignature, Error> {
        let (pair, algorithm, backend) = match &self.0 {
            Pair::P256(pair) => (pair, HashAlgorithm::Sha2256, &digest::SHA256),
            Pair::P384(pair) => (pair, HashAlgorithm::Sha2384, &digest::SHA384),
            Pair::Ed25519(pair) => {
                let signature = pair.sign(&artifact.bytes()?);
                let sha256 = MessageDigest::new(HashAlgorithm::Sha2256, artifact.sha256().into());
                let signature = SignatureBytes::from_bytes(signature.as_ref());
                return Ok(MessageSignature::new(signature).with_message_digest(sha256));
            }
        };
        let digest = artifact.digest(algorithm)?;
        let imported = Digest::import_less_safe(digest.as_bytes(), backend).map_err(|_| failed())?;
        let named = MessageDigest::new(algorithm, digest.value().clone());
        Ok(MessageSignature::new(signed(pair, &imported)?).with_message_digest(named))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

fn signed(pair: &EcdsaKeyPair, digest: &Digest) -> Result<SignatureBytes, Error> {
    let signature = pair.sign_digest(digest).map_err(|_| failed())?;
    Ok(SignatureBytes::from_bytes(signature.as_ref()))
}

fn failed() -> Error {
    Error::new(Class::Other, "the cryptographic library failed to sign")
}

/// The DER inside the one block of a PEM text.
fn body(pem: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    let lines = pem.reveal().lines().filter(|line| !line.starts_with("-----"));
    let text = Zeroizing::new(lines.collect::<String>());
    STANDARD.decode(text.as_bytes()).ok().map(Zeroizing::new)
}

fn hint(key: &DerPublicKey) -> String {
    STANDARD.encode(digest::digest(&digest::SHA256, key.as_bytes()))
}

fn no_public_key(path: &Path, why: &str) -> Error {
    unusable(path, why).with_hint("`openssl pkey -in KEY -pubout -out PUB` writes the public half of a key")
}

/// The public half of a local key: what `verify-bundle --key` is given.
#[derive(Clone, Debug)]
pub struct PublicKey(DerPublicKey);

impl PublicKey {
    /// A PEM file with a public key (`PUBLIC KEY`).
    ///
    /// # Errors
    /// `Class::NotFound` when the file is not there, `Class::Protocol` when there is no such key in it.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = document(path)?;
        let key =
            DerPublicKey::from_pem(&text).map_err(|_| no_public_key(path, "there is no public key in it"))?;
        sigstore_crypto::KeyAlgorithm::from_spki(&key)
            .map_err(|_| no_public_key(path, "its type is not one that is verified here"))?;
        Ok(Self(key))
    }

    /// The key itself.
    #[must_use]
    pub fn der(&self) -> &DerPublicKey {
        &self.0
    }

    /// The name by which a bundle would say that this is the one.
    #[must_use]
    pub fn hint(&self) -> String {
        hint(&self.0)
    }
}
