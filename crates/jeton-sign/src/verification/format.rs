//! The rules of a bundle's text that its reader does not keep by itself. Two programs that read different things out of
//! one text would verify one and use the other: what is named twice, or in two ways, is refused.
use cms::cert::x509::Certificate;
use der::Decode;
use jeton_core::json::{self, Json};
use sigstore_types::Bundle;
use sigstore_types::bundle::VerificationMaterialContent;

/// The members of which there is one, in both spellings that readers of Protobuf's JSON know: the signature.
const SIGNATURES: &[&str] = &[
    "messageSignature",
    "message_signature",
    "dsseEnvelope",
    "dsse_envelope",
];
/// Whose key it is.
const KEYS: &[&str] = &[
    "certificate",
    "x509CertificateChain",
    "x509_certificate_chain",
    "publicKey",
    "public_key",
];

/// Why a text is no bundle.
pub(super) enum Fault {
    /// It is nothing like one.
    Foreign,
    /// It is one that breaks the rules: why.
    Unlawful(String),
}

/// Reads a bundle.
pub(super) fn read(text: &str) -> Result<Bundle, Fault> {
    let members = json::parse(text.as_bytes()).map_err(|why| match why {
        json::JsonError::Duplicate => Fault::Unlawful(why.to_string()),
        _ => Fault::Foreign,
    })?;
    let material = match members.get("verificationMaterial") {
        None if members.get("mediaType").is_none() => return Err(Fault::Foreign),
        None => return Err(Fault::Unlawful("there is no verificationMaterial".to_owned())),
        Some(material) => material,
    };
    if members.get("mediaType").is_none_or(Json::is_null) {
        return Err(Fault::Unlawful("there is no mediaType".to_owned()));
    }
    one_of(&members, SIGNATURES)?;
    one_of(material, KEYS)?;
    let bundle = Bundle::from_json(text).map_err(|e| Fault::Unlawful(e.to_string()))?;
    chain_without_root(&bundle)?;
    let entries = &bundle.verification_material.tlog_entries;
    let is_twice = |(at, entry): (usize, &sigstore_types::TransparencyLogEntry)| {
        let same = |other: &sigstore_types::TransparencyLogEntry| {
            other.log_id == entry.log_id && other.log_index == entry.log_index
        };
        entries.iter().take(at).any(same)
    };
    match entries.iter().enumerate().any(is_twice) {
        true => Err(Fault::Unlawful("one log entry is there twice".to_owned())),
        false => Ok(bundle),
    }
}

/// Whoever verifies has roots of his own: one that comes with the bundle could only mislead.
fn chain_without_root(bundle: &Bundle) -> Result<(), Fault> {
    let VerificationMaterialContent::X509CertificateChain { certificates } =
        &bundle.verification_material.content
    else {
        return Ok(());
    };
    for certificate in certificates {
        let certificate = Certificate::from_der(certificate.raw_bytes.as_bytes())
            .map_err(|e| Fault::Unlawful(format!("a certificate of the chain cannot be read: {e}")))?;
        let tbs = &certificate.tbs_certificate;
        if tbs.issuer == tbs.subject {
            return Err(Fault::Unlawful("the chain holds a root certificate".to_owned()));
        }
    }
    Ok(())
}

fn one_of(object: &Json, names: &[&str]) -> Result<(), Fault> {
    let mut found = names.iter().filter(|name| object.get(name).is_some());
    match (found.next(), found.next()) {
        (Some(first), Some(second)) => Err(Fault::Unlawful(format!(
            "both {first} and {second} are there: which one counts?"
        ))),
        _ => Ok(()),
    }
}
