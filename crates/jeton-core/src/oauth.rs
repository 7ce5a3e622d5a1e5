//! What an OAuth endpoint answered, read strictly: token answers, device answers, errors, scopes.
//!
//! RFC 6749 section 5 (answers and errors), RFC 8628 section 3 (device), RFC 8693 section 2.2 (exchange),
//! RFC 7636 (PKCE). Everything here is a function of the parsed body.
use crate::json::Json;
use crate::redact;
use crate::secret::Secret;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

mod device;
mod pkce;

pub use device::{DeviceAnswer, Next, Poll, PollAnswer};
pub use pkce::{Verifier, s256};

/// The life that an `expires_in` may claim at most (it may say anything): a day.
const LONGEST_EXPIRES_IN_SECONDS: f64 = 24.0 * 3600.0;

/// The token types of RFC 8693 section 3.
pub mod token_type {
    /// An OAuth access token of any form.
    pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
    /// An OpenID Connect ID token.
    pub const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
    /// A refresh token.
    pub const REFRESH_TOKEN: &str = "urn:ietf:params:oauth:token-type:refresh_token";
    /// A JWT.
    pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
}

/// The grant types that are asked for.
pub mod grant_type {
    /// RFC 6749 section 4.4.
    pub const CLIENT_CREDENTIALS: &str = "client_credentials";
    /// RFC 6749 section 6.
    pub const REFRESH_TOKEN: &str = "refresh_token";
    /// RFC 6749 section 4.1.
    pub const AUTHORIZATION_CODE: &str = "authorization_code";
    /// RFC 8628 section 3.4.
    pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
    /// RFC 7523 section 2.1.
    pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    /// RFC 8693 section 2.1.
    pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
}

/// A token endpoint's successful answer (RFC 6749 section 5.1).
#[derive(Clone, Debug)]
pub struct TokenAnswer {
    /// The token that was asked for.
    pub access_token: Secret,
    /// `Bearer`, however it was spelled; also when it was missing, as several servers leave it out.
    pub token_type: String,
    /// How long it lives. `None` when nothing was said; zero when the answer said zero or less.
    pub expires_in: Option<Duration>,
    /// The granted scopes; `None` when they are the ones asked for.
    pub scopes: Option<Vec<String>>,
    /// A refresh token, where one was given. An empty one counts as none, so that it overwrites nothing.
    pub refresh_token: Option<Secret>,
    /// An ID token.
    pub id_token: Option<Secret>,
    /// What was issued, in an exchange (RFC 8693 section 2.2.1).
    pub issued_token_type: Option<String>,
}

/// Why a token endpoint's 200 is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(pub String);

impl TokenAnswer {
    /// Reads the parsed body.
    ///
    /// # Errors
    /// [`Unusable`] names the member that is missing or of the wrong type.
    pub fn read(body: &Json) -> Result<Self, Unusable> {
        let access_token =
            secret(body, "access_token")?.ok_or_else(|| wrong("access_token", "is missing or empty"))?;
        let scopes = text(body, "scope")?.map(|s| {
            s.split(' ')
                .filter(|s| !s.is_empty())
                .map(ToOwned::to_owned)
                .collect()
        });
        Ok(Self {
            access_token,
            token_type: bearer(text(body, "token_type")?)?,
            expires_in: expires_in(body)?,
            scopes,
            refresh_token: secret(body, "refresh_token")?,
            id_token: secret(body, "id_token")?,
            issued_token_type: text(body, "issued_token_type")?.map(ToOwned::to_owned),
        })
    }

    /// Checks that an exchange issued what was asked for (RFC 8693 section 2.2.1: the member is required).
    ///
    /// # Errors
    /// [`Unusable`] when the type is missing or another one.
    pub fn issued(&self, wanted: &str) -> Result<(), Unusable> {
        match self.issued_token_type.as_deref() {
            Some(issued) if issued == wanted => Ok(()),
            // A JWT access token satisfies whoever asked for a JWT, and the other way round.
            Some(token_type::ACCESS_TOKEN) if wanted == token_type::JWT => Ok(()),
            Some(token_type::JWT) if wanted == token_type::ACCESS_TOKEN => Ok(()),
            Some(other) => Err(wrong(
                "issued_token_type",
                &format!("is {}, not {wanted}", redact::foreign(other, &[])),
            )),
            None => Err(wrong(
                "issued_token_type",
                "is missing (RFC 8693 section 2.2.1 requires it)",
            )),
        }
    }

