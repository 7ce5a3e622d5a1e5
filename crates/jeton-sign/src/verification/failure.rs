//! Why a bundle does not hold: one stable code each.
use sigstore_trust_root::TrustedRoot;
use sigstore_types::Bundle;
use sigstore_verify::{CertificateError, Error, TransparencyLogError};

/// What does not hold. Scripts rely on the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The signature is not of this key over these bytes.
    Signature,
    /// It is a signature of another file.
    Subject,
    /// The certificate is from nobody who is trusted, or is none.
    CertificateChain,
    /// The certificate, or its authority, was not valid when the signature was made.
    CertificateExpired,
    /// The certificate was not promised to a certificate log.
    Sct,
    /// It is for somebody else.
    Identity,
    /// Somebody else vouched for the signer.
    Issuer,
    /// The signature is not proven to be in the log.
    LogInclusion,
    /// The log's own signature over its state does not hold.
    Checkpoint,
    /// It is not proven when it was signed.
    Timestamp,
    /// It breaks the format's rules.
    BundleFormat,
    /// It says something of another kind.
    PredicateType,
}

impl Code {
    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Subject => "subject",
            Self::CertificateChain => "certificate-chain",
            Self::CertificateExpired => "certificate-expired",
            Self::Sct => "sct",
            Self::Identity => "identity",
            Self::Issuer => "issuer",
            Self::LogInclusion => "log-inclusion",
            Self::Checkpoint => "checkpoint",
            Self::Timestamp => "timestamp",
            Self::BundleFormat => "bundle-format",
            Self::PredicateType => "predicate-type",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn mend(self) -> &'static str {
        match self {
            Self::Signature | Self::Subject => {
                "get file and bundle again, both from whoever signed: one of them is another, or was changed"
            }
            Self::CertificateChain | Self::Sct | Self::Checkpoint => {
                "name what is trusted of the instance that signed, with --trusted-root or --tuf-url"
            }
            Self::CertificateExpired => "have the file signed anew; nothing makes this signature good",
            Self::Identity => {
                "believe it only if that is the signer you mean; --certificate-identity wants the whole name"
            }
            Self::Issuer => {
                "believe it only if that issuer is the one you mean; --certificate-oidc-issuer wants all of it"
            }
            Self::LogInclusion => {
                "ask whoever signed for the bundle with its log entry; --min-trust-level attested forgives it"
            }
            Self::Timestamp => {
                "ask whoever signed for the bundle with its timestamps; --min-trust-level attested forgives it"
            }
            Self::BundleFormat => "ask whoever signed for a Sigstore bundle, as its signer wrote it",
            Self::PredicateType => "name the bundle that says what you want to know, or its type with --type",
        }
    }

    /// Whether no level forgives it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Signature
                | Self::Subject
                | Self::Identity
                | Self::Issuer
                | Self::BundleFormat
                | Self::PredicateType
        )
    }
}

/// One thing that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What.
    pub code: Code,
    /// Why, fit to show.
    pub detail: String,
}

impl Failure {
    /// A failure; the detail may hold foreign text.
    pub fn new(code: Code, detail: impl AsRef<str>) -> Self {
        let detail = jeton_core::redact::foreign(detail.as_ref(), &[]);
        Self { code, detail }
    }

    /// What the Sigstore crates' verdict means; an error of ours when it is the trust root that cannot be used.
    pub(super) fn of(error: &Error, bundle: &Bundle, trust: &TrustedRoot) -> Result<Self, jeton::Error> {
        let code = match error {
            Error::SignatureInvalid(_) => Code::Signature,
            // The signature was held against the file before: it is the log's entry that is for another one.
            Error::ArtifactMismatch(_) => Code::LogInclusion,
            Error::IdentityMismatch { .. } => Code::Identity,
            Error::IssuerMismatch { .. } => Code::Issuer,
            Error::Certificate(error) => of_certificate(error, trust),
            Error::TransparencyLog(error) => of_log(error),
            Error::Timestamp(_) => Code::Timestamp,
            Error::Bundle(error) => of_structure(error, bundle),
            Error::Crypto(sigstore_crypto::Error::Verification(_)) => Code::Signature,
            Error::InvalidTrustRoot(_) | Error::TrustRoot(_) | Error::TrustedCertificate(_) => {
                return Err(unusable_trust(&error.to_string()));
            }
            _ => Code::BundleFormat,
        };
        Ok(Self::new(code, error.to_string()))
    }
}

pub(super) fn unusable_trust(why: &str) -> jeton::Error {
    let why = jeton_core::redact::foreign(why, &[]);
    jeton::Error::new(
        jeton::Class::Protocol,
        format!("the trust root cannot be used: {why}"),
    )
    .with_hint("get trusted_root.json again from whoever runs the instance")
}

fn of_certificate(error: &CertificateError, trust: &TrustedRoot) -> Code {
    match error {
        CertificateError::Expired { .. } | CertificateError::NotYetValid { .. } => Code::CertificateExpired,
        CertificateError::Sct(_) => Code::Sct,
        // The library says in words alone that it was the time (webpki's `CertExpired`, `CertNotValidYet`).
        CertificateError::ChainInvalid(why)
            if why.contains("CertExpired") || why.contains("CertNotValidYet") =>
        {
            Code::CertificateExpired
        }
        // There are authorities, but none was one at that time.
        CertificateError::NoValidAuthority { .. } if !trust.certificate_authorities.is_empty() => {
            Code::CertificateExpired
        }
        _ => Code::CertificateChain,
    }
}

fn of_log(error: &TransparencyLogError) -> Code {
    match error {
        TransparencyLogError::Checkpoint(_) => Code::Checkpoint,
        TransparencyLogError::IntegratedTime(_) => Code::Timestamp,
        _ => Code::LogInclusion,
    }
}

fn of_structure(error: &sigstore_bundle::Error, bundle: &Bundle) -> Code {
    use sigstore_bundle::Error as E;
    match error {
        E::MissingInclusionProof(_) | E::MissingInclusionPromise(_) | E::LogIndexOutOfRange { .. } => {
            Code::LogInclusion
        }
        E::MissingCheckpoint | E::CheckpointRootMismatch => Code::Checkpoint,
        E::MissingSigningTimeEvidence if bundle.verification_material.tlog_entries.is_empty() => {
            Code::LogInclusion
        }
        E::MissingSigningTimeEvidence | E::MissingTimestamp => Code::Timestamp,
        _ => Code::BundleFormat,
    }
}
