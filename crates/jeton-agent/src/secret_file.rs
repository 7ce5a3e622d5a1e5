//! A secret that two programs share by a file: read, or made where there is none.
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jeton::{Error, Secret};
use jeton_core::Class;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

/// The shortest secret that is taken from a file, in characters: what a person would not guess.
const SHORTEST: usize = 16;
/// The largest file that is read, in bytes.
const LARGEST: u64 = 4096;

/// A fresh secret of 256 random bits.
///
/// # Errors
/// `Class::Other` when the system has no randomness to give.
pub fn fresh() -> Result<Secret, Error> {
    let mut bytes = [0u8; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::new(Class::Other, "the system gave no random bytes"))?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

/// The secret in `path`; where there is no such file, it is made, readable for its owner alone.
///
/// # Errors
/// `Class::Config` for a file that others can read, that holds no secret, or that cannot be made.
pub fn read_or_make(path: &Path) -> Result<Secret, Error> {
    match make(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => read(path),
        Err(e) => Err(wrong(path, &e.to_string())),
        Ok(secret) => secret,
    }
}

fn wrong(path: &Path, what: &str) -> Error {
    Error::new(
        Class::Config,
        format!("the secret file {}: {what}", path.display()),
    )
    .with_hint("name a file that only you can read, or none yet: it is made then")
}

fn make(path: &Path) -> std::io::Result<Result<Secret, Error>> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::RUSR.union(Mode::WUSR))?;
    let secret = match fresh() {
        Ok(secret) => secret,
        Err(e) => return Ok(Err(e)),
    };
    let mut file = File::from(file);
    file.write_all(secret.reveal().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    Ok(Ok(secret))
}

fn read(path: &Path) -> Result<Secret, Error> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| wrong(path, &e.to_string()))?;
    let stat = rustix::fs::fstat(&file).map_err(|e| wrong(path, &e.to_string()))?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile {
        return Err(wrong(path, "no regular file"));
    }
    if stat.st_uid != crate::peer::own_user() || stat.st_mode & 0o077 != 0 {
        return Err(wrong(path, "other users can read it (chmod 600)"));
    }
    let mut text = String::new();
    File::from(file)
        .take(LARGEST)
        .read_to_string(&mut text)
        .map_err(|e| wrong(path, &e.to_string()))?;
    let secret = text.trim();
    if secret.len() < SHORTEST || !secret.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(wrong(path, "no secret in it: 16 visible characters at least"));
    }
    Ok(Secret::new(secret))
}
