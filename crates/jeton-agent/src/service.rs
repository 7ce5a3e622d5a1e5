//! One accept loop for everything that listens: bounded, with a time limit on heads, and a stop that lets requests end.
use crate::peer::{self, Peer};
use crate::proxy::answer::Body;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long requests that are under way may take when the service stops: all is over within 5 s.
pub const STOP_TIME: Duration = Duration::from_millis(4500);
/// How long a client may take to send a request's head.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes.
const HEAD_SIZE: usize = 64 * 1024;
/// How many connections there may be at once; more wait to be accepted.
const CONNECTIONS: usize = 4096;
/// The wait after a failed accept (out of descriptors): it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often the runtime's clock is looked at while there are connections. Each request sets timers, and one that is
/// earlier than every other costs two system calls, more than anything else of ours: no timer of a request is as early
/// as this one.
const BEAT: Duration = Duration::from_secs(4);

/// What answers requests.
pub trait Service: Send + Sync + 'static {
    /// The answer to one request of `peer`.
    fn answer(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> BoxFuture<'static, Response<Body>>;
}

/// Where requests come in.
#[derive(Debug)]
pub enum Listener {
    /// A loopback port.
    Tcp(TcpListener, SocketAddr),
    /// A unix socket.
    Unix(UnixListener),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Listener {
    /// A port of this machine.
    ///
    /// # Errors
    /// What the system says.
    pub async fn tcp(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self::Tcp(listener, address))
    }

    /// The port it listens on; `None` for a unix socket.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    async fn accept(&self) -> io::Result<(Box<dyn Stream>, Peer)> {
        match self {
            Self::Tcp(listener, ours) => {
                let (stream, theirs) = listener.accept().await?;
                // Small writes (SSE events) must not wait for each other.
                let _ = stream.set_nodelay(true);
                Ok((Box::new(stream), peer::of_tcp(*ours, theirs)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let peer = peer::of_unix(&stream);
                Ok((Box::new(stream), peer))
            }
        }
    }
}

/// Serves until `stop` is done, then lets requests that are under way finish for [`STOP_TIME`].
pub async fn serve(listener: Listener, service: Arc<impl Service>, stop: impl Future<Output = ()>) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .max_buf_size(HEAD_SIZE)
        .header_read_timeout(HEAD_TIME);
    let head_size = u32::try_from(HEAD_SIZE).unwrap_or(u32::MAX);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(head_size);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = place_and_accept(&listener, &places) => accepted,
            () = tokio::time::sleep(BEAT), if is_busy(&places) => continue,
        };
        let Some((stream, peer, place)) = accepted else {
            continue;
        };
        let service = Arc::clone(&service);
        let answer = service_fn(move |request| {
            let service = Arc::clone(&service);
            async move { Ok::<_, Infallible>(service.answer(request, peer).await) }
        });
        let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), answer);
        let connection = graceful.watch(connection.into_owned());
        tokio::spawn(async move {
            // A broken connection is the client's business.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(STOP_TIME, graceful.shutdown()).await;
}

/// Whether there is a connection, beside the place that is held for the next one.
fn is_busy(places: &Semaphore) -> bool {
    places.available_permits() < CONNECTIONS
}

type Accepted = (Box<dyn Stream>, Peer, OwnedSemaphorePermit);

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
