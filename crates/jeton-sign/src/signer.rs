//! From a file, or a statement about files, to a bundle.
use crate::statement::PAYLOAD_TYPE;
use crate::{Artifact, Bundle, Key};
use jeton::Error;
use sigstore_bundle::builder::{BundleV03, VerificationMaterialV03};
use sigstore_types::{DsseEnvelope, DsseSignature, KeyId, PayloadBytes, SignatureContent};

/// What is signed.
#[derive(Clone, Debug)]
pub enum Content {
    /// A file itself.
    File(Artifact),
    /// A statement about files, as the bytes of its JSON.
    Statement(Vec<u8>),
}

impl Content {
    /// Signs it.
    fn signed_by(&self, key: &Key) -> Result<SignatureContent, Error> {
        Ok(match self {
            Self::File(artifact) => SignatureContent::MessageSignature(key.sign_artifact(artifact)?),
            Self::Statement(json) => {
                let signature = key.sign(&sigstore_types::pae(PAYLOAD_TYPE, json))?;
                let signature = DsseSignature::new(signature, KeyId::default());
                let payload = PayloadBytes::from_bytes(json);
                SignatureContent::DsseEnvelope(DsseEnvelope::new(PAYLOAD_TYPE, payload, signature))
            }
        })
    }
}

/// Signs with a local key. Nothing is sent, and nobody learns of it.
///
/// # Errors
/// `Class::Other` when the library fails; what reading the file once more fails with.
pub fn sign_with_key(content: &Content, key: &Key) -> Result<Bundle, Error> {
    let material = VerificationMaterialV03::PublicKey { hint: key.hint()? };
    Ok(BundleV03::new(material, content.signed_by(key)?).into_bundle())
}
