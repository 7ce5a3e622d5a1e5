//! Secrets by reference: the file names where a secret is, never what it is.
use crate::source::file::TokenFile;
use crate::{Context, Error};
use jeton_core::{Class, Secret};
use std::path::{Path, PathBuf};

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// `env:VAR`: in this variable.
    Env(String),
    /// `file:PATH`: in this file, white space at its end apart; a key in PEM has several lines.
    File(PathBuf),
    /// `command:CMD ARG…`: what this command prints.
    Command(String),
    /// `keyring:SERVICE` or `keyring:SERVICE/USER`: in the system's keyring.
    Keyring(String),
}

/// How a reference may be spelled, for messages.
pub(super) const SPELLINGS: &str = "`env:VAR`, `file:PATH`, `command:CMD ARG…` or `keyring:NAME`";

impl Reference {
    /// Reads a reference; `None` for anything else, above all for a secret itself.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let rest = rest.trim();
        if rest.is_empty() {
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

impl Reference {
    /// The same, with a path that says no folder taken from `folder`.
    pub(super) fn settle(&mut self, folder: &Path) {
        if let Self::File(path) = self {
            *path = folder.join(&path);
        }
    }

    /// Reads the secret, now.
    ///
    /// # Errors
    /// `Class::Config` when the reference leads nowhere, or to nothing.
    pub async fn read(&self, cx: &Context) -> Result<Secret, Error> {
        match self {
            Self::Env(name) => cx.env.get(name).map(Secret::new).ok_or_else(|| {
                Error::new(Class::Config, format!("env:{name}: the variable is not set"))
                    .with_hint(format!("set {name}, or name another place in config.toml"))
            }),
            Self::File(path) => TokenFile::named(path).lined().read().await,
            Self::Command(line) => {
                let unclosed = || {
                    Error::new(
                        Class::Config,
                        "command: a quote is not closed, or a backslash ends the line",
                    )
                    .with_hint("write it as for a shell; nothing in it is expanded")
                };
                let argv = crate::source::spec::words::split(line).ok_or_else(unclosed)?;
                crate::source::command::run(cx, &argv).await
            }
            Self::Keyring(name) => {
                let found = crate::keyring::read(cx, &crate::keyring::attributes_of(name)).await;
                let found = found.map_err(|e| e.about(&format!("keyring:{name}")))?;
                let missing = || {
                    Error::new(Class::Config, format!("keyring:{name}: there is no such item")).with_hint(
                        "put it there: `secret-tool store --label=LABEL service SERVICE username USER`",
                    )
                };
                found
                    .map(|secret| Secret::new(secret.reveal().trim_end()))
                    .filter(|secret| !secret.reveal().is_empty())
                    .ok_or_else(missing)
            }
        }
    }
}
