//! What others say for a signature: certificate authority, certificate log, transparency log, timestamp authority.
//! All of it is the Sigstore crates' judgement; here it is asked for, level by level.
use super::failure::unusable_trust;
use super::promise;
use super::{Code, Failure, Level, Verification, Witnesses};
use crate::{Artifact, PublicKey};
use jeton::Error;
use rustls_pki_types::{CertificateDer, UnixTime};
use sigstore_crypto::{CertificateInfo, SigningScheme, WEBPKI_VERIFICATION_ALGS};
use sigstore_trust_root::TrustedRoot;
use sigstore_types::{ArtifactDigest, Bundle, HashAlgorithm, SignatureContent};
use sigstore_verify::{
    Policy, PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult, Verifier,
};
use std::fs::File;
use std::time::Duration;
use webpki::KeyUsage;

/// `id-kp-codeSigning` (RFC 5280 section 4.2.1.12), as it is encoded.
const CODE_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];

/// The level that a keyless bundle reaches, whose signature holds already.
pub(super) fn weigh(
    artifact: &Artifact,
    bundle: &Bundle,
    trust: &TrustedRoot,
    certificate: &CertificateInfo,
    witnesses: Witnesses,
    found: &mut Verification,
) -> Result<(), Error> {
    let verifier = Verifier::new(trust).map_err(|e| unusable_trust(&e.to_string()))?;
    let scheme = certificate.key_algorithm.default_signing_scheme();
    let ask = |policy: &VerificationPolicy| ask(&verifier, artifact, bundle, policy, scheme);
    // Whose it is, is asked by us: the crates know no patterns.
    let policy = match witnesses {
        Witnesses::All => VerificationPolicy::any_identity(),
        Witnesses::ButCertificateLogs => VerificationPolicy::any_identity().skip_sct(),
    };
    match ask(&policy)? {
        Ok(result) => {
            found.level = Level::Verified;
            found.logged_at = time(&result);
        }
        Err(error) => {
            let failure = Failure::of(&error, bundle, trust)?;
            let relaxed = policy.skip_tlog_unsafe();
            let attested = match failure.code {
                Code::LogInclusion | Code::Checkpoint | Code::Timestamp => {
                    ask(&relaxed)?.is_ok() || is_an_authoritys(bundle, trust, certificate, witnesses)
                }
                _ => false,
            };
            found.failures.push(failure);
            if attested {
                found.level = Level::Attested;
            }
        }
    }
    Ok(())
}

/// Whether the certificate is one of a trusted authority's for signing code, at the beginning of its own validity:
/// what can be said of it where nobody proves when it was used.
fn is_an_authoritys(
    bundle: &Bundle,
    trust: &TrustedRoot,
    certificate: &CertificateInfo,
    witnesses: Witnesses,
) -> bool {
    let authorities = trust.certificate_authorities.iter().filter(|authority| {
        authority
            .valid_for
            .is_none_or(|period| period.contains(certificate.not_before))
    });
    let chains: Vec<CertificateDer<'_>> = authorities
        .flat_map(|authority| &authority.cert_chain.certificates)
        .map(|certificate| CertificateDer::from(certificate.raw_bytes.as_bytes()))
        .collect();
    let anchors: Vec<_> = chains
        .iter()
        .filter_map(|der| webpki::anchor_from_trusted_cert(der).ok())
        .collect();
    let Some(leaf) = bundle.signing_certificate() else {
        return false;
    };
    let authorities: Vec<&[u8]> = chains.iter().map(AsRef::as_ref).collect();
    if witnesses == Witnesses::All && !promise::holds(leaf.as_bytes(), &authorities, trust) {
        return false;
    }
    let leaf = CertificateDer::from(leaf.as_bytes());
    let Ok(leaf) = webpki::EndEntityCert::try_from(&leaf) else {
        return false;
    };
    let Ok(begins) = u64::try_from(certificate.not_before.as_second()) else {
        return false;
    };
    let begins = UnixTime::since_unix_epoch(Duration::from_secs(begins));
    let usage = KeyUsage::required(CODE_SIGNING);
    leaf.verify_for_usage(WEBPKI_VERIFICATION_ALGS, &anchors, &[], begins, usage, None, None)
        .is_ok()
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
    let Ok(algorithm) = sigstore_crypto::KeyAlgorithm::from_spki(key.der()) else {
        return Ok(());
    };
    match ask(
        &verifier,
        artifact,
        bundle,
        &policy,
        algorithm.default_signing_scheme(),
    )? {
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
    scheme: SigningScheme,
) -> Result<Result<VerificationResult, sigstore_verify::Error>, Error> {
    if !scheme.supports_prehashed() {
        return Ok(verifier.verify(artifact.bytes()?.as_slice(), bundle, policy));
    }
    let Some(path) = artifact.path() else {
        // A statement's subjects are named by SHA-256, a file's own signature by what its key goes with.
        let hash = match &bundle.content {
            SignatureContent::MessageSignature(_) => scheme.hash_algorithm(),
            _ => None,
        };
        let digest = artifact.digest(hash.unwrap_or(HashAlgorithm::Sha2256));
        let digest = digest.unwrap_or_else(|_| ArtifactDigest::sha256(artifact.sha256()));
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
