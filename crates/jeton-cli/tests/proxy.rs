//! `jeton proxy` from outside (C14, C15): who may come in, what goes on, and what comes back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
use jeton_test::{IssuerProcess, Running, Sandbox, Upstream};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
const UNAUTHORIZED: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A proxy that runs until this is dropped.
struct Proxy {
    running: Option<Running>,
    address: String,
    _issuer: IssuerProcess,
    sandbox: Sandbox,
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
        sandbox,
    }
}

impl Proxy {
    /// Sends a request as it is written, `{H}` standing for the proxy's own Host, and gives the whole answer.
    fn ask(&self, request: &str) -> String {
        let request = request.replace("{H}", &self.address);
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn get(&self, fields: &str) -> String {
        self.ask(&format!(
            "GET /a?b=c HTTP/1.1\r\nHost: {{H}}\r\nConnection: close\r\n{fields}\r\n"
        ))
    }
}

fn status(answer: &str) -> u16 {
    let code = answer.split(' ').nth(1).unwrap_or_default();
    code.parse().unwrap_or(0)
}

fn body(answer: &str) -> Value {
    let (_, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{answer}"));
    serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"))
}

#[test]
fn c14_a_request_goes_on_with_our_token_and_only_ours() {
    let upstream = Upstream::saying(OK);
    let proxy = proxy(&format!("{}/base/", upstream.url()), &[]);
    let answer = proxy.get(
        "Authorization: Bearer mine\r\nX_Jeton_Secret: s\r\nX-Hop: 1\r\nConnection: x-hop, authorization\r\n\
         Cookie: a=b\r\n",
    );
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    let seen = &upstream.seen()[0];
    assert_eq!(seen.line(), "GET /base/a?b=c HTTP/1.1");
    assert_eq!(seen.token().split('.').count(), 3);
    assert_eq!(
        seen.fields("host"),
        [upstream.url().strip_prefix("http://").unwrap()]
    );
    assert_eq!(seen.fields("cookie"), ["a=b"]);
    for gone in ["x-hop", "x_jeton_secret", "connection"] {
        assert_eq!(seen.fields(gone), Vec::<&str>::new(), "{gone}");
    }
}

#[test]
fn c14_hostile_framing_is_refused_or_written_anew() {
    let upstream = Upstream::saying(OK);
    let proxy = proxy(upstream.url(), &[]);
    let huge = format!(
        "GET / HTTP/1.1\r\nHost: {{H}}\r\nX: {}\r\n\r\n",
        "a".repeat(200_000)
    );
    let many = format!("GET / HTTP/1.1\r\nHost: {{H}}\r\n{}\r\n", "X: 1\r\n".repeat(500));
    let post = |fields: &str, body: &str| {
        format!("POST / HTTP/1.1\r\nHost: {{H}}\r\nConnection: close\r\n{fields}\r\n\r\n{body}")
    };
    let facts = [
        (
            "two lengths",
            post("Content-Length: 5\r\nContent-Length: 6", "hello"),
            400,
        ),
        ("a list of lengths", post("Content-Length: 5, 5", "hello"), 400),
        ("a signed length", post("Content-Length: +5", "hello"), 400),
        (
            "a bad chunk",
            post("Transfer-Encoding: chunked", "zz\r\nhello\r\n0\r\n\r\n"),
            400,
        ),
        (
            "a coding",
            post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
            400,
        ),
        ("no coding", post("Transfer-Encoding: xchunked", "0\r\n\r\n"), 400),
        (
            "a folded field",
            "GET / HTTP/1.1\r\nHost: {H}\r\nX: a\r\n b\r\n\r\n".to_owned(),
            400,
        ),
        (
            "NUL",
            "GET / HTTP/1.1\r\nHost: {H}\r\nX: a\0b\r\n\r\n".to_owned(),
            400,
        ),
        (
            "a blank before a colon",
            "GET / HTTP/1.1\r\nHost: {H}\r\nX : a\r\n\r\n".to_owned(),
            400,
        ),
        (
            "asterisk form",
            "OPTIONS * HTTP/1.1\r\nHost: {H}\r\nConnection: close\r\n\r\n".to_owned(),
            400,
        ),
        (
            "absolute form",
            "GET http://evil.example/ HTTP/1.1\r\nHost: {H}\r\nConnection: close\r\n\r\n".to_owned(),
            403,
        ),
        (
            "TRACE",
            "TRACE / HTTP/1.1\r\nHost: {H}\r\nConnection: close\r\n\r\n".to_owned(),
            405,
        ),
        (
            "CONNECT",
            "CONNECT a:1 HTTP/1.1\r\nHost: {H}\r\nConnection: close\r\n\r\n".to_owned(),
            405,
        ),
        ("a huge field", huge, 431),
        ("many fields", many, 431),
        (
            "a foreign Host",
            "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".to_owned(),
            403,
        ),
        (
            "two Hosts",
            "GET / HTTP/1.1\r\nHost: {H}\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
            403,
        ),
        (
            "no Host",
            "GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
            403,
        ),
    ];
    for (name, request, wanted) in facts {
        let answer = proxy.ask(&request);
        assert_eq!(status(&answer), wanted, "{name}: {answer}");
    }
    assert_eq!(upstream.seen().len(), 0, "{:?}", upstream.seen());
    // A length beside chunks: the chunks count, and what follows is no second request of ours to answer for.
    let smuggled = "0\r\n\r\nGET /evil HTTP/1.1\r\nHost: {H}\r\n\r\n";
    proxy.ask(&post("Content-Length: 5\r\nTransfer-Encoding: chunked", smuggled));
    let trailers = "5\r\nhello\r\n0\r\nAuthorization: Bearer t\r\nX-T: 1\r\n\r\n";
    proxy.ask(&post(
        "Trailer: Authorization\r\nTransfer-Encoding: chunked",
        trailers,
    ));
    for seen in upstream.seen() {
        assert_eq!(seen.line(), "POST / HTTP/1.1");
        assert_eq!(seen.token().split('.').count(), 3);
        let framings = seen.fields("content-length").len() + seen.fields("transfer-encoding").len();
        assert_eq!(framings, 1, "{}", seen.head);
        assert!(!String::from_utf8_lossy(&seen.body).contains("X-T"));
    }
}

#[test]
fn c14_an_answer_is_passed_on_only_where_it_ends_in_one_place() {
    let facts = [
        ("content-length: 2", "ok", 200),
        ("transfer-encoding: chunked", "2\r\nok\r\n0\r\n\r\n", 200),
        ("content-length: 2\r\ncontent-length: 5", "ok", 502),
        ("content-length: 2\r\ncontent-length: 2", "ok", 502),
        (
            "content-length: 9\r\ntransfer-encoding: chunked",
            "2\r\nok\r\n0\r\n\r\n",
            502,
        ),
        ("x: a\rb\r\ncontent-length: 2", "ok", 502),
    ];
    let upstream = Upstream::new(move |number, _, stream| {
        let (fields, body, _) = facts[number - 1];
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nconnection: close\r\n{fields}\r\n\r\n{body}"
        );
    });
    let proxy = proxy(upstream.url(), &[]);
    for (fields, _, wanted) in facts {
        let answer = proxy.get("");
        assert_eq!(status(&answer), wanted, "{fields}: {answer}");
    }
}

#[test]
fn c14_browsers_come_in_from_allowed_origins_only() {
    let upstream =
        Upstream::saying("HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\ncontent-length: 0\r\n\r\n");
    let proxy = proxy(upstream.url(), &["--allow-origin", "https://app.example.com"]);
    for fields in [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Origin: https://app.example.com.evil.example\r\n",
    ] {
        let answer = proxy.get(fields);
        assert_eq!(
            (status(&answer), answer.contains("access-control")),
            (403, false),
            "{answer}"
        );
    }
    assert_eq!(upstream.seen().len(), 0);
    let answer = proxy.get("Origin: https://app.example.com\r\n");
    assert!(
        answer.contains("access-control-allow-origin: https://app.example.com\r\n"),
        "{answer}"
    );
    assert!(!answer.contains(": *"), "{answer}");
    let preflight = proxy.ask(
        "OPTIONS /a HTTP/1.1\r\nHost: {H}\r\nConnection: close\r\nOrigin: https://app.example.com\r\n\
         Access-Control-Request-Method: PUT\r\n\r\n",
    );
    assert_eq!(status(&preflight), 204, "{preflight}");
    assert!(
        preflight.contains("access-control-allow-methods: PUT\r\n"),
        "{preflight}"
    );
    assert_eq!(upstream.seen().len(), 1, "a preflight ends here");
}

#[test]
fn c14_another_user_is_refused_and_a_secret_lets_in() {
    let upstream = Upstream::saying(OK);
    let open = proxy(upstream.url(), &[]);
    let is_root = std::process::Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|o| o.stdout == b"0\n");
    if is_root {
        let ask = format!(
            "curl -s -o /dev/null -w '%{{http_code}}' http://{}/",
            open.address
        );
        let out = std::process::Command::new("su")
            .args(["nobody", "-s", "/bin/sh", "-c", &ask])
            .output();
        assert_eq!(String::from_utf8_lossy(&out.unwrap().stdout), "403");
    }
    let file = open.sandbox.path("secret");
    let guarded = proxy(upstream.url(), &["--secret-file", &file.display().to_string()]);
    let secret = std::fs::read_to_string(&file).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(status(&guarded.get("")), 403);
    assert_eq!(status(&guarded.get("X-Jeton-Secret: wrong\r\n")), 403);
    assert_eq!(upstream.seen().len(), 0);
    let secret = secret.trim();
    assert_eq!(
        status(&guarded.get(&format!("X-Jeton-Secret: {secret}\r\n"))),
        200
    );
    assert_eq!(
        status(&guarded.get(&format!("Proxy-Authorization: Bearer {secret}\r\n"))),
        200
    );
    assert!(upstream.seen().iter().all(|seen| !seen.head.contains(secret)));
    let beyond = open
        .sandbox
        .run(["proxy", "--upstream", upstream.url(), "--listen", "0.0.0.0:0"]);
    beyond.ended(2);
}

