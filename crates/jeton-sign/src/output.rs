//! Bundles as files: 0600 whatever the umask, whole or not at all.
use crate::Bundle;
use jeton::source::file::shown;
use jeton::{Class, Error};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// What a bundle's file is called beside the file it is for.
pub const ENDING: &str = ".sigstore.json";

/// The rights of a bundle's file.
#[cfg(unix)]
const MODE: u32 = 0o600;

/// Writes a bundle: a temporary file in the same folder, made durable, put in place of what was there.
///
/// # Errors
/// `Class::NotFound` when there is no such folder, `Class::Other` when the system says no; then nothing has changed.
pub fn write(bundle: &Bundle, path: &Path) -> Result<(), Error> {
    let json = bundle
        .to_json()
        .map_err(|e| Error::new(Class::Other, format!("the bundle cannot be written: {e}")))?;
    replace(path, json.as_bytes()).map_err(|e| failed(path, &e))
}

/// Looks whether a bundle could be written there: a file is made in its folder, and gone again.
///
/// # Errors
/// As [`write()`]; `Class::Config` when it is a folder.
pub fn check(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Err(
            Error::new(Class::Config, format!("{}: it is a folder", shown(path)))
                .with_hint("name the bundle's file, or say --bundle-dir"),
        );
    }
    tempfile::NamedTempFile::new_in(folder(path))
        .map(drop)
        .map_err(|e| failed(path, &e))
}

fn failed(path: &Path, fault: &std::io::Error) -> Error {
    let class = match fault.kind() {
        std::io::ErrorKind::NotFound => Class::NotFound,
        _ => Class::Other,
    };
    Error::new(class, format!("{}: {fault}", shown(path)))
        .with_hint("nothing was written; say another place for the bundle, or mend this one")
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = folder(path);
    // Made 0600 by the crate, and removed again when anything below fails.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    // A umask may have taken more away than others' rights.
    #[cfg(unix)]
    file.as_file()
        .set_permissions(std::os::unix::fs::PermissionsExt::from_mode(MODE))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    File::open(folder)?.sync_all()
}
