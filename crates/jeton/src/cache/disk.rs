//! Entries on disk: read, written whole or not at all, listed, cleared.
use super::Wanted;
use super::entry::Entry;
use super::folder::{Distrust, Folder};
use super::key::{Key, Scope, hex};
use super::lease::Lease;
use crate::context::Observer;
use jeton_core::{Moment, Secret, Token, UnixTime};
use rustix::fs::Dir;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zeroize::Zeroizing;

/// The largest entry that is read or written, in bytes.
pub const ENTRY_CAP: u64 = 1024 * 1024;
/// A temporary file is a moment's; one this old was left behind by somebody who was killed.
const STALE_TEMPORARY: Duration = Duration::from_secs(60 * 60);
/// A dead entry is of no use; it is removed a day later, so that nobody meets an unexplained empty folder.
const STALE_ENTRY: Duration = Duration::from_secs(24 * 60 * 60);
const ENTRY_ENDING: &str = ".json";
const LEASE_ENDING: &str = ".lock";
const TEMPORARY_ENDING: &str = ".tmp";
/// Documents that anybody may read (discovery, key sets), kept beside the tokens.
const DOCUMENT_ENDING: &str = ".document.json";

/// The cache on disk. Made without touching the disk; the folder comes into being with the first entry. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct Disk {
    path: Arc<Path>,
    warned: Arc<AtomicBool>,
}

/// One entry, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The profile; empty for the ambient chain.
    pub profile: String,
    /// The source that gave it.
    pub source: String,
    /// `iss`, where it is known.
    pub issuer: Option<String>,
    /// `sub`, where it is known.
    pub subject: Option<String>,
    /// The audience it is for.
    pub audience: Vec<String>,
    /// The granted scopes, where they are known.
    pub scopes: Vec<String>,
    /// When it ends.
    pub expires_at: Option<UnixTime>,
    /// The file's name in the cache folder.
    pub file: String,
}

/// What became of a look into the cache.
#[derive(Debug)]
pub(crate) enum Found {
    /// What was wanted.
    Token(Box<Token>),
    /// Nothing, or nothing of use.
    Miss,
    /// Something that is not trusted, and why.
    Suspect(String),
}

