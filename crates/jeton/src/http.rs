//! The rules of the wire, in one place: caps, deadlines, redirects, proxies, trust.
//!
//! One request is one connection: nothing is pooled, so that no stale connection, no leftover bytes and no other
//! request's answer can reach this one, and HTTP/1.1 is all that is offered. The trust store is read when the first
//! `https` request is sent, not before.
use crate::{Clock, Env};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use bytes::Bytes;
use jeton_core::{Failure, Moment, RetryPolicy, Secret, UnixTime};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// The largest token answer that is read, in bytes.
pub const TOKEN_BODY_CAP: usize = 256 * 1024;
/// The largest discovery document that is read, in bytes.
pub const DISCOVERY_BODY_CAP: usize = 128 * 1024;
/// The largest key set that is read, in bytes.
pub const JWKS_BODY_CAP: usize = 1024 * 1024;

/// The client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Http {
    env: Env,
    clock: Clock,
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

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The target.
    pub url: Url,
    /// Header fields; secret ones are marked sensitive.
    pub headers: HeaderMap,
    /// The body.
    pub body: Option<Bytes>,
    /// Whether it carries a credential: then no redirect is ever followed. Otherwise at most three to the same origin.
    pub credential: bool,
    /// The largest body that is read, in bytes.
    pub body_cap: usize,
    /// Where it goes through.
    pub route: Route,
    /// Whether it may be sent again after an answer was lost. `false` for a single-use refresh token.
    pub repeatable: bool,
    /// A shorter time for the connection than the policy's, for link-local metadata servers.
    pub connect_timeout: Option<Duration>,
}

impl Request {
    /// A request without credential, body or special wishes.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            credential: false,
            body_cap: TOKEN_BODY_CAP,
            route: Route::Auto,
            repeatable: true,
            connect_timeout: None,
        }
    }

    /// `GET url`.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// `POST url` with a form (`application/x-www-form-urlencoded`). A form of a grant carries a credential.
    #[must_use]
    pub fn form(url: Url, fields: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let mut request = Self::new(Method::POST, url);
        request.credential = true;
        request.body = Some(Bytes::from(body));
        request.header("content-type", "application/x-www-form-urlencoded")
    }

    /// `POST url` with a JSON body.
    #[must_use]
    pub fn json(url: Url, body: String) -> Self {
        let mut request = Self::new(Method::POST, url);
        request.body = Some(Bytes::from(body));
        request.header("content-type", "application/json")
    }

    /// The same request with a header field. A name or value that no header can hold is left out.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The same request with a header field that is a credential: never logged, never redirected.
    #[must_use]
    pub fn secret_header(mut self, name: &str, value: &Secret) -> Self {
        if let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::try_from(value.reveal()))
        {
            value.set_sensitive(true);
            self.headers.insert(name, value);
        }
        self.credential = true;
        self
    }

    /// The same request with `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(self, token: &Secret) -> Self {
        self.secret_header(
            "authorization",
            &Secret::new(format!("Bearer {}", token.reveal())),
        )
    }

    /// The host and port as they are named in messages.
    #[must_use]
    pub fn place(&self) -> String {
        match (self.url.host_str(), self.url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => self.url.scheme().to_owned(),
        }
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, whole, within its cap.
    pub body: Bytes,
    /// The `Date` field.
    pub date: Option<UnixTime>,
    /// When the head was received.
    pub received: Moment,
    /// Where it came from, after redirects.
    pub url: Url,
}

/// Why one attempt failed, with what a message needs to say.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The row of the fault table.
    pub failure: Failure,
    /// What happened, fit to show: no secret, foreign text escaped and capped.
    pub detail: String,
    /// The status, where there was an answer.
    pub status: Option<u16>,
    /// What `Retry-After` asked for.
    pub retry_after: Option<Duration>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The OAuth error code, where the answer had one.
    pub oauth: Option<String>,
}

impl Fault {
    /// A fault of this row.
    pub fn new(failure: Failure, detail: impl Into<String>) -> Self {
        Self {
            failure,
            detail: detail.into(),
            status: None,
            retry_after: None,
            hint: None,
            oauth: None,
        }
    }

    /// The same fault with what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Http {
    /// A client that takes proxies and trust from `env`.
    #[must_use]
    pub fn new(env: Env, clock: Clock) -> Self {
        Self { env, clock }
    }

    /// Sends `request` once and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// A [`Fault`] for everything that keeps a whole, well-framed answer from arriving in time.
    pub async fn send(
        &self,
        request: &Request,
        policy: &RetryPolicy,
        deadline: Option<Instant>,
    ) -> Result<Response, Fault> {
        let _ = (&self.env, &self.clock, policy, deadline);
        Err(Fault::new(
            Failure::Connect,
            format!("not wired yet: {}", request.place()),
        ))
    }
}
