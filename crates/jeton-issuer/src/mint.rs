//! How a token is made: claims, header and seal, each of which a fault may change before it is signed.
use crate::keys::{encode, unguessable};
use jeton_core::{SigningKey, UnixTime};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// What the token is closed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seal {
    /// The issuer's key.
    Own,
    /// A key that is not published.
    Foreign,
    /// A signature with one bit turned.
    Broken,
    /// Nothing after the last dot.
    Nothing,
}

/// A token before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct Mint {
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
    pub(crate) seal: Seal,
    pub(crate) now: UnixTime,
}

impl Mint {
    /// Claims with `iss`, `iat`, `nbf`, `exp` and `jti` filled in where they are not given.
    pub(crate) fn new(issuer: &str, now: UnixTime, life: Duration, given: Map<String, Value>) -> Self {
        let iat = now.seconds();
        let mut claims = Map::new();
        claims.insert("iss".into(), json!(issuer));
        claims.insert("iat".into(), json!(iat));
        claims.insert("nbf".into(), json!(iat));
        claims.insert("exp".into(), json!(now.plus(life).seconds()));
        claims.insert("jti".into(), json!(unguessable("")));
        claims.extend(given);
        Self {
            header: Map::new(),
            claims,
            seal: Seal::Own,
            now,
        }
    }

    /// With this `typ` in the header.
    pub(crate) fn typed(mut self, typ: &str) -> Self {
        self.header.insert("typ".into(), json!(typ));
        self
    }

    /// Moves a time claim; one that is absent or no number stays as it is.
    pub(crate) fn shift(&mut self, claim: &str, seconds: i64) {
        if let Some(at) = self.claims.get(claim).and_then(Value::as_i64) {
            self.claims
                .insert(claim.into(), json!(at.saturating_add(seconds)));
        }
    }

    /// The compact serialization (RFC 7515 section 3.1).
    pub(crate) fn sign(self, own: &SigningKey, foreign: &SigningKey) -> String {
        let key = if self.seal == Seal::Foreign { foreign } else { own };
        let mut header = Map::new();
        header.insert("alg".into(), json!(key.algorithm().name()));
        header.insert("kid".into(), json!(own.key_id()));
        header.insert("typ".into(), json!("JWT"));
        header.extend(self.header);
        // A null is how a fault says that a member is to be left out.
        header.retain(|_, value| !value.is_null());
        let input = format!("{}.{}", part(header), part(self.claims));
        // A library that cannot sign gives a token that nobody takes, which is what a test would see then.
        let signature = key.signature(input.as_bytes()).unwrap_or_default();
        let signature = match self.seal {
            Seal::Own | Seal::Foreign => signature,
            Seal::Broken => broken(signature),
            Seal::Nothing => Vec::new(),
        };
        format!("{input}.{}", encode(&signature))
    }
}

fn part(members: Map<String, Value>) -> String {
    encode(Value::Object(members).to_string().as_bytes())
}

fn broken(mut signature: Vec<u8>) -> Vec<u8> {
    if let Some(byte) = signature.first_mut() {
        *byte ^= 1;
    }
    signature
}
