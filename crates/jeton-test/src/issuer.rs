//! A development issuer as a process of its own, and the way to steer it: over its unix socket, TLS or not.
use crate::Sandbox;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Numbers the sockets of one process.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// An issuer that runs until this is dropped.
pub struct IssuerProcess {
    child: Child,
    url: String,
    socket: PathBuf,
    ca_file: PathBuf,
}

impl IssuerProcess {
    pub(crate) fn start<I: IntoIterator<Item = A>, A: AsRef<str>>(sandbox: &Sandbox, arguments: I) -> Self {
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let socket = sandbox.path(&format!("issuer-{number}.sock"));
        let ca_file = sandbox.path(&format!("issuer-{number}.pem"));
        let arguments: Vec<String> = arguments.into_iter().map(|a| a.as_ref().to_owned()).collect();
        let mut command = std::process::Command::new(&sandbox.binary);
        command.env_clear().current_dir(sandbox.path("home"));
        command
            .args(["issuer", "--quiet", "--algorithm", "ES256", "--unix-socket"])
            .arg(&socket);
        if arguments.iter().any(|argument| argument == "--tls") {
            command.arg("--ca-out").arg(&ca_file);
        }
        command
            .args(&arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().expect("the issuer starts");
        let mut url = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout)
            .read_line(&mut url)
            .expect("the issuer says where it is");
        Self {
            child,
            url: url.trim().to_owned(),
            socket,
            ca_file,
        }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The file with the authority that signed its certificate; only with `--tls`.
    #[must_use]
    pub fn ca_file(&self) -> &PathBuf {
        &self.ca_file
    }

    /// The variables with which a program takes it for that platform.
    #[must_use]
    pub fn environment(&self, platform: &str) -> Vec<(String, String)> {
        let answer = self.ask("GET", &format!("/_environment/{platform}?format=json"), "");
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{e}: {answer}"));
        let members = answer.as_object().unwrap_or_else(|| panic!("{answer}"));
        members
            .iter()
            .map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned()))
            .collect()
    }

    /// Every request that it saw, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        let answer: Value = serde_json::from_str(&self.ask("GET", "/_requests", "")).unwrap();
        let list = answer.get("requests").unwrap_or(&answer);
        list.as_array().unwrap_or_else(|| panic!("{answer}")).clone()
    }

    /// The requests of one route.
    #[must_use]
    pub fn requests_of(&self, route: &str) -> Vec<Value> {
        self.requests()
            .into_iter()
            .filter(|request| request["route"] == route)
            .collect()
    }

    /// How many requests it saw on a route.
    #[must_use]
    pub fn count(&self, route: &str) -> usize {
        self.requests_of(route).len()
    }

    /// Forgets the requests.
    pub fn forget(&self) {
        self.ask("DELETE", "/_requests", "");
    }

    /// Adds a fault on a route.
    pub fn fault(&self, route: &str, fault: &str) {
        let rule = format!("[[rule]]\nfault = \"{fault}\"\nroute = \"{route}\"\n");
        self.ask("POST", "/_faults", &rule);
    }

    /// Adds rules as they are written in a file of faults.
    pub fn rules(&self, text: &str) {
        self.ask("POST", "/_faults", text);
    }

    /// Back to normal.
    pub fn heal(&self) {
        self.ask("DELETE", "/_faults", "");
    }

    /// A token with these claims.
    #[must_use]
    pub fn mint(&self, claims: &Value) -> String {
        self.ask("POST", "/token", &claims.to_string())
    }

    /// The public keys, as a JWK set.
    #[must_use]
    pub fn jwks(&self) -> String {
        self.ask("GET", "/jwks", "")
    }

    /// Asks it anything; the body of the answer, which must be a good one.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = UnixStream::connect(&self.socket).expect("the issuer's socket");
        let kind = if body.starts_with('{') {
            "application/json"
        } else {
            "text/plain"
        };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {kind}\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("{answer}"));
        assert!(head.starts_with("HTTP/1.1 2"), "{method} {path}: {answer}");
        body.to_owned()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for IssuerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
