//! An issuer's name (`iss`): a URL that is compared byte for byte and never normalised.
//!
//! OpenID Connect Discovery section 4.3 and RFC 8414 section 3.3 want the exact same characters. A missing slash, another case
//! or a default port makes another issuer. What could be read in two ways (a backslash, dot segments, user information,
//! characters beyond ASCII that look like others) is no issuer at all.
use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

/// The longest issuer that is accepted, in bytes. Real ones stay below 200.
const MAX_ISSUER: usize = 2048;

/// A valid issuer: an `https` URL without user information, query and fragment, or the same with `http` on a loopback
/// address, for development.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Issuer(String);

/// Why a text is no issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerError {
    /// Neither `https://…` nor `http://` with a loopback host.
    Scheme,
    /// No host, or one with characters a host cannot have, or a port that is none.
    Host,
    /// `user@host`
    UserInfo,
    /// `?` or `#` (RFC 8414 section 2).
    QueryOrFragment,
    /// A character no URL has, a `.` or `..` segment, or too long.
    Path,
}

impl Issuer {
    /// Takes `text` as it is, if it is an issuer.
    ///
    /// # Errors
    /// What makes it none.
    pub fn parse(text: &str) -> Result<Self, IssuerError> {
        let (rest, secure) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (rest, true),
            (_, Some(rest)) => (rest, false),
            _ => return Err(IssuerError::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(IssuerError::QueryOrFragment);
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(IssuerError::UserInfo);
        }
        let host = host_of(authority).ok_or(IssuerError::Host)?;
        if !secure && !is_loopback(host) {
            return Err(IssuerError::Scheme);
        }
        if text.len() > MAX_ISSUER || !is_plain_path(path) {
            return Err(IssuerError::Path);
        }
        Ok(Self(text.to_owned()))
    }

    /// The issuer, exactly as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is reached over TLS; `false` for `http` on a loopback address.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

/// The host of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host_of(authority: &str) -> Option<&str> {
    let end = match authority.strip_prefix('[') {
        Some(v6) => v6.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let fits = match inner {
        Some(v6) => v6.parse::<core::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        }
    };
    (fits && is_port(port)).then_some(host)
}

fn is_port(port: &str) -> bool {
    let digits = |p: &str| p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u16>().is_ok_and(|n| n > 0);
    port.is_empty() || port.strip_prefix(':').is_some_and(digits)
}

fn is_loopback(host: &str) -> bool {
    let v4 = || host.parse::<core::net::Ipv4Addr>().is_ok_and(|a| a.is_loopback());
    host == "localhost" || host == "[::1]" || v4()
}

/// Characters of RFC 3986 section 3.3, and no segment that a client would resolve away.
fn is_plain_path(path: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/".contains(&b);
    let dots = |s: &str| matches!(s.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    path.bytes().all(allowed) && !path.split('/').any(dots)
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::str::FromStr for Issuer {
    type Err = IssuerError;

    fn from_str(text: &str) -> Result<Self, IssuerError> {
        Self::parse(text)
    }
}

impl fmt::Display for IssuerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "an issuer is an https URL (http only on a loopback address)",
            Self::Host => "the issuer has no valid host",
            Self::UserInfo => "an issuer has no user name",
            Self::QueryOrFragment => "an issuer has no query and no fragment",
            Self::Path => "the issuer's path has characters or segments that no issuer has",
        })
    }
}

impl core::error::Error for IssuerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_a_plain_https_url_or_on_a_loopback_address() {
        let good = [
            "https://token.actions.githubusercontent.com",
            "https://gitlab.example.com/",
            "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC",
            "https://issuer.example:8443/a%20b/~x",
            "https://[2001:db8::1]:8443",
            "http://127.0.0.1:8080",
            "http://127.9.9.9",
            "http://localhost:1/realms/x",
            "http://[::1]:8080/",
        ];
        for text in good {
            assert_eq!(Issuer::parse(text).as_ref().map(Issuer::as_str), Ok(text));
        }
        let bad = [
            ("", IssuerError::Scheme),
            ("accounts.example.com", IssuerError::Scheme),
            ("http://issuer.example", IssuerError::Scheme),
            ("http://127.0.0.1.evil.example", IssuerError::Scheme),
            ("http://localhost.evil.example", IssuerError::Scheme),
            ("HTTPS://issuer.example", IssuerError::Scheme),
            ("file:///etc/passwd", IssuerError::Scheme),
            (" https://issuer.example", IssuerError::Scheme),
            ("https://", IssuerError::Host),
            ("https:///path", IssuerError::Host),
            ("https://issuer.example:", IssuerError::Host),
            ("https://issuer.example:0", IssuerError::Host),
            ("https://issuer.example:99999", IssuerError::Host),
            ("https://issuer.example:+1", IssuerError::Host),
            ("https://issuer example", IssuerError::Host),
            ("https://issuer.example\\@evil.example", IssuerError::UserInfo),
            ("https://issuer.example\\evil", IssuerError::Host),
            ("https://\u{456}ssuer.example", IssuerError::Host),
            ("https://[::1", IssuerError::Host),
            ("https://user@issuer.example", IssuerError::UserInfo),
            ("https://issuer.example?x=1", IssuerError::QueryOrFragment),
            ("https://issuer.example/a#b", IssuerError::QueryOrFragment),
            ("https://issuer.example/a/../b", IssuerError::Path),
            ("https://issuer.example/%2E./b", IssuerError::Path),
            ("https://issuer.example/a b", IssuerError::Path),
            ("https://issuer.example/a\n", IssuerError::Path),
        ];
        for (text, why) in bad {
            assert_eq!(Issuer::parse(text), Err(why), "{text}");
        }
    }
}
