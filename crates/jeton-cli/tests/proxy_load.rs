//! `jeton proxy` under load (FAULTS section 3, the last row) and in front of TLS: many who wait, some who are slow, one
//! who streams without end; and whose certificates it takes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
use jeton_test::{IssuerProcess, Running, Sandbox, Upstream};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// How many connections say nothing.
const IDLE: usize = 1000;
/// How much is streamed each way in the suite, in MiB; `JETON_TEST_STREAM_MIB` says otherwise, at night.
const STREAM: u64 = 256;
/// The most that a proxy may hold of memory, in KiB.
const MOST: usize = 100 * 1024;

struct Proxy {
    running: Option<Running>,
    address: String,
    _issuer: IssuerProcess,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.signal("KILL");
            drop(running.wait());
        }
    }
}

fn proxy(upstream: &str, more: &[&str]) -> Proxy {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
    let issuer = sandbox.issuer(["--token-life", "5m"]);
    let source = format!("issuer:{}", issuer.url());
    let command = sandbox.command(["proxy", "--upstream", upstream, "--source", &source, "-a", "api"]);
    let (running, url) = more.iter().fold(command, |c, a| c.arg(a)).serve();
    Proxy {
        running: Some(running),
        address: url.strip_prefix("http://").expect("a URL").to_owned(),
        _issuer: issuer,
    }
}

impl Proxy {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    fn get(&self, path: &str) -> String {
        let mut stream = self.connect();
        let host = &self.address;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Its memory at its most, in KiB.
    fn peak(&self) -> usize {
        let id = self.running.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// The slowest but one of a hundred requests.
fn slowest(proxy: &Proxy) -> Duration {
    let mut times: Vec<Duration> = (0..100)
        .map(|_| {
            let started = Instant::now();
            let answer = proxy.get("/a");
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[98]
}

#[test]
fn c14_a_thousand_who_wait_and_some_who_are_slow_disturb_nobody() {
    let upstream = Upstream::saying("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    let proxy = proxy(upstream.url(), &[]);
    let alone = slowest(&proxy);
    let idle: Vec<TcpStream> = (0..IDLE).map(|_| proxy.connect()).collect();
    let slow: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = proxy.connect();
            stream.write_all(b"GET /slow HTTP/1.1\r\nHo").unwrap();
            stream
        })
        .collect();
    let among = slowest(&proxy);
    // Twice as long, and what a machine that does much else adds.
    assert!(
        among < alone * 2 + Duration::from_millis(250),
        "{alone:?} {among:?}"
    );
    assert!(proxy.peak() < MOST, "{} KiB", proxy.peak());
    // A head that does not come to its end is given up; whoever says nothing at all as well.
    for mut stream in slow {
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{answer}"
        );
    }
    drop(idle);
    println!(
        "p99 alone {alone:?}, among {IDLE} idle {among:?}, peak {} KiB",
        proxy.peak()
    );
}

/// A server that reads and writes as much as it is told, and keeps none of it.
fn sink() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(serve_one(stream)));
        }
    });
    url
}

fn serve_one(stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 20, stream.try_clone()?);
    let (mut stream, mut head) = (stream, String::new());
    while reader.read_line(&mut head)? > 2 {}
    let number = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|text| text.trim().parse::<u64>().ok())
            .unwrap_or_default()
    };
    let read = std::io::copy(&mut reader.take(number("content-length:")), &mut std::io::sink())?;
    let told = read.to_string();
    let length = number("x-answer:").max(told.len() as u64);
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{told}"
    )?;
    pour(&mut stream, length - told.len() as u64)
}

/// Writes so many bytes.
fn pour(stream: &mut TcpStream, bytes: u64) -> std::io::Result<()> {
    let chunk = vec![b'a'; 1 << 20];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(chunk.len() as u64);
        stream.write_all(&chunk[..usize::try_from(now).unwrap()])?;
        left -= now;
    }
    Ok(())
}

/// Sends `up` bytes, asks for `down`, and gives how many the server counted and how many came.
fn stream(proxy: &Proxy, up: u64, down: u64) -> (u64, u64) {
    let mut stream = proxy.connect();
    let host = &proxy.address;
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Answer: {down}\r\nContent-Length: {up}\r\n\r\n"
    )
    .unwrap();
    pour(&mut stream, up).unwrap();
    let (mut reader, mut line) = (BufReader::with_capacity(1 << 20, stream), String::new());
    while reader.read_line(&mut line).unwrap() > 2 {}
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    let mut counted = vec![0u8; up.to_string().len()];
    reader.read_exact(&mut counted).unwrap();
    let rest = std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
    let text = String::from_utf8(counted).unwrap();
    (text.parse().unwrap(), rest + text.len() as u64)
}

#[test]
fn c14_a_stream_of_any_size_passes_both_ways_in_flat_memory_and_disturbs_nobody() {
    let mib = std::env::var("JETON_TEST_STREAM_MIB")
        .ok()
        .and_then(|text| text.parse().ok());
    let bytes = mib.unwrap_or(STREAM) << 20;
    let proxy = proxy(&sink(), &[]);
    let alone = slowest(&proxy);
    for (what, up, down) in [("up", bytes, 100), ("down", 1, bytes)] {
        let started = Instant::now();
        let among = std::thread::scope(|scope| {
            let streaming = scope.spawn(|| stream(&proxy, up, down));
            let among = slowest(&proxy);
            assert_eq!(streaming.join().unwrap(), (up, down), "{what}");
            among
        });
        // Twice as long, and what a machine that does much else adds: here the stream alone keeps it busy.
        assert!(
            among < alone * 2 + Duration::from_millis(250),
            "{what}: {alone:?} {among:?}"
        );
        assert!(proxy.peak() < MOST, "{what}: {} KiB", proxy.peak());
        println!(
            "{what}: {} MiB in {:?}, peak {} KiB; p99 of others {alone:?}, meanwhile {among:?}",
            bytes >> 20,
            started.elapsed(),
            proxy.peak()
        );
    }
}

#[test]
fn c14_the_servers_certificate_must_fit() {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
    for (mode, status) in [
        ("ok", 200),
        ("expired", 502),
        ("wrong-host", 502),
        ("self-signed", 502),
    ] {
        let server = sandbox.issuer(["--tls", mode]);
        let ca = server.ca_file().display().to_string();
        let proxy = proxy(server.url(), &["--ca-file", &ca]);
        let answer = proxy.get("/.well-known/openid-configuration");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{mode}: {answer}"
        );
        assert_eq!(server.count("discovery"), usize::from(status == 200), "{mode}");
    }
    let server = sandbox.issuer(["--tls", "ok"]);
    let answer = proxy(server.url(), &[]).get("/.well-known/openid-configuration");
    assert!(
        answer.starts_with("HTTP/1.1 502 "),
        "nobody said whom to trust: {answer}"
    );
    let clear = server.url().replace("https://", "http://");
    let answer = proxy(&clear, &[]).get("/.well-known/openid-configuration");
    assert!(
        answer.starts_with("HTTP/1.1 502 "),
        "clear text where TLS is spoken: {answer}"
    );
    let abroad = [
        "proxy",
        "--upstream",
        "http://api.example.com",
        "--source",
        "env:X",
    ];
    let _ = sandbox.run(abroad).ended(2);
}
