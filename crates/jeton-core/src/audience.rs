//! An audience (`aud`, RFC 7519 section 4.1.3): for whom a token is, compared byte for byte.
use crate::redact::is_printable;
use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

/// The longest audience that is accepted, in bytes. The longest real ones are URLs of workload identity pools.
const MAX_AUDIENCE: usize = 2048;

/// A valid audience: not empty, and without characters that do not print.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Audience(String);

/// Why a text is no audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudienceError {
    /// Nothing in it: it would stand for anybody.
    Empty,
    /// More than 2 KiB.
    TooLong,
    /// A control character, a line break or a direction mark.
    Unprintable,
}

impl Audience {
    /// Takes `text` as it is, if it is an audience.
    ///
    /// # Errors
    /// What makes it none.
    pub fn parse(text: &str) -> Result<Self, AudienceError> {
        if text.is_empty() {
            return Err(AudienceError::Empty);
        }
        if text.len() > MAX_AUDIENCE {
            return Err(AudienceError::TooLong);
        }
        if !is_printable(text) {
            return Err(AudienceError::Unprintable);
        }
        Ok(Self(text.to_owned()))
    }

    /// The audience, exactly as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::str::FromStr for Audience {
    type Err = AudienceError;

    fn from_str(text: &str) -> Result<Self, AudienceError> {
        Self::parse(text)
    }
}

impl fmt::Display for AudienceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an audience is not empty",
            Self::TooLong => "an audience is not longer than 2048 bytes",
            Self::Unprintable => "an audience has no control characters",
        })
    }
}

impl core::error::Error for AudienceError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn an_audience_is_any_text_that_prints() {
        for text in [
            "sts.amazonaws.com",
            "api://x/y",
            "//iam.googleapis.com/projects/1",
            "a b",
            "*",
        ] {
            assert_eq!(Audience::parse(text).map(|a| a.to_string()).as_deref(), Ok(text));
        }
        assert_eq!(Audience::parse(""), Err(AudienceError::Empty));
        assert_eq!(Audience::parse(&"x".repeat(2049)), Err(AudienceError::TooLong));
        for text in ["a\n", "a\0b", "a\u{202e}b", "\u{200b}"] {
            assert_eq!(Audience::parse(text), Err(AudienceError::Unprintable), "{text:?}");
        }
    }
}
