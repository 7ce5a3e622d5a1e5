//! The transparency log: one entry, which stays for ever.
use crate::fulcio::{created, parsed};
use crate::services::{LogVersion, Services, below};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jeton::http::{Fault, Request, Response};
use jeton::{Class, Context, Error};
use jeton_core::Failure;
use serde_json::{Value, json};
use sigstore_rekor::{HashedRekordV2, LogEntry, RekorV2KeyDetails};
use sigstore_types::{
    DerCertificate, DsseEnvelope, KindVersion, Sha256Hash, SignatureBytes, SignatureContent,
    TransparencyLogEntry,
};
use std::collections::HashMap;

/// What messages call it.
pub(crate) const WHAT: &str = "rekor";
/// The largest answer: an entry and its proof, in bytes.
const ENTRY_CAP: usize = 1024 * 1024;

/// What is logged: a signature, what it is over, and by which certificate.
pub struct Entry<'a> {
    /// The signature, with its envelope where there is one.
    pub content: &'a SignatureContent,
    /// The digest of what was signed: of the file, or of the envelope's encoding.
    pub digest: Sha256Hash,
    /// The signature alone.
    pub signature: &'a SignatureBytes,
    /// The certificate.
    pub certificate: &'a DerCertificate,
}

/// Enters a signature into the log. A second request after an answer was lost finds the entry of the first.
///
/// # Errors
/// As [`Context::fetch`].
pub async fn log(
    cx: &Context,
    services: &Services,
    entry: &Entry<'_>,
) -> Result<TransparencyLogEntry, Error> {
    match services.log_version {
        LogVersion::V1 => log_v1(cx, services, entry).await,
        LogVersion::V2 => log_v2(cx, services, entry).await,
    }
}

async fn log_v2(cx: &Context, services: &Services, entry: &Entry<'_>) -> Result<TransparencyLogEntry, Error> {
    let details = RekorV2KeyDetails::PkixEcdsaP256Sha256;
    let body =
        HashedRekordV2::new_with_certificate(&entry.digest, entry.signature, entry.certificate, details);
    let request = post(below(&services.rekor, "api/v2/log/entries")?, &body)?;
    cx.fetch(WHAT, &request, |response| {
        created(response)?;
        parsed(response)
    })
    .await
}

/// What became of an entry of v1.
enum Posted {
    Entered(Box<LogEntry>),
    /// It is there already, under this name.
    Known(String),
}

async fn log_v1(cx: &Context, services: &Services, entry: &Entry<'_>) -> Result<TransparencyLogEntry, Error> {
    let url = below(&services.rekor, "api/v1/log/entries")?;
    let (body, kind) = match entry.content {
        SignatureContent::DsseEnvelope(envelope) => (enveloped(entry, envelope)?, KindVersion::DsseV001),
        _ => (hashed(entry), KindVersion::HashedRekordV001),
    };
    let request = post(url, &body)?;
    let logged = match cx.fetch(WHAT, &request, posted).await? {
        Posted::Entered(logged) => logged,
        Posted::Known(name) => {
            let mut known = Request::get(below(&services.rekor, &format!("api/v1/log/entries/{name}"))?);
            known.body_cap = ENTRY_CAP;
            let read = |response: &Response| {
                created(response)?;
                single(response)
            };
            Box::new(cx.fetch(WHAT, &known, read).await?)
        }
    };
    logged.to_bundle_entry(kind).map_err(|e| {
        let why = jeton_core::redact::foreign(&e.to_string(), &[]);
        Error::new(
            Class::Protocol,
            format!("{WHAT}: the entry cannot be used: {why}"),
        )
        .with_hint("is --rekor-url a transparency log of that version?")
    })
}

/// A `hashedrekord` of version 0.0.1.
fn hashed(entry: &Entry<'_>) -> Value {
    json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": {"algorithm": "sha256", "value": entry.digest.to_hex()}},
        "signature": {
            "content": entry.signature.to_base64(),
            "publicKey": {"content": STANDARD.encode(pem(entry.certificate))},
        },
    }})
}

/// A `dsse` of version 0.0.1: the log takes the envelope apart itself.
fn enveloped(entry: &Entry<'_>, envelope: &DsseEnvelope) -> Result<Value, Error> {
    let envelope = serde_json::to_string(envelope);
    let envelope = envelope.map_err(|_| Error::new(Class::Other, "the log entry cannot be written"))?;
    Ok(json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
        "proposedContent": {"envelope": envelope, "verifiers": [STANDARD.encode(pem(entry.certificate))]},
    }}))
}

/// As every log writes it down: lines end with a line feed alone (RFC 7468 leaves it open).
fn pem(certificate: &DerCertificate) -> String {
    certificate.to_pem().replace("\r\n", "\n")
}

fn post(url: jeton::http::Url, body: &impl serde::Serialize) -> Result<Request, Error> {
    let body = serde_json::to_string(body);
    let body = body.map_err(|_| Error::new(Class::Other, "the log entry cannot be written"))?;
    let mut request = Request::json(url, body).header("accept", "application/json");
    request.body_cap = ENTRY_CAP;
    Ok(request)
}

fn posted(response: &Response) -> Result<Posted, Fault> {
    // Conflict: an earlier attempt got through after all. Only the entry's name is taken from the answer.
    if response.status == 409 {
        let name = response
            .header("location")
            .and_then(|place| place.rsplit('/').next());
        let is_name = |name: &&str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_hexdigit());
        if let Some(name) = name.filter(is_name) {
            return Ok(Posted::Known(name.to_owned()));
        }
    }
    created(response)?;
    single(response).map(|entry| Posted::Entered(Box::new(entry)))
}

/// The one entry of an answer of v1, which is a map from names to entries.
fn single(response: &Response) -> Result<LogEntry, Fault> {
    let entries: HashMap<String, LogEntry> = parsed(response)?;
    let entry = entries.into_values().next();
    entry.ok_or_else(|| response.fault(Failure::Unexpected, "there is no entry in the answer"))
}
