//! A private instance of Sigstore that misbehaves on request: certificate authority with a certificate log, transparency
//! logs (Rekor v1 and v2) and a timestamp authority (RFC 3161), written from their specifications. What it answers
//! verifies, unless a [`Flaw`] was asked for.
mod authority;
mod der;
mod log;
mod stamp;
mod tiles;

use crate::{Received, Upstream};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where certificates are asked for.
pub const FULCIO: &str = "/api/v2/signingCert";
/// Where entries are made.
pub const REKOR: &str = "/api/v1/log/entries";

/// Where entries of the second version are made.
pub const REKOR_V2: &str = "/api/v2/log/entries";
/// Where signatures are stamped.
pub const STAMP: &str = "/api/v1/timestamp";

/// Where the certificate authority says what verifies it.
const TRUST_BUNDLE: &str = "/api/v2/trustBundle";
/// Where the log of the first version does.
const LOG_KEY: &str = "/api/v1/log/publicKey";
/// Where the timestamp authority does.
const STAMP_CHAIN: &str = "/api/v1/timestamp/certchain";
/// Where the certificate authority says whom it takes.
const CONFIGURATION: &str = "/api/v2/configuration";
/// Where the log says how it is.
const STATE: &str = "/api/v1/log";

/// What an instance does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The certificate is in no certificate log.
    NoSct,
    /// The certificate is for another key than the one that was proven.
    OtherKey,
    /// The certificate is signed by an authority that nobody trusts.
    ForeignAuthority,
    /// The certificate ended long ago.
    Expired,
    /// The log's entry is of another signature.
    OtherEntry,
    /// The log's proof leads nowhere.
    BadProof,
    /// The log did not sign its state.
    BadCheckpoint,
    /// The log did not sign its promise, hence not its time.
    BadPromise,
    /// The state is signed by another log.
    ForeignCheckpoint,
    /// The timestamp is signed by an authority that nobody trusts.
    ForeignStamp,
    /// The timestamp is for something else.
    OtherStamp,
    /// The timestamp is of a time at which no certificate was valid.
    EarlyStamp,
    /// The timestamp authority does not want to.
    NoStamp,
    /// The log says that the entry was there before, and has it.
    Conflict,
    /// The log's clock is so many seconds ahead.
    Ahead(u64),
}

/// A request that the instance saw.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its path.
    pub path: String,
    /// When it came.
    pub at: SystemTime,
    /// All of it.
    pub request: Received,
}

/// How a request fails.
#[derive(Clone, Debug)]
pub enum Outage {
    /// With a status and a body.
    Status(u16, String),
    /// The connection ends without an answer.
    Cut,
    /// The request is carried out, and the answer is lost.
    LostAnswer,
}

struct Fault {
    path: &'static str,
    times: usize,
    outage: Outage,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    faults: Vec<Fault>,
    flaw: Option<Flaw>,
    known: Vec<(String, Value)>,
    issuers: Option<Value>,
    publishes: bool,
}

struct Instance {
    authority: authority::Authority,
    log: log::Log,
    tiles: tiles::Tiles,
    stamps: stamp::Stamps,
    state: Mutex<State>,
}

/// A running instance.
pub struct Sigstore {
    upstream: Upstream,
    instance: Arc<Instance>,
}

impl Default for Sigstore {
    fn default() -> Self {
        Self::start()
    }
}

impl Sigstore {
    /// Starts one, with authorities and keys of its own.
    #[must_use]
    pub fn start() -> Self {
        let instance = Arc::new(Instance {
            authority: authority::Authority::new(),
            log: log::Log::new(),
            tiles: tiles::Tiles::new(),
            stamps: stamp::Stamps::new(),
            state: Mutex::default(),
        });
        let serving = Arc::clone(&instance);
        let upstream = Upstream::new(move |_, request, stream| {
            if let Some(answer) = serving.serve(request) {
                let _ = stream.write_all(&answer);
            }
        });
        Self { upstream, instance }
    }

