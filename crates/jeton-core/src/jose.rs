//! The compact form of a signed object (RFC 7515 section 7.1), taken apart strictly.
//!
//! Three segments of base64url without padding, with nothing before, between or after them; the size is looked at
//! before anything is copied, and dots are counted only as far as they can matter. The JSON forms of RFC 7515
//! section 7.2 are not read at all.
mod algorithm;
mod header;

pub use algorithm::{Algorithm, AlgorithmSet, KeyType};
pub use header::Header;

use crate::json;
use crate::rejection::Rejection;
use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The largest token that is looked at, in bytes. The largest known real ones (groups of a directory as claims) have
/// some 20 KiB; servers cap the header field that carries them far below this.
pub const MAX_TOKEN: usize = 64 * 1024;

/// A compact JWS, still encoded, borrowed from the token.
#[derive(Clone, Copy)]
pub(crate) struct Compact<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// What was signed: `header.payload`.
    pub(crate) signing_input: &'a str,
}

impl<'a> Compact<'a> {
    /// Splits `token`.
    pub(crate) fn split(token: &'a str) -> Result<Self, Rejection> {
        if token.len() > MAX_TOKEN {
            return Err(Rejection::TooLarge);
        }
        let none = Rejection::Malformed("the token has not three segments");
        let (header, rest) = token.split_once('.').ok_or(none.clone())?;
        let (payload, signature) = rest.split_once('.').ok_or(none)?;
        if let Some((_, more)) = signature.split_once('.') {
            return Err(surplus(header, more.matches('.').take(2).count()));
        }
        if payload.is_empty() {
            return Err(Rejection::Malformed("the token has no payload"));
        }
        Ok(Self {
            header,
            payload,
            signature,
            signing_input: &token[..header.len() + 1 + payload.len()],
        })
    }

    /// The header's bytes.
    pub(crate) fn header(&self) -> Result<Vec<u8>, Rejection> {
        decode_segment(self.header).ok_or(Rejection::Malformed("the header is not base64url"))
    }

    /// The payload's bytes.
    pub(crate) fn payload(&self) -> Result<Vec<u8>, Rejection> {
        decode_segment(self.payload).ok_or(Rejection::Malformed("the payload is not base64url"))
    }

    /// The signature's bytes.
    pub(crate) fn signature(&self) -> Result<Vec<u8>, Rejection> {
        decode_segment(self.signature).ok_or(Rejection::Malformed("the signature is not base64url"))
    }
}

/// More than two dots: a JWE has exactly four and says so in its header (RFC 7516 section 9). `more` is how many dots
/// come after the third.
fn surplus(header: &str, more: usize) -> Rejection {
    let encrypted = || {
        let header = json::parse(&decode_segment(header)?).ok()?;
        header.get("enc").map(|_| Rejection::Encrypted)
    };
    let other = Rejection::Malformed("the token has not three segments");
    if more == 1 {
        encrypted().unwrap_or(other)
    } else {
        other
    }
}

/// Decodes base64url without padding (RFC 7515 section 2): no other alphabet, no white space, no stray bits.
pub(crate) fn decode_segment(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Encodes as base64url without padding.
#[must_use]
pub fn encode_segment(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