#[test]
fn c14_a9_after_401_the_same_body_goes_once_more_with_another_token() {
    let upstream = Upstream::new(|number, _, stream| {
        let answer = if number % 2 == 1 { UNAUTHORIZED } else { OK };
        let _ = stream.write_all(answer.as_bytes());
    });
    let proxy = proxy(upstream.url(), &[]);
    for framed in [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let before = upstream.seen().len();
        let answer = proxy.ask(&format!(
            "POST / HTTP/1.1\r\nHost: {{H}}\r\nConnection: close\r\n{framed}"
        ));
        assert_eq!(status(&answer), 200, "{answer}");
        let seen = upstream.seen().split_off(before);
        assert_eq!(seen.len(), 2);
        assert_ne!(seen[0].token(), seen[1].token());
        assert!(
            seen.iter()
                .all(|s| String::from_utf8_lossy(&s.body).contains("hello"))
        );
    }
    let never = Upstream::saying(UNAUTHORIZED);
    let proxy = crate::proxy(never.url(), &[]);
    assert_eq!((status(&proxy.get("")), never.seen().len()), (401, 2));
}

#[test]
fn c14_silence_is_502_or_504_with_a_reason() {
    let slow = Upstream::new(|_, _, _| std::thread::sleep(Duration::from_secs(3)));
    let proxy = proxy(slow.url(), &["--upstream-timeout", "300ms"]);
    let answer = proxy.get("");
    assert_eq!(
        (status(&answer), &body(&answer)["code"]),
        (504, &json!("upstream-timeout")),
        "{answer}"
    );
    let down = crate::proxy("http://127.0.0.1:1", &[]);
    let answer = down.get("");
    assert_eq!(
        (status(&answer), &body(&answer)["code"]),
        (502, &json!("upstream")),
        "{answer}"
    );
}

