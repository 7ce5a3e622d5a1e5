//! Whether the signature is of this key over this file, or over a statement that names it.
use super::{Code, Failure};
use crate::Artifact;
use crate::statement::PAYLOAD_TYPE;
use jeton::Error;
use sigstore_crypto::{KeyAlgorithm, SigningScheme, verify_signature, verify_signature_prehashed};
use sigstore_types::{
    Bundle, DerPublicKey, DsseEnvelope, HashAlgorithm, MessageSignature, SignatureContent, Statement,
};

/// The versions of the statement that mean what we take them to mean.
const STATEMENT_TYPES: [&str; 2] = [
    "https://in-toto.io/Statement/v1",
    "https://in-toto.io/Statement/v0.1",
];

/// What is wrong, if anything is.
pub(super) fn check(
    artifact: &Artifact,
    bundle: &Bundle,
    key: &DerPublicKey,
) -> Result<Option<Failure>, Error> {
    let Ok(algorithm) = KeyAlgorithm::from_spki(key) else {
        return Ok(Some(Failure::new(
            Code::BundleFormat,
            "the signer's key is of no known type",
        )));
    };
    match &bundle.content {
        SignatureContent::MessageSignature(signature) => blob(artifact, signature, key, algorithm),
        SignatureContent::DsseEnvelope(envelope) => attestation(artifact, envelope, key, algorithm),
        _ => Ok(Some(Failure::new(
            Code::BundleFormat,
            "it holds neither a signature nor an envelope",
        ))),
    }
}

fn blob(
    artifact: &Artifact,
    signature: &MessageSignature,
    key: &DerPublicKey,
    algorithm: KeyAlgorithm,
) -> Result<Option<Failure>, Error> {
    let mut scheme = algorithm.default_signing_scheme();
    if let Some(named) = &signature.message_digest {
        let resolved = algorithm.resolve_signing_scheme(named.algorithm);
        let (Ok(resolved), true) = (resolved, is_known(named.algorithm)) else {
            let detail = format!("{} does not go with the signer's key", named.algorithm);
            return Ok(Some(Failure::new(Code::BundleFormat, detail)));
        };
        scheme = resolved;
        if named.digest.as_bytes() != artifact.digest(named.algorithm)?.as_bytes() {
            return Ok(Some(Failure::new(
                Code::Subject,
                "the bundle is for a file with another digest",
            )));
        }
    }
    Ok(match holds(artifact, signature, key, scheme)? {
        true => None,
        false => Some(Failure::new(
            Code::Signature,
            "the signature is not of this key over this file",
        )),
    })
}

fn is_known(algorithm: HashAlgorithm) -> bool {
    matches!(
        algorithm,
        HashAlgorithm::Sha2256 | HashAlgorithm::Sha2384 | HashAlgorithm::Sha2512
    )
}

fn holds(
    artifact: &Artifact,
    signature: &MessageSignature,
    key: &DerPublicKey,
    scheme: SigningScheme,
) -> Result<bool, Error> {
    Ok(match scheme.hash_algorithm() {
        Some(hash) => {
            let digest = artifact.digest(hash)?;
            verify_signature_prehashed(key, digest.as_bytes(), &signature.signature, scheme).is_ok()
        }
        None => verify_signature(key, &artifact.bytes()?, &signature.signature, scheme).is_ok(),
    })
}

fn attestation(
    artifact: &Artifact,
    envelope: &DsseEnvelope,
    key: &DerPublicKey,
    algorithm: KeyAlgorithm,
) -> Result<Option<Failure>, Error> {
    let scheme = algorithm.default_signing_scheme();
    if verify_signature(key, &envelope.pae(), &envelope.signature.sig, scheme).is_err() {
        let detail = "the signature is not of this key over the statement";
        return Ok(Some(Failure::new(Code::Signature, detail)));
    }
    let statement = match statement(envelope) {
        Ok(statement) => statement,
        Err(failure) => return Ok(Some(failure)),
    };
    let is_subject = statement.matches_sha256(&artifact.sha256()) || {
        let any = statement
            .subject
            .iter()
            .any(|subject| subject.digest.sha512.is_some());
        any && names_sha512(&statement, artifact)?
    };
    Ok((!is_subject).then(|| {
        Failure::new(
            Code::Subject,
            "no subject of the statement has this file's digest",
        )
    }))
}

fn names_sha512(statement: &Statement, artifact: &Artifact) -> Result<bool, Error> {
    let digest = artifact.digest(HashAlgorithm::Sha2512)?;
    let mut digests = statement
        .subject
        .iter()
        .filter_map(|subject| subject.digest.sha512.as_ref());
    Ok(digests.any(|named| named.as_slice() == digest.as_bytes()))
}

/// The statement in an envelope.
pub(super) fn statement(envelope: &DsseEnvelope) -> Result<Statement, Failure> {
    if envelope.payload_type != PAYLOAD_TYPE {
        let detail = format!(
            "the envelope holds {}, no in-toto statement",
            envelope.payload_type
        );
        return Err(Failure::new(Code::BundleFormat, detail));
    }
    let statement: Statement = serde_json::from_slice(envelope.payload.as_bytes())
        .map_err(|e| Failure::new(Code::BundleFormat, format!("the statement cannot be read: {e}")))?;
    match STATEMENT_TYPES.contains(&statement.type_.as_str()) {
        true => Ok(statement),
        false => Err(Failure::new(
            Code::BundleFormat,
            format!("{} is no type of in-toto statement", statement.type_),
        )),
    }
}
