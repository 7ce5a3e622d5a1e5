//! Whether a bundle holds, for this file and for exactly the signer that was named.
//!
//! ```text
//! signature over the file -> certificate, SCT, log, time (the Sigstore crates) -> identity, issuer, predicate type
//! ```
//! The first is asked first, so that what is wrong with the file is not told as something wrong with a timestamp.
mod content;
mod evidence;
mod failure;
mod format;
mod promise;

pub use failure::{Code, Failure};

use crate::artifact::{document, unusable};
use crate::{Artifact, PublicKey};
use jeton::source::file::shown;
use jeton::{Class, Error};
use jeton_core::pattern::{Pattern, PatternError};
use sigstore_crypto::{CertificateInfo, parse_certificate_info};
use sigstore_trust_root::TrustedRoot;
use sigstore_types::{Bundle, SignatureContent};
use std::path::Path;
use std::str::FromStr;

/// How far a bundle is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing holds.
    Unverified,
    /// Signature and certificate (or the key that was named) hold.
    Attested,
    /// Log, time and identity hold as well.
    Verified,
}

impl Level {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Attested => "attested",
            Self::Verified => "verified",
        }
    }
}

impl FromStr for Level {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Unverified, Self::Attested, Self::Verified]
            .into_iter()
            .find(|level| level.name() == text)
            .ok_or(())
    }
}

/// A name that must be met: exactly, or by a regular expression over the whole of it.
#[derive(Clone, Debug)]
pub enum Name {
    /// This and no other.
    Exact(String),
    /// Whatever the pattern covers from its first to its last character.
    Pattern(Pattern),
}

impl Name {
    /// A regular expression, which has to cover the whole name.
    ///
    /// # Errors
    /// `Class::Config` when it is none.
    pub fn pattern(regex: &str) -> Result<Self, Error> {
        Pattern::parse(&format!("re:{regex}"))
            .map(Self::Pattern)
            .map_err(|e| {
                let why = match e {
                    PatternError::TooLarge => "is too long",
                    _ => "is no regular expression that stands on its own",
                };
                let text = jeton_core::redact::foreign(regex, &[]);
                Error::new(Class::Config, format!("`{text}` {why}")).with_hint(
                    "a name without a pattern goes to --certificate-identity or --certificate-oidc-issuer",
                )
            })
    }

    fn covers(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Pattern(pattern) => pattern.matches(name),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Exact(exact) => exact.clone(),
            Self::Pattern(pattern) => format!("a name like {}", pattern.source().trim_start_matches("re:")),
        }
    }
}

/// Whose signature it must be. There is no "anybody's".
#[derive(Clone, Debug)]
pub enum Signer {
    /// That of an identity that an issuer vouches for.
    Identity {
        /// The certificate's subject: an address or a URI.
        identity: Name,
        /// Who vouched for it.
        issuer: Name,
    },
    /// That of a local key.
    Key(PublicKey),
}

/// What a bundle must be.
#[derive(Clone, Debug)]
pub struct Expectations {
    /// Whose.
    pub signer: Signer,
    /// Of which predicate type; `None`: of any, or no statement at all.
    pub predicate_type: Option<String>,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Verification {
    /// How far it is to be believed.
    pub level: Level,
    /// The certificate's subject; to be believed as far as the level says.
    pub identity: Option<String>,
    /// Who vouched for it; likewise.
    pub issuer: Option<String>,
    /// When it was logged or, where the log does not say, stamped; `None` when that does not hold.
    pub logged_at: Option<jiff::Timestamp>,
    /// What does not hold, the root of it first.
    pub failures: Vec<Failure>,
}

impl Verification {
    /// Whether it reaches `least`. The wrong file, the wrong signer and the wrong predicate are wrong at every level.
    #[must_use]
    pub fn reaches(&self, least: Level) -> bool {
        self.level >= least && !self.failures.iter().any(|failure| failure.code.is_final())
    }

    /// The same, in which it is said when a local key in no log cannot reach `least`.
    #[must_use]
    pub fn held_to(mut self, least: Level) -> Self {
        if self.failures.is_empty() && self.level < least {
            let detail = "it is in no log: a local key alone attests, no more";
            self.failures.push(Failure::new(Code::LogInclusion, detail));
        }
        self
    }

