//! What was decided lately and why, so that the next release of the same is not read from the database again.
//!
//! Nothing is believed because it is young. What is remembered belongs to an epoch, and an epoch ends when anything
//! that decides was changed, by any process; whoever rests a release on it has its record written only if the epoch
//! goes on, as told by the very transaction that writes it ([`crate::audit::Writer::write_if`]). Only what allows is
//! remembered: a refusal is always asked of the database.
use crate::credential::Credential;
use crate::principal::Principal;
use crate::provider::Provider;
use jeton_core::trust::TrustPolicy;
use std::collections::HashMap;
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many things of a kind are remembered: two generations of this many.
const MOST: usize = 4096;
/// Independent parts, so that threads seldom wait for each other.
const PARTS: usize = 16;
/// The largest credential that is remembered, in bytes: with [`MOST`] of them twice, 64 MiB in all.
const LARGEST: usize = 8 * 1024;

/// The number of the epoch that goes on. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Epoch(Arc<AtomicU64>);

impl Epoch {
    /// This one. Whoever remembers something asks before he reads it.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Ends it; the number of the next.
    pub fn end(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// A credential that somebody may have, and by which rule.
#[derive(Debug)]
pub struct Release {
    /// The credential; its secret is sealed.
    pub credential: Credential,
    /// The binding that allows it, for the record.
    pub rule: String,
}

/// Everything that is remembered.
#[derive(Default)]
pub struct Remembered {
    /// Which epoch it is.
    pub epoch: Epoch,
    releases: Memory<Release>,
    policies: Memory<Vec<TrustPolicy>>,
}

impl Remembered {
    /// For whom nothing is remembered yet, in this epoch.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            ..Self::default()
        }
    }

    /// The release of a credential to somebody, by way of a project or not.
    #[must_use]
    pub fn release(
        &self,
        epoch: u64,
        who: &Principal,
        credential: &str,
        project: Option<&str>,
    ) -> Option<Arc<Release>> {
        self.releases.recall(&key(who, credential, project), epoch)
    }

    /// Remembers a release. Sessions' are not: they can end at any moment, and seldom ask twice. Nor is a secret that is
    /// changed by its use: the second use of an old one can be the end of it.
    pub fn keep_release(&self, epoch: u64, who: &Principal, project: Option<&str>, release: Release) {
        let once = release.credential.provider == Provider::Google;
        if who.session.is_some() || once || release.credential.size() > LARGEST {
            return;
        }
        let key = key(who, &release.credential.id, project);
        self.releases.keep(key, epoch, Arc::new(release));
    }

    /// The policies in the database about tokens of an issuer.
    #[must_use]
    pub fn policies(&self, epoch: u64, issuer: &str) -> Option<Arc<Vec<TrustPolicy>>> {
        self.policies.recall(issuer, epoch)
    }

    /// Remembers policies.
    pub fn keep_policies(&self, epoch: u64, issuer: &str, policies: Arc<Vec<TrustPolicy>>) {
        self.policies.keep(issuer.to_owned(), epoch, policies);
    }
}

/// Each part with its length before it: no two lists of parts read the same.
fn key(who: &Principal, credential: &str, project: Option<&str>) -> String {
    let policy = who.trust_policy.as_deref();
    let parts = [
        Some(who.issuer.as_str()),
        Some(&who.subject),
        policy,
        Some(credential),
        project,
    ];
    let mut key = String::with_capacity(160);
    for part in parts {
        // Writing to a text cannot fail.
        let _ = match part {
            Some(part) => write!(key, "{}:{part}", part.len()),
            None => key.write_char('-'),
        };
    }
    key
}

struct Memory<V> {
    parts: [Mutex<Part<V>>; PARTS],
    hasher: RandomState,
}

/// When the young generation is full it becomes the old one, and what was not used meanwhile is gone.
struct Part<V> {
    young: HashMap<String, (u64, Arc<V>)>,
    old: HashMap<String, (u64, Arc<V>)>,
}

impl<V> Default for Memory<V> {
    fn default() -> Self {
        let part = || Part {
            young: HashMap::new(),
            old: HashMap::new(),
        };
        Self {
            parts: std::array::from_fn(|_| Mutex::new(part())),
            hasher: RandomState::new(),
        }
    }
}

impl<V> Memory<V> {
    fn part(&self, key: &str) -> MutexGuard<'_, Part<V>> {
        let hash = usize::try_from(self.hasher.hash_one(key) % PARTS as u64).unwrap_or(0);
        self.parts[hash].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recall(&self, key: &str, epoch: u64) -> Option<Arc<V>> {
        let mut part = self.part(key);
        if let Some((known, value)) = part.young.get(key) {
            return (*known == epoch).then(|| Arc::clone(value));
        }
        let (known, value) = part.old.remove(key)?;
        if known != epoch {
            return None;
        }
        part.keep(key.to_owned(), epoch, Arc::clone(&value));
        Some(value)
    }

    fn keep(&self, key: String, epoch: u64, value: Arc<V>) {
        self.part(&key).keep(key, epoch, value);
    }
}

impl<V> Part<V> {
    fn keep(&mut self, key: String, epoch: u64, value: Arc<V>) {
        if self.young.len() >= MOST / PARTS && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, (epoch, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_ends_with_its_epoch_and_there_is_never_more_than_so_much() {
        let memory = Memory::<u32>::default();
        let epoch = Epoch::default();
        memory.keep("a".into(), epoch.now(), Arc::new(1));
        assert_eq!(memory.recall("a", epoch.now()).as_deref(), Some(&1));
        assert_eq!(memory.recall("b", epoch.now()), None);
        epoch.end();
        assert_eq!(memory.recall("a", epoch.now()), None);
        for n in 0..100_000_u32 {
            memory.keep(n.to_string(), epoch.now(), Arc::new(n));
            memory.recall("0", epoch.now());
        }
        let lengths = memory.parts.iter().map(|part| part.lock().expect("lock"));
        let kept: usize = lengths.map(|part| part.young.len() + part.old.len()).sum();
        assert!(kept <= 2 * MOST, "{kept}");
        assert_eq!(
            memory.recall("0", epoch.now()).as_deref(),
            Some(&0),
            "it was used all the time"
        );
    }
}