    /// The scopes of `asked` that were not granted; none when the answer did not say.
    #[must_use]
    pub fn withheld<'a>(&self, asked: &'a [String]) -> Vec<&'a str> {
        let Some(granted) = &self.scopes else {
            return Vec::new();
        };
        asked
            .iter()
            .filter(|s| !granted.contains(s))
            .map(String::as_str)
            .collect()
    }
}

/// An OAuth error answer (RFC 6749 section 5.2), fit to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthError {
    /// The code, such as `invalid_grant`: at most 64 visible ASCII characters.
    pub code: String,
    /// What the server added, escaped, capped and redacted.
    pub description: Option<String>,
}

/// The longest error code that is believed to be one, in bytes.
const LONGEST_CODE: usize = 64;

impl OAuthError {
    /// Reads an error out of a parsed body; `None` when there is none in it. `known` are secrets that the request
    /// held, which a careless server may echo.
    #[must_use]
    pub fn read(body: &Json, known: &[&str]) -> Option<Self> {
        let code = body.get("error")?.as_str()?;
        let plain =
            !code.is_empty() && code.len() <= LONGEST_CODE && code.bytes().all(|b| b.is_ascii_graphic());
        let code = if plain {
            redact::redact_tokens(code)
        } else {
            "unreadable_error".to_owned()
        };
        let description = body
            .get("error_description")
            .and_then(Json::as_str)
            .map(|text| redact::foreign(text, known));
        Some(Self { code, description })
    }

    /// Whether the same request may succeed later (RFC 6749 section 4.1.2.1), whatever the status.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.code.as_str(), "temporarily_unavailable" | "server_error")
    }
}

impl core::fmt::Display for OAuthError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.code)?;
        self.description
            .as_ref()
            .map_or(Ok(()), |text| write!(f, " ({text})"))
    }
}

fn wrong(member: &str, what: &str) -> Unusable {
    Unusable(format!("\"{member}\" {what}"))
}

fn text<'a>(body: &'a Json, member: &str) -> Result<Option<&'a str>, Unusable> {
    match body.get(member) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => value
            .as_str()
            .map(Some)
            .ok_or_else(|| wrong(member, "is not a string")),
    }
}

fn secret(body: &Json, member: &str) -> Result<Option<Secret>, Unusable> {
    Ok(text(body, member)?.filter(|s| !s.is_empty()).map(Secret::new))
}

fn bearer(token_type: Option<&str>) -> Result<String, Unusable> {
    match token_type {
        None | Some("") => Ok("Bearer".to_owned()),
        // `N_A`: an exchange whose result is no access token (RFC 8693 section 2.2.1); the issued type says what it is.
        Some(t) if t.eq_ignore_ascii_case("bearer") || t == "N_A" => Ok("Bearer".to_owned()),
        Some(other) => Err(wrong(
            "token_type",
            &format!("is {}, not Bearer", redact::foreign(other, &[])),
        )),
    }
}

/// `expires_in` as servers send it: a number, or a number in a string.
fn expires_in(body: &Json) -> Result<Option<Duration>, Unusable> {
    seconds(body, "expires_in")
        .map(|s| s.map(|s| Duration::from_secs_f64(s.clamp(0.0, LONGEST_EXPIRES_IN_SECONDS))))
}

fn seconds(body: &Json, member: &str) -> Result<Option<f64>, Unusable> {
    let number = match body.get(member) {
        None | Some(Json::Null) => return Ok(None),
        Some(value) => match value.as_str() {
            Some(text) => text.trim().parse::<f64>().ok(),
            None => value.as_f64(),
        },
    };
    match number.filter(|n| n.is_finite()) {
        Some(n) => Ok(Some(n)),
        None => Err(wrong(member, "is not a number of seconds")),
    }
}

/// Scopes as a request carries them (RFC 6749 section 3.3).
#[must_use]
pub fn scope_parameter(scopes: &[String]) -> String {
    scopes
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests;
