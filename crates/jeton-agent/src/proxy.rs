//! A local address in front of one server: every request goes on with a fresh token.
//!
//! Who may come in is decided by [`guard`], what of a request goes on by [`fields`], and [`forward`] sends it, once
//! more with a fresh token when the server says 401. Requests are parsed and written anew, never copied raw.
use crate::peer;
use guard::Guard;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use jeton::{Error, Jeton, Secret, TokenRequest};
use jeton_core::Class;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use url::Url;

pub mod answer;
pub mod fields;
pub mod forward;
pub mod guard;
pub mod upstream;

/// How long requests that are under way may take when the proxy stops.
pub const STOP_TIME: Duration = Duration::from_secs(5);
/// How long a client may take to send a request's head.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long the proxy waits for the head of the server's answer when nobody says otherwise.
pub const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(60);
/// How many connections there may be at once; more wait to be accepted.
const CONNECTIONS: usize = 4096;
/// The wait after a failed accept (out of descriptors): it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What every request needs.
pub(crate) struct Shared {
    pub(crate) guard: Guard,
    pub(crate) upstream: upstream::Upstream,
    pub(crate) tokens: Jeton,
    pub(crate) request: TokenRequest,
    check_peer: bool,
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
        let listener = TcpListener::bind(settings.listen).await;
        let listener =
            listener.map_err(|e| Error::new(Class::Other, format!("--listen {}: {e}", settings.listen)))?;
        let address = listener
            .local_addr()
            .map_err(|e| Error::new(Class::Other, format!("proxy: {e}")))?;
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

    /// Serves until `stop` is done, then lets requests that are under way finish for [`STOP_TIME`].
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let mut server = auto::Builder::new(TokioExecutor::new());
        server
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME);
        server.http2().timer(TokioTimer::new());
        let graceful = GracefulShutdown::new();
        let places = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS));
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&self.listener, &places) => accepted,
            };
            let Some((stream, place)) = accepted else { continue };
            // A peer that hung up has no address; there is nobody to answer.
            let Ok(theirs) = stream.peer_addr() else { continue };
            let shared = Arc::clone(&self.shared);
            let stranger = shared.check_peer && peer::of_tcp(self.address, theirs) != peer::Peer::Same;
            let service = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(forward::handle(shared, request, stranger).await) }
            });
            let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service);
            let connection = graceful.watch(connection.into_owned());
            tokio::spawn(async move {
                // A broken connection is the client's business.
                let _ = connection.await;
                drop(place);
            });
        }
        drop(self.listener);
        let _ = tokio::time::timeout(STOP_TIME, graceful.shutdown()).await;
    }
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn accept(listener: &TcpListener, places: &Arc<tokio::sync::Semaphore>) -> Option<(TcpStream, Place)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Small writes (SSE events) must not wait for each other.
            let _ = stream.set_nodelay(true);
            Some((stream, place))
        }
        Err(_) => {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