impl Disk {
    /// The cache in this folder.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into().into(),
            warned: Arc::default(),
        }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says once that the cache is not what it should be; the first word about it is enough.
    pub(crate) fn warn(&self, observer: &dyn Observer, what: &str) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            let path = self.path.display();
            observer.warning(&format!("cache {path}: {what}; going on without it"));
        }
    }

    /// Looks up a token: one folder and one small file are opened, nothing else.
    pub(crate) fn read(&self, key: &Key, scope: &Scope<'_>, wanted: &Wanted, now: Moment) -> Found {
        let name = entry_name(key);
        let folder = match Folder::open(&self.path) {
            Ok(folder) => folder,
            Err(Distrust::Missing) => return Found::Miss,
            Err(why) => return Found::Suspect(format!("the folder is not trusted: {why}")),
        };
        let bytes = match contents(&folder, &name) {
            Ok(bytes) => bytes,
            Err(Distrust::Missing) => return Found::Miss,
            Err(why) => return Found::Suspect(format!("{name} is not trusted: {why}")),
        };
        let Some(entry) = Entry::unseal(&bytes) else {
            return Found::Suspect(format!("{name} is corrupt or of another version"));
        };
        if !entry.is_for(scope) {
            return Found::Suspect(format!("{name} holds a token for something else"));
        }
        match entry.into_token(scope, wanted, now) {
            Some(token) => Found::Token(Box::new(token)),
            None => Found::Miss,
        }
    }

    /// Writes a token, whole or not at all. One without a known end is not written.
    ///
    /// # Errors
    /// Why not, in words.
    #[cfg(test)]
    pub(crate) fn write(
        &self,
        key: &Key,
        scope: &Scope<'_>,
        token: &Token,
        now: Moment,
    ) -> Result<(), String> {
        match Entry::of(scope, token).and_then(|entry| entry.seal()) {
            Some(sealed) => self.write_sealed(key, &Zeroizing::new(sealed), now),
            None => Ok(()),
        }
    }

    /// Writes a sealed entry, whole or not at all.
    ///
    /// # Errors
    /// Why not, in words.
    pub(crate) fn write_sealed(&self, key: &Key, bytes: &[u8], now: Moment) -> Result<(), String> {
        let folder = Folder::make(&self.path).map_err(|why| why.to_string())?;
        replace(&folder, &entry_name(key), bytes).map_err(|why| why.to_string())?;
        prune(&folder, now);
        Ok(())
    }

    /// The body of a public document that was kept under `key`; `None` where there is none that can be trusted.
    #[must_use]
    pub fn read_document(&self, key: &Key) -> Option<Vec<u8>> {
        let folder = Folder::open(&self.path).ok()?;
        let bytes = contents(&folder, &document_name(key)).ok()?;
        super::entry::unseal(&bytes).map(<[u8]>::to_vec)
    }

    /// Keeps the body of a public document (discovery, a key set, a trust root's metadata), whole or not at all.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn write_document(&self, key: &Key, body: &[u8]) -> Result<(), String> {
        let folder = Folder::make(&self.path).map_err(|why| why.to_string())?;
        let bytes = super::entry::seal(body);
        replace(&folder, &document_name(key), &bytes).map_err(|why| why.to_string())
    }

    /// The one lease for `key` on this machine, not held yet.
    pub(crate) fn lease(&self, key: &Key) -> Result<Lease, Distrust> {
        Lease::open(Folder::make(&self.path)?, lease_name(key))
    }

    /// Removes the entries that hold this very token, whatever they are for.
    pub(crate) fn forget(&self, token: &Secret) {
        let Ok(folder) = Folder::open(&self.path) else {
            return;
        };
        for (name, entry) in entries(&folder) {
            if entry.is_some_and(|entry| entry.holds(token)) {
                folder.remove(&name);
            }
        }
    }

    /// What is in it and could be used at `now`: no secrets, dead entries left out.
    #[must_use]
    pub fn list(&self, now: Moment) -> Vec<Listed> {
        let Ok(folder) = Folder::open(&self.path) else {
            return Vec::new();
        };
        let alive = entries(&folder).filter_map(|(file, entry)| Some((file, entry?)));
        let mut listed: Vec<_> = alive
            .filter(|(_, entry)| entry.is_alive(now))
            .map(|(file, entry)| Listed::of(file, entry))
            .collect();
        listed
            .sort_by(|a, b| (&a.profile, &a.source, &a.audience).cmp(&(&b.profile, &b.source, &b.audience)));
        listed
    }

    /// Removes what is kept for `profile` (`Some("")`: for the ambient chain; `None`: everything), and says how many
    /// tokens that were.
    #[must_use = "the number is what is told to people"]
    pub fn clear(&self, profile: Option<&str>) -> usize {
        let Ok(folder) = Folder::open(&self.path) else {
            return 0;
        };
        let mut removed = 0;
        for (name, entry) in entries(&folder) {
            let wanted = profile.is_none_or(|profile| entry.is_none_or(|entry| entry.profile == profile));
            if wanted && folder.remove(&name) {
                removed += 1;
            }
        }
        if profile.is_none() {
            for name in names(&folder) {
                if [DOCUMENT_ENDING, TEMPORARY_ENDING]
                    .iter()
                    .any(|end| name.ends_with(end))
                {
                    folder.remove(&name);
                }
            }
        }
        remove_orphaned_leases(&folder, |_| true);
        removed
    }
}

impl Listed {
    fn of(file: String, entry: Entry) -> Self {
        Self {
            expires_at: entry.expires_at(),
            profile: entry.profile,
            source: entry.source,
            issuer: entry.issuer,
            subject: entry.subject,
            audience: entry.audience,
            scopes: entry.scopes,
            file,
        }
    }
}

fn entry_name(key: &Key) -> String {
    key.hex() + ENTRY_ENDING
}

fn lease_name(key: &Key) -> String {
    key.hex() + LEASE_ENDING
}

fn document_name(key: &Key) -> String {
    key.hex() + DOCUMENT_ENDING
}

