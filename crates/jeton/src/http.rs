//! The rules of the wire, in one place: caps, deadlines, redirects, proxies, trust.
//!
//! One request is one connection: nothing is pooled, so that no stale connection, no leftover bytes and no other
//! request's answer can reach this one. HTTP/1.1 is all that is offered (ALPN `http/1.1`): a command sends two or
//! three requests in its life and gains nothing from multiplexing, and the failures of HTTP/2 that need a second
//! protocol to get over them (`HTTP_1_1_REQUIRED`, a cancelled stream, a connection that goes away under many
//! requests) cannot happen. The trust store is read when the first `https` request is sent, not before. No
//! compression is asked for, so that a body's size is what it is.
//!
//! | child | holds |
//! |---|---|
//! | `target` | which URLs and addresses may be asked |
//! | `connect` | names, addresses, proxies' tunnels, TLS: from a URL to a stream of bytes |
//! | `exchange` | one request and its answer on that stream, with every cap and timer |
//! | `proxy` | which proxy the environment names for a host |
//! | `trust` | which authorities are trusted |
//! | `request`, `response` | what is sent, what came, and why nothing came |
//! | `date` | `Date` and `Retry-After` |
//! | `wire` | what a stalled or dripping connection did last |
mod connect;
pub(crate) mod date;
mod exchange;
mod proxy;
mod request;
mod response;
mod target;
mod trust;
mod wire;

pub use request::Request;
pub use response::{Fault, Response};
pub use target::{checked_metadata_url, checked_url, is_local};

use crate::{Clock, Env, Error};
use ::http::Method;
use jeton_core::{Failure, RetryPolicy};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::time::Instant;

pub use url::Url;

/// The largest token answer that is read, in bytes.
pub const TOKEN_BODY_CAP: usize = 256 * 1024;
/// The largest discovery document that is read, in bytes.
pub const DISCOVERY_BODY_CAP: usize = 128 * 1024;
/// The largest key set that is read, in bytes.
pub const JWKS_BODY_CAP: usize = 1024 * 1024;

/// How often a request without a credential may be sent on to another place of the same origin.
const MOST_REDIRECTS: usize = 3;
/// What we call ourselves.
const USER_AGENT: &str = concat!("jeton/", env!("CARGO_PKG_VERSION"));

/// The client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Http {
    env: Env,
    clock: Clock,
    trust: Arc<trust::Trust>,
}

/// Where a request goes through.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Route {
    /// Through the proxy that the environment names, if it names one for this host.
    #[default]
    Auto,
    /// Straight to the host, never through a proxy (metadata servers).
    Direct,
    /// Over this unix socket; the URL's host is only what the `Host` field says.
    Unix(PathBuf),
}

/// Which addresses a request may reach. A URL that came out of somebody's document (`jwks_uri`) must not make this
/// machine ask its own neighbours (RFC 9700, the metadata addresses of clouds). Behind a proxy, where names are resolved
/// elsewhere, only the name itself or a literal address can be judged here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Guard {
    /// Any: the URL is the user's own or the platform's.
    #[default]
    Off,
    /// Public ones over `https` only.
    Public,
    /// Public ones over `https`, and loopback: what a document of an issuer on loopback may point at.
    PublicOrLoopback,
}

impl Http {
    /// A client that takes proxies and trust from `env`.
    #[must_use]
    pub fn new(env: Env, clock: Clock) -> Self {
        let trust = Arc::new(trust::Trust::new(env.clone(), None));
        Self { env, clock, trust }
    }

    /// The same client, which also trusts the authorities in the PEM file at `path`. Wins over `JETON_CA_FILE`. A file
    /// that cannot be read is an error of the first `https` request.
    #[must_use]
    pub fn with_ca_file(self, path: impl Into<PathBuf>) -> Self {
        let trust = Arc::new(trust::Trust::new(self.env.clone(), Some(path.into())));
        Self { trust, ..self }
    }

