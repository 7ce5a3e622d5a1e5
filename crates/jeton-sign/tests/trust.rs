//! The trust root by way of TUF: kept, verified anew, refused when it is old, older than before, or not signed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use jeton::{Class, Clock, Context, Env, UnixTime};
use jeton_sign::trust::Repository;
use jeton_test::Upstream;
use serde_json::{Value, json};
use sigstore_tuf::canonical_json::to_canonical_bytes;
use sigstore_types::DerPublicKey;
use std::collections::HashMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The moment at which every test begins: 2026-01-01.
const START: i64 = 1_767_225_600;
/// A day, in seconds.
const DAY: i64 = 24 * 60 * 60;
const FAR: &str = "2999-01-01T00:00:00Z";
const KEY: &str = "the-one-key";

type Files = Arc<Mutex<HashMap<String, Vec<u8>>>>;

/// A repository that one key signs.
struct Scene {
    mirror: Upstream,
    files: Files,
    broken: Arc<Mutex<usize>>,
    pair: EcdsaKeyPair,
    root: Vec<u8>,
    clock: Clock,
    folder: tempfile::TempDir,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref())
}

fn expires(day: i64) -> String {
    jiff::Timestamp::from_second(START + day * DAY)
        .unwrap()
        .to_string()
}

impl Scene {
    fn new() -> Self {
        let files = Files::default();
        let broken = Arc::new(Mutex::new(0usize));
        let (serving, failing) = (Arc::clone(&files), Arc::clone(&broken));
        let mirror = Upstream::new(move |_, request, stream| {
            let path = request
                .line()
                .split(' ')
                .nth(1)
                .unwrap()
                .trim_start_matches('/')
                .to_owned();
            let mut broken = failing.lock().unwrap();
            let files = serving.lock().unwrap();
            let (status, body) = match (*broken > 0, files.get(&path)) {
                (true, _) => (503, Vec::new()),
                (false, Some(body)) => (200, body.clone()),
                (false, None) => (404, Vec::new()),
            };
            *broken = broken.saturating_sub(1);
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        });
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let public = DerPublicKey::from_bytes(pair.public_key().as_der().unwrap().as_ref()).to_pem();
        let role = json!({"keyids": [KEY], "threshold": 1});
        let mut scene = Self {
            mirror,
            files,
            broken,
            pair,
            root: Vec::new(),
            clock: Clock::manual(UnixTime::from_seconds(START)),
            folder: tempfile::tempdir().unwrap(),
        };
        scene.root = scene.signed(json!({
            "_type": "root", "spec_version": "1.0.31", "version": 1, "expires": FAR, "consistent_snapshot": true,
            "keys": {KEY: {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": public}}},
            "roles": {"root": role, "timestamp": role, "snapshot": role, "targets": role},
        }));
        scene
    }

    fn signed(&self, signed: Value) -> Vec<u8> {
        let bytes = to_canonical_bytes(&signed).unwrap();
        let signature = self.pair.sign(&SystemRandom::new(), &bytes).unwrap();
        let signatures = json!([{"keyid": KEY, "sig": hex(signature.as_ref())}]);
        json!({"signed": signed, "signatures": signatures})
            .to_string()
            .into_bytes()
    }

    /// Puts a version into the repository whose timestamp expires so many days after the start.
    fn publish(&self, version: u64, day: i64) {
        let root = json!({"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [], "certificateAuthorities": [], "ctlogs": [], "timestampAuthorities": []});
        let services = json!({"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"});
        let mut files = HashMap::new();
        let mut targets = json!({});
        for (name, content) in [
            ("trusted_root.json", root),
            ("signing_config.v0.2.json", services),
        ] {
            let content = content.to_string().into_bytes();
            let digest = sha256(&content);
            targets[name] = json!({"length": content.len(), "hashes": {"sha256": digest}});
            files.insert(format!("targets/{digest}.{name}"), content);
        }
        let part = |kind: &str, expires: &str, more: (&str, Value)| {
            let mut signed =
                json!({"_type": kind, "spec_version": "1.0.31", "version": version, "expires": expires});
            signed[more.0] = more.1;
            self.signed(signed)
        };
        let targets = part("targets", FAR, ("targets", targets));
        let snapshot = part(
            "snapshot",
            FAR,
            ("meta", json!({"targets.json": {"version": version}})),
        );
        let stamp = part(
            "timestamp",
            &expires(day),
            ("meta", json!({"snapshot.json": {"version": version}})),
        );
        files.insert(format!("{version}.targets.json"), targets);
        files.insert(format!("{version}.snapshot.json"), snapshot);
        files.insert("timestamp.json".into(), stamp);
        *self.files.lock().unwrap() = files;
    }

    fn context(&self) -> Context {
        let folder = self.folder.path().join("cache").display().to_string();
        let mut cx = Context::new(Env::default().with("JETON_CACHE_DIR", folder), self.clock.clone());
        cx.policy.backoff = Duration::from_millis(1);
        cx.policy.max_backoff = Duration::from_millis(2);
        cx
    }

    async fn trust(&self) -> Result<(), jeton::Error> {
        let repository = Repository::at(self.mirror.url(), self.root.clone());
        repository.trust(&self.context()).await.map(drop)
    }

    fn requests(&self) -> usize {
        self.mirror.seen().len()
    }
}

#[tokio::test]
async fn b15_what_was_fetched_is_used_until_it_expires_and_kept_like_everything_else() {
    let scene = Scene::new();
    scene.publish(1, 7);
    scene.trust().await.unwrap();
    let first = scene.requests();
    assert!(first >= 5, "{first}");
    for entry in std::fs::read_dir(scene.folder.path().join("cache")).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    scene.clock.advance(Duration::from_secs(6 * 24 * 60 * 60));
    scene.trust().await.unwrap();
    assert_eq!(scene.requests(), first, "nothing has expired: nobody is asked");
    scene.clock.advance(Duration::from_secs(2 * 24 * 60 * 60));
    scene.publish(2, 14);
    scene.trust().await.unwrap();
    assert!(scene.requests() > first);
}

#[tokio::test]
async fn b15_metadata_that_is_old_or_older_than_before_or_not_signed_is_refused() {
    let scene = Scene::new();
    scene.publish(2, 7);
    scene.trust().await.unwrap();
    scene.clock.advance(Duration::from_secs(8 * 24 * 60 * 60));
    let frozen = scene.trust().await.unwrap_err();
    assert_eq!(frozen.kind(), Class::Trust);
    assert!(frozen.to_string().contains("expired"), "{frozen}");
    scene.publish(1, 30);
    let rolled_back = scene.trust().await.unwrap_err();
    assert_eq!(rolled_back.kind(), Class::Trust);
    assert!(rolled_back.to_string().contains("rollback"), "{rolled_back}");
    scene.publish(3, 30);
    let forged = Scene::new();
    forged.publish(3, 30);
    let stamp = forged.files.lock().unwrap()["timestamp.json"].clone();
    scene.files.lock().unwrap().insert("timestamp.json".into(), stamp);
    let unsigned = scene.trust().await.unwrap_err();
    assert_eq!(unsigned.kind(), Class::Trust);
    assert!(unsigned.to_string().contains("threshold"), "{unsigned}");
    scene.publish(3, 30);
    scene.trust().await.unwrap();
}

#[tokio::test]
async fn b15_a_cache_that_was_tampered_with_is_no_trust_root() {
    let scene = Scene::new();
    scene.publish(1, 7);
    scene.trust().await.unwrap();
    let first = scene.requests();
    for entry in std::fs::read_dir(scene.folder.path().join("cache")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    scene.trust().await.unwrap();
    assert!(scene.requests() > first, "fetched anew");
}

#[tokio::test]
async fn b1_b2_a_mirror_that_fails_for_a_while_is_asked_again_and_its_failure_keeps_its_class() {
    let scene = Scene::new();
    scene.publish(1, 7);
    *scene.broken.lock().unwrap() = 3;
    scene.trust().await.unwrap();
    scene.clock.advance(Duration::from_secs(8 * 24 * 60 * 60));
    *scene.broken.lock().unwrap() = 99;
    let before = scene.requests();
    let error = scene.trust().await.unwrap_err();
    assert_eq!(error.kind(), Class::Unavailable, "{error}");
    assert_eq!(scene.requests() - before, 5);
}
