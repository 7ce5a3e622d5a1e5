//! Sessions on disk: one file each, and a lease so that one process at a time uses a refresh token.
use super::{RefreshToken, Session, SessionKey, folder, homeless};
use crate::cache::folder::{Distrust, Folder};
use crate::config::Store;
use crate::keyring::{self, Attributes};
use crate::{Context, Error};
use aws_lc_rs::digest::{SHA256, digest};
use jeton_core::{Class, Secret};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A session larger than this is none, in bytes.
const LARGEST: u64 = 256 * 1024;
/// The first wait for a lease that somebody else holds; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(5);
/// The longest wait between two looks at a lease.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// Where sessions are kept. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SessionStore {
    path: Option<PathBuf>,
    warned: Arc<AtomicBool>,
}

/// A session whose lease is held: nobody else on this machine uses or changes it. Let go when dropped, also by a
/// killed process.
#[derive(Debug)]
pub struct Held {
    store: SessionStore,
    key: SessionKey,
    _lease: Option<File>,
}

impl SessionStore {
    /// The sessions of this environment.
    #[must_use]
    pub fn new(cx: &Context) -> Self {
        Self {
            path: folder(cx),
            warned: Arc::default(),
        }
    }

    /// The session as its file says; one that cannot be trusted is as good as none, with a warning. A keyring is not
    /// asked.
    #[must_use]
    pub fn read(&self, cx: &Context, key: &SessionKey) -> Option<Session> {
        let path = self.path.as_ref()?;
        let name = file_name(key);
        let read = Folder::open(path).and_then(|folder| contents(&folder, &name));
        match read {
            Ok(bytes) => match Session::from_json(bytes.reveal().as_bytes()) {
                Some(session) if session.key == *key => Some(session),
                _ => {
                    self.warn(cx, key, "is not readable: ignored");
                    None
                }
            },
            Err(Distrust::Missing) => None,
            Err(e) => {
                self.warn(cx, key, &format!("is not trusted: {e}"));
                None
            }
        }
    }

    /// Whether a login can be kept: what cannot be kept need not be confirmed by a person.
    ///
    /// # Errors
    /// As [`Held::write`]; what the keyring says that is to keep its refresh token. Where that is locked, whoever is
    /// there is asked to unlock it.
    pub async fn prepare(&self, cx: &Context, key: &SessionKey, store: Store) -> Result<(), Error> {
        let path = self.path.as_ref().ok_or_else(homeless)?;
        Folder::make(path)
            .and_then(|folder| lease(&folder, key))
            .map_err(|e| unwritten(key, path, &e))?;
        match store {
            Store::File => Ok(()),
            Store::Keyring => keyring::unlock(cx).await.map_err(|e| e.about(&whose(key))),
        }
    }

