//! Token files, read with care: the whole file each time, nothing but a small regular file, never a held descriptor.
//!
//! Kubelets replace projected tokens by swapping the link `..data` (Kubernetes, `atomic_writer.go`), other tools by
//! renaming over the old file: whoever keeps a descriptor open reads the old token for ever. So the path is opened
//! anew each time. Links are refused, since whoever can plant one chooses what we send, except the kubelet's own.
use crate::Error;
use jeton_core::{Class, Secret};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// The largest token file that is read, in bytes: no token that a server accepts is larger.
pub const FILE_CAP: u64 = 1024 * 1024;
/// How often a file that is missing or empty is looked at again, where a platform replaces it …
const REPLACED_RETRIES: u32 = 3;
/// … and how far apart: a kubelet's swap takes well under this.
const REPLACED_WAIT: Duration = Duration::from_millis(100);
/// The kubelet's link to the current folder of a projected volume.
const KUBELET_DATA: &str = "..data";

/// A file that holds one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFile {
    path: PathBuf,
    named_by: Option<String>,
    replaced: bool,
    lined: bool,
}

impl TokenFile {
    /// A file that the user named. Missing, it is [`Class::NotFound`].
    pub fn named(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            named_by: None,
            replaced: false,
            lined: false,
        }
    }

    /// A file that a platform's `variable` (or page, for a well-known place) names. Missing, it is [`Class::Config`].
    pub fn of_platform(path: impl Into<PathBuf>, variable: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            named_by: Some(variable.into()),
            replaced: false,
            lined: false,
        }
    }

    /// The same file, which somebody replaces while the program runs: missing or empty, it is looked at again.
    #[must_use]
    pub fn replaced(self) -> Self {
        Self {
            replaced: true,
            ..self
        }
    }

    /// The same file, which may hold several lines: a key in PEM.
    #[must_use]
    pub fn lined(self) -> Self {
        Self { lined: true, ..self }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is something at that place, whatever it is.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.path.symlink_metadata().is_ok()
    }

    /// Its text, without white space at its end.
    ///
    /// # Errors
    /// [`Class::NotFound`] or [`Class::Config`] for a missing file, [`Class::Token`] for one that is empty, too
    /// large, a link, no regular file or no text, [`Class::Config`] for one that must not be read.
    pub fn read_now(&self) -> Result<Secret, Error> {
        read(&self.path, self.lined).map_err(|flaw| self.error(&flaw))
    }

    /// The same, waiting for a file that is just being replaced.
    ///
    /// # Errors
    /// As [`TokenFile::read_now`].
    pub async fn read(&self) -> Result<Secret, Error> {
        let mut retries = if self.replaced { REPLACED_RETRIES } else { 0 };
        loop {
            match read(&self.path, self.lined) {
                Err(Flaw::Missing | Flaw::Empty) if retries > 0 => {
                    retries -= 1;
                    tokio::time::sleep(REPLACED_WAIT).await;
                }
                result => return result.map_err(|flaw| self.error(&flaw)),
            }
        }
    }

    fn error(&self, flaw: &Flaw) -> Error {
        let path = shown(&self.path);
        let place = match &self.named_by {
            Some(variable) => format!("{path} (named by {variable})"),
            None => path,
        };
        let class = match flaw {
            Flaw::Missing if self.named_by.is_none() => Class::NotFound,
            Flaw::Missing | Flaw::Unreadable(Errno::ACCESS | Errno::PERM) => Class::Config,
            Flaw::Unreadable(_) => Class::Other,
            Flaw::Empty | Flaw::TooLarge | Flaw::NotRegular(_) | Flaw::NotText => Class::Token,
        };
        let error = Error::new(class, format!("{place} {flaw}"));
        match flaw {
            Flaw::Unreadable(Errno::ACCESS | Errno::PERM) => {
                error.with_hint("let this user read the file, or run as the user it belongs to")
            }
            _ => error,
        }
    }
}

/// What is wrong with a file.
#[derive(Debug, PartialEq, Eq)]
enum Flaw {
    Missing,
    Empty,
    TooLarge,
    NotRegular(&'static str),
    NotText,
    Unreadable(Errno),
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("does not exist"),
            Self::Empty => f.write_str("is empty"),
            Self::TooLarge => write!(f, "is larger than {FILE_CAP} bytes, so no token"),
            Self::NotRegular(what) => write!(f, "is {what}, not a regular file"),
            Self::NotText => f.write_str("holds bytes that no token has"),
            Self::Unreadable(errno) => write!(f, "cannot be read: {errno}"),
        }
    }
}

fn read(path: &Path, lined: bool) -> Result<Secret, Flaw> {
    let mut bytes = Vec::new();
    let file = open(path)?;
    let read = file.take(FILE_CAP + 1).read_to_end(&mut bytes);
    read.map_err(|error| Flaw::Unreadable(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    if bytes.len() as u64 > FILE_CAP {
        return Err(Flaw::TooLarge);
    }
    let text = String::from_utf8(bytes).map_err(|_| Flaw::NotText)?;
    let secret = Secret::new(text);
    let is_strange = |c: char| (c.is_control() && !(lined && matches!(c, '\n' | '\r'))) || c == '\u{feff}';
    match secret.reveal().trim_end() {
        "" => Err(Flaw::Empty),
        text if text.chars().any(is_strange) => Err(Flaw::NotText),
        text if text.len() == secret.reveal().len() => Ok(secret.clone()),
        text => Ok(Secret::new(text)),
    }
}

fn open(path: &Path) -> Result<File, Flaw> {
    match open_itself(path) {
        Err(Flaw::NotRegular(LINK)) => match projected(path) {
            Some(target) => open_itself(&target),
            None => Err(Flaw::NotRegular(LINK)),
        },
        result => result,
    }
}

const LINK: &str = "a link";

/// Opens `path` if it is a regular file; `NONBLOCK` because opening a FIFO would wait for a writer for ever.
fn open_itself(path: &Path) -> Result<File, Flaw> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::NOENT | Errno::NOTDIR => Flaw::Missing,
        Errno::LOOP => Flaw::NotRegular(LINK),
        Errno::NXIO => Flaw::NotRegular("a socket or device"),
        errno => Flaw::Unreadable(errno),
    })?;
    let kind = rustix::fs::fstat(&fd).map_err(Flaw::Unreadable)?.st_mode;
    match FileType::from_raw_mode(kind) {
        FileType::RegularFile => Ok(File::from(fd)),
        FileType::Directory => Err(Flaw::NotRegular("a folder")),
        FileType::Fifo => Err(Flaw::NotRegular("a FIFO")),
        _ => Err(Flaw::NotRegular("a device")),
    }
}

/// The file behind a link of a kubelet: `token -> ..data/token` beside `..data -> ..2026_01_02_03_04_05.123`.
fn projected(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    let target = std::fs::read_link(path).ok()?;
    let rest = target.strip_prefix(KUBELET_DATA).ok()?;
    let inside =
        rest.components().count() > 0 && rest.components().all(|c| matches!(c, Component::Normal(_)));
    let current = std::fs::read_link(folder.join(KUBELET_DATA)).ok()?;
    let mut parts = current.components();
    let beside = matches!((parts.next(), parts.next()), (Some(Component::Normal(name)), None)
        if name.to_string_lossy().starts_with(".."));
    (inside && beside).then(|| folder.join(current).join(rest))
}

/// A path fit to show: escaped, and hidden where somebody wrote a token in its place.
pub fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.contains("eyJ") {
        return jeton_core::redact::foreign(&text, &[]);
    }
    text.escape_debug().to_string()
}

#[cfg(test)]
mod tests;
