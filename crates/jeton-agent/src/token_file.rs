//! A file that always holds a fresh token: written whole, with the rights that were asked for, never half.
use jeton::{Error, Secret};
use jeton_core::Class;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

mod kubernetes;

/// The rights of a token file when nobody says.
pub const USUAL_MODE: u32 = 0o600;

/// A place for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFile {
    /// Where.
    pub path: PathBuf,
    /// With which rights.
    pub mode: u32,
    /// How it is put into its place.
    pub layout: Layout,
}

/// How a file is put into its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Renamed onto its name.
    #[default]
    Plain,
    /// As the kubelet writes a volume: a new folder, and the link `..data` switched to it.
    Kubernetes,
}

impl Layout {
    /// The layout that the folder of `path` has now.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        match folder_of(path).join(kubernetes::DATA).is_symlink() {
            true => Self::Kubernetes,
            false => Self::Plain,
        }
    }
}

/// The folder a file is in.
fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

impl TokenFile {
    /// Writes the token: a temporary file beside it, synced, renamed into place.
    ///
    /// # Errors
    /// `Class::Other` when it cannot be written; the old file stays whole.
    pub fn write(&self, token: &Secret) -> Result<(), Error> {
        let wrong = |e: std::io::Error| {
            Error::new(
                Class::Other,
                format!("the token file {}: {e}", self.path.display()),
            )
            .with_hint("its folder must be there, and be yours to write to")
        };
        if self.layout == Layout::Kubernetes {
            return kubernetes::write(self, token).map_err(wrong);
        }
        let folder = folder_of(&self.path);
        let name = self
            .path
            .file_name()
            .ok_or_else(|| wrong(std::io::ErrorKind::InvalidInput.into()))?;
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.new", std::process::id()));
        let temporary = folder.join(temporary);
        let written = self
            .write_to(&temporary, token)
            .and_then(|()| std::fs::rename(&temporary, &self.path));
        if written.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        written.map_err(wrong)?;
        // The rename itself must outlive a power cut; a folder that cannot be synced is no reason to fail.
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
        Ok(())
    }

    fn write_to(&self, path: &Path, token: &Secret) -> std::io::Result<()> {
        let _ = std::fs::remove_file(path);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(self.mode);
        // Never wider than asked for, not even for a moment; the umask may only have taken rights away.
        let file = rustix::fs::open(path, flags, mode)?;
        rustix::fs::fchmod(&file, mode)?;
        let mut file = File::from(file);
        file.write_all(token.reveal().as_bytes())?;
        file.sync_all()
    }

    /// Removes it; that it is not there is fine.
    pub fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
