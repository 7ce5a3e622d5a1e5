//! The timestamp authority (RFC 3161): when a signature was there at the latest.
use crate::fulcio::created;
use aws_lc_rs::digest::{SHA256, digest};
use cms::cert::x509::spki::AlgorithmIdentifier;
use cms::signed_data::SignedData;
use der::asn1::{Int, OctetString, Uint};
use der::oid::db::rfc5912::ID_SHA_256;
use der::{Decode, Encode};
use jeton::http::{Fault, Request, Response, Url};
use jeton::{Class, Context, Error};
use jeton_core::Failure;
use sigstore_types::{SignatureBytes, TimestampToken};
use x509_tsp::{MessageImprint, TimeStampReq, TimeStampResp, TspVersion, TstInfo};

/// What messages call it.
pub(crate) const WHAT: &str = "timestamp authority";
/// Random bytes in a request, so that no old answer fits it. As many as every program's numbers can hold.
const NONCE: usize = 6;
/// The last status that grants something (RFC 3161 section 2.4.2): `granted` is 0, `grantedWithMods` 1.
const GRANTED_WITH_MODS: u32 = 1;

/// Has a signature stamped.
///
/// # Errors
/// As [`Context::fetch`]; `Class::Protocol` for a stamp of something else.
pub async fn stamp(
    cx: &Context,
    authority: &Url,
    signature: &SignatureBytes,
) -> Result<TimestampToken, Error> {
    let wanted = wanted(signature)?;
    let body = wanted.to_der().map_err(|_| unwritable())?;
    let mut request = Request::new(http::Method::POST, authority.clone());
    request.body = Some(body.into());
    let request = request
        .header("content-type", "application/timestamp-query")
        .header("accept", "application/timestamp-reply");
    let stamped = cx.fetch(WHAT, &request, |response| read(response, &wanted)).await;
    stamped.map_err(|e| match (e.status(), authority.path()) {
        (Some(404 | 405), "/") => e.with_hint("name the endpoint whole: Sigstore's is /api/v1/timestamp"),
        _ => e,
    })
}

fn unwritable() -> Error {
    Error::new(Class::Other, "the timestamp request cannot be written")
}

fn wanted(signature: &SignatureBytes) -> Result<TimeStampReq, Error> {
    let mut nonce = [0u8; NONCE];
    aws_lc_rs::rand::fill(&mut nonce)
        .map_err(|_| Error::new(Class::Other, "the system gave no random bytes"))?;
    let nonce = Uint::new(&nonce).map_err(|_| unwritable())?;
    let hashed = digest(&SHA256, signature.as_bytes());
    Ok(TimeStampReq {
        version: TspVersion::V1,
        message_imprint: MessageImprint {
            hash_algorithm: AlgorithmIdentifier {
                oid: ID_SHA_256,
                parameters: None,
            },
            hashed_message: OctetString::new(hashed.as_ref()).map_err(|_| unwritable())?,
        },
        req_policy: None,
        nonce: Some(Int::from(nonce)),
        // The certificate of whoever stamps travels with the stamp.
        cert_req: true,
        extensions: None,
    })
}

fn read(response: &Response, wanted: &TimeStampReq) -> Result<TimestampToken, Fault> {
    created(response)?;
    let unexpected = |why: &str| response.fault(Failure::Unexpected, why);
    if response.body.is_empty() {
        return Err(response.fault(Failure::EmptyBody, "the answer is empty"));
    }
    let info = info(&response.body).ok_or_else(|| unexpected("the answer is no granted timestamp"))?;
    let (ours, theirs) = (&wanted.message_imprint, &info.message_imprint);
    if ours.hash_algorithm.oid != theirs.hash_algorithm.oid || ours.hashed_message != theirs.hashed_message {
        return Err(unexpected("the timestamp is for something else"));
    }
    if info.nonce != wanted.nonce {
        return Err(unexpected("the timestamp answers another request"));
    }
    Ok(TimestampToken::from_bytes(&response.body))
}

/// What was stamped, in an answer that grants it. Whether the authority is to be believed is looked at later.
fn info(body: &[u8]) -> Option<TstInfo> {
    let answer = TimeStampResp::from_der(body).ok()?;
    if answer.status.status as u32 > GRANTED_WITH_MODS {
        return None;
    }
    let content = answer.time_stamp_token?.content.to_der().ok()?;
    let signed = SignedData::from_der(&content).ok()?;
    TstInfo::from_der(signed.encap_content_info.econtent?.value()).ok()
}
