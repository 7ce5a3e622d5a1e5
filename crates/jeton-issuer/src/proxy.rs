//! A small forward proxy for tests of clients: it records who asked for what, and misbehaves on request.
//!
//! `CONNECT host:port` opens a tunnel; an absolute request line (`GET http://host/path`) is sent on in origin form, one
//! request a connection. Everything is copied as it comes: what the client and the server say to each other is theirs.
use crate::connection::stopped;
use crate::desk::lock;
use crate::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The largest request head that is taken.
const HEAD_CAP: usize = 64 * 1024;

/// What a proxy does with a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyMode {
    /// Sends it on.
    #[default]
    Forward,
    /// Sends it on for who shows this in `Proxy-Authorization`, and answers 407 to others.
    Authorized(String),
    /// Answers 407 always.
    Challenge,
    /// Answers this status.
    Status(u16),
    /// Takes it and says nothing.
    Stall,
    /// Closes the connection.
    Close,
}

/// A request that a proxy saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// `CONNECT`, or the method of an absolute request line.
    pub method: String,
    /// `host:port` of a `CONNECT`, or the absolute URL.
    pub target: String,
    /// The fields in their order, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Proxied {
    /// The first field of that name (lower case), if there is one.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(field, _)| field == name)?;
        Some(found.1.as_str())
    }
}

/// What the connections of a proxy share.
struct Shared {
    mode: ProxyMode,
    seen: Mutex<Vec<Proxied>>,
}

/// A forward proxy that is running. It stops when this is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Proxy {
    /// Starts a proxy on loopback, on the runtime of the caller.
    ///
    /// # Errors
    /// A port that could not be had.
    pub async fn start(mode: ProxyMode) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(|e| Error::io("the proxy cannot listen", e))?;
        let address = listener
            .local_addr()
            .map_err(|e| Error::io("the socket has no address", e))?;
        let shared = Arc::new(Shared {
            mode,
            seen: Mutex::default(),
        });
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(listener, Arc::clone(&shared), stopped));
        Ok(Self {
            address,
            shared,
            stop,
            task: Some(task),
            thread: None,
        })
    }

    /// Starts a proxy on a thread of its own, for callers without a runtime.
    ///
    /// # Errors
    /// As [`Proxy::start`], or a thread that could not be started.
    pub fn in_thread(mode: ProxyMode) -> Result<Self, Error> {
        let (started, wait) = std::sync::mpsc::channel();
        let body = move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            runtime.block_on(async {
                let mut proxy = Self::start(mode).await;
                let task = proxy.as_mut().ok().and_then(|proxy| proxy.task.take());
                let _ = started.send(proxy);
                if let Some(task) = task {
                    let _ = task.await;
                }
            });
        };
        let builder = std::thread::Builder::new().name("jeton-proxy".into());
        let thread = builder
            .spawn(body)
            .map_err(|e| Error::io("no thread could be started", e))?;
        let mut proxy = wait
            .recv()
            .map_err(|_| Error::new("the proxy's thread ended early"))??;
        proxy.thread = Some(thread);
        Ok(proxy)
    }

    /// Its URL, as `HTTPS_PROXY` wants it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Proxied> {
        lock(&self.shared.seen).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn run(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        while connections.try_join_next().is_some() {}
        if let Ok((stream, _)) = accepted {
            connections.spawn(connection(stream, Arc::clone(&shared)));
        }
    }
    connections.shutdown().await;
}

/// Either side may go away at any time; that is no error of the proxy.
async fn connection(mut client: TcpStream, shared: Arc<Shared>) {
    let _ = serve(&mut client, &shared).await;
}

async fn serve(client: &mut TcpStream, shared: &Shared) -> io::Result<()> {
    let (head, rest) = read_head(client).await?;
    let Some(request) = parsed(&head) else {
        return answer(client, 400, "").await;
    };
    lock(&shared.seen).push(request.clone());
    match &shared.mode {
        ProxyMode::Forward => forward(client, &request, &rest).await,
        ProxyMode::Authorized(right) if request.header("proxy-authorization") == Some(right) => {
            forward(client, &request, &rest).await
        }
        ProxyMode::Authorized(_) | ProxyMode::Challenge => {
            answer(client, 407, "proxy-authenticate: Basic realm=\"proxy\"\r\n").await
        }
        ProxyMode::Status(status) => answer(client, *status, "").await,
        ProxyMode::Stall => {
            let mut thrown_away = [0_u8; 1024];
            while client.read(&mut thrown_away).await? > 0 {}
            Ok(())
        }
        ProxyMode::Close => Ok(()),
    }
}

/// The head, and what came after it in the same breath.
async fn read_head(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        if bytes.len() > HEAD_CAP || client.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn parsed(head: &str) -> Option<Proxied> {
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let fields = lines.filter_map(|line| line.split_once(':'));
    let headers = fields
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Some(Proxied {
        method,
        target,
        headers,
    })
}

async fn forward(client: &mut TcpStream, request: &Proxied, rest: &[u8]) -> io::Result<()> {
    if request.method == "CONNECT" {
        let Ok(mut server) = TcpStream::connect(&request.target).await else {
            return answer(client, 502, "").await;
        };
        client
            .write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n")
            .await?;
        server.write_all(rest).await?;
        return copy_bidirectional(client, &mut server).await.map(drop);
    }
    let Some((authority, head)) = origin_form(request) else {
        return answer(client, 400, "").await;
    };
    let Ok(mut server) = TcpStream::connect(&authority).await else {
        return answer(client, 502, "").await;
    };
    server.write_all(head.as_bytes()).await?;
    server.write_all(rest).await?;
    copy_bidirectional(client, &mut server).await.map(drop)
}

/// Where to, and the head for there: the path alone, no fields for proxies, and the connection closed afterwards.
fn origin_form(request: &Proxied) -> Option<(String, String)> {
    let url = url::Url::parse(&request.target).ok()?;
    let authority = format!("{}:{}", url.host_str()?, url.port_or_known_default()?);
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut head = format!("{} {}{query} HTTP/1.1\r\n", request.method, url.path());
    for (name, value) in &request.headers {
        if !name.starts_with("proxy-") && name != "connection" {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str("connection: close\r\n\r\n");
    Some((authority, head))
}

async fn answer(client: &mut TcpStream, status: u16, fields: &str) -> io::Result<()> {
    let head = format!("HTTP/1.1 {status} Proxy\r\n{fields}content-length: 0\r\nconnection: close\r\n\r\n");
    client.write_all(head.as_bytes()).await?;
    client.shutdown().await
}
