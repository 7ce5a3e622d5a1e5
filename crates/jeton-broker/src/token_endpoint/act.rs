//! The chain of actors (RFC 8693 section 4.1): kept from the subject's token, the newest outermost.
use super::{DEEPEST_ACT, TokenError};
use jeton_core::Claims;
use jeton_core::json::Json;

/// The `act` of a token for the subject, when `actor` acts for him; `None` when nobody ever did.
///
/// # Errors
/// `invalid_request` when the chain that is there is none, when it grows too long, or when the subject's `may_act`
/// names somebody else (RFC 8693 section 4.4).
pub(super) fn chain(subject: &Claims, actor: Option<&Claims>) -> Result<Option<Json>, TokenError> {
    let kept = subject.get("act").filter(|act| !act.is_null());
    let depth = kept.map_or(Ok(0), depth)?;
    let Some(actor) = actor else {
        return Ok(kept.cloned());
    };
    allowed(subject.get("may_act"), actor)?;
    if depth >= DEEPEST_ACT {
        return Err(TokenError::request("the chain of actors is too long"));
    }
    let mut act = Json::object([
        ("sub", Json::from(actor.subject())),
        ("iss", Json::from(actor.issuer())),
    ]);
    if let Some(kept) = kept {
        act.set("act", kept.clone());
    }
    Ok(Some(act))
}

/// How many actors are nested in a chain. Each is an object with a `sub`.
fn depth(act: &Json) -> Result<usize, TokenError> {
    let (mut link, mut depth) = (Some(act), 0);
    while let Some(actor) = link {
        depth += 1;
        let named = actor.get("sub").is_some_and(|sub| sub.as_str().is_some());
        if !named || depth > DEEPEST_ACT {
            return Err(TokenError::request(
                "the subject_token's chain of actors is not accepted",
            ));
        }
        link = actor.get("act");
    }
    Ok(depth)
}

fn allowed(may_act: Option<&Json>, actor: &Claims) -> Result<(), TokenError> {
    let Some(may_act) = may_act else { return Ok(()) };
    let same = |name: &str, theirs: Option<&str>| {
        may_act
            .get(name)
            .map(|v| v.as_str().is_some() && v.as_str() == theirs)
    };
    // Without an issuer, `sub` alone is what the subject's issuer wrote down.
    let named = same("sub", actor.subject()).unwrap_or(false) && same("iss", actor.issuer()).unwrap_or(true);
    if named {
        return Ok(());
    }
    Err(TokenError::request("the subject does not let this actor act"))
}
