//! What is trusted: the authorities, logs and timestamp authorities of one instance of Sigstore.
use crate::artifact::{document, unusable};
use jeton::Error;
use sigstore_trust_root::TrustedRoot;
use std::path::Path;

/// A trust root from a file (`trusted_root.json`).
///
/// # Errors
/// `Class::NotFound` when it is not there, `Class::Protocol` when it is none.
pub fn read(path: &Path) -> Result<TrustedRoot, Error> {
    TrustedRoot::from_json(&document(path)?).map_err(|e| {
        let why = jeton_core::redact::foreign(&e.to_string(), &[]);
        unusable(path, &format!("it is no trust root: {why}"))
    })
}
