//! Where entries are written, and when a place or a file is not trusted.
#![allow(
    clippy::useless_conversion,
    reason = "`st_mode` is narrower on some systems than on others"
)]
use crate::Env;
use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Folders: only this user may even look.
pub(crate) const FOLDER_MODE: Mode = Mode::RWXU;
/// Files: only this user may read and write.
pub(crate) const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
/// The bits of a mode that give anybody else anything.
const OTHERS: u32 = 0o077;
/// The bits of a mode that let anybody else write.
const OTHERS_WRITE: u32 = 0o022;
/// The permission bits of a mode.
const PERMISSIONS: u32 = 0o7777;
/// The name of the folder below a cache folder that others use too.
const NAME: &str = "jeton";

/// Where the cache is: `JETON_CACHE_DIR`, else `jeton` in `XDG_CACHE_HOME`, else in `~/.cache` (XDG Base Directory
/// Specification). A relative `XDG_CACHE_HOME` is as good as absent, and so is a home that is `/`, relative or somebody
/// else's. `None`: there is nowhere to write, hence no disk cache.
#[must_use]
pub fn locate(env: &Env) -> Option<PathBuf> {
    if let Some(own) = env.get("JETON_CACHE_DIR") {
        return Some(PathBuf::from(own));
    }
    if let Some(base) = env
        .get("XDG_CACHE_HOME")
        .map(Path::new)
        .filter(|p| p.is_absolute())
    {
        return Some(base.join(NAME));
    }
    let home = env.home().filter(|home| is_own(home))?;
    Some(home.join(".cache").join(NAME))
}

fn is_own(path: &Path) -> bool {
    rustix::fs::stat(path).is_ok_and(|stat| stat.st_uid == me())
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Why something in the file system is not used.
#[derive(Debug)]
pub(crate) enum Distrust {
    /// It is not there. Nothing to warn about.
    Missing,
    /// It is there, but not what we would have written.
    Suspect(&'static str),
    /// The system says no.
    Io(io::Error),
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("not there"),
            Self::Suspect(why) => f.write_str(why),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl From<rustix::io::Errno> for Distrust {
    fn from(errno: rustix::io::Errno) -> Self {
        use rustix::io::Errno;
        match errno {
            Errno::NOENT => Self::Missing,
            // What O_NOFOLLOW and O_DIRECTORY say of a link.
            Errno::LOOP => Self::Suspect("it is a link"),
            Errno::NOTDIR => Self::Suspect("it is a link, or no folder"),
            errno => Self::Io(errno.into()),
        }
    }
}

/// A folder that was opened once and is trusted: everything in it is named relative to the open folder.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

impl Folder {
    /// Opens a folder that is there.
    pub(crate) fn open(path: &Path) -> Result<Self, Distrust> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&folder)?;
        if stat.st_uid != me() {
            return Err(Distrust::Suspect("it belongs to another user"));
        }
        if u32::from(stat.st_mode) & OTHERS_WRITE != 0 {
            return Err(Distrust::Suspect("other users may write to it"));
        }
        if u32::from(stat.st_mode) & OTHERS != 0 {
            rustix::fs::fchmod(&folder, FOLDER_MODE)?;
        }
        Ok(Self(folder))
    }

    /// Opens a folder, and makes it, and those above it, where it is not there.
    pub(crate) fn make(path: &Path) -> Result<Self, Distrust> {
        match Self::open(path) {
            Err(Distrust::Missing) => (),
            other => return other,
        }
        make_all(path)?;
        Self::open(path)
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.0
    }

    /// Opens a regular file of ours, with nothing to distrust about it.
    pub(crate) fn file(&self, name: &str) -> Result<(File, Stat), Distrust> {
        // NONBLOCK: a FIFO that somebody planted is seen, not waited for.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.0, name, flags, Mode::empty())?;
        let stat = trusted(file.as_fd())?;
        Ok((File::from(file), stat))
    }

    /// Opens a file for a lease, or makes it; nothing to distrust about it.
    pub(crate) fn open_or_create(&self, name: &str) -> Result<File, Distrust> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.0, name, flags, FILE_MODE)?;
        if trusted(file.as_fd())?.st_mode & PERMISSIONS != FILE_MODE.bits() {
            // A umask can take rights from us, too: nobody could open it a second time.
            rustix::fs::fchmod(&file, FILE_MODE)?;
        }
        Ok(File::from(file))
    }

    /// Whether `name` is still this open file, and not another one put in its place.
    pub(crate) fn names(&self, name: &str, file: &File) -> bool {
        let there = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW);
        let open = rustix::fs::fstat(file);
        matches!((there, open), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
    }

    /// Makes a new file that only this user may read, whatever the umask; it must not be there yet.
    pub(crate) fn create(&self, name: &str) -> Result<File, Distrust> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.0, name, flags, FILE_MODE)?;
        rustix::fs::fchmod(&file, FILE_MODE)?;
        Ok(File::from(file))
    }

    /// Removes a name; whatever it was.
    pub(crate) fn remove(&self, name: &str) -> bool {
        rustix::fs::unlinkat(&self.0, name, AtFlags::empty()).is_ok()
            || rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR).is_ok()
    }
}

/// Whether an open file is a regular one of ours that nobody else can read, write or name.
pub(crate) fn trusted(file: impl AsFd) -> Result<Stat, Distrust> {
    let stat = rustix::fs::fstat(file)?;
    let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
    if kind != rustix::fs::FileType::RegularFile {
        return Err(Distrust::Suspect("it is no regular file"));
    }
    if stat.st_uid != me() {
        return Err(Distrust::Suspect("it belongs to another user"));
    }
    if stat.st_nlink > 1 {
        return Err(Distrust::Suspect("it has another name elsewhere (a hard link)"));
    }
    if u32::from(stat.st_mode) & PERMISSIONS & OTHERS != 0 {
        return Err(Distrust::Suspect("other users may read or write it"));
    }
    Ok(stat)
}

/// Makes a folder and those above it that are not there.
fn make_all(path: &Path) -> Result<(), Distrust> {
    match make_one(path) {
        Err(rustix::io::Errno::NOENT) => {
            let parent = path
                .parent()
                .ok_or_else(|| Distrust::Io(ErrorKind::NotFound.into()))?;
            make_all(parent)?;
            Ok(make_one(path)?)
        }
        other => Ok(other?),
    }
}

fn make_one(path: &Path) -> rustix::io::Result<()> {
    match rustix::fs::mkdir(path, FOLDER_MODE) {
        // A umask can take rights from us, too; the folder is ours and new.
        Ok(()) => rustix::fs::chmod(path, FOLDER_MODE),
        Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}
