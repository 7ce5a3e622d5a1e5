//! A client that keeps connections open and asks one thing after the other on each; and what a server's process spent.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Connections that ask at once when it is about the processor.
pub const CONNECTIONS: usize = 64;

/// A request, written out.
pub type Request = Arc<[u8]>;

/// A `GET` of a path, with a token or without.
pub fn get(path: &str, token: Option<&str>) -> Request {
    let token = token.map_or(String::new(), |token| format!("authorization: Bearer {token}\r\n"));
    format!("GET {path} HTTP/1.1\r\nhost: broker\r\n{token}\r\n").into_bytes().into()
}

/// Anything with a body.
pub fn send(method: &str, path: &str, kind: &str, more: &str, body: &str) -> Request {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: broker\r\ncontent-type: {kind}\r\n{more}content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
    .into()
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    /// To `address`, which is `host:port`.
    pub async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, read: Vec::with_capacity(16 * 1024) }
    }

    /// Asks, and gives the status and the body.
    pub async fn ask(&mut self, request: &[u8]) -> (u16, String) {
        self.stream.write_all(request).await.expect("it is sent");
        self.read.clear();
        loop {
            let count = self.stream.read_buf(&mut self.read).await.expect("an answer");
            assert!(count > 0, "the server hung up");
            if let Some(end) = whole(&self.read) {
                let status = std::str::from_utf8(&self.read[9..12]).ok().and_then(|text| text.parse().ok());
                return (status.expect("a status"), String::from_utf8_lossy(&self.read[end..]).into_owned());
            }
        }
    }
}

/// Where the body begins, when all of it is here.
fn whole(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).ok()?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
    match length {
        Some(length) => (bytes.len() >= end + length).then_some(end),
        // Node sends pieces; the last is empty.
        None => bytes.ends_with(b"0\r\n\r\n").then_some(end),
    }
}

/// Asks `requests` in turn, `count` in all, over so many connections; every answer must have this status.
pub async fn drive(address: &str, requests: &[Request], count: usize, connections: usize, wanted: u16) -> Duration {
    let started = Instant::now();
    let tasks: Vec<_> = (0..connections)
        .map(|first| {
            let (address, requests) = (address.to_owned(), requests.to_vec());
            tokio::spawn(async move {
                let mut client = Client::connect(&address).await;
                for index in (first..count).step_by(connections) {
                    let (status, body) = client.ask(&requests[index % requests.len()]).await;
                    assert_eq!(status, wanted, "{body}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("it ends");
    }
    started.elapsed()
}

/// How long `request` takes that is asked `count` times, one after the other: the 99th of a hundred.
pub async fn p99(address: &str, request: &Request, count: usize) -> Duration {
    let mut client = Client::connect(address).await;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let started = Instant::now();
        let (status, body) = client.ask(request).await;
        times.push(started.elapsed());
        assert_eq!(status, 200, "{body}");
    }
    times.sort();
    times[count * 99 / 100]
}

/// The processor time that a process has spent, in all of its threads.
pub fn spent(process: u32) -> Duration {
    let nanoseconds = |thread: std::fs::DirEntry| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("the process is there");
    Duration::from_nanos(threads.flatten().filter_map(nanoseconds).sum())
}

/// What a process has in memory, in MiB.
pub fn resident(process: u32) -> f64 {
    let text = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}
