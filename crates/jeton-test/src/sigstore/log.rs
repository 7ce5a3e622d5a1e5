//! Rekor v1: each entry is the first and only one of its tree.
use super::{Flaw, LogKey, hex, now, sha256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// What the log calls itself in checkpoints.
const ORIGIN: &str = "rekor.jeton.test";
/// The number of every entry.
const INDEX: u64 = 41;

pub(super) struct Log {
    key: LogKey,
    other: LogKey,
}

/// The name of the entry that a request makes.
pub(super) fn name(body: &[u8]) -> String {
    hex(&sha256(body))
}

impl Log {
    pub(super) fn new() -> Self {
        Self {
            key: LogKey::new(),
            other: LogKey::new(),
        }
    }

    pub(super) fn trusted(&self, url: &str) -> Value {
        self.key.trusted(url)
    }

    /// The key, as PEM.
    pub(super) fn published(&self) -> String {
        let key = STANDARD.encode(&self.key.spki);
        format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n")
    }

    pub(super) fn enter(&self, request: &[u8], flaw: Option<Flaw>) -> Value {
        let signer = |bad: Flaw| if flaw == Some(bad) { &self.other } else { &self.key };
        let body = canonical(request, flaw);
        let ahead = match flaw {
            Some(Flaw::Ahead(seconds)) => seconds,
            _ => 0,
        };
        let (time, id) = (now() + ahead, hex(&self.key.id));
        // Members are sorted and nothing is between them: that is the canonical form.
        let promised =
            json!({"body": STANDARD.encode(&body), "integratedTime": time, "logID": id, "logIndex": INDEX});
        let promise = signer(Flaw::BadPromise).sign(promised.to_string().as_bytes());
        let mut leaf = vec![0];
        leaf.extend(&body);
        let mut root = sha256(&leaf);
        if flaw == Some(Flaw::BadProof) {
            root[0] ^= 1;
        }
        let note = format!("{ORIGIN} - 1\n1\n{}\n", STANDARD.encode(root));
        let (named, by) = match flaw {
            Some(Flaw::ForeignCheckpoint) => (&self.other, &self.other),
            _ => (&self.key, signer(Flaw::BadCheckpoint)),
        };
        let mut signature = named.id[..4].to_vec();
        signature.extend(by.sign(note.as_bytes()));
        let checkpoint = format!("{note}\n\u{2014} {ORIGIN} {}\n", STANDARD.encode(signature));
        json!({
            "body": STANDARD.encode(&body),
            "integratedTime": time,
            "logID": id,
            "logIndex": INDEX,
            "verification": {
                "signedEntryTimestamp": STANDARD.encode(promise),
                "inclusionProof": {
                    "logIndex": 0, "treeSize": 1, "rootHash": hex(&root), "hashes": [], "checkpoint": checkpoint,
                },
            },
        })
    }
}

/// What the log keeps of a request.
fn canonical(request: &[u8], flaw: Option<Flaw>) -> Vec<u8> {
    let mut entry: Value = serde_json::from_slice(request).unwrap();
    if entry["kind"] == "dsse" {
        entry["spec"] = taken_apart(&entry["spec"]["proposedContent"]);
    }
    if flaw == Some(Flaw::OtherEntry) {
        let place = match entry["kind"] == "dsse" {
            true => &mut entry["spec"]["signatures"][0]["signature"],
            false => &mut entry["spec"]["signature"]["content"],
        };
        *place = json!("MEUCIQDz");
    }
    entry.to_string().into_bytes()
}

fn taken_apart(content: &Value) -> Value {
    let text = content["envelope"].as_str().unwrap();
    let envelope: Value = serde_json::from_str(text).unwrap();
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let hash = |bytes: &[u8]| json!({"algorithm": "sha256", "value": hex(&sha256(bytes))});
    json!({
        "envelopeHash": hash(text.as_bytes()),
        "payloadHash": hash(&payload),
        "signatures": [{"signature": envelope["signatures"][0]["sig"], "verifier": content["verifiers"][0]}],
    })
}