#[test]
fn c14_streams_pass_as_they_come_and_a_stop_takes_five_seconds_at_most() {
    let upstream = Upstream::new(|_, request, stream| {
        if request.fields("upgrade") == ["echo"] {
            let _ = stream.write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
            );
            let mut bytes = [0u8; 4];
            stream.read_exact(&mut bytes).unwrap();
            let _ = stream.write_all(&bytes);
            return;
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n");
        std::thread::sleep(Duration::from_secs(20));
    });
    let mut proxy = proxy(upstream.url(), &[]);
    let until = |request: &str, wanted: &str, more: &str| {
        let mut stream = TcpStream::connect(&proxy.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
            .write_all(request.replace("{H}", &proxy.address).as_bytes())
            .unwrap();
        let mut all = String::new();
        let mut chunk = [0u8; 4096];
        let mut sent = false;
        while !all.contains(wanted) {
            let read = stream.read(&mut chunk).expect("it streams");
            assert_ne!(read, 0, "{all}");
            all.push_str(&String::from_utf8_lossy(&chunk[..read]));
            if all.contains("\r\n\r\n") && !std::mem::replace(&mut sent, true) {
                stream.write_all(more.as_bytes()).unwrap();
            }
        }
        stream
    };
    let upgrade = "GET / HTTP/1.1\r\nHost: {H}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    drop(until(upgrade, "ping", "ping"));
    let _events = until("GET / HTTP/1.1\r\nHost: {H}\r\n\r\n", "data: 1", "");
    let (running, asked) = (proxy.running.take().unwrap(), Instant::now());
    running.signal("TERM");
    let run = running.wait().ended(0);
    assert!(asked.elapsed() < Duration::from_secs(6), "{run:?}");
}

#[test]
fn c14_large_bodies_pass_in_flat_memory() {
    const SIZE: usize = 100 << 20;
    let upstream = Upstream::new(|_, _, stream| {
        let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n").as_bytes());
        let chunk = vec![b'a'; 1 << 20];
        (0..SIZE >> 20).for_each(|_| drop(stream.write_all(&chunk)));
    });
    let proxy = proxy(upstream.url(), &[]);
    let answer = proxy.get("");
    assert!(answer.len() > SIZE, "{}", answer.len());
    let id = proxy.running.as_ref().unwrap().id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    let peak: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 100 * 1024, "{peak} kB");
}

