//! Trust policies: who may exchange a token for what (contract: the broker, "Trust policies").
//!
//! A policy names an issuer exactly, a subject or a pattern for one, patterns for claims, and what is given. Every
//! pattern covers the whole value, whatever it contains. Policies are tried in the order of their names; the first
//! that matches in full decides. A policy in report mode decides nothing and is only recorded.
use crate::claims::Claims;
use crate::pattern::Pattern;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

mod lint;
mod read;

pub use lint::{Finding, Severity, lint};
pub use read::PolicyError;

/// The life of what is given when a policy does not say: as short as CI tokens are.
pub const DEFAULT_TTL: Duration = Duration::from_secs(300);
/// The longest life that a policy may give.
pub const LONGEST_TTL: Duration = Duration::from_secs(12 * 3600);

/// Whether a policy decides or only says what it would have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It decides.
    Enforce,
    /// It is recorded and decides nothing.
    Report,
}

/// Who may exchange for what.
#[derive(Clone, Debug)]
pub struct TrustPolicy {
    /// Its name, unique.
    pub name: String,
    /// The issuer, byte for byte.
    pub issuer: String,
    /// What `sub` must be; `None` only where a claim pattern binds an id.
    pub subject: Option<Pattern>,
    /// What other claims must be, by name.
    pub claims: Vec<(String, Pattern)>,
    /// The audiences that a minted token may have.
    pub audience: Vec<String>,
    /// The scopes that may be asked for.
    pub scope: Vec<String>,
    /// The credential that is handed out, where one is.
    pub credential: Option<String>,
    /// The roles that a minted token carries, by name.
    pub roles: Vec<String>,
    /// How long what is given lives.
    pub ttl: Duration,
    /// Whether it decides.
    pub mode: Mode,
}

/// Why a policy does not match: for the owner of the policy, never for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The token is another issuer's.
    Issuer,
    /// `sub` is missing or another.
    Subject,
    /// This claim is missing, is no text, or is another.
    Claim(String),
}

impl core::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Issuer => f.write_str("issuer is another"),
            Self::Subject => f.write_str("sub does not match"),
            Self::Claim(name) => write!(f, "claim {name} does not match"),
        }
    }
}

impl TrustPolicy {
    /// Whether the claims match, and if not, at what they first do not.
    ///
    /// # Errors
    /// The first [`Mismatch`].
    pub fn matches(&self, claims: &Claims) -> Result<(), Mismatch> {
        if claims.issuer() != Some(self.issuer.as_str()) {
            return Err(Mismatch::Issuer);
        }
        if let Some(pattern) = &self.subject {
            let fits = claims.subject().is_some_and(|sub| pattern.matches(sub));
            fits.then_some(()).ok_or(Mismatch::Subject)?;
        }
        for (name, pattern) in &self.claims {
            let fits = claims.get(name).is_some_and(|value| pattern.matches_claim(value));
            fits.then_some(()).ok_or_else(|| Mismatch::Claim(name.clone()))?;
        }
        Ok(())
    }
}

/// What the policies say of a token.
#[derive(Clone, Debug)]
pub struct Verdict<'a> {
    /// The policy that decided; `None`: nobody allows it.
    pub allowed_by: Option<&'a TrustPolicy>,
    /// The policies in report mode that would have allowed it.
    pub reported: Vec<&'a str>,
    /// For each policy of this issuer that does not match, why.
    pub why: Vec<(&'a str, Mismatch)>,
}

impl Verdict<'_> {
    /// One line for each policy that was looked at, for the policies' owner.
    #[must_use]
    pub fn explain(&self) -> Vec<String> {
        let allowed = self.allowed_by.iter().map(|p| format!("{}: matches", p.name));
        let reported = self
            .reported
            .iter()
            .map(|name| format!("{name}: matches, but only reports"));
        let why = self
            .why
            .iter()
            .map(|(name, mismatch)| format!("{name}: {mismatch}"));
        allowed.chain(reported).chain(why).collect()
    }
}

/// Decides by the first policy, in the order of names, that matches in full and for which `wanted` holds (the
/// audience, scope or credential that was asked for).
#[must_use]
pub fn decide<'a>(
    policies: &'a [TrustPolicy],
    claims: &Claims,
    wanted: impl Fn(&TrustPolicy) -> bool,
) -> Verdict<'a> {
    let mut ordered: Vec<&TrustPolicy> = policies.iter().collect();
    ordered.sort_by(|a, b| a.name.cmp(&b.name));
    let mut verdict = Verdict {
        allowed_by: None,
        reported: Vec::new(),
        why: Vec::new(),
    };
    for policy in ordered {
        match policy.matches(claims) {
            Err(mismatch) => verdict.why.push((&policy.name, mismatch)),
            Ok(()) if !wanted(policy) => {}
            Ok(()) if policy.mode == Mode::Report => verdict.reported.push(&policy.name),
            Ok(()) => {
                verdict.allowed_by = Some(policy);
                break;
            }
        }
    }
    verdict
}

#[cfg(test)]
mod tests;
