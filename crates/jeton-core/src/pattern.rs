//! Patterns over claim values: literal text with two wildcards, or a regular expression, always over the whole value.
//!
//! `*` stands for any run without `/` and `:`, because these two separate what platforms put into one subject
//! (`repo:acme/app:ref:refs/heads/main`); `**` stands for any run; `\*` is a star. Everything else is itself: a dot is a
//! dot. After `re:` comes a regular expression. No pattern can be made to cover a part of a value only, neither by
//! an alternation nor by a line break nor by closing a group that it did not open.
mod glob;

use crate::json::Json;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;
use glob::Glob;
use regex_lite::{Regex, RegexBuilder};

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 1024;

/// The longest value that a wildcard or a regular expression is tried on, in bytes. Names in claims are shorter than
/// 500; the time a match takes grows with this number, and the value comes from a stranger.
const MAX_VALUE: usize = 8 * 1024;

/// How much memory a compiled regular expression may use, in bytes: counted repetitions of counted repetitions
/// grow beyond any text.
const MAX_REGEX: usize = 64 * 1024;

/// How deep a regular expression may be nested.
const MAX_REGEX_NEST: u32 = 16;

/// What a regular expression begins with.
const REGEX_PREFIX: &str = "re:";

/// A pattern that covers whole values.
#[derive(Clone)]
pub struct Pattern {
    source: String,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Literal(String),
    Glob(Glob),
    Regex(Regex),
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// Nothing in it.
    Empty,
    /// Longer than 1 KiB.
    TooLarge,
    /// Not a regular expression that stands on its own, or one that grows too large or nests too deeply.
    Regex,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What makes it none.
    pub fn parse(source: &str) -> Result<Self, PatternError> {
        if source.is_empty() || source == REGEX_PREFIX {
            return Err(PatternError::Empty);
        }
        if source.len() > MAX_PATTERN {
            return Err(PatternError::TooLarge);
        }
        let kind = match source.strip_prefix(REGEX_PREFIX) {
            Some(expression) => Kind::Regex(anchored(expression)?),
            None => {
                let glob = Glob::parse(source);
                glob.literal()
                    .map_or_else(|| Kind::Glob(glob.clone()), Kind::Literal)
            }
        };
        Ok(Self {
            source: source.to_owned(),
            kind,
        })
    }

    /// The pattern that covers exactly `text`, whatever is in it.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        Self {
            source: text.replace('*', "\\*"),
            kind: Kind::Literal(text.to_owned()),
        }
    }

    /// Whether it covers `value` as a whole.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match &self.kind {
            Kind::Literal(text) => text == value,
            _ if value.len() > MAX_VALUE => false,
            Kind::Glob(glob) => glob.matches(value.as_bytes()),
            Kind::Regex(regex) => regex.is_match(value),
        }
    }

    /// Whether it covers a claim: a string, or one string of an array. Numbers, booleans, `null`, objects and nested arrays
    /// are covered by nothing: `true` and `"true"` are two claims.
    #[must_use]
    pub fn matches_claim(&self, claim: &Json) -> bool {
        let text = |value: &Json| value.as_str().is_some_and(|v| self.matches(v));
        claim
            .as_array()
            .map_or_else(|| text(claim), |items| items.iter().any(text))
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The one value it covers, if it is only one.
    #[must_use]
    pub fn as_literal(&self) -> Option<&str> {
        if let Kind::Literal(text) = &self.kind {
            Some(text)
        } else {
            None
        }
    }

    /// The regular expression, if it is one.
    #[must_use]
    pub fn as_regex(&self) -> Option<&str> {
        self.source
            .strip_prefix(REGEX_PREFIX)
            .filter(|_| matches!(self.kind, Kind::Regex(_)))
    }

    /// Whether a value it covers may begin with anything.
    #[must_use]
    pub fn starts_open(&self) -> bool {
        self.fixed_start().is_empty()
    }

    /// The text with which every value it covers begins.
    #[must_use]
    pub fn fixed_start(&self) -> String {
        match &self.kind {
            Kind::Literal(text) => text.clone(),
            Kind::Glob(glob) => glob.fixed_start(),
            Kind::Regex(_) => regex_start(self.as_regex().unwrap_or_default()),
        }
    }

    /// Whether one of its wildcards may run across a `/`. Of a regular expression it is assumed when anything but
    /// plain text, groups and alternations is in it.
    #[must_use]
    pub fn may_cross_slash(&self) -> bool {
        match &self.kind {
            Kind::Literal(_) => false,
            Kind::Glob(glob) => glob.has_any(),
            Kind::Regex(_) => {
                let loose = |c| matches!(c, '.' | '[' | '+' | '*' | '?' | '{') || c == '\\';
                self.as_regex().is_some_and(|e| e.contains(loose))
            }
        }
    }
}

/// The expression must stand on its own before it is put into a group: `a)|(?:b` is none, though it would be one
/// inside. `\A` and `\z` are the ends of the value whatever flags the expression sets, and unlike `^` and `$` no line
/// break satisfies them.
fn anchored(expression: &str) -> Result<Regex, PatternError> {
    let compile = |text: &str| {
        let mut builder = RegexBuilder::new(text);
        builder.size_limit(MAX_REGEX).nest_limit(MAX_REGEX_NEST);
        builder.build().map_err(|_| PatternError::Regex)
    };
    compile(expression)?;
    compile(&format!(r"\A(?:{expression})\z"))
}

/// The plain characters an expression begins with, as far as nothing after them can take them back.
fn regex_start(expression: &str) -> String {
    if expression.contains(['|', '(']) {
        return String::new();
    }
    let plain =
        |c: char| c.is_alphanumeric() || matches!(c, '/' | ':' | '-' | '_' | '@' | '=' | ',' | '~' | '%');
    let end = expression.find(|c| !plain(c)).unwrap_or(expression.len());
    let (start, rest) = expression.split_at(end);
    let mut start = start.to_owned();
    if rest.starts_with(['?', '*', '{']) {
        start.pop();
    }
    start
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.source)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl core::str::FromStr for Pattern {
    type Err = PatternError;

    fn from_str(source: &str) -> Result<Self, PatternError> {
        Self::parse(source)
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a pattern is not empty",
            Self::TooLarge => "a pattern is not longer than 1024 bytes",
            Self::Regex => "what follows \"re:\" is no regular expression, or one that grows too large",
        })
    }
}

impl core::error::Error for PatternError {}

#[cfg(test)]
mod tests;
