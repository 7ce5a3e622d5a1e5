//! The certificate authority: one request, with a token that is alive and a key that is proven to be ours.
use crate::Key;
use crate::identity::{Identity, Tokens};
use crate::services::below;
use jeton::answer;
use jeton::fetch::success;
use jeton::http::{Fault, Request, Response, Url};
use jeton::{Context, Error, Token};
use jeton_core::{Claims, Failure};
use serde::{Deserialize, Serialize};
use sigstore_crypto::{CertificateInfo, parse_certificate_info};
use sigstore_types::{DerCertificate, DerPublicKey};

/// What messages call it.
pub(crate) const WHAT: &str = "fulcio";

/// A certificate for a key of ours.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate itself.
    pub leaf: DerCertificate,
    /// Those above it, as the authority sent them. Nothing is trusted because of them.
    pub chain: Vec<DerCertificate>,
    /// What it says.
    pub info: CertificateInfo,
    /// What the token said that it was given for.
    pub claims: Claims,
}

/// Asks for a certificate. The token is asked for as the request is made, once; a retry carries it again only while
/// it lives, and `accepts` sees what it says before anybody else does.
///
/// # Errors
/// As [`Context::fetch`]; what the token's source fails with; `Class::Protocol` for a certificate for another key.
pub async fn certify(
    cx: &Context,
    fulcio: &Url,
    key: &Key,
    tokens: &Tokens,
    accepts: impl Fn(&Claims) -> Result<(), Error>,
) -> Result<Certificate, Error> {
    let url = below(fulcio, "api/v2/signingCert")?;
    let public_key = key.public_key()?;
    tokens.renew().await;
    let make = async |_| {
        let held = tokens.living(cx).await?;
        accepts(&held.claims)?;
        request(&url, key, &public_key, &held.token, &held.identity)
    };
    let (leaf, chain, info) = cx
        .fetch_late(WHAT, make, |response| read(response, &public_key))
        .await
        .map_err(|e| match e.kind() {
            jeton::Class::Refused if e.hint().is_none() => {
                e.with_hint("`jeton doctor --for-signing` says whether this identity is accepted")
            }
            _ => e,
        })?;
    let claims = tokens.held().await?.claims.clone();
    Ok(Certificate {
        leaf,
        chain,
        info,
        claims,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wanted<'a> {
    credentials: Credentials<'a>,
    public_key_request: PublicKeyRequest,
}

/// Not `Debug`: it holds the token.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Credentials<'a> {
    oidc_identity_token: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PublicKeyRequest {
    public_key: NamedKey,
    proof_of_possession: String,
}

#[derive(Serialize)]
struct NamedKey {
    algorithm: &'static str,
    content: String,
}

fn request(
    url: &Url,
    key: &Key,
    public_key: &DerPublicKey,
    token: &Token,
    identity: &Identity,
) -> Result<Request, Error> {
    let wanted = Wanted {
        credentials: Credentials {
            oidc_identity_token: token.value.reveal(),
        },
        public_key_request: PublicKeyRequest {
            public_key: NamedKey {
                algorithm: "ECDSA",
                content: public_key.to_pem().replace("\r\n", "\n"),
            },
            proof_of_possession: key.sign(identity.name.as_bytes())?.to_base64(),
        },
    };
    let body = serde_json::to_string(&wanted)
        .map_err(|_| Error::new(jeton::Class::Other, "the certificate request cannot be written"))?;
    // The token is in the body, where the API has it, and in the header, where its gateway has it.
    Ok(Request::json(url.clone(), body).bearer(&token.value))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Granted {
    signed_certificate_embedded_sct: Option<Signed>,
    signed_certificate_detached_sct: Option<Signed>,
}

#[derive(Deserialize)]
struct Signed {
    chain: Chain,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<String>,
}

type Read = (DerCertificate, Vec<DerCertificate>, CertificateInfo);

fn read(response: &Response, ours: &DerPublicKey) -> Result<Read, Fault> {
    created(response)?;
    let unexpected = |why: &str| response.fault(Failure::Unexpected, why);
    let granted: Granted = parsed(response)?;
    let signed = granted
        .signed_certificate_embedded_sct
        .or(granted.signed_certificate_detached_sct)
        .ok_or_else(|| unexpected("there is no certificate in the answer"))?;
    let mut chain = Vec::new();
    for pem in &signed.chain.certificates {
        let der = DerCertificate::from_pem(pem.trim());
        chain.push(der.map_err(|_| unexpected("a certificate in the answer is none"))?);
    }
    if chain.is_empty() {
        return Err(unexpected("there is no certificate in the answer"));
    }
    let leaf = chain.remove(0);
    let info = parse_certificate_info(&leaf).map_err(|_| unexpected("the certificate cannot be read"))?;
    if info.public_key != *ours {
        return Err(unexpected("the certificate is for another key than ours"));
    }
    Ok((leaf, chain, info))
}

/// Passes 200 and 201 on: things are created here.
pub(crate) fn created(response: &Response) -> Result<(), Fault> {
    match response.status {
        201 => Ok(()),
        _ => success(response),
    }
}

/// The body as what it has to be. The rules of JSON are looked at first: nothing twice, nothing cut short.
pub(crate) fn parsed<T: for<'de> Deserialize<'de>>(response: &Response) -> Result<T, Fault> {
    answer::json(response)?;
    serde_json::from_slice(&response.body).map_err(|e| {
        let why = response.foreign(&e.to_string());
        response.fault(Failure::Unexpected, format!("the answer cannot be read: {why}"))
    })
}
