//! A policy as it is written: the JSON of the API; TOML and YAML files become the same value first.
use super::{DEFAULT_TTL, LONGEST_TTL, Mode, TrustPolicy};
use crate::issuer::Issuer;
use crate::json::Json;
use crate::pattern::Pattern;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// Why a policy is none; it names the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// The field.
    pub field: String,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.why)
    }
}

fn wrong(field: &str, why: impl Into<String>) -> PolicyError {
    PolicyError {
        field: field.to_owned(),
        why: why.into(),
    }
}

/// The fields of a policy.
const FIELDS: [&str; 12] = [
    "name",
    "issuer",
    "subject",
    "subject_pattern",
    "claim_pattern",
    "audience",
    "scope",
    "credential",
    "roles",
    "ttl",
    "mode",
    "description",
];

/// The longest name, in bytes.
const LONGEST_NAME: usize = 128;

impl TrustPolicy {
    /// Reads a policy. `name` comes from the path or the file; a `name` inside must be the same.
    ///
    /// # Errors
    /// [`PolicyError`] for a field that is unknown, missing, of the wrong type, or a pattern that is none.
    pub fn read(name: &str, body: &Json) -> Result<Self, PolicyError> {
        let members = body.as_object().ok_or_else(|| wrong("body", "is no object"))?;
        for (field, _) in members {
            if !FIELDS.contains(&field.as_str()) && !field.starts_with("claim_pattern.") {
                return Err(wrong(field, "is unknown"));
            }
        }
        checked_name(name, body)?;
        let issuer = text(body, "issuer")?.ok_or_else(|| wrong("issuer", "is missing"))?;
        Issuer::parse(issuer).map_err(|e| wrong("issuer", format!("{e}")))?;
        let policy = Self {
            name: name.to_owned(),
            issuer: issuer.to_owned(),
            subject: subject(body)?,
            claims: claims(body)?,
            audience: texts(body, "audience")?,
            scope: scopes(body)?,
            credential: text(body, "credential")?.map(ToOwned::to_owned),
            roles: texts(body, "roles")?,
            ttl: ttl(body)?,
            mode: mode(body)?,
        };
        // An issuer alone is everybody there: some claim must say who.
        if policy.subject.is_none() && !policy.claims.iter().any(|(name, p)| binds_an_id(name, p)) {
            return Err(wrong(
                "subject",
                "is missing, and no claim_pattern binds an id: this would trust the whole issuer",
            ));
        }
        Ok(policy)
    }
}

/// A pattern on an id claim binds it when it allows exactly one value.
fn binds_an_id(name: &str, pattern: &Pattern) -> bool {
    (name.ends_with("_id") || name.ends_with("Id") || name.ends_with("Uuid"))
        && pattern.as_literal().is_some()
}

fn checked_name(name: &str, body: &Json) -> Result<(), PolicyError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(plain) {
        return Err(wrong("name", "is not 1 to 128 of a-z, 0-9, `-`, `_`, `.`"));
    }
    match text(body, "name")? {
        Some(inside) if inside != name => Err(wrong("name", "is another than the policy's place says")),
        _ => Ok(()),
    }
}

fn text<'a>(body: &'a Json, field: &str) -> Result<Option<&'a str>, PolicyError> {
    match body.get(field) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => match value.as_str() {
            Some("") => Err(wrong(field, "is empty")),
            Some(text) => Ok(Some(text)),
            None => Err(wrong(field, "is no text")),
        },
    }
}

/// A text, or an array of texts.
fn texts(body: &Json, field: &str) -> Result<Vec<String>, PolicyError> {
    match body.get(field).and_then(Json::as_array) {
        None => Ok(text(body, field)?.map(ToOwned::to_owned).into_iter().collect()),
        Some(elements) => {
            let texts: Option<Vec<String>> = elements
                .iter()
                .map(|e| e.as_str().filter(|t| !t.is_empty()).map(ToOwned::to_owned))
                .collect();
            texts.ok_or_else(|| wrong(field, "holds something that is no text"))
        }
    }
}

/// A list, or a text of scopes with spaces between them (RFC 6749 section 3.3).
fn scopes(body: &Json) -> Result<Vec<String>, PolicyError> {
    let texts = texts(body, "scope")?;
    let words = texts.iter().flat_map(|text| text.split_ascii_whitespace());
    Ok(words.map(ToOwned::to_owned).collect())
}

fn subject(body: &Json) -> Result<Option<Pattern>, PolicyError> {
    match (text(body, "subject")?, text(body, "subject_pattern")?) {
        (Some(_), Some(_)) => Err(wrong(
            "subject_pattern",
            "stands beside `subject`: one of them is enough",
        )),
        (Some(exact), None) => Ok(Some(Pattern::literal(exact))),
        (None, Some(pattern)) => parse(pattern, "subject_pattern").map(Some),
        (None, None) => Ok(None),
    }
}

fn parse(pattern: &str, field: &str) -> Result<Pattern, PolicyError> {
    Pattern::parse(pattern).map_err(|e| wrong(field, format!("{e}")))
}

fn claims(body: &Json) -> Result<Vec<(String, Pattern)>, PolicyError> {
    let nested = match body.get("claim_pattern") {
        None | Some(Json::Null) => &[][..],
        Some(value) => value
            .as_object()
            .ok_or_else(|| wrong("claim_pattern", "is no object"))?,
    };
    let flat = body.as_object().unwrap_or_default().iter();
    let flat = flat.filter_map(|(field, value)| Some((field.strip_prefix("claim_pattern.")?, value)));
    nested
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .chain(flat)
        .map(|(name, value)| {
            let field = format!("claim_pattern.{name}");
            let pattern = value
                .as_str()
                .filter(|p| !p.is_empty())
                .ok_or_else(|| wrong(&field, "is no text"))?;
            Ok((name.to_owned(), parse(pattern, &field)?))
        })
        .collect()
}

fn mode(body: &Json) -> Result<Mode, PolicyError> {
    match text(body, "mode")? {
        None | Some("enforce") => Ok(Mode::Enforce),
        Some("report") => Ok(Mode::Report),
        Some(_) => Err(wrong("mode", "is neither `enforce` nor `report`")),
    }
}

fn ttl(body: &Json) -> Result<Duration, PolicyError> {
    let seconds = match body.get("ttl") {
        None | Some(Json::Null) => return Ok(DEFAULT_TTL),
        Some(value) => match value.as_str() {
            Some(text) => seconds(text),
            None => value.as_u64(),
        },
    };
    let span = seconds.map(Duration::from_secs);
    span.filter(|s| !s.is_zero() && *s <= LONGEST_TTL).ok_or_else(|| {
        wrong(
            "ttl",
            "is not a span such as `5m`, of more than nothing and 12 hours at most",
        )
    })
}

/// `30s`, `5m`, `1h`.
fn seconds(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..split].parse().ok()?;
    match &text[split..] {
        "s" => Some(number),
        "m" => number.checked_mul(60),
        "h" => number.checked_mul(3600),
        _ => None,
    }
}
