//! Secrets by reference: the file names where a secret is, never what it is.
use std::path::PathBuf;

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// `env:VAR`: in this variable.
    Env(String),
    /// `file:PATH`: in this file, white space at its end apart.
    File(PathBuf),
    /// `command:CMD ARG…`: what this command prints.
    Command(String),
    /// `keyring:NAME`: in the system's keyring.
    Keyring(String),
}

/// How a reference may be spelled, for messages.
pub(super) const SPELLINGS: &str = "`env:VAR`, `file:PATH`, `command:CMD ARG…` or `keyring:NAME`";

impl Reference {
    /// Reads a reference; `None` for anything else, above all for a secret itself.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        if rest.trim().is_empty() {
            return None;
        }
        Some(match kind {
            "env" => Self::Env(rest.to_owned()),
            "file" => Self::File(PathBuf::from(rest)),
            "command" => Self::Command(rest.to_owned()),
            "keyring" => Self::Keyring(rest.to_owned()),
            _ => return None,
        })
    }
}
