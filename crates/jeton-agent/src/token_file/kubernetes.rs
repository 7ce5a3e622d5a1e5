//! A file in the layout of a Kubernetes volume, as the kubelet's atomic writer leaves it and as programs watch it:
//! `token` is a link to `..data/token`, and `..data` a link to a folder that is made anew for each change.
use super::{TokenFile, folder_of};
use jeton::Secret;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The link to the folder of this moment.
pub(super) const DATA: &str = "..data";
/// What the link is called until it is switched.
const DATA_NEW: &str = "..data_tmp";
/// The rights of each such folder, as the kubelet has them; the file's own rights decide who reads it.
const FOLDER_MODE: u32 = 0o755;

/// Two files of one volume are written one after the other.
static VOLUME: Mutex<()> = Mutex::new(());

pub(super) fn write(file: &TokenFile, token: &Secret) -> io::Result<()> {
    let _turn = VOLUME.lock().unwrap_or_else(PoisonError::into_inner);
    let volume = folder_of(&file.path);
    let name = file.path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let old = current(volume);
    let new = fresh_folder(volume)?;
    let switched = fill(&new, old.as_deref(), name)
        .and_then(|()| file.write_to(&new.join(name), token))
        .and_then(|()| switch(volume, &new));
    if let Err(e) = switched {
        let _ = fs::remove_dir_all(&new);
        return Err(e);
    }
    show(volume, name)?;
    if let Some(old) = old {
        // Whoever has a file of it open reads on; nothing of an old token stays behind.
        let _ = fs::remove_dir_all(old);
    }
    Ok(())
}

/// The folder that `..data` leads to: one beside it, whatever else the link may say.
fn current(volume: &Path) -> Option<PathBuf> {
    let target = fs::read_link(volume.join(DATA)).ok()?;
    let is_name = target.file_name() == Some(target.as_os_str());
    (is_name && target.as_os_str().as_encoded_bytes().starts_with(b"..")).then(|| volume.join(target))
}

fn fresh_folder(volume: &Path) -> io::Result<PathBuf> {
    let now = jiff::Timestamp::now();
    let stamp = now.strftime("..%Y_%m_%d_%H_%M_%S");
    let path = volume.join(format!("{stamp}.{}", now.subsec_nanosecond()));
    DirBuilder::new().mode(FOLDER_MODE).create(&path)?;
    Ok(path)
}

/// The volume's other files come along.
fn fill(new: &Path, old: Option<&Path>, but: &OsStr) -> io::Result<()> {
    let Some(entries) = old.and_then(|old| fs::read_dir(old).ok()) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name() != but && entry.file_type()?.is_file() {
            fs::copy(entry.path(), new.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn switch(volume: &Path, new: &Path) -> io::Result<()> {
    let link = volume.join(DATA_NEW);
    let _ = fs::remove_file(&link);
    symlink(new.file_name().ok_or(io::ErrorKind::InvalidInput)?, &link)?;
    fs::rename(&link, volume.join(DATA))
}

/// The name under which programs read it.
fn show(volume: &Path, name: &OsStr) -> io::Result<()> {
    let (seen, target) = (volume.join(name), Path::new(DATA).join(name));
    if fs::read_link(&seen).is_ok_and(|link| link == target) {
        return Ok(());
    }
    let link = volume.join(DATA_NEW);
    let _ = fs::remove_file(&link);
    symlink(target, &link)?;
    fs::rename(link, seen)
}

#[cfg(test)]
mod tests {
    use super::super::Layout;
    use super::*;

    #[test]
    fn a_volume_is_switched_whole_and_keeps_its_other_files() {
        let volume = std::env::temp_dir().join(format!("jeton-volume-{}", std::process::id()));
        fs::create_dir_all(&volume).expect("folder");
        let file = |name: &str| TokenFile {
            path: volume.join(name),
            mode: 0o640,
            layout: Layout::Kubernetes,
        };
        for (name, text) in [("token", "one"), ("other", "two"), ("token", "three")] {
            file(name).write(&Secret::new(text)).expect("written");
        }
        let read = |name: &str| fs::read_to_string(volume.join(name)).expect("read");
        assert_eq!(
            (read("token"), read("other")),
            ("three".to_owned(), "two".to_owned())
        );
        assert_eq!(
            fs::read_link(volume.join("token")).expect("link"),
            Path::new("..data/token")
        );
        let names = fs::read_dir(&volume).expect("list").count();
        assert_eq!(names, 4, "two names, the link, one folder");
        assert_eq!(Layout::of(&volume.join("token")), Layout::Kubernetes);
        let mode = rustix::fs::stat(volume.join("token")).expect("stat").st_mode & 0o777;
        assert_eq!(mode, 0o640);
        fs::remove_dir_all(&volume).expect("cleanup");
    }
}
