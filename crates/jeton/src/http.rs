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
//! | `date` | `Date` and `Retry-After` |
//! | `wire` | what a stalled or dripping connection did last |
mod connect;
mod date;
mod exchange;
mod proxy;
mod target;
mod trust;
mod wire;

pub use target::{checked_metadata_url, checked_url, is_local};

use crate::{Clock, Env, Error};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jeton_core::{Failure, Moment, RetryPolicy, Secret, UnixTime, redact};
use percent_encoding::percent_decode_str;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
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
/// The form of grants (RFC 6749 appendix B).
const FORM: &str = "application/x-www-form-urlencoded";
/// The fields of grants that are secret (RFC 6749, 7009, 7521, 7636, 8628, 8693).
const SECRET_FORM_FIELDS: [&str; 11] = [
    "client_secret",
    "client_assertion",
    "assertion",
    "refresh_token",
    "code",
    "code_verifier",
    "device_code",
    "subject_token",
    "password",
    "token",
    "WebIdentityToken",
];
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

/// A request.
#[derive(Clone)]
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
    /// Which addresses it may reach; checked before and after the name is resolved.
    pub guard: Guard,
    /// Whether it may go in clear text to a host that is neither loopback nor link-local, because the platform has it so.
    pub clear_text: bool,
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
            guard: Guard::Off,
            clear_text: false,
        }
    }

    /// The same request for a URL that a document of `issuer` named: any address when it is the issuer's own host,
    /// else public ones, and loopback only when the issuer itself is there.
    #[must_use]
    pub fn guarded_by(mut self, issuer: &Url) -> Self {
        self.guard = match (self.url.host() == issuer.host(), target::is_loopback(issuer)) {
            (true, _) => Guard::Off,
            (false, true) => Guard::PublicOrLoopback,
            (false, false) => Guard::Public,
        };
        self
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
        request.header("content-type", FORM)
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
        target::place(&self.url)
    }

    /// The secrets it carries, so that an answer that echoes them can be shown without them.
    fn secrets(&self) -> Vec<Secret> {
        let fields = self.headers.values().filter(|value| value.is_sensitive());
        let fields = fields
            .filter_map(|value| value.to_str().ok())
            .flat_map(credentials);
        let form = self.headers.get("content-type").is_some_and(|kind| kind == FORM);
        let body = self.body.as_deref().filter(|_| form).unwrap_or_default();
        let pairs = url::form_urlencoded::parse(body);
        let pairs = pairs.filter(|(name, _)| SECRET_FORM_FIELDS.contains(&&**name));
        fields.chain(pairs.map(|(_, value)| Secret::new(value))).collect()
    }
}

/// What of a secret field is secret: all of it but the scheme, and the password inside a `Basic` (RFC 7617).
fn credentials(value: &str) -> Vec<Secret> {
    let (scheme, rest) = value.split_once(' ').unwrap_or(("", value));
    let mut secrets = vec![Secret::new(rest)];
    let pair = STANDARD
        .decode(rest)
        .ok()
        .filter(|_| scheme.eq_ignore_ascii_case("basic"));
    if let Some((_, password)) = pair
        .as_deref()
        .and_then(|pair| std::str::from_utf8(pair).ok()?.split_once(':'))
    {
        secrets.push(Secret::new(password));
        // A client's secret is form-encoded first (RFC 6749 section 2.3.1).
        secrets.push(Secret::new(percent_decode_str(password).decode_utf8_lossy()));
    }
    secrets
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither query, fields nor body: each may hold a credential.
        let mut shown = f.debug_struct("Request");
        shown.field("method", &self.method).field("place", &self.place());
        shown.finish_non_exhaustive()
    }
}

/// A whole answer.
#[derive(Clone)]
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
    /// The secrets of the request, which an answer may echo.
    pub(crate) secrets: Vec<Secret>,
}

impl Response {
    /// A header field's value, if it is there once and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok();
        if values.next().is_some() { None } else { value }
    }

    /// What `Retry-After` asks for (RFC 9110 section 10.2.3), measured by the answer's own `Date` where it has one.
    /// A field that makes no sense is as good as absent.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let present = self.date.unwrap_or(self.received.wall);
        date::retry_after(self.header("retry-after")?, present)
    }

    /// A fault of this answer: with its status, and with what it asks to wait.
    pub fn fault(&self, failure: Failure, detail: impl Into<String>) -> Fault {
        let mut fault = Fault::new(failure, detail);
        fault.status = Some(self.status);
        fault.retry_after = self.retry_after();
        fault
    }

    /// A text out of this answer, fit to show: escaped, capped, and without the secrets of the request.
    #[must_use]
    pub fn foreign(&self, text: &str) -> String {
        let known: Vec<&str> = self.secrets.iter().map(Secret::reveal).collect();
        redact::foreign(text, &known)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither fields nor body: both may hold a token.
        let mut shown = f.debug_struct("Response");
        shown
            .field("status", &self.status)
            .field("body_len", &self.body.len());
        shown.finish_non_exhaustive()
    }
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
    /// Whether the deadline for everything passed in the middle of it.
    pub(crate) overdue: bool,
    /// Whether it happened before the request was sent, so that nobody can have acted on it.
    pub(crate) unsent: bool,
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
            overdue: false,
            unsent: false,
        }
    }

    /// The same fault with what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The error of a single try that was no request: a text from a variable or a file that is no token.
    #[must_use]
    pub fn into_error(self, what: &str) -> Error {
        let error = Error::new(self.failure.verdict().class, format!("{what}: {}", self.detail));
        match self.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
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
