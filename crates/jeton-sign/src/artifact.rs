//! What is signed: a file, read as a stream, so that its size does not matter.
use jeton::source::file::shown;
use jeton::{Class, Error};
use sigstore_crypto::{ArtifactHasher, hash::hash_reader};
use sigstore_types::{ArtifactDigest, HashAlgorithm, Sha256Hash};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The largest bundle, trust root, key or predicate that is read, in bytes.
pub const DOCUMENT_CAP: u64 = 16 * 1024 * 1024;

/// A file that is signed or verified.
#[derive(Clone, Debug)]
pub struct Artifact {
    path: Option<PathBuf>,
    sha256: Sha256Hash,
}

impl Artifact {
    /// Reads the file once, for its digest.
    ///
    /// # Errors
    /// `Class::NotFound` when it is not there, `Class::Protocol` when it is nothing that can be read.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let digest = digest_of(&path, HashAlgorithm::Sha2256)?;
        let sha256 = Sha256Hash::try_from(digest.as_bytes())
            .map_err(|_| Error::new(Class::Other, "a SHA-256 digest of another length"))?;
        Ok(Self {
            path: Some(path),
            sha256,
        })
    }

    /// A file that is not here, by its digest.
    #[must_use]
    pub fn of_digest(sha256: Sha256Hash) -> Self {
        Self { path: None, sha256 }
    }

    /// Where it is; `None` when only its digest is known.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    fn here(&self) -> Result<&Path, Error> {
        let message = "the file itself is needed, and only its SHA-256 digest is known";
        self.path().ok_or_else(|| Error::new(Class::Config, message))
    }

    /// Its name without the folder: what a statement calls it.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self
            .path()
            .map(|path| path.file_name().unwrap_or(path.as_os_str()));
        name.map_or_else(
            || self.sha256.to_hex(),
            |name| name.to_string_lossy().into_owned(),
        )
    }

    /// Its SHA-256 digest, as it was when it was opened.
    #[must_use]
    pub fn sha256(&self) -> Sha256Hash {
        self.sha256
    }

    /// Its digest by another algorithm; the file is read once more.
    ///
    /// # Errors
    /// As [`Artifact::open`].
    pub fn digest(&self, algorithm: HashAlgorithm) -> Result<ArtifactDigest, Error> {
        match algorithm {
            HashAlgorithm::Sha2256 => Ok(ArtifactDigest::sha256(self.sha256)),
            other => digest_of(self.here()?, other),
        }
    }

    /// The whole file, for schemes that cannot sign a digest (Ed25519).
    ///
    /// # Errors
    /// As [`Artifact::open`].
    pub fn bytes(&self) -> Result<Vec<u8>, Error> {
        let path = self.here()?;
        std::fs::read(path).map_err(|e| unreadable(path, &e))
    }
}

fn digest_of(path: &Path, algorithm: HashAlgorithm) -> Result<ArtifactDigest, Error> {
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let hasher = ArtifactHasher::new(algorithm)
        .map_err(|_| Error::new(Class::Protocol, format!("{algorithm} digests cannot be made")))?;
    let mut hashers = [hasher];
    hash_reader(file, &mut hashers).map_err(|e| unreadable(path, &e))?;
    let [hasher] = hashers;
    Ok(hasher.finalize())
}

/// A small document as text: a bundle, a trust root, a key, a predicate.
///
/// # Errors
/// `Class::NotFound` when it is not there, `Class::Protocol` when it is no text or larger than [`DOCUMENT_CAP`].
pub fn document(path: &Path) -> Result<String, Error> {
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let mut bytes = Vec::new();
    file.take(DOCUMENT_CAP + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| unreadable(path, &e))?;
    if bytes.len() as u64 > DOCUMENT_CAP {
        let most = DOCUMENT_CAP / (1024 * 1024);
        return Err(unusable(path, &format!("it is larger than {most} MiB"))
            .with_hint("no bundle, key or trust root is that large: name another file"));
    }
    String::from_utf8(bytes).map_err(|_| {
        unusable(path, "it is no text").with_hint("a text is wanted here, JSON or PEM: name another file")
    })
}

/// The error of a file that is there and of no use.
#[must_use]
pub fn unusable(path: &Path, why: &str) -> Error {
    Error::new(Class::Protocol, format!("{}: {why}", shown(path)))
}

pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let (class, hint) = match error.kind() {
        ErrorKind::NotFound => (
            Class::NotFound,
            "is the name right, and written from this folder?",
        ),
        ErrorKind::PermissionDenied => (Class::Protocol, "let this user read it"),
        ErrorKind::IsADirectory => (Class::Protocol, "name a file; of a folder, each file by itself"),
        _ => (Class::Protocol, "name a file that can be read"),
    };
    Error::new(class, format!("{}: {error}", shown(path))).with_hint(hint)
}
