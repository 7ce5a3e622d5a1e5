//! The ID token of a login, verified (OpenID Connect Core section 3.1.3.7): who logged in.
use super::{Authority, Client};
use crate::keys::{NotVerified, RemoteKeys};
use crate::{Context, Error};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jeton_core::verify::{Expectations, Verified};
use jeton_core::{Algorithm, Audience, Claims, Class, Issuer, Json, Secret};

/// Verifies `id_token`: signature, issuer, audience, authorized party, times, and `nonce` and `at_hash` where they
/// are due.
///
/// # Errors
/// `Class::Trust` with the rejection's code.
pub async fn verify(
    cx: &Context,
    what: &str,
    authority: &Authority,
    client: &Client,
    id_token: &Secret,
    access_token: &Secret,
    nonce: Option<&str>,
) -> Result<Verified<Claims>, Error> {
    let keys = RemoteKeys::discovered(authority.discovery.clone());
    let issuer =
        Issuer::parse(&authority.issuer).map_err(|e| untrusted(what, &format!("the issuer: {e}")))?;
    let audience = Audience::parse(&client.id).map_err(|e| untrusted(what, &format!("client_id: {e}")))?;
    let expect = Expectations::new(issuer, audience);
    let verified = keys.verify(cx, id_token, &expect).await;
    let verified = verified.map_err(|e| match e {
        // Nothing is said of the token: it is the fetch that failed.
        NotVerified::Unavailable(error) => error.about(&format!("{what}: keys-unavailable")),
        rejected @ NotVerified::Rejected(_) => untrusted(what, &rejected.to_string()),
    })?;
    check_party(&verified, client).map_err(|e| untrusted(what, e))?;
    if let Some(nonce) = nonce {
        let same = verified.get("nonce").and_then(Json::as_str) == Some(nonce);
        same.then_some(())
            .ok_or_else(|| untrusted(what, "claim-mismatch: nonce is not the one that was sent"))?;
    }
    check_hash(&verified, access_token).map_err(|e| untrusted(what, e))?;
    Ok(verified)
}

fn untrusted(what: &str, why: &str) -> Error {
    Error::new(
        Class::Trust,
        format!("{what}: the ID token does not verify: {why}"),
    )
}

/// `azp` must be us where it is there, and must be there where the audience is not us alone.
fn check_party(claims: &Claims, client: &Client) -> Result<(), &'static str> {
    match claims.get("azp").map(|azp| azp.as_str()) {
        Some(Some(azp)) if azp == client.id => Ok(()),
        Some(_) => Err("claim-mismatch: azp is another client"),
        None if claims.audience().count() > 1 => {
            Err("missing-claim: azp, although the audience is not this client alone")
        }
        None => Ok(()),
    }
}

/// `at_hash`, where it is there, is the left half of the access token's hash (OpenID Connect Core section 3.1.3.6).
fn check_hash(claims: &Verified<Claims>, access_token: &Secret) -> Result<(), &'static str> {
    let Some(at_hash) = claims.get("at_hash") else {
        return Ok(());
    };
    let digest = aws_lc_rs::digest::digest(hash_of(claims.algorithm()), access_token.reveal().as_bytes());
    let left = &digest.as_ref()[..digest.as_ref().len() / 2];
    match at_hash.as_str() == Some(URL_SAFE_NO_PAD.encode(left).as_str()) {
        true => Ok(()),
        false => Err("claim-mismatch: at_hash is of another access token"),
    }
}

fn hash_of(algorithm: Algorithm) -> &'static aws_lc_rs::digest::Algorithm {
    match algorithm {
        Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 => &aws_lc_rs::digest::SHA384,
        Algorithm::Rs512 | Algorithm::Ps512 | Algorithm::Es512 | Algorithm::EdDsa => {
            &aws_lc_rs::digest::SHA512
        }
        _ => &aws_lc_rs::digest::SHA256,
    }
}
