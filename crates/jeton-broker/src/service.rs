//! Listening: one accept loop, with TLS where it is configured, a time limit on heads, a bound on connections, and a stop
//! that says so first and lets requests end.
use crate::broker::Broker;
use crate::config::Tls;
use crate::dispatch::Peer;
use crate::route;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use jeton::{Class, Error};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tower_service::Service;

/// How long requests that are under way may take when the broker stops.
pub const STOP_TIME: Duration = Duration::from_secs(30);
/// How long a client may take to send a request's head, or to shake hands.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes.
const HEAD_SIZE: usize = 64 * 1024;
/// How many connections there may be at once; more wait to be accepted.
const CONNECTIONS: usize = 8192;
/// The wait after a failed accept (out of descriptors): it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How many requests one HTTP/2 connection may have under way.
const STREAMS: u32 = 256;

/// A port that is open, and nothing is answered on it yet.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    is_tls: bool,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Listener {
    /// Opens the port. With `is_tls` each connection begins with a handshake, under the certificate that the settings
    /// name at that moment.
    ///
    /// # Errors
    /// `Class::Config`: it is taken.
    pub async fn open(address: SocketAddr, is_tls: bool) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::new(Class::Config, format!("listen: {address}: {error}"));
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self {
            socket,
            address,
            is_tls,
        })
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is, as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    async fn accept(&self) -> std::io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = self.socket.accept().await?;
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }
}

/// What shakes hands with this certificate.
///
/// # Errors
/// `Class::Config`: a file that cannot be read or is none, a key of another certificate.
pub fn acceptor(tls: &Tls) -> Result<TlsAcceptor, Error> {
    let wrong = |what: &std::path::Path, why: String| {
        Error::new(Class::Config, format!("tls: {}: {why}", what.display()))
    };
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_file_iter(&tls.cert)
        .map_err(|e| wrong(&tls.cert, e.to_string()))?
        .collect();
    let chain = chain.map_err(|e| wrong(&tls.cert, e.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|e| wrong(&tls.key, e.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong(&tls.cert, e.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let mut config = config.map_err(|e| wrong(&tls.cert, e.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves until `stop` is done. Then it says that it is not ready, and serves on for as long as the settings say
/// (`shutdown_delay`), so that whoever spreads the requests can send them elsewhere; then nothing more is accepted, and
/// requests that are under way have [`STOP_TIME`] to finish. `at_once` cuts all of it short.
pub async fn serve(
    listener: Listener,
    broker: &Broker,
    stop: impl Future<Output = ()>,
    at_once: impl Future<Output = ()>,
) {
    let server = Arc::new(builder());
    let router = route::router(broker);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let leaving = async {
        stop.await;
        broker.stop();
        let delay = broker.live().config.shutdown_delay;
        tokio::time::sleep(delay).await;
    };
    tokio::pin!(leaving, at_once);
    loop {
        let accepted = tokio::select! {
            () = &mut leaving => break,
            () = &mut at_once => return,
            accepted = place_and_accept(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else {
            continue;
        };
        // No certificate any more (which no reload does) is no reason to speak without.
        let tls = listener.is_tls.then(|| broker.live().tls.clone());
        let connection = Connection {
            server: Arc::clone(&server),
            router: router.clone(),
            watcher: graceful.watcher(),
            peer: Peer(peer.ip()),
            place,
        };
        tokio::spawn(connection.served(stream, tls));
    }
    drop(listener);
    tokio::select! {
        _ = tokio::time::timeout(STOP_TIME, graceful.shutdown()) => (),
        () = &mut at_once => (),
    }
}

/// What a connection is served with.
struct Connection {
    server: Arc<auto::Builder<TokioExecutor>>,
    router: axum::Router,
    watcher: Watcher,
    peer: Peer,
    place: OwnedSemaphorePermit,
}

impl Connection {
    async fn served(self, stream: TcpStream, tls: Option<Option<TlsAcceptor>>) {
        let Some(stream) = shake_hands(stream, tls).await else {
            return;
        };
        let (router, peer) = (self.router, self.peer);
        let answer = service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(peer);
            router.clone().call(request)
        });
        let connection = self.server.serve_connection(TokioIo::new(stream), answer);
        // A broken connection is the client's business.
        let _ = self.watcher.watch(connection.into_owned()).await;
        drop(self.place);
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .max_buf_size(HEAD_SIZE)
        .header_read_timeout(HEAD_TIME);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(HEAD_SIZE).unwrap_or(u32::MAX));
    server
}

/// `tls` is nothing where none is spoken, and an empty one has no certificate: then there is nothing to say.
async fn shake_hands(stream: TcpStream, tls: Option<Option<TlsAcceptor>>) -> Option<Box<dyn Stream>> {
    let Some(tls) = tls else {
        return Some(Box::new(stream));
    };
    let shaken = tokio::time::timeout(HEAD_TIME, tls?.accept(stream)).await;
    Some(Box::new(shaken.ok()?.ok()?))
}

type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

async fn place_and_accept(listener: &Listener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(_) => {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
