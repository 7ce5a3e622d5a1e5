//! Rekor v2: each entry is the second and last one of its tree. No promise and no time of its own.
use super::{Flaw, LogKey, sha256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// What the log calls itself in checkpoints.
const ORIGIN: &str = "tiles.jeton.test";
/// The hash that stands beside each entry.
const SIBLING: [u8; 32] = [7; 32];

pub(super) struct Tiles {
    key: LogKey,
    other: LogKey,
}

impl Tiles {
    pub(super) fn new() -> Self {
        Self {
            key: LogKey::edwards(ORIGIN),
            other: LogKey::edwards(ORIGIN),
        }
    }

    pub(super) fn trusted(&self, url: &str) -> Value {
        self.key.trusted(url)
    }

    pub(super) fn enter(&self, request: &[u8], flaw: Option<Flaw>) -> Value {
        let request: Value = serde_json::from_slice(request).unwrap();
        let wanted = &request["hashedRekordRequestV002"];
        let mut signature = wanted["signature"].clone();
        if flaw == Some(Flaw::OtherEntry) {
            signature["content"] = json!("MEUCIQDz");
        }
        let data = json!({"algorithm": "SHA2_256", "digest": wanted["digest"]});
        let body = json!({"apiVersion": "0.0.2", "kind": "hashedrekord",
            "spec": {"hashedRekordV002": {"data": data, "signature": signature}}});
        let body = body.to_string();
        let leaf = sha256(&[&[0], body.as_bytes()].concat());
        let root = sha256(&[&[1][..], &SIBLING, &leaf].concat());
        let mut sibling = SIBLING;
        if flaw == Some(Flaw::BadProof) {
            sibling[0] ^= 1;
        }
        let note = format!("{ORIGIN}\n2\n{}\n", STANDARD.encode(root));
        let is = |bad: Flaw| flaw == Some(bad);
        let named = if is(Flaw::ForeignCheckpoint) {
            &self.other
        } else {
            &self.key
        };
        let signer = match is(Flaw::BadCheckpoint) || is(Flaw::ForeignCheckpoint) {
            true => &self.other,
            false => &self.key,
        };
        let signed = [&named.id[..4], &signer.sign(note.as_bytes())].concat();
        let checkpoint = format!("{note}\n\u{2014} {ORIGIN} {}\n", STANDARD.encode(signed));
        json!({
            "logIndex": "1",
            "logId": {"keyId": STANDARD.encode(self.key.id)},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
            "canonicalizedBody": STANDARD.encode(body),
            "inclusionProof": {
                "logIndex": "1", "treeSize": "2", "rootHash": STANDARD.encode(root),
                "hashes": [STANDARD.encode(sibling)], "checkpoint": {"envelope": checkpoint},
            },
        })
    }
}
