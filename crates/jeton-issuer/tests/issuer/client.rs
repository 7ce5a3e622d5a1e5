//! A client that is nothing but a socket: it sees the bytes as they are.
use jeton_core::UnixTime;
use jeton_issuer::{Algorithm, Issuer, Options, RunningIssuer};
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The present of every test's issuer: 2027-01-15T08:00:00Z.
pub(crate) const NOW: i64 = 1_800_000_000;
/// How long a test waits before it calls a connection silent.
const SILENCE: Duration = Duration::from_millis(200);
/// How long it waits for what must come, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a test waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The end of the connection.
    End,
    /// Something, and then silence.
    Quiet,
    /// Silence.
    Nothing,
}

pub(crate) fn options() -> Options {
    Options::new(|| UnixTime::from_seconds(NOW)).with_algorithm(Algorithm::Es256)
}

pub(crate) fn issuer() -> RunningIssuer {
    Issuer::in_thread(options()).unwrap()
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Reset,
    Silent,
}

/// What came back, and how it ended.
pub(crate) struct Heard {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: End,
}

impl Heard {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
    pub(crate) fn status(&self) -> u16 {
        self.text()
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .unwrap_or_default()
    }
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let text = self.text();
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }
    pub(crate) fn body(&self) -> Vec<u8> {
        let at = self.bytes.windows(4).position(|w| w == b"\r\n\r\n");
        at.map(|at| self.bytes[at + 4..].to_vec()).unwrap_or_default()
    }
    pub(crate) fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body()).into_owned()
    }
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body()).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
}

/// Sends bytes and hears until the end, or until there is more than enough.
pub(crate) fn hear(address: SocketAddr, request: &str) -> Heard {
    let mut stream = TcpStream::connect(address).unwrap();
    hear_on(&mut stream, request.as_bytes(), Wait::End)
}

pub(crate) fn hear_on(stream: &mut (impl Read + Write + Timed), request: &[u8], wait: Wait) -> Heard {
    stream.time_out(if wait == Wait::Nothing { SILENCE } else { PATIENCE });
    let (mut bytes, mut end) = (Vec::new(), End::Closed);
    if stream.write_all(request).is_err() {
        end = End::Reset;
    }
    let mut piece = vec![0; 1024 * 1024];
    while bytes.len() < 8 * 1024 * 1024 {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => {
                bytes.extend_from_slice(&piece[..n]);
                if wait == Wait::Quiet {
                    stream.time_out(SILENCE);
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                end = End::Silent;
                break;
            }
            Err(_) => {
                end = End::Reset;
                break;
            }
        }
    }
    Heard { bytes, end }
}

pub(crate) trait Timed {
    fn time_out(&self, after: Duration);
}

impl Timed for TcpStream {
    fn time_out(&self, after: Duration) {
        self.set_read_timeout(Some(after)).unwrap();
    }
}

impl Timed for std::os::unix::net::UnixStream {
    fn time_out(&self, after: Duration) {
        self.set_read_timeout(Some(after)).unwrap();
    }
}

/// A request in full; the connection is closed after it.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\nhost: issuer\r\nconnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method != "GET" {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    format!("{text}\r\n{body}")
}

pub(crate) fn get(issuer: &RunningIssuer, target: &str, headers: &[(&str, &str)]) -> Heard {
    hear(issuer.address(), &request("GET", target, headers, ""))
}

pub(crate) fn post(issuer: &RunningIssuer, target: &str, headers: &[(&str, &str)], body: &str) -> Heard {
    hear(issuer.address(), &request("POST", target, headers, body))
}

pub(crate) fn form(issuer: &RunningIssuer, target: &str, body: &str) -> Heard {
    post(
        issuer,
        target,
        &[("content-type", "application/x-www-form-urlencoded")],
        body,
    )
}

/// GitHub's request, with the right request token.
pub(crate) fn github(issuer: &RunningIssuer, audience: &str) -> Heard {
    github_waiting(issuer, audience, Wait::End)
}

pub(crate) fn github_waiting(issuer: &RunningIssuer, audience: &str, wait: Wait) -> Heard {
    let bearer = format!("bearer {}", issuer.request_token());
    let query = if audience.is_empty() {
        String::new()
    } else {
        format!("&audience={audience}")
    };
    let target = format!("/github/idtoken?api-version=2.0{query}");
    let text = request("GET", &target, &[("authorization", &bearer)], "");
    let mut stream = TcpStream::connect(issuer.address()).unwrap();
    hear_on(&mut stream, text.as_bytes(), wait)
}

/// A token's header and claims, unverified.
pub(crate) fn parts(token: &str) -> (Value, Value) {
    use base64::Engine;
    let decode = |part: &str| {
        let bytes = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    let mut pieces = token.split('.');
    (decode(pieces.next().unwrap()), decode(pieces.next().unwrap()))
}

pub(crate) fn claims(token: &str) -> Value {
    parts(token).1
}
