//! `jeton proxy` under load (FAULTS section 3, the last row) and in front of TLS: many who wait, some who are slow, one
//! who streams without end; and whose certificates it takes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
use jeton_test::{IssuerProcess, Running, Sandbox, Upstream};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How many connections say nothing.
const IDLE: usize = 1000;
/// How much is streamed in the suite, in MiB; `JETON_TEST_STREAM_MIB` says otherwise for a run by hand.
const STREAM: usize = 512;
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

#[test]
fn c14_a_stream_of_any_size_passes_both_ways_in_flat_memory() {
    let mib = std::env::var("JETON_TEST_STREAM_MIB")
        .ok()
        .and_then(|text| text.parse().ok());
    let mib: usize = mib.unwrap_or(STREAM);
    let upstream = Upstream::new(move |_, _, stream| {
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", mib << 20);
        let chunk = vec![b'a'; 1 << 20];
        (0..mib).for_each(|_| drop(stream.write_all(&chunk)));
    });
    let proxy = proxy(upstream.url(), &[]);
    let mut stream = proxy.connect();
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        proxy.address
    )
    .unwrap();
    let started = Instant::now();
    let mut chunk = vec![0u8; 1 << 20];
    let mut total = 0usize;
    loop {
        match stream.read(&mut chunk).unwrap() {
            0 => break,
            read => total += read,
        }
    }
    assert!(total > mib << 20, "{total}");
    assert!(proxy.peak() < MOST, "{} KiB", proxy.peak());
    println!("{mib} MiB in {:?}, peak {} KiB", started.elapsed(), proxy.peak());
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
