//! What is said of files: an in-toto Statement v1 in a DSSE envelope.
use crate::artifact::{document, unusable};
use crate::{Artifact, provenance};
use jeton::source::file::shown;
use jeton::{Class, Error};
use jeton_core::{Claims, redact};
use serde_json::Value;
use sigstore_types::{Sha256Hash, Statement, Subject};
use std::collections::BTreeMap;
use std::path::Path;

/// The payload type of an in-toto statement (in-toto attestation framework, envelope layer).
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// SLSA provenance v1.
pub const SLSA_PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// The short names that people know, and what they stand for.
pub const PREDICATE_TYPES: &[(&str, &str)] = &[
    ("slsaprovenance", SLSA_PROVENANCE),
    ("slsaprovenance1", SLSA_PROVENANCE),
    ("slsaprovenance02", "https://slsa.dev/provenance/v0.2"),
    ("vsa", "https://slsa.dev/verification_summary/v1"),
    ("link", "https://in-toto.io/Link/v1"),
    ("spdx", "https://spdx.dev/Document"),
    ("spdxjson", "https://spdx.dev/Document"),
    ("cyclonedx", "https://cyclonedx.org/bom"),
    ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
    ("openvex", "https://openvex.dev/ns"),
    ("custom", "https://cosign.sigstore.dev/attestation/v1"),
];

/// The predicate type that `text` says: a short name, or a URI as it is.
///
/// # Errors
/// `Class::Config` for a text that is neither, with the nearest short name.
pub fn predicate_type(text: &str) -> Result<String, Error> {
    if let Some((_, uri)) = PREDICATE_TYPES.iter().find(|(name, _)| *name == text) {
        return Ok((*uri).to_owned());
    }
    if url::Url::parse(text).is_ok() {
        return Ok(text.to_owned());
    }
    let names: Vec<&str> = PREDICATE_TYPES.iter().map(|(name, _)| *name).collect();
    let message = format!("`{}` is no predicate type", redact::foreign(text, &[]));
    Err(Error::new(Class::Config, message).with_hint(
        match jeton::config::nearest::nearest(text, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? else write the type's URI"),
            None => format!("write the type's URI, or one of {}", names.join(", ")),
        },
    ))
}

/// A predicate from a JSON file.
///
/// # Errors
/// `Class::NotFound` when it is not there, `Class::Config` when it is no JSON object.
pub fn predicate(path: &Path) -> Result<Value, Error> {
    let text = document(path)?;
    let value: Result<Value, _> = serde_json::from_str(&text);
    match value {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) => Err(Error::new(
            Class::Config,
            format!("{}: a predicate is a JSON object", shown(path)),
        )
        .with_hint("write what is said as members: {\"verdict\":\"good\"}")),
        Err(e) => {
            let (line, column) = (e.line(), e.column());
            Err(
                Error::new(Class::Config, format!("{}:{line}:{column}: no JSON", shown(path)))
                    .with_hint("--predicate wants a file with one JSON object"),
            )
        }
    }
}

/// Files as subjects, by their names.
///
/// # Errors
/// `Class::Config` for two different files of one name.
pub fn subjects(artifacts: &[Artifact]) -> Result<BTreeMap<String, Sha256Hash>, Error> {
    let mut subjects = BTreeMap::new();
    for artifact in artifacts {
        let (name, digest) = (artifact.name(), artifact.sha256());
        if subjects
            .insert(name.clone(), digest)
            .is_some_and(|other| other != digest)
        {
            let name = redact::foreign(&name, &[]);
            return Err(
                Error::new(Class::Config, format!("two different files are named {name}")).with_hint(
                    "a statement knows files by their names alone: rename one, or attest to each by itself",
                ),
            );
        }
    }
    Ok(subjects)
}

