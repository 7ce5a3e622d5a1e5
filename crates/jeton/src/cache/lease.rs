//! One flight per key on the machine: a lock on a file beside the entry, which the system takes back from the dead.
//!
//! The file holds one record for those who wait: that the holder is alive (a beat), or what the holder failed with.
//! A failure is only for those who were already waiting when it happened, so that a herd makes one call, and nobody
//! who comes later is told of a failure that may be over.
use super::folder::{Distrust, Folder};
use crate::{Error, error};
use jeton_core::{Class, Moment, UnixTime};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a holder shows that it is alive.
pub(crate) const BEAT: Duration = Duration::from_secs(1);
/// How long those who wait believe in a holder that shows nothing: then they go on without the lease. With the fetch
/// that follows this stays within five seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);
/// The first wait between two looks at a lease that somebody else holds …
pub(crate) const FIRST_LOOK: Duration = Duration::from_millis(4);
/// … and the longest.
pub(crate) const LAST_LOOK: Duration = Duration::from_millis(40);
/// The largest record, in bytes.
const RECORD_CAP: usize = 4096;
/// How much of a message a record holds, in characters.
const MESSAGE_CAP: usize = 600;
/// How far apart the wall clocks of two processes on one machine may be read for the same start of the machine.
const SAME_START: Duration = Duration::from_secs(5);

/// An open lease file.
#[derive(Debug)]
pub(crate) struct Lease {
    folder: Folder,
    name: String,
    file: File,
    held: AtomicBool,
    /// Whether word for those who wait is in it, ours or the last holder's.
    left_word: AtomicBool,
}

/// What became of an attempt to take a lease.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It is ours until it is dropped.
    Mine,
    /// Somebody else has it.
    Busy,
    /// The file was replaced meanwhile: it has to be opened again.
    Gone,
    /// The file system has no locks (`ENOLCK` and its kin).
    Unsupported,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    /// Uptime of the last sign of life, in milliseconds.
    Beat(u64),
    Failed(Failed),
}

#[derive(Serialize, Deserialize)]
struct Failed {
    uptime_ms: u64,
    wall_ms: i64,
    #[serde(flatten)]
    error: error::record::Record,
}

/// The classes that are not shared: a deadline and a cancellation are the holder's own affair, and the rest is of its
/// own process.
const UNSHARED: [Class; 3] = [Class::Timeout, Class::Cancelled, Class::Other];

impl Lease {
    /// Opens the file, or makes it; one that is not trusted is replaced.
    pub(super) fn open(folder: Folder, name: String) -> Result<Self, Distrust> {
        let file = match folder.open_or_create(&name) {
            Err(Distrust::Suspect(why)) => {
                if !folder.remove(&name) {
                    return Err(Distrust::Suspect(why));
                }
                folder.open_or_create(&name)?
            }
            other => other?,
        };
        Ok(Self {
            folder,
            name,
            file,
            held: AtomicBool::new(false),
            left_word: AtomicBool::new(false),
        })
    }

    /// Takes it, if it is free.
    pub(crate) fn try_hold(&self) -> Hold {
        match self.file.try_lock() {
            Ok(()) if self.folder.names(&self.name, &self.file) => {
                self.held.store(true, Ordering::Relaxed);
                Hold::Mine
            }
            Ok(()) => Hold::Gone,
            Err(TryLockError::WouldBlock) => Hold::Busy,
            Err(TryLockError::Error(_)) => Hold::Unsupported,
        }
    }

    /// Shows those who wait that the holder is alive.
    pub(crate) fn beat(&self, now: Moment) {
        self.write(&Record::Beat(millis(now.uptime)));
    }

    /// The last sign of life, as a number that changes with each.
    pub(crate) fn last_beat(&self) -> Option<u64> {
        match self.read()? {
            Record::Beat(beat) => Some(beat),
            Record::Failed(_) => None,
        }
    }

    /// Leaves word for those who wait.
    pub(crate) fn fail(&self, error: &Error, now: Moment) {
        if UNSHARED.contains(&error.kind()) {
            return;
        }
        self.left_word.store(true, Ordering::Relaxed);
        self.write(&Record::Failed(Failed {
            uptime_ms: millis(now.uptime),
            wall_ms: now.wall.millis(),
            error: error::record::Record::of(error, MESSAGE_CAP),
        }));
    }

    /// What the last holder failed with, if that happened after `started`: we were waiting for it.
    pub(crate) fn failure_since(&self, started: Moment, now: Moment) -> Option<Error> {
        let Record::Failed(failed) = self.read()? else {
            return None;
        };
        let at = Moment {
            wall: UnixTime::from_millis(failed.wall_ms),
            uptime: Duration::from_millis(failed.uptime_ms),
        };
        // Both clocks, so that the uptime of an earlier start of this machine is not taken for one of this start.
        let during = at.uptime >= started.uptime && at.uptime <= now.uptime;
        let same_start = at.wall.plus(SAME_START) >= started.wall && at.wall <= now.wall.plus(SAME_START);
        if !(during && same_start) {
            return None;
        }
        // Others may be waiting still: the word stays for them.
        self.left_word.store(true, Ordering::Relaxed);
        failed.error.into_error()
    }

    fn read(&self) -> Option<Record> {
        let mut bytes = [0u8; RECORD_CAP];
        let length = self.file.read_at(&mut bytes, 0).ok()?;
        let line = bytes[..length].split(|b| *b == b'\n').next()?;
        serde_json::from_slice(line).ok()
    }

    fn write(&self, record: &Record) {
        let Ok(mut line) = serde_json::to_vec(record) else {
            return;
        };
        line.push(b'\n');
        if line.len() <= RECORD_CAP {
            // A record that cannot be written costs those who wait a call of their own; nothing else.
            let _ = self.file.set_len(0);
            let _ = self.file.write_all_at(&line, 0);
        }
    }

    /// Removes a lease file that nobody holds.
    pub(super) fn remove_if_free(folder: &Folder, name: &str) {
        let Ok(file) = folder.open_or_create(name) else {
            folder.remove(name);
            return;
        };
        if file.try_lock().is_ok() && folder.names(name, &file) {
            folder.remove(name);
        }
    }
}

impl Drop for Lease {
    /// A holder takes the file away with it, unless it left word in it: nothing of it is left after a token was got,
    /// nor after a cancellation. Those who have it open see that it is gone and open it anew.
    fn drop(&mut self) {
        if *self.held.get_mut() && !*self.left_word.get_mut() {
            self.folder.remove(&self.name);
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
