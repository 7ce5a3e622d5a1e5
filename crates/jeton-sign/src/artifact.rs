//! What is signed: a file, read as a stream, so that its size does not matter. What can be read but once (standard
//! input, a pipe) is read for every digest at once.
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
    /// Where it can be read again.
    path: Option<PathBuf>,
    name: Option<String>,
    sha256: Sha256Hash,
    /// Its other digests, where it cannot be read again.
    others: Vec<ArtifactDigest>,
}

/// The digests that signatures of any key that we know are over.
const ALGORITHMS: [HashAlgorithm; 3] = [
    HashAlgorithm::Sha2256,
    HashAlgorithm::Sha2384,
    HashAlgorithm::Sha2512,
];

impl Artifact {
    /// Reads the file once, for its digest.
    ///
    /// # Errors
    /// `Class::NotFound` when it is not there, `Class::Protocol` when it is nothing that can be read.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let mut file = File::open(&path).map_err(|e| unreadable(&path, &e))?;
        let kind = file.metadata().map_err(|e| unreadable(&path, &e))?;
        let name = path.file_name().unwrap_or(path.as_os_str());
        let name = name.to_string_lossy().into_owned();
        if !kind.is_file() && !kind.is_dir() {
            return Self::read(name, &mut file).map_err(|e| unreadable(&path, &e));
        }
        let digest = digests(&mut file, [HashAlgorithm::Sha2256]).and_then(|[digest]| sha256(&digest));
        Ok(Self {
            sha256: digest.map_err(|e| unreadable(&path, &e))?,
            path: Some(path),
            name: Some(name),
            others: Vec::new(),
        })
    }

    /// Reads what is there but once, to its end.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn read(name: impl Into<String>, from: &mut impl Read) -> std::io::Result<Self> {
        let [first, others @ ..] = digests(from, ALGORITHMS)?;
        Ok(Self {
            path: None,
            name: Some(name.into()),
            sha256: sha256(&first)?,
            others: others.to_vec(),
        })
    }

    /// A file that is not here, by its digest.
    #[must_use]
    pub fn of_digest(sha256: Sha256Hash) -> Self {
        Self {
            path: None,
            name: None,
            sha256,
            others: Vec::new(),
        }
    }

    /// Where it is; `None` when only its digest is known.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    fn here(&self) -> Result<&Path, Error> {
        let message = "the file itself is needed, and only its SHA-256 digest is known";
        self.path()
            .ok_or_else(|| Error::new(Class::Config, message).with_hint("write it to a file, and name that"))
    }

    /// Its name without the folder: what a statement calls it.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.sha256.to_hex())
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
        if algorithm == HashAlgorithm::Sha2256 {
            return Ok(ArtifactDigest::sha256(self.sha256));
        }
        let known = self.others.iter().find(|digest| digest.algorithm() == algorithm);
        match known {
            Some(digest) => Ok(digest.clone()),
            None => digest_of(self.here()?, algorithm),
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
    let read = File::open(path).and_then(|mut file| digests(&mut file, [algorithm]));
    let [digest] = read.map_err(|e| unreadable(path, &e))?;
    Ok(digest)
}

fn digests<const N: usize>(
    from: &mut impl Read,
    algorithms: [HashAlgorithm; N],
) -> std::io::Result<[ArtifactDigest; N]> {
    let hashers: Result<Vec<_>, _> = algorithms.into_iter().map(ArtifactHasher::new).collect();
    let mut hashers = hashers.map_err(std::io::Error::other)?;
    hash_reader(from, &mut hashers)?;
    let digests: Vec<ArtifactDigest> = hashers.into_iter().map(ArtifactHasher::finalize).collect();
    digests
        .try_into()
        .map_err(|_| std::io::Error::other("another number of digests"))
}

fn sha256(digest: &ArtifactDigest) -> std::io::Result<Sha256Hash> {
    Sha256Hash::try_from(digest.as_bytes()).map_err(std::io::Error::other)
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
