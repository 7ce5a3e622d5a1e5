//! Tokens that are good for one request: the first use is written down, on whichever replica, and the second refused.
use crate::broker::Broker;
use crate::problem::Problem;
use crate::store::{Store, StoreError};
use jeton_core::verify::{DEFAULT_LEEWAY, Verified, token_digest};
use jeton_core::{Claims, Rejection, UnixTime};

/// Uses up a token.
///
/// # Errors
/// 401 when it names no `jti`, or was used before; 503 when that cannot be told.
pub async fn spend(broker: &Broker, verified: &Verified<Claims>) -> Result<(), Problem> {
    let refused = |rejection: Rejection| Problem::unauthenticated(&rejection);
    let id = verified
        .token_id()
        .ok_or_else(|| refused(Rejection::MissingClaim("jti".into())))?;
    let issuer = verified.issuer().unwrap_or_default();
    // By what the issuer called it, not by its bytes: a signature can be written in more than one way.
    let digest = crate::keyring::hex(&token_digest(&format!("{}:{issuer}{id}", issuer.len())));
    let until = verified
        .expires_at()
        .map_or(0, |end| end.plus(DEFAULT_LEEWAY).millis());
    let sql = "INSERT INTO used_tokens (digest, expires_at) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
    let fresh = broker
        .store
        .execute(sql, vec![digest.into(), until.into()])
        .await?;
    if fresh == 1 {
        return Ok(());
    }
    Err(refused(Rejection::InvalidClaim {
        claim: "jti".into(),
        why: "was used before",
    }))
}

/// Forgets tokens that are dead by now.
///
/// # Errors
/// [`StoreError`].
pub async fn sweep(store: &Store, now: UnixTime) -> Result<u64, StoreError> {
    store
        .execute("DELETE FROM used_tokens WHERE expires_at < $1", vec![now.into()])
        .await
}
