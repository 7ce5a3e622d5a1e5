//! A timestamp authority (RFC 3161): a signed message (RFC 5652) for each request.
use super::der::{element, elements, sequence, value};
use super::{Flaw, LogKey, now, respond, sha256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use serde_json::{Value, json};

/// `id-sha256`, `id-signedData`, `id-ct-TSTInfo`, `ecdsa-with-SHA256`, and the policy, as they are encoded.
const SHA256: &[u8] = &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const SIGNED_DATA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
const TST_INFO: &[u8] = &[6, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x10, 1, 4];
const ECDSA_WITH_SHA256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const POLICY: &[u8] = &[6, 9, 0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 2];
/// The attributes that are signed: `contentType` and `messageDigest`.
const CONTENT_TYPE: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
const MESSAGE_DIGEST: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
/// Context-specific tags: constructed, number 0.
const EXPLICIT_0: u8 = 0xa0;
/// Where a certificate (TBSCertificate) has its serial number and its issuer.
const SERIAL: usize = 1;
const ISSUER: usize = 3;
/// A moment at which nobody's certificate was valid: 2001.
const LONG_AGO: u64 = 1_000_000_000;

/// An authority with a certificate of its own.
struct Stamper {
    key: LogKey,
    leaf: Certificate,
    root: Certificate,
}

pub(super) struct Stamps {
    ours: Stamper,
    foreign: Stamper,
}

/// A key of aws-lc-rs as rcgen wants it.
struct Point(Vec<u8>);

impl PublicKeyData for Point {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl Stamper {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pair = KeyPair::generate().unwrap();
        let root = params.self_signed(&pair).unwrap();
        let issuer = Issuer::new(params, pair);
        let key = LogKey::new();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.serial_number = Some(SerialNumber::from(11u64));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::TimeStamping];
        params.not_before = date_time_ymd(2024, 1, 1);
        let leaf = params.signed_by(&Point(key.point()), &issuer).unwrap();
        Self { key, leaf, root }
    }

    fn token(&self, info: &[u8]) -> Vec<u8> {
        let attribute = |name: &[u8], value: &[u8]| sequence(&[name, &element(0x31, value)]);
        let mut attributes = [
            attribute(CONTENT_TYPE, TST_INFO),
            attribute(MESSAGE_DIGEST, &element(4, &sha256(info))),
        ];
        // A set in DER is sorted.
        attributes.sort();
        let attributes = attributes.concat();
        let signature = self.key.sign(&element(0x31, &attributes));
        let (body, _) = value(self.leaf.der());
        let (tbs, _) = value(body);
        let parts = elements(tbs);
        let algorithm = sequence(&[SHA256]);
        let signer = sequence(&[
            &[2, 1, 1],
            &sequence(&[parts[ISSUER], parts[SERIAL]]),
            &algorithm,
            &element(EXPLICIT_0, &attributes),
            &sequence(&[ECDSA_WITH_SHA256]),
            &element(4, &signature),
        ]);
        let content = sequence(&[TST_INFO, &element(EXPLICIT_0, &element(4, info))]);
        let signed = sequence(&[
            &[2, 1, 3],
            &element(0x31, &algorithm),
            &content,
            &element(EXPLICIT_0, self.leaf.der()),
            &element(0x31, &signer),
        ]);
        sequence(&[SIGNED_DATA, &element(EXPLICIT_0, &signed)])
    }
}

impl Stamps {
    pub(super) fn new() -> Self {
        Self {
            ours: Stamper::new(),
            foreign: Stamper::new(),
        }
    }

    pub(super) fn trusted(&self, url: &str) -> Value {
        let certificates = [&self.ours.leaf, &self.ours.root];
        let certificates = certificates.map(|one| json!({"rawBytes": STANDARD.encode(one.der())}));
        json!({
            "subject": {"organization": "jeton-test", "commonName": "stamps"},
            "uri": url,
            "certChain": {"certificates": certificates},
            "validFor": {"start": "2020-01-01T00:00:00Z"},
        })
    }

    /// The chain, as PEM.
    pub(super) fn published(&self) -> String {
        format!("{}{}", self.ours.leaf.pem(), self.ours.root.pem())
    }

    pub(super) fn stamp(&self, request: &[u8], flaw: Option<Flaw>) -> Vec<u8> {
        if flaw == Some(Flaw::NoStamp) {
            // `rejection`.
            return reply(&sequence(&[&sequence(&[&[2, 1, 2]])]));
        }
        let (body, _) = value(request);
        let parts = elements(body);
        let other = sequence(&[&sequence(&[SHA256]), &element(4, &sha256(b"something else"))]);
        let imprint = match flaw {
            Some(Flaw::OtherStamp) => &other,
            _ => parts[1],
        };
        let time = match flaw {
            Some(Flaw::EarlyStamp) => LONG_AGO,
            Some(Flaw::Ahead(seconds)) => now() + seconds,
            _ => now(),
        };
        let time = jiff::Timestamp::from_second(i64::try_from(time).unwrap()).unwrap();
        let time = time.strftime("%Y%m%d%H%M%SZ").to_string();
        let nonce = parts.iter().skip(2).find(|part| part[0] == 2).unwrap();
        let info = sequence(&[
            &[2, 1, 1],
            POLICY,
            imprint,
            &[2, 1, 5],
            &element(24, time.as_bytes()),
            nonce,
        ]);
        let by = match flaw {
            Some(Flaw::ForeignStamp) => &self.foreign,
            _ => &self.ours,
        };
        reply(&sequence(&[&sequence(&[&[2, 1, 0]]), &by.token(&info)]))
    }
}

fn reply(body: &[u8]) -> Vec<u8> {
    respond(200, "content-type: application/timestamp-reply\r\n", body)
}
