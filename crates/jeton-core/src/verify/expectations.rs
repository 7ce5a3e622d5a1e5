//! What a verifier expects of a token: decided before a token is seen, never by the token.
use crate::audience::Audience;
use crate::issuer::Issuer;
use crate::jose::AlgorithmSet;
use crate::pattern::Pattern;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

/// How far two clocks may differ when the caller says nothing: what machines with time synchronisation stay within.
pub const DEFAULT_LEEWAY: Duration = Duration::from_secs(60);

/// The types of a token (`typ`, RFC 7519 section 5.1) that mean plain claims: a JWT, an access token (RFC 9068), and a
/// compact JWS (RFC 7515 section 4.1.9, as SPIFFE writes it). Everything else belongs to another protocol, where the same
/// key says something else (RFC 8725 section 3.11).
const USUAL_TYPES: [&str; 3] = ["JWT", "at+jwt", "JOSE"];

/// What is expected. Always required are `iss`, `sub` and `exp`; `aud` unless any audience will do.
#[derive(Clone, Debug)]
pub struct Expectations {
    pub(super) issuer: Issuer,
    /// One of these; empty only by [`Expectations::any_audience`].
    pub(super) audiences: Vec<Audience>,
    pub(super) algorithms: AlgorithmSet,
    pub(super) leeway: Duration,
    pub(super) max_age: Option<Duration>,
    pub(super) subject: Option<Pattern>,
    pub(super) claims: Vec<(String, Pattern)>,
    pub(super) required: Vec<String>,
    pub(super) types: Vec<String>,
}

impl Expectations {
    /// A token from `issuer` for `audience`.
    #[must_use]
    pub fn new(issuer: Issuer, audience: Audience) -> Self {
        let mut expect = Self::any_audience(issuer);
        expect.audiences.push(audience);
        expect
    }

    /// A token from `issuer`, for whomever: only for looking at tokens. A server that accepts tokens meant for others
    /// lets every other server act in the caller's name.
    #[must_use]
    pub fn any_audience(issuer: Issuer) -> Self {
        Self {
            issuer,
            audiences: Vec::new(),
            algorithms: AlgorithmSet::ALL,
            leeway: DEFAULT_LEEWAY,
            max_age: None,
            subject: None,
            claims: Vec::new(),
            required: Vec::new(),
            types: USUAL_TYPES.map(String::from).to_vec(),
        }
    }

    /// One more audience that will do.
    #[must_use]
    pub fn or_audience(mut self, audience: Audience) -> Self {
        self.audiences.push(audience);
        self
    }

    /// Only these algorithms.
    #[must_use]
    pub fn algorithms(self, algorithms: AlgorithmSet) -> Self {
        Self { algorithms, ..self }
    }

    /// How far the issuer's clock may differ from `now`; every comparison of times gives this much.
    #[must_use]
    pub fn leeway(self, leeway: Duration) -> Self {
        Self { leeway, ..self }
    }

    /// Issued at most this long ago, whatever `exp` says; makes `iat` required.
    #[must_use]
    pub fn max_age(self, max_age: Duration) -> Self {
        Self {
            max_age: Some(max_age),
            ..self
        }
    }

    /// `sub` matches this.
    #[must_use]
    pub fn subject(self, pattern: Pattern) -> Self {
        Self {
            subject: Some(pattern),
            ..self
        }
    }

    /// The claim `name` matches this, or one element of it does.
    #[must_use]
    pub fn claim(mut self, name: impl Into<String>, pattern: Pattern) -> Self {
        self.claims.push((name.into(), pattern));
        self
    }

    /// The claim `name` is there.
    #[must_use]
    pub fn require(mut self, name: impl Into<String>) -> Self {
        self.required.push(name.into());
        self
    }

    /// Only tokens of this `typ`, and no untyped ones: for protocols with a type of their own.
    #[must_use]
    pub fn only_type(self, typ: impl Into<String>) -> Self {
        Self {
            types: vec![typ.into()],
            ..self
        }
    }

    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The algorithms.
    #[must_use]
    pub fn allowed_algorithms(&self) -> AlgorithmSet {
        self.algorithms
    }

    /// Whether a token without `typ` is one of those meant.
    pub(super) fn allows_untyped(&self) -> bool {
        self.types.iter().any(|t| t.eq_ignore_ascii_case(USUAL_TYPES[0]))
    }
}