/// The bytes of a file of ours, within the cap.
fn contents(folder: &Folder, name: &str) -> Result<Zeroizing<Vec<u8>>, Distrust> {
    let (file, stat) = folder.file(name)?;
    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    if size > ENTRY_CAP {
        return Err(Distrust::Suspect("it is too large"));
    }
    // Room for one byte more: the end is seen without a second growth, and no secret is left in an outgrown buffer.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1));
    file.take(ENTRY_CAP + 1)
        .read_to_end(&mut bytes)
        .map_err(Distrust::Io)?;
    Ok(bytes)
}

/// Writes beside, forces it to disk, and puts it in place: whoever reads sees the old one or the new one.
fn replace(folder: &Folder, name: &str, bytes: &[u8]) -> Result<(), Distrust> {
    let temporary = format!(".{}{TEMPORARY_ENDING}", random_name());
    let mut file = folder.create(&temporary)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(Distrust::Io)
        .and_then(|()| put_in_place(folder, &temporary, name));
    if written.is_err() {
        folder.remove(&temporary);
    }
    written
}

fn put_in_place(folder: &Folder, temporary: &str, name: &str) -> Result<(), Distrust> {
    let rename = || rustix::fs::renameat(folder.fd(), temporary, folder.fd(), name);
    match rename() {
        // A folder in the entry's place is the one thing that a rename does not replace.
        Err(rustix::io::Errno::ISDIR) => {
            folder.remove(name);
            rename()?;
        }
        other => other?,
    }
    // Some network file systems cannot force a folder to disk: the entry is whole all the same.
    let _ = rustix::fs::fsync(folder.fd());
    Ok(())
}

fn random_name() -> String {
    let mut bytes = [0u8; 8];
    // Without randomness two writers might meet on one name, and one of them fails to create it: a warning.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    format!("{}-{}", std::process::id(), hex(&bytes))
}

/// The names of the files of ours in a folder.
fn names(folder: &Folder) -> Vec<String> {
    let Ok(dir) = Dir::read_from(folder.fd()) else {
        return Vec::new();
    };
    dir.filter_map(|item| item.ok()?.file_name().to_str().ok().map(str::to_owned))
        .filter(|name| name != "." && name != "..")
        .collect()
}

fn is_entry(name: &str) -> bool {
    name.strip_suffix(ENTRY_ENDING)
        .is_some_and(|stem| stem.len() == 64 && stem.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Every token entry; `None` beside those that cannot be used.
fn entries(folder: &Folder) -> impl Iterator<Item = (String, Option<Entry>)> {
    names(folder)
        .into_iter()
        .filter(|name| is_entry(name))
        .map(|name| {
            let entry = contents(folder, &name)
                .ok()
                .and_then(|bytes| Entry::unseal(&bytes));
            (name, entry)
        })
}

/// Removes what killed writers left behind, and what died long ago.
fn prune(folder: &Folder, now: Moment) {
    for name in names(folder) {
        let limit = match () {
            () if name.ends_with(TEMPORARY_ENDING) => STALE_TEMPORARY,
            () if is_entry(&name) => STALE_ENTRY,
            () => continue,
        };
        if age(folder, &name, now).is_none_or(|age| age < limit) {
            continue;
        }
        let entry = || {
            contents(folder, &name)
                .ok()
                .and_then(|bytes| Entry::unseal(&bytes))
        };
        let still_alive = is_entry(&name) && entry().is_some_and(|entry| entry.is_alive(now));
        if !still_alive {
            folder.remove(&name);
        }
    }
    remove_orphaned_leases(folder, |name| {
        age(folder, name, now).is_some_and(|age| age > STALE_ENTRY)
    });
}

fn age(folder: &Folder, name: &str, now: Moment) -> Option<Duration> {
    let stat = rustix::fs::statat(folder.fd(), name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(now.wall.since(UnixTime::from_seconds(stat.st_mtime)))
}

/// Removes the lease files whose entry is gone and that nobody holds.
fn remove_orphaned_leases(folder: &Folder, which: impl Fn(&str) -> bool) {
    let names = names(folder);
    for name in names.iter().filter(|name| which(name)) {
        let Some(stem) = name.strip_suffix(LEASE_ENDING) else {
            continue;
        };
        if !names.iter().any(|n| n.strip_suffix(ENTRY_ENDING) == Some(stem)) {
            Lease::remove_if_free(folder, name);
        }
    }
}

#[cfg(test)]
mod tests;
