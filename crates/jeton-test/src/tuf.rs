//! A TUF repository (The Update Framework 1.0) that misbehaves on request: roles with keys and thresholds, consistent
//! snapshots, and files that a test may put in place of the right ones.
use crate::Upstream;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

/// A time that no test reaches.
pub const FAR: &str = "2999-01-01T00:00:00Z";
/// What an endless answer is made of, and how much of it is sent at most, in bytes.
static DRIP: [u8; 64 * 1024] = [b' '; 64 * 1024];
const ENDLESS: usize = 512 * 1024 * 1024;

/// A key that signs metadata.
pub struct Key {
    pair: EcdsaKeyPair,
    /// Its name in metadata.
    pub id: String,
}

impl Key {
    /// A new one.
    #[must_use]
    pub fn new(id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let id = id.to_owned();
        Self { pair, id }
    }

    fn public(&self) -> Value {
        let der = self.pair.public_key().as_der().unwrap();
        let pem = STANDARD.encode(der.as_ref());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{pem}\n-----END PUBLIC KEY-----\n");
        json!({"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": pem}})
    }
}

/// What a release says.
#[derive(Clone, Debug)]
pub struct Release {
    /// The version of timestamp, snapshot and targets.
    pub version: u64,
    /// Until when the timestamp holds.
    pub stamped_until: String,
    /// Names and contents of targets.
    pub targets: Vec<(&'static str, Value)>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    broken: usize,
    endless: Option<String>,
}

/// A running repository.
pub struct Tuf {
    mirror: Upstream,
    state: Arc<Mutex<State>>,
    keys: Vec<Key>,
    threshold: usize,
    /// The first root: what is trusted from the start.
    pub root: Vec<u8>,
}

impl Tuf {
    /// One whose roles all need `threshold` of `keys` keys.
    #[must_use]
    pub fn start(keys: usize, threshold: usize) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let serving = Arc::clone(&state);
        let mirror = Upstream::new(move |_, request, stream| {
            let path = request.line().split(' ').nth(1).unwrap_or_default();
            let path = path.trim_start_matches('/').to_owned();
            let answer = serving.lock().unwrap().answer(&path);
            let (status, body) = match answer {
                Answer::Endless => return drip(stream),
                Answer::Whole(status, body) => (status, body),
            };
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        });
        let keys: Vec<Key> = (0..keys).map(|at| Key::new(&format!("key-{at}"))).collect();
        let mut tuf = Self {
            mirror,
            state,
            keys,
            threshold,
            root: Vec::new(),
        };
        tuf.root = tuf.root_of(1, FAR, &tuf.keys.iter().collect::<Vec<_>>(), &tuf.all());
        tuf
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        self.mirror.url()
    }

    /// Every request, as its path.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        let seen = self.mirror.seen();
        seen.iter()
            .map(|request| request.line().split(' ').nth(1).unwrap_or_default().to_owned())
            .collect()
    }

    /// Every key.
    #[must_use]
    pub fn all(&self) -> Vec<&Key> {
        self.keys.iter().collect()
    }

    /// Metadata, signed by these keys, each as often as it stands there.
    #[must_use]
    pub fn signed(&self, signed: &Value, by: &[&Key]) -> Vec<u8> {
        let bytes = canonical(signed);
        let signature = |key: &&Key| {
            let signature = key.pair.sign(&SystemRandom::new(), bytes.as_bytes()).unwrap();
            json!({"keyid": key.id, "sig": hex(signature.as_ref())})
        };
        let signatures: Vec<Value> = by.iter().map(signature).collect();
        json!({"signed": signed, "signatures": signatures})
            .to_string()
            .into_bytes()
    }

    /// A root that names these keys for every role.
    #[must_use]
    pub fn root_of(&self, version: u64, expires: &str, keys: &[&Key], by: &[&Key]) -> Vec<u8> {
        let ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
        let role = json!({"keyids": ids, "threshold": self.threshold});
        let keys: serde_json::Map<String, Value> =
            keys.iter().map(|key| (key.id.clone(), key.public())).collect();
        let root = json!({
            "_type": "root", "spec_version": "1.0.31", "version": version, "expires": expires,
            "consistent_snapshot": true, "keys": keys,
            "roles": {"root": role, "timestamp": role, "snapshot": role, "targets": role},
        });
        self.signed(&root, by)
    }

    /// Puts a release in place of everything that was there, signed by `by`.
    pub fn publish(&self, release: &Release, by: &[&Key]) {
        let version = release.version;
        let mut files = BTreeMap::new();
        let mut targets = json!({});
        for (name, content) in &release.targets {
            let content = content.to_string().into_bytes();
            let digest = sha256(&content);
            targets[name] = json!({"length": content.len(), "hashes": {"sha256": digest}});
            files.insert(format!("targets/{digest}.{name}"), content);
        }
        let part = |kind: &str, expires: &str, member: &str, value: Value| {
            let mut signed =
                json!({"_type": kind, "spec_version": "1.0.31", "version": version, "expires": expires});
            signed[member] = value;
            self.signed(&signed, by)
        };
        let pinned = |name: &str| json!({ name: {"version": version} });
        files.insert(
            format!("{version}.targets.json"),
            part("targets", FAR, "targets", targets),
        );
        let snapshot = part("snapshot", FAR, "meta", pinned("targets.json"));
        files.insert(format!("{version}.snapshot.json"), snapshot);
        let stamp = part(
            "timestamp",
            &release.stamped_until,
            "meta",
            pinned("snapshot.json"),
        );
        files.insert("timestamp.json".into(), stamp);
        self.state.lock().unwrap().files = files;
    }

    /// A file as it is served.
    #[must_use]
    pub fn file(&self, name: &str) -> Vec<u8> {
        self.state.lock().unwrap().files[name].clone()
    }

    /// The names of all files.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.state.lock().unwrap().files.keys().cloned().collect()
    }

    /// Serves `bytes` as `name` from now on.
    pub fn put(&self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.state
            .lock()
            .unwrap()
            .files
            .insert(name.to_owned(), bytes.into());
    }

    /// The next requests fail (503).
    pub fn fail(&self, times: usize) {
        self.state.lock().unwrap().broken = times;
    }

    /// Serves `name` without an end from now on.
    pub fn never_end(&self, name: &str) {
        self.state.lock().unwrap().endless = Some(name.to_owned());
    }
}

enum Answer {
    Whole(u16, Vec<u8>),
    Endless,
}

impl State {
    fn answer(&mut self, path: &str) -> Answer {
        if self.broken > 0 {
            self.broken -= 1;
            return Answer::Whole(503, Vec::new());
        }
        if self.endless.as_deref() == Some(path) {
            return Answer::Endless;
        }
        match self.files.get(path) {
            Some(body) => Answer::Whole(200, body.clone()),
            None => Answer::Whole(404, Vec::new()),
        }
    }
}

fn drip(stream: &mut impl Write) {
    let _ = stream.write_all(b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n");
    for _ in 0..ENDLESS / DRIP.len() {
        if stream.write_all(&DRIP).is_err() {
            return;
        }
    }
}

/// Canonical JSON, as TUF's signatures are over it: sorted, nothing in between, and in texts only quotes and
/// backslashes escaped.
fn canonical(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        Value::Array(all) => format!("[{}]", all.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            let member = |(name, value): (&String, &Value)| {
                format!("{}:{}", canonical(&Value::String(name.clone())), canonical(value))
            };
            format!(
                "{{{}}}",
                sorted.into_iter().map(member).collect::<Vec<_>>().join(",")
            )
        }
        other => other.to_string(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 digest as metadata writes it.
fn sha256(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref())
}