    /// The URL of every service.
    #[must_use]
    pub fn url(&self) -> &str {
        self.upstream.url()
    }

    /// What is to be trusted: `trusted_root.json`.
    #[must_use]
    pub fn trusted_root(&self) -> Value {
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self.instance.log.trusted(self.url()), self.instance.tiles.trusted(self.url())],
            "certificateAuthorities": [self.instance.authority.trusted(self.url())],
            "ctlogs": [self.instance.authority.trusted_log(self.url())],
            "timestampAuthorities": [self.instance.stamps.trusted(&self.stamp_url())],
        })
    }

    /// The timestamp authority's URL.
    #[must_use]
    pub fn stamp_url(&self) -> String {
        format!("{}{STAMP}", self.url())
    }

    /// Which services there are: `signing_config.v0.2.json`, with logs of these versions.
    #[must_use]
    pub fn signing_config(&self, logs: &[u32]) -> Value {
        let service = |url: &str, version: u32| {
            json!({"url": url, "majorApiVersion": version, "operator": "jeton-test",
                "validFor": {"start": "2020-01-01T00:00:00Z"}})
        };
        let logs: Vec<Value> = logs.iter().map(|version| service(self.url(), *version)).collect();
        json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service(self.url(), 1)],
            "rekorTlogUrls": logs,
            "tsaUrls": [service(&self.stamp_url(), 1)],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaConfig": {"selector": "ANY"},
        })
    }

    /// From now on each service says what verifies it.
    pub fn publish(&self) {
        self.instance.state.lock().unwrap().publishes = true;
    }

    /// The next `times` requests of `path` fail.
    pub fn fail(&self, path: &'static str, times: usize, outage: Outage) {
        self.instance
            .state
            .lock()
            .unwrap()
            .faults
            .push(Fault { path, times, outage });
    }

    /// From now on it does this wrong.
    pub fn flaw(&self, flaw: Flaw) {
        self.instance.state.lock().unwrap().flaw = Some(flaw);
    }

    /// From now on it says which issuers it takes identities of.
    pub fn takes(&self, issuers: &Value) {
        self.instance.state.lock().unwrap().issuers = Some(issuers.clone());
    }

    /// Every request, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.instance.state.lock().unwrap().asked.clone()
    }

    /// How many requests of `path` it saw.
    #[must_use]
    pub fn count(&self, path: &str) -> usize {
        self.asked().iter().filter(|asked| asked.path == path).count()
    }
}

impl Instance {
    fn serve(&self, request: &Received) -> Option<Vec<u8>> {
        let path = request.line().split(' ').nth(1).unwrap_or_default().to_owned();
        let outage = {
            let mut state = self.state.lock().unwrap();
            state.asked.push(Asked {
                path: path.clone(),
                at: SystemTime::now(),
                request: request.clone(),
            });
            let fault = state
                .faults
                .iter_mut()
                .find(|fault| fault.path == path && fault.times > 0);
            fault.map(|fault| {
                fault.times -= 1;
                fault.outage.clone()
            })
        };
        match outage {
            Some(Outage::Status(status, body)) => return Some(answer(status, "", &body)),
            Some(Outage::Cut) => return None,
            _ => (),
        }
        let flaw = self.state.lock().unwrap().flaw;
        let answer = match path.as_str() {
            FULCIO => self.authority.certify(&request.body, flaw),
            REKOR => self.enter(&request.body, flaw),
            REKOR_V2 => answer(201, "", &self.tiles.enter(&request.body, flaw).to_string()),
            STAMP if request.line().starts_with("POST") => self.stamps.stamp(&request.body, flaw),
            other => self.find(other),
        };
        match outage {
            Some(Outage::LostAnswer) => None,
            _ => Some(answer),
        }
    }

