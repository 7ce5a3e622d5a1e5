//! A unix socket that only this user can open.
use crate::peer::own_user;
use jeton::{Env, Error};
use jeton_core::Class;
use rustix::fs::Mode;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// Where the agent's socket is: `named`, else `JETON_AGENT`, else `jeton/agent.sock` in `XDG_RUNTIME_DIR`.
///
/// # Errors
/// `Class::Config` when none of them says.
pub fn locate(env: &Env, named: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(path) = named {
        return Ok(path.to_path_buf());
    }
    if let Some(path) = env.get("JETON_AGENT") {
        return Ok(PathBuf::from(path.strip_prefix("unix:").unwrap_or(path)));
    }
    env.get("XDG_RUNTIME_DIR")
        .map(|dir| Path::new(dir).join("jeton/agent.sock"))
        .ok_or_else(|| {
            Error::new(
                Class::Config,
                "there is no place for the agent's socket: XDG_RUNTIME_DIR is not set",
            )
            .with_hint("say --socket PATH, or set JETON_AGENT")
        })
}

/// A socket that is removed with its value.
#[derive(Debug)]
pub struct Bound {
    path: PathBuf,
    identity: Identity,
}

/// What tells one socket from another at the same place: inode numbers are used again.
type Identity = (u64, i64, i64);

fn identity(path: &Path) -> Option<Identity> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.ino(), metadata.ctime(), metadata.ctime_nsec()))
}

impl Bound {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // Only if it is still ours: another agent may have taken the place.
        if identity(&self.path) == Some(self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Listens at `path`, in a folder of mode 0700 and with a socket of mode 0600. A socket that nobody listens at any
/// more is replaced; anything else there stays.
///
/// # Errors
/// `Class::Config` when another agent listens there, or something else is there.
pub async fn bind(path: &Path) -> Result<(UnixListener, Bound), Error> {
    let wrong = |what: String| Error::new(Class::Config, format!("the socket {}: {what}", path.display()));
    if let Some(folder) = path.parent() {
        folder_of_ours(folder).map_err(&wrong)?;
    }
    clear(path).await.map_err(&wrong)?;
    // The mode has to be right from the first moment: made under another name, then renamed into place.
    let temporary = path.with_extension("new");
    let _ = std::fs::remove_file(&temporary);
    let listener = UnixListener::bind(&temporary).map_err(|e| wrong(e.to_string()))?;
    rustix::fs::chmod(&temporary, Mode::RUSR.union(Mode::WUSR)).map_err(|e| wrong(e.to_string()))?;
    std::fs::rename(&temporary, path).map_err(|e| wrong(e.to_string()))?;
    let identity = identity(path).ok_or_else(|| wrong("it is gone again".to_owned()))?;
    Ok((
        listener,
        Bound {
            path: path.to_path_buf(),
            identity,
        },
    ))
}

/// The folder exists, is ours, and nobody else can write to it.
fn folder_of_ours(folder: &Path) -> Result<(), String> {
    if !folder.exists() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|e| format!("its folder cannot be made: {e}"))?;
    }
    let stat = rustix::fs::stat(folder).map_err(|e| e.to_string())?;
    // A shared folder with the sticky bit (/tmp) lets nobody replace another user's socket.
    let sticky = stat.st_mode & 0o1000 != 0;
    if !sticky && (stat.st_uid != own_user() && stat.st_uid != 0 || stat.st_mode & 0o022 != 0) {
        return Err("other users can write to its folder".to_owned());
    }
    Ok(())
}

async fn clear(path: &Path) -> Result<(), String> {
    let Ok(stat) = rustix::fs::lstat(path) else {
        return Ok(());
    };
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::Socket {
        return Err("something that is no socket is there already".to_owned());
    }
    if stat.st_uid != own_user() {
        return Err("another user's socket is there already".to_owned());
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err("another agent listens there already".to_owned()),
        Err(_) => std::fs::remove_file(path).map_err(|e| e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_living_one_or_a_file_is_not() {
        let folder = std::env::temp_dir().join(format!("jeton-socket-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        rustix::fs::chmod(&folder, Mode::RWXU).expect("mode");
        let path = folder.join("agent.sock");
        let (first, bound) = bind(&path).await.expect("first");
        let mode = rustix::fs::lstat(&path).expect("stat").st_mode & 0o777;
        assert_eq!(mode, 0o600);
        assert!(bind(&path).await.is_err(), "a living socket");
        drop(first);
        let (_second, second_bound) = bind(&path).await.expect("a dead one");
        drop(bound);
        assert!(path.exists(), "the first owner does not remove the second's");
        drop(second_bound);
        assert!(!path.exists());
        std::fs::write(&path, "").expect("file");
        assert!(bind(&path).await.is_err(), "a file");
        std::fs::remove_dir_all(&folder).expect("cleanup");
    }
}
