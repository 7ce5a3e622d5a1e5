//! Whom a grant asks: an issuer whose endpoints are discovered when they are needed, not before.
use crate::cache::Disk;
use crate::discovery::Discovery;
use crate::{Context, Error};
use std::sync::Arc;

/// An authorization server.
#[derive(Clone)]
pub struct Authority {
    /// The issuer, byte for byte as its documents name it.
    pub issuer: String,
    /// A token endpoint that configuration names; then nothing is discovered for a grant.
    pub token_endpoint: Option<String>,
    /// The issuer's metadata, asked for at most once while it is fresh.
    pub discovery: Arc<Discovery>,
}

impl Authority {
    /// The issuer at this URL, everything discovered.
    #[must_use]
    pub fn new(issuer: impl Into<String>) -> Self {
        let issuer = issuer.into();
        Self {
            discovery: Arc::new(Discovery::new(issuer.clone())),
            issuer,
            token_endpoint: None,
        }
    }

    /// The same, whose metadata other processes share unless the issuer forbids it.
    #[must_use]
    pub fn kept_on(mut self, disk: Option<Disk>) -> Self {
        self.discovery = Arc::new(Discovery::kept_on(disk, self.issuer.clone()));
        self
    }

    /// Where tokens are asked for.
    ///
    /// # Errors
    /// What discovery fails with; `Class::Protocol` when the document has no such member.
    pub async fn token_endpoint(&self, cx: &Context) -> Result<String, Error> {
        match &self.token_endpoint {
            Some(endpoint) => Ok(endpoint.clone()),
            None => self.discovery.required(cx, "token_endpoint").await,
        }
    }

    /// Another endpoint by its metadata name (RFC 8414 section 2), such as `revocation_endpoint`.
    ///
    /// # Errors
    /// As [`Authority::token_endpoint`].
    pub async fn endpoint(&self, cx: &Context, name: &str) -> Result<String, Error> {
        self.discovery.required(cx, name).await
    }
}