/// The subjects of a checksum list as `sha256sum` writes it: 64 hexadecimal digits, white space, perhaps a star, a name.
///
/// # Errors
/// `Class::NotFound` when it is not there, `Class::Protocol` for a line of another form, a name twice with different
/// digests, or an empty list.
pub fn checksums(path: &Path) -> Result<BTreeMap<String, Sha256Hash>, Error> {
    let text = document(path)?;
    let mut subjects = BTreeMap::new();
    for (at, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let wrong = |why: &str| {
            unusable(path, &format!("line {}: {why}", at + 1))
                .with_hint("`sha256sum FILE… > LIST` writes such a list")
        };
        let (digest, name) = line
            .split_once(char::is_whitespace)
            .ok_or_else(|| wrong("no digest and name"))?;
        let name = name.trim_start().trim_start_matches('*').trim_start_matches("./");
        let digest = digest.trim_start_matches('\\');
        let digest =
            Sha256Hash::from_hex(digest).map_err(|_| wrong("no SHA-256 digest of 64 hexadecimal digits"))?;
        if name.is_empty() {
            return Err(wrong("no name"));
        }
        match subjects.insert(name.to_owned(), digest) {
            Some(other) if other != digest => return Err(wrong("a second digest for this name")),
            _ => (),
        }
    }
    match subjects.is_empty() {
        true => {
            Err(unusable(path, "no subject is in it")
                .with_hint("`sha256sum FILE… > LIST` writes such a list"))
        }
        false => Ok(subjects),
    }
}

/// What is said of files.
#[derive(Clone, Debug)]
pub struct Attestation {
    /// Of which: names and digests.
    pub subjects: BTreeMap<String, Sha256Hash>,
    /// What kind of thing, as a URI.
    pub predicate_type: String,
    /// What.
    pub predicate: Predicate,
}

/// Where what is said comes from.
#[derive(Clone, Debug)]
pub enum Predicate {
    /// It is given.
    Given(Value),
    /// SLSA provenance v1, from what the CI platform says in the token that signs.
    FromCi,
}

impl Attestation {
    /// The statement as the bytes that are signed, by whoever holds a token with these claims, if anybody does.
    ///
    /// # Errors
    /// `Class::Config` without a subject, or for provenance from CI without a token; what the claims lack.
    pub(crate) fn statement(&self, claims: Option<&Claims>) -> Result<Vec<u8>, Error> {
        if self.subjects.is_empty() {
            return Err(Error::new(Class::Config, "a statement needs a subject"));
        }
        let predicate = match (&self.predicate, claims) {
            (Predicate::Given(value), _) => value.clone(),
            (Predicate::FromCi, Some(claims)) => provenance::predicate(claims)?,
            (Predicate::FromCi, None) => {
                let message = "--from-ci: a local key has no token, hence nothing that a CI platform says";
                return Err(Error::new(Class::Config, message).with_hint("say it with --predicate JSON"));
            }
        };
        let subjects = self.subjects.iter();
        let subjects = subjects
            .map(|(name, digest)| Subject::new(name, (*digest).into()))
            .collect();
        let statement = Statement::new(subjects, &self.predicate_type, predicate);
        serde_json::to_vec(&statement)
            .map_err(|e| Error::new(Class::Other, format!("the statement cannot be written: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

    #[test]
    fn b14_a_type_is_a_short_name_or_a_uri() {
        let rows = [
            ("slsaprovenance", Some(SLSA_PROVENANCE)),
            ("spdx", Some("https://spdx.dev/Document")),
            ("https://example.com/v1", Some("https://example.com/v1")),
            ("urn:example:v1", Some("urn:example:v1")),
            ("slsaprovenence", None),
            ("", None),
        ];
        for (text, uri) in rows {
            assert_eq!(predicate_type(text).ok().as_deref(), uri, "{text}");
        }
        let error = predicate_type("slsaprovenence").unwrap_err();
        assert!(error.hint().unwrap().contains("slsaprovenance"));
    }

    #[test]
    fn b14_a_checksum_list_is_read_as_it_is_written_and_not_otherwise() {
        let other = DIGEST.replace('5', "6");
        let rows = [
            (
                format!("{DIGEST}  a\n{other} *b\n\n{DIGEST}  ./c d\n"),
                Some(vec!["a", "b", "c d"]),
            ),
            (format!("{DIGEST}  a\n{DIGEST}  a\n"), Some(vec!["a"])),
            (format!("{DIGEST}  a\n{other}  a\n"), None),
            (format!("{}  a\n", &DIGEST[1..]), None),
            (format!("{DIGEST}\n"), None),
            (format!("{DIGEST}  \n"), None),
            ("SHA256 (a) = x\n".to_owned(), None),
            ("\n".to_owned(), None),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sums");
        for (text, names) in rows {
            std::fs::write(&path, &text).unwrap();
            let read = checksums(&path)
                .ok()
                .map(|read| read.into_keys().collect::<Vec<_>>());
            assert_eq!(
                read,
                names.map(|names| names.into_iter().map(str::to_owned).collect()),
                "{text}"
            );
        }
    }
}
