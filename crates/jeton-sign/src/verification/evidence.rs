//! What others say for a signature: certificate authority, certificate log, transparency log, timestamp authority.
//! All of it is the Sigstore crates' judgement; here it is asked for, level by level.
use super::failure::unusable_trust;
use super::{Failure, Level, Verification};
use crate::{Artifact, PublicKey};
use jeton::Error;
use sigstore_crypto::CertificateInfo;
use sigstore_trust_root::TrustedRoot;
use sigstore_types::{ArtifactDigest, Bundle};
use sigstore_verify::{
    Policy, PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult, Verifier,
};
use std::fs::File;

/// The level that a keyless bundle reaches, whose signature holds already.
pub(super) fn weigh(
    artifact: &Artifact,
    bundle: &Bundle,
    trust: &TrustedRoot,
    certificate: &CertificateInfo,
    found: &mut Verification,
) -> Result<(), Error> {
    let verifier = Verifier::new(trust).map_err(|e| unusable_trust(&e.to_string()))?;
    let scheme = certificate.key_algorithm.default_signing_scheme();
    let ask =
        |policy: &VerificationPolicy| ask(&verifier, artifact, bundle, policy, scheme.supports_prehashed());
    // Whose it is, is asked by us: the crates know no patterns.
    match ask(&VerificationPolicy::any_identity())? {
        Ok(result) => {
            found.level = Level::Verified;
            found.logged_at = time(&result);
        }
        Err(error) => {
            found.failures.push(Failure::of(&error, bundle, trust)?);
            if ask(&VerificationPolicy::any_identity().skip_tlog_unsafe())?.is_ok() {
                found.level = Level::Attested;
            }
        }
    }
    Ok(())
}

/// The level that a bundle of a local key reaches, whose signature holds already.
pub(super) fn weigh_log(
    artifact: &Artifact,
    bundle: &Bundle,
    key: &PublicKey,
    trust: Option<&TrustedRoot>,
    found: &mut Verification,
) -> Result<(), Error> {
    if bundle.verification_material.tlog_entries.is_empty() {
        return Ok(());
    }
    let Some(trust) = trust else {
        return Ok(());
    };
    let verifier = Verifier::new(trust).map_err(|e| unusable_trust(&e.to_string()))?;
    let policy = PublicKeyVerificationPolicy::new(key.der().clone());
    let prehashed = sigstore_crypto::KeyAlgorithm::from_spki(key.der())
        .is_ok_and(|algorithm| algorithm.default_signing_scheme().supports_prehashed());
    match ask(&verifier, artifact, bundle, &policy, prehashed)? {
        Ok(result) => {
            found.level = Level::Verified;
            found.logged_at = time(&result);
        }
        Err(error) => found.failures.push(Failure::of(&error, bundle, trust)?),
    }
    Ok(())
}

fn ask(
    verifier: &Verifier,
    artifact: &Artifact,
    bundle: &Bundle,
    policy: &impl Policy,
    prehashed: bool,
) -> Result<Result<VerificationResult, sigstore_verify::Error>, Error> {
    if !prehashed {
        return Ok(verifier.verify(artifact.bytes()?.as_slice(), bundle, policy));
    }
    let Some(path) = artifact.path() else {
        let digest = ArtifactDigest::sha256(artifact.sha256());
        return Ok(verifier.verify(digest, bundle, policy));
    };
    let file = File::open(path).map_err(|e| crate::artifact::unreadable(path, &e))?;
    match verifier.verify_reader(file, bundle, policy) {
        Err(sigstore_verify::Error::ArtifactRead(e)) => Err(crate::artifact::unreadable(path, &e)),
        other => Ok(other),
    }
}

/// The log's own time, or the earliest that an authority stamped.
fn time(result: &VerificationResult) -> Option<jiff::Timestamp> {
    let stamped = || result.verified_timestamps().iter().min().copied();
    result.integrated_time().or_else(stamped)
}
