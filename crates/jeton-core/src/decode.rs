//! Reading a token without proof: for showing it, and for looking at one that was just acquired.
//!
//! What comes out is [`Unverified`], and there is no way from there to [`Verified`](crate::verify::Verified) but to
//! verify the token. The structure is as strict as in verification; algorithm, key and claims are not judged.
use crate::claims::Claims;
use crate::jose::{Compact, Header};
use crate::json::{self, Json};
use crate::rejection::Rejection;
use alloc::vec::Vec;

/// Something that was read, and nobody has proved.
#[derive(Clone, Debug, PartialEq)]
pub struct Unverified<T>(T);

impl<T> Unverified<T> {
    /// What it says. Not to be decided upon.
    pub const fn peek(&self) -> &T {
        &self.0
    }

    /// What it says, taken out. Not to be decided upon.
    pub fn into_peeked(self) -> T {
        self.0
    }
}

/// A token taken apart, for people to look at.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The header as it came.
    pub header: Json,
    /// The claims as they came.
    pub claims: Unverified<Claims>,
    /// What verification would refuse without looking at a key, a clock or an expectation.
    pub warnings: Vec<Rejection>,
}

/// The claims of `token`. Registered claims of a wrong type read as absent.
///
/// # Errors
/// Not a JWT in compact form: too large, encrypted, or malformed (an opaque token is).
pub fn decode(token: &str) -> Result<Unverified<Claims>, Rejection> {
    inspect(token).map(|inspection| inspection.claims)
}

/// Everything that can be read out of `token` without a key.
///
/// # Errors
/// Not a JWT in compact form: too large, encrypted, or malformed (an opaque token is).
pub fn inspect(token: &str) -> Result<Inspection, Rejection> {
    let compact = Compact::split(token)?;
    let bytes = compact.header()?;
    let header = json::parse(&bytes).map_err(|_| Rejection::Malformed("the header is not strict JSON"))?;
    if header.as_object().is_none() {
        return Err(Rejection::Malformed("the header is no JSON object"));
    }
    if header.get("enc").is_some() {
        return Err(Rejection::Encrypted);
    }
    compact.signature()?;
    let (claims, mut warnings) = Claims::lenient(payload(&compact.payload()?)?)?;
    warnings.extend(Header::parse(&bytes).err());
    Ok(Inspection {
        header,
        claims: Unverified(claims),
        warnings,
    })
}

/// The claims set as JSON.
pub(crate) fn payload(bytes: &[u8]) -> Result<Json, Rejection> {
    json::parse(bytes).map_err(|_| Rejection::Malformed("the payload is not strict JSON"))
}
