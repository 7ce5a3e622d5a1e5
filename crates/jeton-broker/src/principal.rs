//! Who asks: the issuer and the subject of a token that was verified.
use crate::broker::{Broker, Live};
use crate::problem::Problem;
use crate::replay;
use crate::session::record;
use http::{HeaderMap, header};
use jeton::NotVerified;
use jeton_core::verify::{Unproved, Verified, token_digest};
use jeton_core::{Claims, Rejection};
use std::sync::Arc;

/// The largest token that is looked at, in bytes.
const LARGEST_TOKEN: usize = 64 * 1024;
/// The scheme of RFC 6750, and the space behind it.
const SCHEME: &str = "bearer ";
/// Why a request without a token is not done: not one of the rejections of a token.
pub const NO_TOKEN: &str = "missing-token";

/// Why the token of a session that has ended is not accepted: not one of the rejections of a token either.
const SESSION_OVER: &str = "session-over";

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
    accept(broker, live, token, Audience::Ours).await
}

async fn accept(broker: &Broker, live: &Live, token: &str, audience: Audience) -> Result<Principal, Problem> {
    // In this order: what costs nothing first, and nothing in a token that was not proved chooses what is asked.
    if token.len() > LARGEST_TOKEN {
        return Err(Problem::unauthenticated(&Rejection::TooLarge));
    }
    let digest = token_digest(token);
    let (accepted, verified) = match live.issuers.recalled(&broker.cx, &digest) {
        Some(known) => known,
        None => {
            let malformed = |rejection| Problem::unauthenticated(&rejection);
            let mut unproved = Unproved::read(token).map_err(malformed)?;
            let name = unproved.issuer().map_err(malformed)?.unwrap_or_default();
            if name == broker.own.name() {
                return own(broker, live, token, audience).await;
            }
            let accepted = live.issuers.named(name).ok_or_else(unknown_issuer)?;
            let verified = accepted.verify(&broker.cx, &mut unproved, digest).await;
            (accepted, verified.map_err(refused)?)
        }
    };
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

/// For whom a token of ours must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    /// For us: it calls us.
    Ours,
    /// For whomever: it is exchanged, and a policy says whether it may be.
    Any,
}

/// A token that is exchanged: of a configured issuer and for us, or one of ours.
///
/// # Errors
/// As [`extract`].
pub async fn proved(broker: &Broker, live: &Live, token: &str) -> Result<Principal, Problem> {
    accept(broker, live, token, Audience::Any).await
}

/// The principal of a token that we signed ourselves; one of a session that is over is dead.
async fn own(broker: &Broker, live: &Live, token: &str, audience: Audience) -> Result<Principal, Problem> {
    let claims = broker.own.verify(token, broker.now());
    let claims = claims.map_err(|rejection| Problem::unauthenticated(&rejection))?;
    let name = broker.own.name();
    if audience == Audience::Ours && !claims.audience().any(|audience| audience == name) {
        return Err(Problem::unauthenticated(&Rejection::AudienceMismatch(
            String::new(),
        )));
    }
    let session = claims.text("session_id").map(str::to_owned);
    if let Some(id) = &session {
        let found = record::find(&broker.store, &live.keyring, id).await?;
        if !found.is_some_and(|session| session.is_alive(broker.now())) {
            return Err(Problem::unauthenticated_because(SESSION_OVER));
        }
    }
    Ok(Principal {
        issuer: name.to_owned(),
        subject: claims.subject().unwrap_or_default().to_owned(),
        trust_policy: claims.text("trust_policy").map(str::to_owned),
        session,
        claims: Arc::new(claims),
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
