//! Who asks: the issuer and the subject of a token that was verified.
use crate::broker::{Broker, Live};
use crate::problem::Problem;
use crate::replay;
use http::{HeaderMap, header};
use jeton::NotVerified;
use jeton_core::decode::decode;
use jeton_core::verify::Verified;
use jeton_core::{Claims, Rejection};
use std::sync::Arc;

/// The largest token that is looked at, in bytes.
const LARGEST_TOKEN: usize = 64 * 1024;
/// The scheme of RFC 6750, and the space behind it.
const SCHEME: &str = "bearer ";
/// Why a request without a token is not done: not one of the rejections of a token.
const NO_TOKEN: &str = "missing-token";

/// Who asks.
#[derive(Clone, Debug)]
pub struct Principal {
    /// Whose token it is.
    pub issuer: String,
    /// Whom it names.
    pub subject: String,
    /// Everything it says, proved.
    pub claims: Arc<Verified<Claims>>,
    /// The trust policy under which the broker itself made it: bindings of that policy are his too.
    pub trust_policy: Option<String>,
    /// The session that it is bound to: then it opens nothing else.
    pub session: Option<String>,
}

/// The principal of a request, from its `Authorization`.
///
/// # Errors
/// 401 with the rejection's code; 503 when the issuer's keys cannot be fetched.
pub async fn extract(broker: &Broker, live: &Live, headers: &HeaderMap) -> Result<Principal, Problem> {
    let token = bearer(headers)?;
    verify(broker, live, token).await
}

/// The token in `Authorization`, of which there must be exactly one.
///
/// # Errors
/// 401.
pub fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return Err(Problem::unauthenticated_because(NO_TOKEN));
    };
    let malformed = || Problem::unauthenticated_because("malformed");
    let text = field.to_str().map_err(|_| malformed())?;
    match text.get(..SCHEME.len()) {
        Some(scheme) if scheme.eq_ignore_ascii_case(SCHEME) => Ok(text[SCHEME.len()..].trim()),
        _ => Err(malformed()),
    }
}

/// The principal of a token: of a configured issuer, or of the broker itself.
///
/// # Errors
/// As [`extract`].
pub async fn verify(broker: &Broker, live: &Live, token: &str) -> Result<Principal, Problem> {
    // In this order: what costs nothing first, and nothing in a token that was not proved chooses what is asked.
    if token.len() > LARGEST_TOKEN {
        return Err(Problem::unauthenticated(&Rejection::TooLarge));
    }
    let unverified = decode(token).map_err(|rejection| Problem::unauthenticated(&rejection))?;
    let name = unverified.peek().issuer().unwrap_or_default();
    let accepted = live.issuers.named(name).ok_or_else(unknown_issuer)?;
    let verified = accepted.verify(&broker.cx, token).await.map_err(refused)?;
    if accepted.config.require_jti {
        replay::spend(broker, &verified).await?;
    }
    Ok(Principal {
        issuer: accepted.config.issuer.as_str().to_owned(),
        subject: verified.subject().unwrap_or_default().to_owned(),
        claims: verified,
        trust_policy: None,
        session: None,
    })
}

fn unknown_issuer() -> Problem {
    Problem::unauthenticated(&Rejection::IssuerMismatch(String::new()))
}

/// Keys that cannot be had are no fault of the token.
fn refused(why: NotVerified) -> Problem {
    match why {
        NotVerified::Rejected(rejection) if !rejection.is_about_keys() => {
            Problem::unauthenticated(&rejection)
        }
        other => Problem::unavailable(other.to_string()),
    }
}
