//! The claims of a token (RFC 7519 section 4): all of them as JSON, the registered ones typed.
//!
//! A registered claim of a wrong type is never read as if it were absent: that is how an `exp` in quotes made tokens
//! live for ever elsewhere.
use crate::json::Json;
use crate::redact::is_printable;
use crate::rejection::Rejection;
use crate::time::UnixTime;
use alloc::string::String;
use alloc::vec::Vec;

/// The latest time a claim may name, in seconds: the end of the year 9999, the last that RFC 3339 can write. Every
/// millisecond count since 1978 lies beyond it.
pub const MAX_NUMERIC_DATE: i64 = 253_402_300_799;

/// The claims of one token.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    all: Json,
    expires_at: Option<UnixTime>,
    not_before: Option<UnixTime>,
    issued_at: Option<UnixTime>,
}

impl Claims {
    /// Reads claims in which every registered claim that is there has its type. Nothing proves them: this is how
    /// recorded claims are replayed against a policy.
    ///
    /// # Errors
    /// The first registered claim that has another type.
    pub fn strict(all: Json) -> Result<Self, Rejection> {
        let (claims, faults) = Self::lenient(all)?;
        match faults.into_iter().next() {
            Some(fault) => Err(fault),
            None => Ok(claims),
        }
    }

    /// Reads claims and what is wrong with them; what is wrong reads as absent.
    pub(crate) fn lenient(all: Json) -> Result<(Self, Vec<Rejection>), Rejection> {
        if all.as_object().is_none() {
            return Err(Rejection::Malformed("the payload is no JSON object"));
        }
        let mut faults = Vec::new();
        faults.extend(text_fault(&all, "iss"));
        faults.extend(audience_fault(&all));
        let mut date = |name| {
            date(&all, name).unwrap_or_else(|fault| {
                faults.push(fault);
                None
            })
        };
        let (expires_at, not_before, issued_at) = (date("exp"), date("nbf"), date("iat"));
        faults.extend(text_fault(&all, "sub"));
        faults.extend(text_fault(&all, "jti"));
        Ok((
            Self {
                all,
                expires_at,
                not_before,
                issued_at,
            },
            faults,
        ))
    }

    /// `iss`: who says so.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    /// `sub`: whom it is about.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.text("sub")
    }

    /// `jti`: the token's own name.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.text("jti")
    }

    /// `aud`: for whom it is. One string and an array of one are the same.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        let aud = self.all.get("aud");
        let many = aud.and_then(Json::as_array).unwrap_or_default();
        aud.and_then(Json::as_str)
            .into_iter()
            .chain(many.iter().filter_map(Json::as_str))
    }

    /// `exp`: when it ends.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at
    }

    /// `nbf`: when it begins.
    #[must_use]
    pub fn not_before(&self) -> Option<UnixTime> {
        self.not_before
    }

    /// `iat`: when it was made.
    #[must_use]
    pub fn issued_at(&self) -> Option<UnixTime> {
        self.issued_at
    }

    /// Any claim that is a string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.all.get(name).and_then(Json::as_str)
    }

    /// Any claim, as it came.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.all.get(name)
    }

    /// All of them, an object.
    #[must_use]
    pub fn all(&self) -> &Json {
        &self.all
    }

    /// All of them, an object.
    #[must_use]
    pub fn into_all(self) -> Json {
        self.all
    }
}

/// A `NumericDate` (RFC 7519 section 2): a JSON number of seconds, fractions allowed, and a time that can be.
fn date(all: &Json, name: &str) -> Result<Option<UnixTime>, Rejection> {
    let invalid = |why| Err(Rejection::invalid(name, why));
    match all.get(name) {
        None => Ok(None),
        Some(Json::Integer(n)) => match i64::try_from(*n) {
            Ok(n @ 1..=MAX_NUMERIC_DATE) => Ok(Some(UnixTime::from_seconds(n))),
            _ => invalid("is no time in seconds"),
        },
        Some(Json::Float(n)) => match millis(*n) {
            Some(millis) => Ok(Some(millis)),
            None => invalid("is no time in seconds"),
        },
        Some(_) => invalid("is no number"),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the range is checked first: below 2^53 milliseconds both casts are exact to the millisecond"
)]
fn millis(seconds: f64) -> Option<UnixTime> {
    let fits = seconds > 0.0 && seconds <= MAX_NUMERIC_DATE as f64;
    fits.then(|| UnixTime::from_millis((seconds * 1000.0) as i64))
}

/// `iss`, `sub` and `jti` are strings that say something and that print.
fn text_fault(all: &Json, name: &str) -> Option<Rejection> {
    let why = match all.get(name)? {
        Json::String(text) if text.is_empty() => "is empty",
        Json::String(text) if !is_printable(text) => "has characters that do not print",
        Json::String(_) => return None,
        _ => "is no string",
    };
    Some(Rejection::invalid(name, why))
}

/// `aud` is a string or an array of strings (RFC 7519 section 4.1.3), nothing nested, nothing else in between.
fn audience_fault(all: &Json) -> Option<Rejection> {
    let fits = match all.get("aud")? {
        Json::String(_) => true,
        Json::Array(items) => items.iter().all(|item| item.as_str().is_some()),
        _ => false,
    };
    (!fits).then(|| Rejection::invalid("aud", "is neither a string nor an array of strings"))
}

/// The names of the audiences, for a detail.
pub(crate) fn audience_text(claims: &Claims) -> String {
    let names: Vec<&str> = claims.audience().collect();
    crate::rejection::shown(&Json::from(names.as_slice()).to_text())
}
