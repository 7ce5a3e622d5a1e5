//! Whose tokens are accepted: the configured issuers, each with its keys, and nobody else. No request is ever sent to an
//! issuer that is not here.
use crate::config;
use jeton::{Class, Context, Discovery, Error, NotVerified, RemoteKeys, Verifier};
use jeton_core::verify::{Expectations, Unproved, Verified};
use jeton_core::{Claims, KeySet, Rejection};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a request waits for an issuer's keys before it is told to come again.
const KEYS_TIME: Duration = Duration::from_secs(5);

/// An issuer whose tokens are accepted, with its keys.
pub struct Accepted {
    /// What was configured.
    pub config: config::Accepted,
    /// The pinned keys as they were read, to see whether the file changed.
    pinned: Option<Vec<u8>>,
    verifier: Verifier,
}

/// All of them, by name.
#[derive(Clone, Default)]
pub struct Issuers(HashMap<String, Arc<Accepted>>);

impl Issuers {
    /// The issuers of a configuration. What is known of one that did not change is kept: `before`.
    ///
    /// # Errors
    /// `Class::Config`: a file of keys cannot be read, or is none.
    pub fn new(configured: &[config::Accepted], before: &Self) -> Result<Self, Error> {
        let mut all = HashMap::new();
        for config in configured {
            let name = config.issuer.as_str();
            let pinned = config.jwks_file.as_deref().map(read).transpose()?;
            let accepted = match before.0.get(name) {
                Some(old) if old.config == *config && old.pinned == pinned => Arc::clone(old),
                _ => Arc::new(Accepted::new(config.clone(), pinned)?),
            };
            all.insert(name.to_owned(), accepted);
        }
        Ok(Self(all))
    }

    /// The issuer of exactly this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<Accepted>> {
        self.0.get(name)
    }

    /// What is known of the token with this digest, and whose it is, if it was accepted before and still is.
    #[must_use]
    pub fn recalled(
        &self,
        cx: &Context,
        digest: &[u8; 32],
    ) -> Option<(&Arc<Accepted>, Arc<Verified<Claims>>)> {
        self.0.values().find_map(|accepted| {
            let verified = accepted.verifier.recalled(cx, digest)?;
            accepted.check_age(&verified).ok()?;
            Some((accepted, verified))
        })
    }
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path)
        .map_err(|error| Error::new(Class::Config, format!("jwks_file: {}: {error}", path.display())))
}

impl Accepted {
    fn new(config: config::Accepted, pinned: Option<Vec<u8>>) -> Result<Self, Error> {
        let keys = match &pinned {
            None => RemoteKeys::discovered(Arc::new(Discovery::new(config.issuer.as_str()))),
            Some(bytes) => RemoteKeys::fixed(KeySet::parse(bytes).map_err(|wrong| {
                Error::new(Class::Config, format!("jwks_file of {}: {wrong}", config.issuer))
            })?),
        };
        let verifier = Verifier::new(keys, expectations(&config));
        Ok(Self {
            config,
            pinned,
            verifier,
        })
    }

    /// Verifies a token that says it is of this issuer, and of which nothing is known.
    ///
    /// # Errors
    /// [`NotVerified`].
    pub async fn verify(
        &self,
        cx: &Context,
        token: &mut Unproved<'_>,
        digest: [u8; 32],
    ) -> Result<Arc<Verified<Claims>>, NotVerified> {
        let cx = cx.within(KEYS_TIME);
        let verified = self.verifier.verify_new(&cx, token, digest).await?;
        self.check_age(&verified)?;
        Ok(verified)
    }

    /// A token that lives longer than is allowed here was not made for us.
    fn check_age(&self, claims: &Claims) -> Result<(), Rejection> {
        let Some(most) = self.config.max_token_age else {
            return Ok(());
        };
        let (Some(issued), Some(expires)) = (claims.issued_at(), claims.expires_at()) else {
            return Err(Rejection::MissingClaim("iat".into()));
        };
        if expires.since(issued) <= most {
            return Ok(());
        }
        let age_seconds = expires.seconds() - issued.seconds();
        Err(Rejection::TooOld { age_seconds })
    }
}

fn expectations(config: &config::Accepted) -> Expectations {
    let any = Expectations::any_audience(config.issuer.clone());
    let for_us = config
        .audiences
        .iter()
        .fold(any, |expect, audience| expect.or_audience(audience.clone()));
    for_us.algorithms(config.algorithms).require("sub")
}
