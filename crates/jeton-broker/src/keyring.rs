//! Encryption at rest: a file of keys outside the database, AES-256-GCM, and the row's own id as associated data.
//!
//! What is sealed reads `enc:v{version}:{base64(nonce ‖ ciphertext ‖ tag)}`. The highest version encrypts, every version
//! decrypts. A wrong row, a changed byte or an unknown version is an error, never a plaintext.
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jeton_core::{Json, Secret, json};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of a key.
const KEY_LENGTH: usize = 32;
/// Bytes of a nonce.
const NONCE_LENGTH: usize = 12;
/// Bytes of a tag.
const TAG_LENGTH: usize = 16;
/// The largest keyring file that is read: room for a thousand keys.
const LARGEST_FILE: u64 = 64 * 1024;
/// What every sealed text begins with.
pub const PREFIX: &str = "enc:v";
/// What the key for row codes is derived for: another use never gives the same code.
const MAC_PURPOSE: &[u8] = b"jeton-broker row code 1";

/// Why a keyring cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KeyringError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// Others can read it.
    #[error("can be read by others (mode {0:o}); chmod 600")]
    Exposed(u32),
    /// It is not of the form `{"1": "<base64, 32 bytes>"}`.
    #[error("{0}")]
    Malformed(&'static str),
}

/// Why something sealed was not opened.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SealError {
    /// It is no sealed text at all.
    #[error("what is stored is not sealed")]
    NotSealed,
    /// No key of its version is in the keyring.
    #[error("no key of version {0} is in the keyring")]
    UnknownVersion(u32),
    /// The key is another, a byte was changed, or it is another row's.
    #[error("what is stored was changed, belongs to another row, or was sealed with another key")]
    Broken,
    /// The library failed.
    #[error("the cryptographic library failed")]
    Failed,
}

/// The keys.
pub struct Keyring {
    keys: BTreeMap<u32, Key>,
    /// The text they were read from, to see whether the file changed.
    digest: [u8; 32],
}

struct Key {
    seal: RandomizedNonceKey,
    mac: hmac::Key,
}

