//! A local address in front of one server: every request goes on with a fresh token.
//!
//! Who may come in is decided by [`guard`], what of a request goes on by [`fields`], and [`forward`] sends it, once
//! more with a fresh token when the server says 401. Requests are parsed and written anew, never copied raw.
use crate::peer::Peer;
use crate::service::{self, Listener, Service};
use futures_util::future::BoxFuture;
use guard::Guard;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use jeton::{Error, Jeton, Secret, Token, TokenRequest};
use jeton_core::Class;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::Url;

pub mod answer;
pub mod fields;
pub mod forward;
pub mod guard;
mod passage;
pub mod upstream;

/// How long the proxy waits for the head of the server's answer when nobody says otherwise.
pub const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(60);
/// What a proxy is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server in front of which it stands.
    pub upstream: Url,
    /// Where it listens; loopback only.
    pub listen: SocketAddr,
    /// The token that requests go on with.
    pub request: TokenRequest,
    /// Web origins that may call it from a browser.
    pub allow_origins: Vec<String>,
    /// `Host` values that are its own besides its address.
    pub allow_hosts: Vec<String>,
    /// The secret that every request must carry.
    pub secret: Option<Secret>,
    /// Whether any user of this machine may call it.
    pub allow_any_local_user: bool,
    /// How long it waits for the head of an answer.
    pub upstream_timeout: Duration,
}

impl Settings {
    /// A proxy in front of `upstream`, with the defaults of the contract.
    #[must_use]
    pub fn new(upstream: Url) -> Self {
        Self {
            upstream,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            request: TokenRequest::default(),
            allow_origins: Vec::new(),
            allow_hosts: Vec::new(),
            secret: None,
            allow_any_local_user: false,
            upstream_timeout: UPSTREAM_TIMEOUT,
        }
    }
}

/// A proxy that listens.
pub struct Proxy {
    listener: Listener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What every request needs.
pub(crate) struct Shared {
    pub(crate) guard: Guard,
    pub(crate) upstream: upstream::Upstream,
    pub(crate) tokens: Jeton,
    pub(crate) request: TokenRequest,
    /// The token that was sent last.
    bearer: Mutex<Option<Arc<Bearer>>>,
    check_peer: bool,
}

/// A token, and the field that it makes: the same for many requests, so made once.
pub(crate) struct Bearer {
    pub(crate) token: Token,
    pub(crate) field: HeaderValue,
}

impl Shared {
    /// A fresh token, as it stands in a request.
    pub(crate) async fn bearer(&self) -> Result<Arc<Bearer>, Response<answer::Body>> {
        let slot = self.tokens.slot(&self.request);
        let known = slot.current().and_then(|current| {
            let known = self.bearer.lock().unwrap_or_else(PoisonError::into_inner);
            known.clone().filter(|known| known.token.value == current.value)
        });
        if let Some(known) = known {
            return Ok(known);
        }
        let token = slot.token().await.map_err(|e| answer::no_token(&e))?;
        let field = forward::authorization(&token)?;
        let bearer = Arc::new(Bearer { token, field });
        *self.bearer.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&bearer));
        Ok(bearer)
    }
}

impl Proxy {
    /// Opens the port. Nothing is fetched yet.
    ///
    /// # Errors
    /// `Class::Config` for an address beyond loopback or an upstream that a token must not be sent to, `Class::Other`
    /// when the port cannot be had.
    pub async fn bind(settings: Settings, tokens: Jeton) -> Result<Self, Error> {
        if !settings.listen.ip().is_loopback() {
            return Err(Error::new(
                Class::Config,
                format!("--listen {}: beyond this machine", settings.listen),
            )
            .with_hint("listen on 127.0.0.1 or [::1]: whoever reaches the proxy acts with your token"));
        }
        let upstream = upstream::Upstream::new(&settings, tokens.context())?;
        let listener = Listener::tcp(settings.listen).await;
        let listener =
            listener.map_err(|e| Error::new(Class::Other, format!("--listen {}: {e}", settings.listen)))?;
        let address = listener.address().unwrap_or(settings.listen);
        let check_peer = settings.secret.is_none() && !settings.allow_any_local_user;
        if check_peer && !cfg!(target_os = "linux") {
            return Err(Error::new(
                Class::Config,
                "proxy: this system does not say whose a local connection is",
            )
            .with_hint("use --secret-file FILE, or --allow-any-local-user"));
        }
        let guard = Guard::new(address, &settings);
        let shared = Shared {
            guard,
            upstream,
            tokens,
            request: settings.request,
            bearer: Mutex::default(),
            check_peer,
        };
        Ok(Self {
            listener,
            address,
            shared: Arc::new(shared),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves until `stop` is done, then lets requests that are under way finish.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        service::serve(self.listener, self.shared, stop).await;
    }
}

impl Service for Shared {
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: Peer,
    ) -> BoxFuture<'static, Response<answer::Body>> {
        let stranger = self.check_peer && peer != Peer::Same;
        Box::pin(forward::handle(self, request, stranger))
    }
}
