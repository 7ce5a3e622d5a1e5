//! The file of the signing keys: PEM blocks one after the other. The first signs, all are published.
//!
//! Rotation puts a new key in front and keeps those before it, so that what they signed is verified until it ends.
use jeton_core::Algorithm;
use jeton_core::signing::{SigningError, SigningKey};
use std::fmt;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The keys that a rotation leaves in the file: the new one and two before it. Two rotations within the longest life
/// of a token then orphan nothing.
const MOST_KEYS: usize = 3;
/// The largest file that is read, in bytes: three RSA keys of 8192 bits have some 20 KiB.
const LARGEST: u64 = 64 * 1024;
/// The rights of everybody but the owner.
const OTHERS: u32 = 0o077;
/// The rights of the file.
const OWNER_ONLY: u32 = 0o600;
/// The algorithm of a new key: every verifier knows it, and it signs fifteen times as fast as RSA.
const ALGORITHM: Algorithm = Algorithm::Es256;

/// Why there are no signing keys.
#[derive(Debug)]
pub enum KeyFileError {
    /// It cannot be read or written.
    File(PathBuf, io::Error),
    /// Others than its owner can read or write it.
    Open(PathBuf),
    /// It holds no key, or one that is of no use.
    Unusable(SigningError),
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "signing key {}: {error}", path.display()),
            Self::Open(path) => write!(
                f,
                "signing key {}: others can read it; `chmod 600` it, and rotate the key if they did",
                path.display()
            ),
            Self::Unusable(why) => write!(f, "signing key: {why}"),
        }
    }
}

impl std::error::Error for KeyFileError {}

/// Makes a file with one new key. An existing file is left alone and is an error.
///
/// # Errors
/// [`KeyFileError::File`], and [`KeyFileError::Unusable`] when the machine has no randomness.
pub fn generate(file: &Path) -> Result<String, KeyFileError> {
    if file.exists() {
        let exists = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(KeyFileError::File(file.to_owned(), exists));
    }
    let key = SigningKey::generate(ALGORITHM).map_err(KeyFileError::Unusable)?;
    write(file, std::slice::from_ref(&key))?;
    Ok(key.key_id().to_owned())
}

/// Puts a new key in front; the name of the new key comes back.
///
/// # Errors
/// As [`generate`], and what is wrong with the file that is there.
pub fn rotate(file: &Path) -> Result<String, KeyFileError> {
    let mut keys = vec![SigningKey::generate(ALGORITHM).map_err(KeyFileError::Unusable)?];
    keys.extend(read(file)?.into_iter().take(MOST_KEYS - 1));
    write(file, &keys)?;
    Ok(keys
        .first()
        .map(|key| key.key_id().to_owned())
        .unwrap_or_default())
}

/// The keys of the file, in its order.
pub(super) fn read(file: &Path) -> Result<Vec<SigningKey>, KeyFileError> {
    let failed = |error| KeyFileError::File(file.to_owned(), error);
    let about = std::fs::metadata(file).map_err(failed)?;
    if about.mode() & OTHERS != 0 {
        return Err(KeyFileError::Open(file.to_owned()));
    }
    if about.len() > LARGEST {
        return Err(KeyFileError::Unusable(SigningError::Pem));
    }
    let text = Zeroizing::new(std::fs::read_to_string(file).map_err(failed)?);
    let keys: Result<Vec<SigningKey>, SigningError> = blocks(&text)
        .map(|block| SigningKey::from_pem(&block, None))
        .collect();
    match keys {
        Ok(keys) if !keys.is_empty() => Ok(keys),
        Ok(_) => Err(KeyFileError::Unusable(SigningError::Pem)),
        Err(why) => Err(KeyFileError::Unusable(why)),
    }
}

/// The PEM blocks of a text, each with its own first and last line.
fn blocks(text: &str) -> impl Iterator<Item = Zeroizing<String>> {
    let mut lines = text.lines();
    std::iter::from_fn(move || {
        let mut block = Zeroizing::new(String::new());
        for line in lines.by_ref() {
            let begins = line.starts_with("-----BEGIN ");
            if begins || !block.is_empty() {
                block.push_str(line);
                block.push('\n');
            }
            if line.starts_with("-----END ") && !block.is_empty() {
                return Some(block);
            }
        }
        None
    })
}

/// Written whole or not at all, for nobody but the owner.
fn write(file: &Path, keys: &[SigningKey]) -> Result<(), KeyFileError> {
    let mut text = Zeroizing::new(String::new());
    for key in keys {
        text.push_str(key.to_pem().map_err(KeyFileError::Unusable)?.reveal());
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let written = || {
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        let rights = std::fs::Permissions::from_mode(OWNER_ONLY);
        temporary.as_file().set_permissions(rights)?;
        temporary.write_all(text.as_bytes())?;
        temporary.as_file().sync_all()?;
        temporary.persist(file).map_err(|e| e.error)?;
        std::fs::File::open(folder)?.sync_all()
    };
    written().map_err(|error| KeyFileError::File(file.to_owned(), error))
}