    /// What is said of a bundle that cannot be read as one.
    #[must_use]
    pub fn of_no_bundle(detail: &str) -> Self {
        Self {
            level: Level::Unverified,
            identity: None,
            issuer: None,
            logged_at: None,
            failures: vec![Failure::new(Code::BundleFormat, detail)],
        }
    }
}

/// A bundle from a file.
///
/// # Errors
/// `Class::NotFound` when it is not there, `Class::Protocol` when it is nothing like a bundle, `Class::Refused` for
/// one that breaks the format's rules.
pub fn bundle(path: &Path) -> Result<Bundle, Error> {
    format::read(&document(path)?).map_err(|fault| match fault {
        format::Fault::Unlawful(why) => {
            let why = jeton_core::redact::foreign(&why, &[]);
            let message = format!("{}: it breaks the format's rules: {why}", shown(path));
            Error::new(Class::Refused, message).with_hint(Code::BundleFormat.mend())
        }
        format::Fault::Foreign => unusable(path, "it is no Sigstore bundle").with_hint(
            "--bundle wants the JSON that `jeton sign`, cosign or another Sigstore client wrote beside the file",
        ),
    })
}

/// Judges `bundle` as a signature of `artifact`. Nothing is sent.
///
/// # Errors
/// `Class::Protocol` for a trust root that cannot be used, `Class::Config` for an identity without one; what reading
/// the file fails with.
pub fn verify(
    artifact: &Artifact,
    bundle: &Bundle,
    expectations: &Expectations,
    trust: Option<&TrustedRoot>,
) -> Result<Verification, Error> {
    let mut found = match &expectations.signer {
        Signer::Key(key) => by_key(artifact, bundle, key, trust)?,
        Signer::Identity { identity, issuer } => {
            let trust = trust.ok_or_else(|| {
                Error::new(Class::Config, "nothing is trusted: a trust root is needed")
                    .with_hint("say --trusted-root FILE")
            })?;
            let mut found = by_certificate(artifact, bundle, trust, Witnesses::All)?;
            found.expect(Code::Identity, identity, |found| &found.identity);
            found.expect(Code::Issuer, issuer, |found| &found.issuer);
            found
        }
    };
    if let Some(wanted) = &expectations.predicate_type {
        found.failures.extend(other_predicate(bundle, wanted));
    }
    let is_final = found.failures.iter().any(|failure| failure.code.is_final());
    if is_final && found.level == Level::Verified {
        found.level = Level::Attested;
    }
    Ok(found)
}

impl Verification {
    fn expect(&mut self, code: Code, wanted: &Name, found: impl Fn(&Self) -> &Option<String>) {
        let name = found(self).clone();
        if name.as_deref().is_some_and(|name| wanted.covers(name)) {
            return;
        }
        let name = name.map_or_else(
            || "none".to_owned(),
            |name| jeton_core::redact::foreign(&name, &[]),
        );
        let detail = format!("expected {}, found {name}", wanted.shown());
        self.failures.push(Failure::new(code, detail));
    }
}

/// Whose word is needed for a keyless bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Witnesses {
    /// Everybody's.
    All,
    /// Everybody's but that of certificate logs, of which nothing is known.
    ButCertificateLogs,
}

/// Judges everything about a keyless bundle but whose it is.
pub(crate) fn by_certificate(
    artifact: &Artifact,
    bundle: &Bundle,
    trust: &TrustedRoot,
    witnesses: Witnesses,
) -> Result<Verification, Error> {
    let mut found = Verification {
        level: Level::Unverified,
        identity: None,
        issuer: None,
        logged_at: None,
        failures: Vec::new(),
    };
    let certificate = match certificate(bundle) {
        Ok(certificate) => certificate,
        Err(failure) => {
            found.failures.push(failure);
            return Ok(found);
        }
    };
    found.identity = certificate.identity.as_ref().map(|name| name.as_str().to_owned());
    found.issuer.clone_from(&certificate.issuer);
    match content::check(artifact, bundle, &certificate.public_key)? {
        Some(failure) => found.failures.push(failure),
        None => evidence::weigh(artifact, bundle, trust, &certificate, witnesses, &mut found)?,
    }
    Ok(found)
}

fn certificate(bundle: &Bundle) -> Result<CertificateInfo, Failure> {
    let der = bundle.signing_certificate().ok_or_else(|| {
        let detail = "it holds no certificate: it was signed with a local key (--key names its public half)";
        Failure::new(Code::BundleFormat, detail)
    })?;
    parse_certificate_info(der).map_err(|e| Failure::new(Code::CertificateChain, e.to_string()))
}

fn by_key(
    artifact: &Artifact,
    bundle: &Bundle,
    key: &PublicKey,
    trust: Option<&TrustedRoot>,
) -> Result<Verification, Error> {
    let mut found = Verification {
        level: Level::Unverified,
        identity: None,
        issuer: None,
        logged_at: None,
        failures: Vec::new(),
    };
    if bundle.signing_certificate().is_some() {
        let detail = "it holds a certificate: name the identity it must be for, not a key";
        found.failures.push(Failure::new(Code::BundleFormat, detail));
        return Ok(found);
    }
    match content::check(artifact, bundle, key.der())? {
        Some(failure) => found.failures.push(failure),
        None => {
            found.level = Level::Attested;
            evidence::weigh_log(artifact, bundle, key, trust, &mut found)?;
        }
    }
    Ok(found)
}

fn other_predicate(bundle: &Bundle, wanted: &str) -> Option<Failure> {
    let found = match &bundle.content {
        SignatureContent::DsseEnvelope(envelope) => content::statement(envelope).ok()?.predicate_type,
        _ => "none: the file itself was signed, nothing is said of it".to_owned(),
    };
    (found != wanted).then(|| {
        let found = jeton_core::redact::foreign(&found, &[]);
        Failure::new(Code::PredicateType, format!("expected {wanted}, found {found}"))
    })
}
