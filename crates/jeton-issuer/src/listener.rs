//! The accept loops: TCP, TLS and a unix socket, and the faults that come before there is a request.
use crate::connection::{serve, stopped};
use crate::desk::{Provider, lock};
use crate::faults::Accept;
use crate::script::Wire;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long requests in flight may take when the issuer stops; stalled ones are cut off then.
const STOP_GRACE: Duration = Duration::from_millis(200);
/// The pause after an accept that failed, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// A fatal alert, handshake_failure, of TLS 1.2 (RFC 5246 section 7.2).
const ALERT: &[u8] = &[21, 3, 3, 0, 2, 2, 40];
/// What a port without TLS says to whoever begins with a ClientHello.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

impl Wire for TcpStream {
    fn reset_on_close(&self) {
        // Without it the close is an ordinary one: a weaker fault, not an error worth ending a test for.
        let _ = self.set_zero_linger();
    }
}

impl Wire for TlsStream<TcpStream> {
    fn reset_on_close(&self) {
        self.get_ref().0.reset_on_close();
    }
}

#[cfg(unix)]
impl Wire for tokio::net::UnixStream {
    fn reset_on_close(&self) {}
}

/// Where connections come from.
pub(crate) trait Door: Send + Sync {
    type Stream: Send + 'static;
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Door for TcpListener {
    type Stream = TcpStream;
    async fn next(&self) -> io::Result<TcpStream> {
        Ok(self.accept().await?.0)
    }
}

#[cfg(unix)]
impl Door for tokio::net::UnixListener {
    type Stream = tokio::net::UnixStream;
    async fn next(&self) -> io::Result<tokio::net::UnixStream> {
        Ok(self.accept().await?.0)
    }
}

/// Takes connections until the issuer stops.
pub(crate) async fn run_tcp(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    provider: Arc<Provider>,
    stop: watch::Receiver<bool>,
) {
    let (for_each, stopping) = (Arc::clone(&provider), stop.clone());
    let each = move |stream, number| {
        tcp_connection(
            stream,
            tls.clone(),
            Arc::clone(&for_each),
            number,
            stopping.clone(),
        )
    };
    run(listener, each, provider, stop).await;
}

/// Takes connections on a unix socket until the issuer stops.
#[cfg(unix)]
pub(crate) async fn run_unix(
    listener: tokio::net::UnixListener,
    provider: Arc<Provider>,
    stop: watch::Receiver<bool>,
) {
    let (for_each, stopping) = (Arc::clone(&provider), stop.clone());
    let each = move |stream, number| serve(Box::new(stream), Arc::clone(&for_each), number, stopping.clone());
    run(listener, each, provider, stop).await;
}

/// Answers the SPIFFE Workload API until the issuer stops.
#[cfg(all(unix, feature = "spiffe"))]
pub(crate) async fn run_workload_api(
    listener: tokio::net::UnixListener,
    provider: Arc<Provider>,
    stop: watch::Receiver<bool>,
) {
    let (for_each, stopping) = (Arc::clone(&provider), stop.clone());
    let each = move |stream, number| {
        crate::workload_api::serve(stream, Arc::clone(&for_each), number, stopping.clone())
    };
    run(listener, each, provider, stop).await;
}

async fn run<D: Door, F>(
    door: D,
    each: impl Fn(D::Stream, u64) -> F,
    provider: Arc<Provider>,
    mut stop: watch::Receiver<bool>,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = door.next() => accepted,
            () = stopped(&mut stop) => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok(stream) => {
                let number = provider.connections.fetch_add(1, Ordering::Relaxed) + 1;
                connections.spawn(each(stream, number));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    let finished = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(STOP_GRACE, finished).await;
    connections.shutdown().await;
}

async fn tcp_connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    provider: Arc<Provider>,
    connection: u64,
    stop: watch::Receiver<bool>,
) {
    // Small answers go out at once, so that a test measures the fault and not Nagle's timer.
    let _ = stream.set_nodelay(true);
    let fault = lock(&provider.faults).for_connection();
    if let Some(fault) = fault {
        let _ = instead_of_serving(stream, fault).await;
        return;
    }
    match tls {
        None => serve(Box::new(stream), provider, connection, stop).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                serve(Box::new(stream), provider, connection, stop).await;
            }
        }
    }
}

async fn instead_of_serving(mut stream: TcpStream, fault: Accept) -> io::Result<()> {
    let mut first = [0_u8; 4096];
    match fault {
        Accept::Close => {}
        Accept::Reset => stream.reset_on_close(),
        Accept::ReadThenReset => {
            let _ = stream.read(&mut first).await?;
            stream.reset_on_close();
        }
        Accept::Stall => while stream.read(&mut first).await? > 0 {},
        Accept::Plain => answer_raw(stream, PLAIN).await?,
        Accept::Alert => answer_raw(stream, ALERT).await?,
    }
    Ok(())
}

/// Reads the first bytes before it closes, so that the close does not become a reset that eats the answer.
async fn answer_raw(mut stream: TcpStream, bytes: &[u8]) -> io::Result<()> {
    let mut first = [0_u8; 16 * 1024];
    let _ = stream.read(&mut first).await?;
    stream.write_all(bytes).await?;
    stream.shutdown().await
}