impl Keyring {
    /// Reads the file.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn load(path: &Path) -> Result<Self, KeyringError> {
        Self::parse(&read(path)?)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`KeyringError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        let entries = entries(text)?;
        let mut keys = BTreeMap::new();
        for (version, bytes) in entries {
            keys.insert(version, Key::new(&bytes).ok_or(KeyringError::Malformed(BAD_KEY))?);
        }
        if keys.is_empty() {
            return Err(KeyringError::Malformed("has no key"));
        }
        let digest = jeton_core::verify::token_digest(text);
        Ok(Self { keys, digest })
    }

    /// The same, read from a file of this text (in which its keys may be sealed).
    #[must_use]
    pub fn from_file(mut self, text: &str) -> Self {
        self.digest = jeton_core::verify::token_digest(text);
        self
    }

    /// Whether it was read from this text.
    #[must_use]
    pub fn is_of(&self, text: &str) -> bool {
        self.digest == jeton_core::verify::token_digest(text)
    }

    /// The version that encrypts.
    #[must_use]
    pub fn newest(&self) -> u32 {
        self.keys.keys().next_back().copied().unwrap_or(0)
    }

    /// Every version.
    pub fn versions(&self) -> impl Iterator<Item = u32> {
        self.keys.keys().copied()
    }

    /// What everything sealed with the newest key begins with.
    #[must_use]
    pub fn newest_prefix(&self) -> String {
        format!("{PREFIX}{}:", self.newest())
    }

    /// Seals `plain` for the row `id`.
    ///
    /// # Errors
    /// [`SealError::Failed`].
    pub fn seal(&self, id: &str, plain: &Secret) -> Result<String, SealError> {
        let (version, key) = self.keys.last_key_value().ok_or(SealError::Failed)?;
        let mut buffer = Zeroizing::new(plain.reveal().as_bytes().to_vec());
        let (nonce, tag) = key
            .seal
            .seal_in_place_separate_tag(Aad::from(id.as_bytes()), &mut buffer)
            .map_err(|_| SealError::Failed)?;
        let mut whole = nonce.as_ref().to_vec();
        whole.extend_from_slice(&buffer);
        whole.extend_from_slice(tag.as_ref());
        Ok(format!("{PREFIX}{version}:{}", STANDARD.encode(whole)))
    }

    /// Opens what was sealed for the row `id`.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn open(&self, id: &str, sealed: &str) -> Result<Secret, SealError> {
        let (version, coded) = split(sealed)?;
        let key = self
            .keys
            .get(&version)
            .ok_or(SealError::UnknownVersion(version))?;
        let whole = STANDARD.decode(coded).map_err(|_| SealError::Broken)?;
        if whole.len() < NONCE_LENGTH + TAG_LENGTH {
            return Err(SealError::Broken);
        }
        let (nonce, rest) = whole.split_at(NONCE_LENGTH);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Broken)?;
        let mut rest = Zeroizing::new(rest.to_vec());
        let plain = key
            .seal
            .open_in_place(nonce, Aad::from(id.as_bytes()), &mut rest)
            .map_err(|_| SealError::Broken)?;
        let text = std::str::from_utf8(plain).map_err(|_| SealError::Broken)?;
        Ok(Secret::new(text))
    }

    /// A code over `message` that only a holder of the keyring can make: `v{version}:{hex}`.
    #[must_use]
    pub fn code(&self, message: &str) -> String {
        self.keys
            .last_key_value()
            .map_or_else(String::new, |(version, key)| {
                let tag = hmac::sign(&key.mac, message.as_bytes());
                format!("v{version}:{}", hex(tag.as_ref()))
            })
    }

    /// Whether `code` was made over `message` with a key of this ring.
    #[must_use]
    pub fn is_coded(&self, message: &str, code: &str) -> bool {
        let parts = code.strip_prefix('v').and_then(|rest| rest.split_once(':'));
        let Some((version, tag)) = parts else { return false };
        let key = version
            .parse()
            .ok()
            .and_then(|version: u32| self.keys.get(&version));
        match (key, unhex(tag)) {
            (Some(key), Some(tag)) => hmac::verify(&key.mac, message.as_bytes(), &tag).is_ok(),
            _ => false,
        }
    }
}

impl Key {
    fn new(bytes: &[u8]) -> Option<Self> {
        let seal = RandomizedNonceKey::new(&AES_256_GCM, bytes).ok()?;
        let root = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let mac = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, MAC_PURPOSE).as_ref());
        Some(Self { seal, mac })
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

/// The version that a sealed text names.
///
/// # Errors
/// [`SealError::NotSealed`].
pub fn version_of(sealed: &str) -> Result<u32, SealError> {
    split(sealed).map(|(version, _)| version)
}

fn split(sealed: &str) -> Result<(u32, &str), SealError> {
    let rest = sealed.strip_prefix(PREFIX).ok_or(SealError::NotSealed)?;
    let (version, coded) = rest.split_once(':').ok_or(SealError::NotSealed)?;
    let version = version.parse().map_err(|_| SealError::NotSealed)?;
    Ok((version, coded))
}

const BAD_KEY: &str = "has a key that is not 32 bytes in base64";

fn entries(text: &str) -> Result<BTreeMap<u32, Zeroizing<Vec<u8>>>, KeyringError> {
    let parsed = json::parse(text.as_bytes()).map_err(|_| KeyringError::Malformed("is not JSON"))?;
    let members = parsed
        .as_object()
        .ok_or(KeyringError::Malformed("is no JSON object"))?;
    let mut entries = BTreeMap::new();
    for (name, value) in members {
        let version: Option<u32> = name.as_str().parse().ok().filter(|version| *version > 0);
        let version = version.ok_or(KeyringError::Malformed("has a version that is no number"))?;
        let coded = value.as_str().ok_or(KeyringError::Malformed(BAD_KEY))?;
        let bytes = Zeroizing::new(
            STANDARD
                .decode(coded.trim())
                .map_err(|_| KeyringError::Malformed(BAD_KEY))?,
        );
        if bytes.len() != KEY_LENGTH {
            return Err(KeyringError::Malformed(BAD_KEY));
        }
        entries.insert(version, bytes);
    }
    Ok(entries)
}

/// The text of a keyring with one more, fresh key; without `text`, of a new one. And the version of that key.
///
/// # Errors
/// [`KeyringError`].
pub fn extended(text: Option<&str>) -> Result<(Zeroizing<String>, u32), KeyringError> {
    let mut entries = text.map(entries).transpose()?.unwrap_or_default();
    let version = entries.keys().next_back().copied().unwrap_or(0) + 1;
    let mut fresh = Zeroizing::new(vec![0; KEY_LENGTH]);
    rand::fill(&mut fresh).map_err(|_| KeyringError::Malformed("no randomness"))?;
    entries.insert(version, fresh);
    let members = entries.iter().map(|(version, bytes)| {
        (
            version.to_string(),
            Json::String(STANDARD.encode(bytes.as_slice())),
        )
    });
    let text = Zeroizing::new(format!("{}\n", Json::object(members).to_text()));
    Ok((text, version))
}

/// The text of a keyring file that nobody else can read.
///
/// # Errors
/// [`KeyringError`].
pub fn read(path: &Path) -> Result<Zeroizing<String>, KeyringError> {
    let unreadable = |error: std::io::Error| KeyringError::Unreadable(error.to_string());
    // Not to hang on a FIFO: its rights are looked at on the open file.
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0))
        .open(path)
        .map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    if !found.is_file() {
        return Err(KeyringError::Malformed("is no regular file"));
    }
    if found.mode() & 0o077 != 0 {
        return Err(KeyringError::Exposed(found.mode() & 0o777));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LARGEST_FILE)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    Ok(text)
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)]));
    bytes.iter().flat_map(digits).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(text: Option<&str>) -> (String, Keyring) {
        let (text, _) = extended(text).expect("keyring");
        let ring = Keyring::parse(&text).expect("keyring");
        (text.to_string(), ring)
    }

    #[test]
    fn d14_what_is_sealed_opens_in_its_row_only_and_a_changed_byte_is_an_error() {
        let (text, one) = ring(None);
        let secret = Secret::new("hunter2-hunter2");
        let sealed = one.seal("a", &secret).expect("seal");
        assert!(sealed.starts_with("enc:v1:") && !sealed.contains("hunter2"));
        assert_eq!(one.open("a", &sealed), Ok(secret.clone()));
        assert_eq!(one.open("b", &sealed), Err(SealError::Broken));
        let bytes = STANDARD.decode(&sealed["enc:v1:".len()..]).expect("base64");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = format!("enc:v1:{}", STANDARD.encode(changed));
            assert_eq!(one.open("a", &changed), Err(SealError::Broken), "byte {at}");
        }
        // A corrupt envelope is never taken for a plaintext (D.4).
        for (stored, why) in [
            ("enc:v1:", SealError::Broken),
            ("enc:v1:!!!", SealError::Broken),
            ("enc:v9:AAAA", SealError::UnknownVersion(9)),
            ("enc:", SealError::NotSealed),
            ("enc:vx:AAAA", SealError::NotSealed),
            ("hunter2-hunter2", SealError::NotSealed),
            ("", SealError::NotSealed),
        ] {
            assert_eq!(one.open("a", stored), Err(why), "{stored}");
        }
        // The next key encrypts, the old one still opens.
        let (_, two) = ring(Some(&text));
        assert_eq!(two.newest(), 2);
        assert_eq!(two.open("a", &sealed), Ok(secret.clone()));
        let newer = two.seal("a", &secret).expect("seal");
        assert!(newer.starts_with("enc:v2:"));
        assert_eq!(one.open("a", &newer), Err(SealError::UnknownVersion(2)));
        // Another ring's key of the same version.
        let (_, other) = ring(None);
        assert_eq!(other.open("a", &sealed), Err(SealError::Broken));
    }

    #[test]
    fn a_code_is_over_the_message_and_by_the_ring() {
        let (text, one) = ring(None);
        let code = one.code("row");
        assert!(one.is_coded("row", &code) && !one.is_coded("rox", &code));
        let (_, two) = ring(Some(&text));
        assert!(two.is_coded("row", &code) && !one.is_coded("row", &two.code("row")));
        for bad in ["", "v1:", "v1:zz", "1:00", "v1"] {
            assert!(!one.is_coded("row", bad), "{bad}");
        }
    }

    #[test]
    fn d14_a_keyring_that_others_can_read_or_that_is_none_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("keyring.json");
        assert!(matches!(Keyring::load(&path), Err(KeyringError::Unreadable(_))));
        let (text, _) = ring(None);
        std::fs::write(&path, &text).expect("write");
        for (mode, fits) in [
            (0o600, true),
            (0o400, true),
            (0o640, false),
            (0o604, false),
            (0o622, false),
        ] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
            assert_eq!(Keyring::load(&path).is_ok(), fits, "{mode:o}");
        }
        for text in [
            "",
            "[]",
            "{}",
            "{\"1\":\"c2hvcnQ=\"}",
            "{\"x\":\"\"}",
            "{\"0\":\"\"}",
            "{\"1\":1}",
        ] {
            assert!(Keyring::parse(text).is_err(), "{text}");
        }
        assert!(Keyring::load(folder.path()).is_err());
    }
}