    /// Says once what is wrong with a session: it is looked at several times.
    fn warn(&self, cx: &Context, key: &SessionKey, what: &str) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            let profile = &key.profile;
            cx.observer
                .warning(&format!("the login of profile \"{profile}\" {what}"));
        }
    }

    /// Waits for the session's lease, up to the deadline.
    ///
    /// # Errors
    /// `Class::Timeout` when somebody holds it until the deadline.
    pub async fn hold(&self, cx: &Context, key: &SessionKey) -> Result<Held, Error> {
        let held = |lease| Held {
            store: self.clone(),
            key: key.clone(),
            _lease: lease,
        };
        let Some(path) = &self.path else {
            return Ok(held(None));
        };
        // A folder that cannot be written to keeps no lease and no session; the call goes on alone.
        let Ok(lease) = Folder::make(path).and_then(|folder| lease(&folder, key)) else {
            return Ok(held(None));
        };
        let mut wait = FIRST_WAIT;
        loop {
            match lease.try_lock() {
                Ok(()) => return Ok(held(Some(lease))),
                Err(std::fs::TryLockError::WouldBlock) => {}
                // Some network file systems have no locks: better one refresh too many than none.
                Err(std::fs::TryLockError::Error(_)) => return Ok(held(None)),
            }
            if cx.left().is_some_and(|left| left <= wait) {
                let what = format!("profile \"{}\": another process is using its login", key.profile);
                return Err(Error::new(
                    Class::Timeout,
                    format!("{what}, and the deadline passed"),
                ));
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

impl SessionStore {
    /// Removes every session that `wanted` holds for, also of issuers and clients that the configuration no longer
    /// names, and what killed writers left of them. One whose keyring does not let go of it stays whole.
    ///
    /// # Errors
    /// What a keyring said; everything else is gone by then.
    pub async fn remove(&self, cx: &Context, wanted: impl Fn(&SessionKey) -> bool) -> Result<(), Error> {
        let mut failed = None;
        let Some(Ok(folder)) = self.path.as_ref().map(|path| Folder::open(path)) else {
            return Ok(());
        };
        for name in names(&folder) {
            let session = contents(&folder, &name).ok();
            let session = session.and_then(|bytes| Session::from_json(bytes.reveal().as_bytes()));
            let Some(session) = session.filter(|session| wanted(&session.key)) else {
                continue;
            };
            let let_go = match session.store {
                Store::File => Ok(()),
                Store::Keyring => keyring::remove(cx, &self.attributes(&session.key)).await,
            };
            match let_go {
                Ok(()) => drop(folder.remove(&name)),
                Err(e) => failed = Some(e),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// What a session's item in the keyring is found by. Two folders are two sessions, whatever else is the same.
    fn attributes(&self, key: &SessionKey) -> Attributes {
        let folder = self.path.as_ref().map(|path| path.display().to_string());
        Attributes::from([
            ("application", "jeton".to_owned()),
            ("profile", key.profile.clone()),
            ("issuer", key.issuer.clone()),
            ("client_id", key.client_id.clone()),
            ("folder", folder.unwrap_or_default()),
        ])
    }
}

impl Held {
    /// The session as it is stored now, with its refresh token; what a killed holder had written and not yet put in
    /// place counts.
    ///
    /// # Errors
    /// What the keyring says that keeps the token.
    pub async fn read(&self, cx: &Context) -> Result<Option<Session>, Error> {
        if let Some(Ok(folder)) = self.store.path.as_ref().map(|path| Folder::open(path)) {
            finish(&folder, &self.key);
        }
        let Some(mut session) = self.store.read(cx, &self.key) else {
            return Ok(None);
        };
        if let Some(RefreshToken::InKeyring) = session.refresh_token {
            let found = keyring::read(cx, &self.store.attributes(&self.key)).await;
            let found = found.map_err(|e| e.about(&whose(&self.key)))?;
            session.refresh_token = found.map(RefreshToken::Known);
        }
        Ok(Some(session))
    }

    /// Stores the session, whole or not at all, and on the disk before this returns.
    ///
    /// # Errors
    /// `Class::Other` when it cannot be written; what the keyring says that is to keep its refresh token.
    pub async fn write(&self, cx: &Context, session: &Session) -> Result<(), Error> {
        let path = self.store.path.as_ref().ok_or_else(homeless)?;
        if session.store == Store::Keyring {
            let attributes = self.store.attributes(&self.key);
            let kept = match session.known_token() {
                Some(token) => {
                    let label = format!("jeton: login of profile {}", self.key.profile);
                    keyring::write(cx, &label, &attributes, token).await
                }
                None => keyring::remove(cx, &attributes).await,
            };
            kept.map_err(|e| e.about(&whose(&self.key)))?;
        }
        let written = Folder::make(path).and_then(|folder| replace(&folder, &self.key, &session.to_json()));
        written.map_err(|e| unwritten(&self.key, path, &e))
    }
}

fn whose(key: &SessionKey) -> String {
    format!("the login of profile \"{}\"", key.profile)
}

fn unwritten(key: &SessionKey, path: &Path, e: &Distrust) -> Error {
    let what = format!("{} cannot be stored in {}", whose(key), path.display());
    Error::new(Class::Other, format!("{what}: {e}"))
        .with_hint("make room there, or set JETON_STATE_DIR to a folder that only you can write to")
}

fn stem(key: &SessionKey) -> String {
    let mut bytes = Vec::new();
    for field in [&key.profile, &key.issuer, &key.client_id] {
        bytes.extend(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(field.as_bytes());
    }
    digest(&SHA256, &bytes)
        .as_ref()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

fn file_name(key: &SessionKey) -> String {
    format!("{}.session", stem(key))
}

/// What is being written lies there until it is put in place. One name, since only the lease's holder writes.
fn temporary_name(key: &SessionKey) -> String {
    format!("{}.new", stem(key))
}

fn names(folder: &Folder) -> Vec<String> {
    let Ok(items) = rustix::fs::Dir::read_from(folder.fd()) else {
        return Vec::new();
    };
    let ours = |name: &String| name.ends_with(".session") || name.ends_with(".new");
    items
        .filter_map(|item| item.ok()?.file_name().to_str().ok().map(str::to_owned))
        .filter(ours)
        .collect()
}

/// Puts in place what a holder had written whole when he was killed: it is newer than what is there, and perhaps the
/// only copy of a refresh token that was rotated. What is not whole goes.
fn finish(folder: &Folder, key: &SessionKey) {
    let temporary = temporary_name(key);
    let written = match contents(folder, &temporary) {
        Ok(bytes) => Session::from_json(bytes.reveal().as_bytes()),
        Err(Distrust::Missing) => return,
        Err(_) => None,
    };
    let moved = written.is_some_and(|session| {
        session.key == *key
            && rustix::fs::renameat(folder.fd(), temporary.as_str(), folder.fd(), file_name(key)).is_ok()
    });
    if !moved {
        folder.remove(&temporary);
    }
}

fn lease(folder: &Folder, key: &SessionKey) -> Result<File, Distrust> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let name = format!("{}.lease", stem(key));
    let file = rustix::fs::openat(folder.fd(), name, flags, Mode::RUSR.union(Mode::WUSR))?;
    Ok(File::from(file))
}

fn contents(folder: &Folder, name: &str) -> Result<Secret, Distrust> {
    let (file, stat) = folder.file(name)?;
    if u64::try_from(stat.st_size).unwrap_or(u64::MAX) > LARGEST {
        return Err(Distrust::Suspect("it is too large"));
    }
    let mut text = String::new();
    file.take(LARGEST)
        .read_to_string(&mut text)
        .map_err(Distrust::Io)?;
    Ok(Secret::new(text))
}

/// Writes a temporary file beside it, syncs, renames, and syncs the folder. A holder who is killed on the way has lost
/// nothing once the temporary file is whole ([`finish`]): the time to the disk is no time in which a session is lost.
fn replace(folder: &Folder, key: &SessionKey, bytes: &Secret) -> Result<(), Distrust> {
    let (name, temporary) = (file_name(key), temporary_name(key));
    // The lease is held, and what a killed writer left whole was put in place when the session was read.
    folder.remove(&temporary);
    let mut file = folder.create(&temporary)?;
    let written = file
        .write_all(bytes.reveal().as_bytes())
        .and_then(|()| file.sync_all());
    if let Err(e) = written {
        folder.remove(&temporary);
        return Err(Distrust::Io(e));
    }
    rustix::fs::renameat(folder.fd(), temporary.as_str(), folder.fd(), name.as_str())?;
    Ok(rustix::fs::fsync(folder.fd())?)
}
