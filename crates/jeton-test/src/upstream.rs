//! A server that keeps every byte it was sent, and answers what the test says.
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Received {
    /// Everything before the empty line.
    pub head: String,
    /// Everything after it, as it was framed.
    pub body: Vec<u8>,
}

impl Received {
    /// The values of a field, in order.
    #[must_use]
    pub fn fields(&self, name: &str) -> Vec<&str> {
        let pairs = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        pairs
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// The first line.
    #[must_use]
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The bearer token in it.
    #[must_use]
    pub fn token(&self) -> &str {
        let fields = self.fields("authorization");
        assert_eq!(fields.len(), 1, "{}", self.head);
        fields[0]
            .strip_prefix("Bearer ")
            .unwrap_or_else(|| panic!("{}", fields[0]))
    }
}

/// The server; each connection carries one request.
pub struct Upstream {
    url: String,
    seen: Arc<Mutex<Vec<Received>>>,
}

impl Upstream {
    /// A server that answers its n-th request (from 1) by writing to the connection, which is closed then.
    pub fn new(answer: impl Fn(usize, &Received, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (all, answer) = (Arc::clone(&seen), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (all, answer) = (Arc::clone(&all), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut stream = stream;
                    let Some(request) = receive(&mut stream) else {
                        return;
                    };
                    let number = {
                        let mut all = all.lock().unwrap();
                        all.push(request.clone());
                        all.len()
                    };
                    answer(number, &request, &mut stream);
                });
            }
        });
        Self { url, seen }
    }

    /// A server that answers every request with these bytes.
    #[must_use]
    pub fn saying(answer: &'static str) -> Self {
        Self::new(move |_, _, stream| drop(stream.write_all(answer.as_bytes())))
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it was sent so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Received> {
        self.seen.lock().unwrap().clone()
    }
}

/// One request, as far as it comes; `None` when not even its head is whole.
fn receive(stream: &mut TcpStream) -> Option<Received> {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut bytes = Vec::new();
    let mut chunk = [0u8; 65536];
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        match stream.read(&mut chunk) {
            Ok(read @ 1..) => bytes.extend_from_slice(&chunk[..read]),
            _ => return None,
        }
    };
    let mut request = Received {
        head: String::from_utf8_lossy(&bytes[..end]).into_owned(),
        body: bytes[end + 4..].to_vec(),
    };
    let length: usize = request
        .fields("content-length")
        .first()
        .map_or(0, |l| l.parse().unwrap());
    let is_chunked = request.fields("transfer-encoding") == ["chunked"];
    while request.body.len() < length || (is_chunked && !request.body.ends_with(b"0\r\n\r\n")) {
        match stream.read(&mut chunk) {
            Ok(read @ 1..) => request.body.extend_from_slice(&chunk[..read]),
            _ => break,
        }
    }
    Some(request)
}
