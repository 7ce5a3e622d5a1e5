//! Fulcio and its certificate log (RFC 6962).
use super::der::{element, text, value};
use super::{Flaw, LogKey, answer, claims, now, sha256};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
    SignatureAlgorithm, date_time_ymd,
};
use serde_json::{Value, json};

/// The issuer of the token, as text (Fulcio's OID directory).
const ISSUER: [u64; 9] = [1, 3, 6, 1, 4, 1, 57264, 1, 8];
/// The list of signed certificate timestamps.
const SCT: [u64; 10] = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
/// The length of the uncompressed point at the end of a P-256 key.
const POINT: usize = 65;

pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
    foreign: Issuer<'static, KeyPair>,
    log: LogKey,
}

fn authority() -> (Issuer<'static, KeyPair>, Certificate) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (Issuer::new(params, key), certificate)
}

impl Authority {
    pub(super) fn new() -> Self {
        let (issuer, certificate) = authority();
        let (foreign, _) = authority();
        Self {
            issuer,
            certificate,
            foreign,
            log: LogKey::new(),
        }
    }

    pub(super) fn trusted(&self, url: &str) -> Value {
        json!({
            "subject": {"organization": "jeton-test", "commonName": "fulcio"},
            "uri": url,
            "certChain": {"certificates": [{"rawBytes": STANDARD.encode(self.certificate.der())}]},
            "validFor": {"start": "2020-01-01T00:00:00Z"},
        })
    }

    pub(super) fn trusted_log(&self, url: &str) -> Value {
        self.log.trusted(url)
    }

    /// The trust bundle: every chain, as PEM.
    pub(super) fn published(&self) -> String {
        json!({"chains": [{"certificates": [self.certificate.pem()]}]}).to_string()
    }

    pub(super) fn certify(&self, body: &[u8], flaw: Option<Flaw>) -> Vec<u8> {
        match self.certificate_for(body, flaw) {
            Ok(pem) => {
                let chain = json!({"certificates": [pem, self.certificate.pem()]});
                answer(
                    201,
                    "",
                    &json!({"signedCertificateEmbeddedSct": {"chain": chain}}).to_string(),
                )
            }
            Err(why) => answer(
                400,
                "",
                &json!({"code": 3, "message": why, "details": []}).to_string(),
            ),
        }
    }

    fn certificate_for(&self, body: &[u8], flaw: Option<Flaw>) -> Result<String, String> {
        let wanted: Value = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        let token = wanted["credentials"]["oidcIdentityToken"]
            .as_str()
            .unwrap_or_default();
        let bad_token = || format!("There was an error processing the identity token {token}");
        let claims = claims(token).ok_or_else(bad_token)?;
        if claims["exp"].as_u64().is_none_or(|end| end < now()) || claims["aud"] != "sigstore" {
            return Err(bad_token());
        }
        let is_verified = claims["email_verified"] == true || claims["email_verified"] == "true";
        let email = claims["email"].as_str().filter(|_| is_verified);
        let name = email.or(claims["sub"].as_str()).ok_or_else(bad_token)?;
        let request = &wanted["publicKeyRequest"];
        let pem = request["publicKey"]["content"].as_str().unwrap_or_default();
        let key = Proven::read(pem)?;
        let proof = request["proofOfPossession"].as_str().unwrap_or_default();
        let proof = STANDARD.decode(proof).map_err(|e| e.to_string())?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.der_bytes())
            .verify(name.as_bytes(), &proof)
            .map_err(|_| "The signature supplied in the request could not be verified".to_owned())?;
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.serial_number = Some(SerialNumber::from(7u64));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.subject_alt_names = vec![match email {
            Some(email) => SanType::Rfc822Name(email.try_into().unwrap()),
            None => SanType::URI(name.try_into().unwrap()),
        }];
        let vouched = claims["iss"].as_str().unwrap_or_default();
        params.custom_extensions = vec![CustomExtension::from_oid_content(&ISSUER, text(vouched))];
        // Within the authority's own time.
        params.not_before = date_time_ymd(2024, 1, 1);
        if flaw == Some(Flaw::Expired) {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let issuer = match flaw {
            Some(Flaw::ForeignAuthority) => &self.foreign,
            _ => &self.issuer,
        };
        let other = KeyPair::generate().unwrap();
        let sign = |params: &CertificateParams| match flaw {
            Some(Flaw::OtherKey) => params.signed_by(&other, issuer).unwrap(),
            _ => params.signed_by(&key, issuer).unwrap(),
        };
        if flaw != Some(Flaw::NoSct) {
            let promise = self.promise(&sign(&params), issuer);
            let promise = CustomExtension::from_oid_content(&SCT, promise);
            params.custom_extensions.push(promise);
        }
        Ok(sign(&params).pem())
    }

    /// A list with one signed certificate timestamp for a certificate that has none yet.
    fn promise(&self, precertificate: &Certificate, issuer: &Issuer<'_, KeyPair>) -> Vec<u8> {
        let millis = now() * 1000;
        let (body, _) = value(precertificate.der());
        let (_, tbs) = value(body);
        let mut signed = vec![0, 0];
        signed.extend(millis.to_be_bytes());
        signed.extend([0, 1]);
        signed.extend(sha256(&issuer.key().subject_public_key_info()));
        signed.extend(&u32::try_from(tbs.len()).unwrap().to_be_bytes()[1..]);
        signed.extend(tbs);
        signed.extend([0, 0]);
        let signature = self.log.sign(&signed);
        let mut promise = vec![0];
        promise.extend(self.log.id);
        promise.extend(millis.to_be_bytes());
        promise.extend([0, 0, 4, 3]);
        promise.extend(u16::try_from(signature.len()).unwrap().to_be_bytes());
        promise.extend(signature);
        let mut list = u16::try_from(promise.len() + 2).unwrap().to_be_bytes().to_vec();
        list.extend(u16::try_from(promise.len()).unwrap().to_be_bytes());
        list.extend(promise);
        element(4, &list)
    }
}

/// The key of a request: the point at the end of a P-256 key.
struct Proven(Vec<u8>);

impl Proven {
    fn read(pem: &str) -> Result<Self, String> {
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let spki = STANDARD.decode(body).map_err(|e| e.to_string())?;
        let at = spki.len().checked_sub(POINT).ok_or("no key of P-256")?;
        Ok(Self(spki[at..].to_vec()))
    }
}

impl PublicKeyData for Proven {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}
