//! Why a token was not accepted: one exact, comparable value with a stable code.
//!
//! The codes are a contract (scripts and tests compare them). The detail is for people: it may name a claim and show
//! an escaped, capped value of it, never a token, never a part of one.
use crate::redact;
use alloc::string::String;
use core::fmt;

/// One reason, the first that was found, in the order size, structure, header, algorithm, key, signature, claims.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// Not a compact JWS of a JWT (RFC 7515 section 7.1, RFC 7519), or of a type that is not for us.
    Malformed(&'static str),
    /// Larger than [`MAX_TOKEN`](crate::jose::MAX_TOKEN).
    TooLarge,
    /// `alg` is `none`, in whatever spelling (RFC 7518 section 3.6).
    AlgorithmNone,
    /// `alg` is unknown, symmetric or not on the list of the caller; the value as shown.
    AlgorithmNotAllowed(String),
    /// The header wants something understood that is not (RFC 7515 section 4.1.11).
    CriticalHeader(&'static str),
    /// The set has no key by that name, or none that can be told from the others. Fetching the set again may help.
    UnknownKey(&'static str),
    /// The set has a key by that name, but it cannot check this token.
    KeyUnusable(&'static str),
    /// The signature does not fit.
    BadSignature,
    /// `exp` has passed (RFC 7519 section 4.1.4).
    Expired {
        /// How many seconds ago.
        seconds_ago: i64,
    },
    /// `nbf` is still to come (RFC 7519 section 4.1.5).
    NotYetValid {
        /// In how many seconds.
        in_seconds: i64,
    },
    /// `iat` is still to come.
    IssuedInFuture {
        /// In how many seconds.
        in_seconds: i64,
    },
    /// A required claim is not there.
    MissingClaim(String),
    /// A claim has a type or a value it can never have.
    InvalidClaim {
        /// The claim's name.
        claim: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// `iss` is not, byte for byte, the expected one; the value as shown.
    IssuerMismatch(String),
    /// None of `aud` is one of the expected ones; the values as shown.
    AudienceMismatch(String),
    /// `sub` does not match the pattern; the value as shown.
    SubjectMismatch(String),
    /// A claim does not match its pattern.
    ClaimMismatch {
        /// The claim's name.
        claim: String,
        /// Its value as shown.
        found: String,
    },
    /// Issued longer ago than the caller accepts.
    TooOld {
        /// How old it is, in seconds.
        age_seconds: i64,
    },
    /// A JWE (RFC 7516).
    Encrypted,
    /// The key set is itself of no use.
    KeysUnusable(&'static str),
    /// The key set could not be fetched.
    KeysUnavailable(String),
}

impl Rejection {
    /// Every code, in the order of the contract.
    pub const CODES: [&'static str; 21] = [
        "malformed",
        "too-large",
        "algorithm-none",
        "algorithm-not-allowed",
        "critical-header",
        "unknown-key",
        "key-unusable",
        "bad-signature",
        "expired",
        "not-yet-valid",
        "issued-in-future",
        "missing-claim",
        "invalid-claim",
        "issuer-mismatch",
        "audience-mismatch",
        "subject-mismatch",
        "claim-mismatch",
        "too-old",
        "encrypted",
        "keys-unusable",
        "keys-unavailable",
    ];

    /// The stable code: what scripts compare.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::TooLarge => "too-large",
            Self::AlgorithmNone => "algorithm-none",
            Self::AlgorithmNotAllowed(_) => "algorithm-not-allowed",
            Self::CriticalHeader(_) => "critical-header",
            Self::UnknownKey(_) => "unknown-key",
            Self::KeyUnusable(_) => "key-unusable",
            Self::BadSignature => "bad-signature",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::IssuedInFuture { .. } => "issued-in-future",
            Self::MissingClaim(_) => "missing-claim",
            Self::InvalidClaim { .. } => "invalid-claim",
            Self::IssuerMismatch(_) => "issuer-mismatch",
            Self::AudienceMismatch(_) => "audience-mismatch",
            Self::SubjectMismatch(_) => "subject-mismatch",
            Self::ClaimMismatch { .. } => "claim-mismatch",
            Self::TooOld { .. } => "too-old",
            Self::Encrypted => "encrypted",
            Self::KeysUnusable(_) => "keys-unusable",
            Self::KeysUnavailable(_) => "keys-unavailable",
        }
    }

    /// Whether it says something about the keys and not about the token: fetching them again may help, and a
    /// caller that only brought a token is not to blame.
    #[must_use]
    pub const fn is_about_keys(&self) -> bool {
        matches!(self, Self::KeysUnusable(_) | Self::KeysUnavailable(_))
    }

    /// A required claim that is not there.
    pub(crate) fn missing(claim: &str) -> Self {
        Self::MissingClaim(shown(claim))
    }

    /// A claim that can never be right.
    pub(crate) fn invalid(claim: &str, why: &'static str) -> Self {
        Self::InvalidClaim {
            claim: shown(claim),
            why,
        }
    }
}

/// A foreign value made fit to stand in a detail.
pub(crate) fn shown(value: &str) -> String {
    redact::foreign(value, &[])
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) | Self::CriticalHeader(why) | Self::UnknownKey(why) => f.write_str(why),
            Self::KeyUnusable(why) | Self::KeysUnusable(why) => f.write_str(why),
            Self::TooLarge => f.write_str("the token is larger than 64 KiB"),
            Self::AlgorithmNone => f.write_str("the token says that it is not signed"),
            Self::AlgorithmNotAllowed(alg) => write!(f, "the algorithm \"{alg}\" is not allowed here"),
            Self::BadSignature => f.write_str("the signature does not fit the key"),
            Self::Expired { seconds_ago } => write!(f, "expired {seconds_ago} s ago"),
            Self::NotYetValid { in_seconds } => write!(f, "valid only in {in_seconds} s"),
            Self::IssuedInFuture { in_seconds } => {
                write!(
                    f,
                    "issued {in_seconds} s in the future: is this machine's clock right?"
                )
            }
            Self::MissingClaim(claim) => write!(f, "the claim \"{claim}\" is missing"),
            Self::InvalidClaim { claim, why } => write!(f, "the claim \"{claim}\" {why}"),
            Self::IssuerMismatch(found) => write!(f, "the issuer is \"{found}\""),
            Self::AudienceMismatch(found) => write!(f, "the audience is {found}"),
            Self::SubjectMismatch(found) => write!(f, "the subject is \"{found}\""),
            Self::ClaimMismatch { claim, found } => write!(f, "the claim \"{claim}\" is {found}"),
            Self::TooOld { age_seconds } => write!(f, "issued {age_seconds} s ago"),
            Self::Encrypted => f.write_str("the token is encrypted (JWE), not signed"),
            Self::KeysUnavailable(why) => f.write_str(why),
        }
    }
}

impl core::error::Error for Rejection {}