    /// Makes an entry; one that is there already is a conflict, as in Rekor.
    fn enter(&self, body: &[u8], flaw: Option<Flaw>) -> Vec<u8> {
        let mut state = self.state.lock().unwrap();
        let name = log::name(body);
        let known = state.known.iter().any(|(known, _)| *known == name);
        let entry = self.log.enter(body, flaw);
        if !known {
            state.known.push((name.clone(), entry.clone()));
        }
        match known || flaw == Some(Flaw::Conflict) {
            true => answer(
                409,
                &format!("location: {REKOR}/{name}\r\n"),
                r#"{"code":409,"message":"an equivalent entry exists"}"#,
            ),
            false => answer(201, "", &json!({ name: entry }).to_string()),
        }
    }

    fn find(&self, path: &str) -> Vec<u8> {
        let name = path.rsplit('/').next().unwrap_or_default();
        let state = self.state.lock().unwrap();
        match (path, &state.issuers) {
            (CONFIGURATION, Some(issuers)) => {
                return answer(200, "", &json!({ "issuers": issuers }).to_string());
            }
            (STATE, _) => return answer(200, "", "{}"),
            (TRUST_BUNDLE, _) if state.publishes => return answer(200, "", &self.authority.published()),
            (LOG_KEY, _) if state.publishes => return answer(200, "", &self.log.published()),
            (STAMP_CHAIN, _) if state.publishes => return answer(200, "", &self.stamps.published()),
            _ => (),
        }
        match state.known.iter().find(|(known, _)| known == name) {
            Some((name, entry)) => answer(200, "", &json!({ name: entry }).to_string()),
            None => answer(404, "", r#"{"code":404,"message":"nothing here"}"#),
        }
    }
}

/// An answer in JSON.
fn answer(status: u16, fields: &str, body: &str) -> Vec<u8> {
    let fields = format!("content-type: application/json\r\n{fields}");
    respond(status, &fields, body.as_bytes())
}

fn respond(status: u16, fields: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{fields}\r\n");
    [head.as_bytes(), body].concat()
}

/// A signing key of a log.
struct LogKey {
    pair: Pair,
    spki: Vec<u8>,
    id: [u8; 32],
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
}

impl LogKey {
    /// ECDSA with P-256, named by the hash of the key (RFC 6962).
    fn new() -> Self {
        use aws_lc_rs::encoding::AsDer;
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let spki = pair.public_key().as_der().unwrap().as_ref().to_vec();
        let id = sha256(&spki);
        Self {
            pair: Pair::Ecdsa(pair),
            spki,
            id,
        }
    }

    /// Ed25519, named as signed notes name their keys: by the hash of name, algorithm and key.
    fn edwards(origin: &str) -> Self {
        use aws_lc_rs::encoding::AsDer;
        let pair = Ed25519KeyPair::generate().unwrap();
        let spki = pair.public_key().as_der().unwrap().as_ref().to_vec();
        let id = sha256(&[origin.as_bytes(), b"\n\x01", pair.public_key().as_ref()].concat());
        Self {
            pair: Pair::Edwards(pair),
            spki,
            id,
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Ecdsa(pair) => pair
                .sign(&SystemRandom::new(), message)
                .unwrap()
                .as_ref()
                .to_vec(),
            Pair::Edwards(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// The point of an ECDSA key, as certificates have it.
    fn point(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Ecdsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Edwards(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// As a trust root has it.
    fn trusted(&self, url: &str) -> Value {
        let details = match &self.pair {
            Pair::Ecdsa(_) => "PKIX_ECDSA_P256_SHA_256",
            Pair::Edwards(_) => "PKIX_ED25519",
        };
        json!({
            "baseUrl": url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": STANDARD.encode(&self.spki),
                "keyDetails": details,
                "validFor": {"start": "2020-01-01T00:00:00Z"},
            },
            "logId": {"keyId": STANDARD.encode(self.id)},
        })
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The claims of a token, unverified.
fn claims(token: &str) -> Option<Value> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&claims).ok()
}
