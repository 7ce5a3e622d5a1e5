//! Proved claims against expectations.
use super::Expectations;
use crate::claims::{Claims, audience_text};
use crate::jose::Header;
use crate::json::Json;
use crate::rejection::{Rejection, shown};
use crate::time::UnixTime;

/// The type of the token and of its content (RFC 7519 sections 5.1 and 5.2, RFC 8725 sections 2.8 and 3.11).
pub(super) fn header(header: &Header, expect: &Expectations) -> Result<(), Rejection> {
    let fits = match header.typ.as_deref().map(media_type) {
        None => expect.allows_untyped(),
        Some(typ) => expect
            .types
            .iter()
            .any(|t| media_type(t).eq_ignore_ascii_case(typ)),
    };
    if !fits {
        return Err(Rejection::Malformed("the token's typ is of another protocol"));
    }
    if header
        .cty
        .as_deref()
        .is_some_and(|cty| media_type(cty).eq_ignore_ascii_case("JWT"))
    {
        return Err(Rejection::Malformed("the token holds another token"));
    }
    Ok(())
}

/// A media type without the `application/` that may be left out (RFC 7515 section 4.1.9). Case does not matter.
fn media_type(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) && !rest.contains('/') => rest,
        _ => typ,
    }
}

pub(super) fn claims(claims: &Claims, expect: &Expectations, now: UnixTime) -> Result<(), Rejection> {
    issuer(claims, expect)?;
    audience(claims, expect)?;
    times(claims, expect, now)?;
    subject(claims, expect)?;
    expect
        .claims
        .iter()
        .try_for_each(|(name, pattern)| match claims.get(name) {
            None => Err(Rejection::missing(name)),
            Some(value) if pattern.matches_claim(value) => Ok(()),
            Some(value) => Err(mismatch(name, value)),
        })?;
    expect.required.iter().try_for_each(|name| {
        claims
            .get(name)
            .map(|_| ())
            .ok_or_else(|| Rejection::missing(name))
    })
}

fn issuer(claims: &Claims, expect: &Expectations) -> Result<(), Rejection> {
    let found = claims.issuer().ok_or_else(|| Rejection::missing("iss"))?;
    if found == expect.issuer.as_str() {
        Ok(())
    } else {
        Err(Rejection::IssuerMismatch(shown(found)))
    }
}

fn audience(claims: &Claims, expect: &Expectations) -> Result<(), Rejection> {
    if expect.audiences.is_empty() {
        return Ok(());
    }
    if claims.get("aud").is_none() {
        return Err(Rejection::missing("aud"));
    }
    let wanted = |found: &str| expect.audiences.iter().any(|a| a.as_str() == found);
    if claims.audience().any(wanted) {
        Ok(())
    } else {
        Err(Rejection::AudienceMismatch(audience_text(claims)))
    }
}

/// Ends *on* `exp` (RFC 7519 section 4.1.4), begins on `nbf`; the leeway moves every limit in the token's favour.
fn times(claims: &Claims, expect: &Expectations, now: UnixTime) -> Result<(), Rejection> {
    let (early, late) = (now.minus(expect.leeway), now.plus(expect.leeway));
    let ends = claims.expires_at().ok_or_else(|| Rejection::missing("exp"))?;
    if ends <= early {
        return Err(Rejection::Expired {
            seconds_ago: seconds(ends, now),
        });
    }
    if let Some(begins) = claims.not_before().filter(|begins| *begins > late) {
        return Err(Rejection::NotYetValid {
            in_seconds: seconds(now, begins),
        });
    }
    if let Some(issued) = claims.issued_at().filter(|issued| *issued > late) {
        return Err(Rejection::IssuedInFuture {
            in_seconds: seconds(now, issued),
        });
    }
    let Some(max_age) = expect.max_age else {
        return Ok(());
    };
    let issued = claims.issued_at().ok_or_else(|| Rejection::missing("iat"))?;
    if issued.plus(max_age) < early {
        return Err(Rejection::TooOld {
            age_seconds: seconds(issued, now),
        });
    }
    Ok(())
}

fn seconds(from: UnixTime, to: UnixTime) -> i64 {
    to.seconds().saturating_sub(from.seconds())
}

fn subject(claims: &Claims, expect: &Expectations) -> Result<(), Rejection> {
    let found = claims.subject().ok_or_else(|| Rejection::missing("sub"))?;
    match &expect.subject {
        Some(pattern) if !pattern.matches(found) => Err(Rejection::SubjectMismatch(shown(found))),
        _ => Ok(()),
    }
}

fn mismatch(name: &str, value: &Json) -> Rejection {
    Rejection::ClaimMismatch {
        claim: shown(name),
        found: shown(&value.to_text()),
    }
}
