//! What can be said of the services' answers where nobody said what is to be trusted: that they are about our
//! signature, and do not contradict themselves.
use crate::fulcio::Certificate;
use crate::rekor;
use jeton::{Class, Error};
use sigstore_merkle::{hash_leaf, verify_inclusion_proof};
use sigstore_rekor::RekorEntryBody;
use sigstore_types::{Bundle, SignatureBytes, TransparencyLogEntry};

/// Holds the log's entry against the bundle and its own proof.
pub(super) fn check(
    bundle: &Bundle,
    certificate: &Certificate,
    entry: &TransparencyLogEntry,
) -> Result<(), Error> {
    let wrong = |why: &str| {
        Err(Error::new(Class::Protocol, format!("{}: {why}", rekor::WHAT))
            .with_hint("nothing was written; do not believe this log, or ask whoever runs it"))
    };
    let signature = super::signature(&bundle.content)?;
    if !names(entry, &signature) {
        return wrong("the entry is for another signature");
    }
    if !is_consistent(entry) {
        return wrong("the entry's proof does not prove that it is in the log");
    }
    if certificate.info.identity.is_none() {
        return Err(Error::new(
            Class::Protocol,
            format!("{}: the certificate names nobody", crate::fulcio::WHAT),
        )
        .with_hint("is --fulcio-url a certificate authority of Sigstore?"));
    }
    Ok(())
}

/// Whether the entry's body holds this signature. A body of another kind is not ours to judge here.
fn names(entry: &TransparencyLogEntry, signature: &SignatureBytes) -> bool {
    match RekorEntryBody::parse(&entry.canonicalized_body, entry.kind_version) {
        Ok(RekorEntryBody::HashedRekordV001(body)) => body.spec.signature.content == *signature,
        Ok(RekorEntryBody::HashedRekordV002(body)) => {
            body.spec.hashed_rekord_v002.signature.content == *signature
        }
        Ok(RekorEntryBody::DsseV001(body)) => {
            body.spec.signatures.iter().any(|one| one.signature == *signature)
        }
        _ => true,
    }
}

/// Whether the proof, where there is one, leads from the entry to the root that it names.
fn is_consistent(entry: &TransparencyLogEntry) -> bool {
    let Some(proof) = &entry.inclusion_proof else {
        return true;
    };
    let leaf = hash_leaf(entry.canonicalized_body.as_bytes());
    let index = proof.log_index.get();
    verify_inclusion_proof(&leaf, index, proof.tree_size, &proof.hashes, &proof.root_hash).is_ok()
}
