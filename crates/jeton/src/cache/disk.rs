//! Entries on disk: read, written whole or not at all, listed, cleared.
use jeton_core::UnixTime;
use std::path::{Path, PathBuf};

/// The cache on disk. Made without touching the disk; the folder comes into being with the first entry.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

/// One entry, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The profile; empty for the ambient chain.
    pub profile: String,
    /// The source that gave it.
    pub source: String,
    /// `iss`, where it is known.
    pub issuer: Option<String>,
    /// `sub`, where it is known.
    pub subject: Option<String>,
    /// The audience it is for.
    pub audience: Vec<String>,
    /// The scopes that were asked for.
    pub scopes: Vec<String>,
    /// When it ends.
    pub expires_at: Option<UnixTime>,
    /// The file's name in the cache folder.
    pub file: String,
}

impl Disk {
    /// The cache in this folder.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it and could be used: no secrets, dead entries left out.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        Vec::new()
    }

    /// Removes what is kept for `profile` (`Some("")`: for the ambient chain; `None`: everything), and says how many
    /// entries that were.
    pub fn clear(&self, profile: Option<&str>) -> usize {
        let _ = profile;
        0
    }
}
