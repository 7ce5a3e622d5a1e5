//! A token as a field of a request (RFC 6750 section 2.1).
use crate::Error;
use ::http::HeaderValue;
use jeton_core::{Class, Token};

/// The value of `Authorization` for a token: marked, so that no log shows it.
///
/// # Errors
/// `Class::Token` for a token that no header can hold.
pub fn authorization(token: &Token) -> Result<HeaderValue, Error> {
    let text = format!("{} {}", token.token_type, token.value.reveal());
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        Error::new(
            Class::Token,
            format!("{}: no header can hold this token", token.source),
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}