#[test]
fn c15_lines_become_posts_and_events_become_lines() {
    let server = Upstream::new(|number, request, stream| {
        let message: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let json = |fields: &str, body: &str| {
            let length = body.len();
            let kind = "content-type: application/json\r\nconnection: close";
            format!("HTTP/1.1 200 OK\r\n{kind}\r\n{fields}content-length: {length}\r\n\r\n{body}")
        };
        let answer = match message["method"].as_str() {
            Some("initialize") => json(
                "mcp-session-id: s1\r\n",
                "{\"jsonrpc\":\"2.0\",\"id\":1,\n\"result\":{\"protocolVersion\":\"2025-06-18\"}}",
            ),
            Some("notifications/initialized") if number == 2 => UNAUTHORIZED.to_owned(),
            Some("tools/list") => "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\
                data: {\"jsonrpc\":\"2.0\",\"method\":\"note\"}\n\ndata: {\"id\":2,\ndata: \"result\":[]}\n\n"
                .to_owned(),
            Some("large") => json("", &format!("\"{}\"", "a".repeat(11 << 20))),
            _ => "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
        };
        let _ = stream.write_all(answer.as_bytes());
    });
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
    let issuer = sandbox.issuer(["--token-life", "5m"]);
    let upstream = format!("{}/api/mcp", server.url());
    let source = format!("issuer:{}", issuer.url());
    let lines = [
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        "",
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":3,"method":"large"}"#,
        "{no JSON",
    ];
    let run = sandbox
        .command([
            "proxy",
            "--stdio",
            "--upstream",
            &upstream,
            "--source",
            &source,
            "-a",
            "mcp",
        ])
        .input(&(lines.join("\n") + "\n"))
        .run()
        .ended(0);
    let out: Vec<Value> = run
        .stdout
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(out.len(), 5, "{run:#?}");
    let answer = |id: Value| {
        out.iter()
            .find(|m| m["id"] == id && m["method"].is_null())
            .unwrap()
    };
    assert_eq!(answer(json!(1))["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(answer(json!(2))["result"], json!([]));
    assert_eq!(answer(json!(3))["error"]["code"], -32000);
    assert!(out.iter().any(|m| m["error"]["code"] == -32700), "{out:?}");
    let seen = server.seen();
    let posts: Vec<_> = seen
        .iter()
        .filter(|s| s.line() == "POST /api/mcp HTTP/1.1")
        .collect();
    assert_eq!(posts.len(), 5, "one of them once more after its 401");
    assert_ne!(posts[1].token(), posts[2].token());
    for post in &posts[1..] {
        assert_eq!(post.fields("accept"), ["application/json, text/event-stream"]);
        assert_eq!(post.fields("mcp-session-id"), ["s1"]);
        assert_eq!(post.fields("mcp-protocol-version"), ["2025-06-18"]);
    }
    assert_eq!(seen.last().unwrap().line(), "DELETE /api/mcp HTTP/1.1");
}