    /// The TLS settings under the same trust, for a program that connects by itself (a proxy's data path).
    ///
    /// # Errors
    /// `Class::Config` when what is to be trusted cannot be read.
    pub fn tls_config(&self) -> Result<rustls::ClientConfig, Error> {
        let config = self.trust.client_config().map_err(|fault| {
            let error = Error::new(fault.failure.verdict().class, fault.detail);
            fault.hint.iter().fold(error, |error, hint| error.with_hint(hint))
        })?;
        let mut config = (*config).clone();
        // Whoever connects says himself which protocols he speaks.
        config.alpn_protocols.clear();
        Ok(config)
    }

    /// Sends `request` once and reads the whole answer, whatever its status.
    ///
    /// Dropping the future closes the connection; nothing of it runs on.
    ///
    /// # Errors
    /// A [`Fault`] for everything that keeps a whole, well-framed answer from arriving in time.
    pub async fn send(
        &self,
        request: &Request,
        policy: &RetryPolicy,
        deadline: Option<Instant>,
    ) -> Result<Response, Fault> {
        let progress = wire::Progress::default();
        let work = self.follow(request, policy, &progress);
        let Some(deadline) = deadline else {
            return work.await;
        };
        tokio::time::timeout_at(deadline, work)
            .await
            .unwrap_or_else(|_| Err(progress.overdue()))
    }

    async fn follow(
        &self,
        request: &Request,
        policy: &RetryPolicy,
        progress: &wire::Progress,
    ) -> Result<Response, Fault> {
        let mut request = request.clone();
        for _ in 0..=MOST_REDIRECTS {
            target::check(&request)?;
            let response = self.once(&request, policy, progress).await?;
            match redirect(&request, &response)? {
                Some(url) => request.url = url,
                None => return Ok(response),
            }
        }
        Err(Fault::new(
            Failure::Redirect,
            format!("more than {MOST_REDIRECTS} redirects"),
        ))
    }

    async fn once(
        &self,
        request: &Request,
        policy: &RetryPolicy,
        progress: &wire::Progress,
    ) -> Result<Response, Fault> {
        let limits = exchange::Limits::new(policy, request.body_cap);
        let plan = connect::Plan::new(&self.env, request)?;
        let stream = connect::connect(&self.trust, &plan, policy, &limits, progress).await?;
        let outgoing = exchange::outgoing(request, plan.absolute_form())?;
        let answer = exchange::exchange(stream, outgoing, &limits, progress, &self.clock).await?;
        if answer.status == 407 && plan.absolute_form().is_some() {
            return Err(proxy::wants_authentication());
        }
        Ok(Response {
            status: answer.status,
            date: date::of(&answer.headers),
            headers: answer.headers,
            body: answer.body,
            received: answer.received,
            url: request.url.clone(),
            secrets: request.secrets(),
        })
    }
}

/// Where the answer sends the request, if it does.
fn redirect(request: &Request, response: &Response) -> Result<Option<Url>, Fault> {
    let place = response.headers.get("location");
    let (300..=399, Some(place)) = (response.status, place) else {
        return Ok(None);
    };
    let to = place.to_str().ok().and_then(|text| response.url.join(text).ok());
    let refuse = |why: &str| {
        let shown = to.as_ref().map_or("nowhere".to_owned(), target::place);
        let mut fault = Fault::new(
            Failure::Redirect,
            format!("status {}: a redirect to {shown} {why}", response.status),
        );
        fault.status = Some(response.status);
        Err(fault)
    };
    if request.credential {
        return refuse("is not followed, because the request carries a credential");
    }
    if request.method != Method::GET && request.method != Method::HEAD {
        return refuse("is not followed, because the request is no GET");
    }
    match &to {
        Some(url) if url.origin() == response.url.origin() && target::is_plain(url) => Ok(to),
        _ => refuse("is not followed, because it leaves the origin"),
    }
}
