//! The certificate log's promise (RFC 6962 section 3.2), where nobody proves when the certificate was used. Where somebody
//! does, the Sigstore crates look at it.
use cms::cert::x509::Certificate;
use der::asn1::OctetString;
use der::oid::ObjectIdentifier;
use der::{Decode, Encode};
use sigstore_crypto::hash::sha256;
use sigstore_crypto::{KeyAlgorithm, verify_signature};
use sigstore_trust_root::TrustedRoot;
use sigstore_types::SignatureBytes;

/// The list of signed certificate timestamps (RFC 6962 section 3.3).
const LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");
/// `v1` and `certificate_timestamp`, as what is signed begins.
const SIGNED_HEAD: [u8; 2] = [0, 0];
/// `precert_entry`.
const PRECERTIFICATE: [u8; 2] = [0, 1];
/// The length of a log's name.
const LOG_ID: usize = 32;

/// Whether a trusted log promised to hold the certificate that one of these authorities issued.
pub(super) fn holds(leaf: &[u8], authorities: &[&[u8]], trust: &TrustedRoot) -> bool {
    read(leaf).is_some_and(|(promises, precertificate)| {
        promises.iter().any(|promise| {
            let mut issuers = authorities.iter().filter_map(|der| key_hash(der));
            issuers.any(|issuer| promise.is_by_a_log_of(trust, &issuer, &precertificate))
        })
    })
}

struct Promise {
    log: Vec<u8>,
    time: Vec<u8>,
    extensions: Vec<u8>,
    signature: Vec<u8>,
}

/// The promises in a certificate, and the certificate as it was when they were made.
fn read(leaf: &[u8]) -> Option<(Vec<Promise>, Vec<u8>)> {
    let mut certificate = Certificate::from_der(leaf).ok()?.tbs_certificate;
    let extensions = certificate.extensions.as_mut()?;
    let at = extensions
        .iter()
        .position(|extension| extension.extn_id == LIST)?;
    let list = extensions.remove(at);
    let list = OctetString::from_der(list.extn_value.as_bytes()).ok()?;
    let mut rest = list.as_bytes();
    let mut list = vector(&mut rest)?;
    let mut promises = Vec::new();
    while !list.is_empty() {
        promises.push(promise(vector(&mut list)?)?);
    }
    Some((promises, certificate.to_der().ok()?))
}

fn promise(mut bytes: &[u8]) -> Option<Promise> {
    let version = take(&mut bytes, 1)?;
    let promise = Promise {
        log: take(&mut bytes, LOG_ID)?.to_vec(),
        time: take(&mut bytes, 8)?.to_vec(),
        extensions: vector(&mut bytes)?.to_vec(),
        signature: {
            // Hash and signature algorithm: the log's key says them better.
            take(&mut bytes, 2)?;
            vector(&mut bytes)?.to_vec()
        },
    };
    (version == [0] && bytes.is_empty()).then_some(promise)
}

impl Promise {
    fn is_by_a_log_of(&self, trust: &TrustedRoot, issuer: &[u8], precertificate: &[u8]) -> bool {
        let Some(message) = self.message(issuer, precertificate) else {
            return false;
        };
        let signature = SignatureBytes::from_bytes(&self.signature);
        let mut logs = trust
            .ctlogs
            .iter()
            .filter(|log| log.log_id.key_id.as_bytes() == self.log);
        logs.any(|log| {
            let key = &log.public_key.raw_bytes;
            let is_valid = log
                .public_key
                .valid_for
                .is_none_or(|period| self.moment().is_some_and(|moment| period.contains(moment)));
            let algorithm = KeyAlgorithm::from_spki(key);
            is_valid
                && algorithm.is_ok_and(|algorithm| {
                    verify_signature(key, &message, &signature, algorithm.default_signing_scheme()).is_ok()
                })
        })
    }

    fn moment(&self) -> Option<jiff::Timestamp> {
        let millis = u64::from_be_bytes(self.time.as_slice().try_into().ok()?);
        jiff::Timestamp::from_millisecond(i64::try_from(millis).ok()?).ok()
    }

    fn message(&self, issuer: &[u8], precertificate: &[u8]) -> Option<Vec<u8>> {
        let length = u32::try_from(precertificate.len()).ok()?.to_be_bytes();
        let extensions = u16::try_from(self.extensions.len()).ok()?.to_be_bytes();
        let parts: [&[u8]; 8] = [
            &SIGNED_HEAD,
            &self.time,
            &PRECERTIFICATE,
            issuer,
            &length[1..],
            precertificate,
            &extensions,
            &self.extensions,
        ];
        Some(parts.concat())
    }
}

fn key_hash(authority: &[u8]) -> Option<Vec<u8>> {
    let certificate = Certificate::from_der(authority).ok()?;
    let key = certificate
        .tbs_certificate
        .subject_public_key_info
        .to_der()
        .ok()?;
    Some(sha256(&key).as_bytes().to_vec())
}

fn take<'a>(from: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(taken)
}

/// A vector of TLS with two bytes of length.
fn vector<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take(from, 2)?;
    take(from, usize::from(u16::from_be_bytes([length[0], length[1]])))
}
