//! What a private instance says of itself: its authorities and the log's key, from the services that were named.
//!
//! It is asked at the time of signing alone, by whoever named these services and no trust root, and nothing of it is
//! kept: who verifies the bundle later has to be told by somebody else whom to trust. Of the certificate log no service
//! says anything.
use crate::fulcio;
use crate::rekor;
use crate::services::{LogVersion, Services, below};
use crate::timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jeton::fetch::success;
use jeton::http::{Request, Response, Url};
use jeton::{Class, Context, Error};
use serde::Deserialize;
use serde_json::{Value, json};
use sigstore_crypto::KeyAlgorithm;
use sigstore_trust_root::TrustedRoot;
use sigstore_types::{DerCertificate, DerPublicKey};
use std::time::Duration;

/// How long one service is waited for: the signature is there already, and nobody depends on the answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Fulcio's answer: chains that end with a root.
#[derive(Deserialize)]
struct TrustBundle {
    chains: Vec<Chain>,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<String>,
}

/// A trust root without certificate logs; `None` when one of the services does not say what it is verified by.
pub(super) async fn root(cx: &Context, services: &Services) -> Option<TrustedRoot> {
    let authorities = below(&services.fulcio, "api/v2/trustBundle").ok()?;
    let authorities: TrustBundle = serde_json::from_str(&said(cx, fulcio::WHAT, authorities).await?).ok()?;
    let authorities: Option<Vec<Value>> = authorities
        .chains
        .iter()
        .map(|chain| authority(&chain.certificates.concat()))
        .collect();
    // Of the second version no log answers with its key.
    let key = match services.log_version {
        LogVersion::V1 => below(&services.rekor, "api/v1/log/publicKey").ok()?,
        LogVersion::V2 => return None,
    };
    let key = log(&said(cx, rekor::WHAT, key).await?)?;
    let stamps = match &services.timestamp {
        None => Vec::new(),
        Some(url) => {
            let url = below(url, "certchain").ok()?;
            vec![authority(&said(cx, timestamp::WHAT, url).await?)?]
        }
    };
    let root = json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [key], "certificateAuthorities": authorities?, "ctlogs": [], "timestampAuthorities": stamps,
    });
    TrustedRoot::from_json(&root.to_string()).ok()
}

/// One question, asked once.
async fn said(cx: &Context, what: &str, url: Url) -> Option<String> {
    let mut once = cx.within(PATIENCE);
    once.policy.max_attempts = 1;
    let read = |response: &Response| {
        success(response)?;
        Ok(String::from_utf8_lossy(&response.body).into_owned())
    };
    let request = Request::get(url);
    let asked = once.bounded(what, once.fetch(what, &request, read)).await;
    asked.ok()
}

/// A chain of PEM blocks, the root last, as a trust root has it.
fn authority(pem: &str) -> Option<Value> {
    const END: &str = "-----END CERTIFICATE-----";
    let blocks = pem.split_inclusive(END).filter(|block| block.contains(END));
    let certificates: Result<Vec<Value>, _> = blocks
        .map(|block| {
            let der = DerCertificate::from_pem(block.trim())?;
            Ok::<_, sigstore_types::Error>(json!({"rawBytes": STANDARD.encode(der.as_bytes())}))
        })
        .collect();
    let certificates = certificates.ok().filter(|all| !all.is_empty())?;
    Some(json!({"subject": {}, "uri": "", "certChain": {"certificates": certificates}}))
}

/// A log's key, as a trust root has it.
fn log(pem: &str) -> Option<Value> {
    let key = DerPublicKey::from_pem(pem.trim()).ok()?;
    let details = match KeyAlgorithm::from_spki(&key).ok()? {
        KeyAlgorithm::EcdsaP256 => "PKIX_ECDSA_P256_SHA_256",
        KeyAlgorithm::EcdsaP384 => "PKIX_ECDSA_P384_SHA_384",
        KeyAlgorithm::Ed25519 => "PKIX_ED25519",
        _ => return None,
    };
    let id = sigstore_crypto::hash::sha256(key.as_bytes());
    Some(json!({
        "baseUrl": "",
        "hashAlgorithm": "SHA2_256",
        "publicKey": {"rawBytes": STANDARD.encode(key.as_bytes()), "keyDetails": details},
        "logId": {"keyId": STANDARD.encode(id.as_bytes())},
    }))
}

/// The error of an instance whose answers contradict what it says of itself.
pub(super) fn contradicts(reasons: &str) -> Error {
    let message = format!("the services answered what their own keys do not verify: {reasons}");
    Error::new(Class::Trust, message).with_hint("name what is to be trusted with --trusted-root FILE")
}
