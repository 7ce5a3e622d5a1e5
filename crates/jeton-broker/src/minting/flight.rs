//! What was made and is still good, and one request for all who wait for the next.
use super::{MARGIN, Minted};
use jeton::{Class, Clock, Error};
use std::collections::HashMap;
use std::sync::{Arc, Mutex as Shelf, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;

/// How many results are kept at most: a thousand projects with a few providers each.
const MOST_KEPT: usize = 10_000;

/// How long a failure is the answer for everybody: nobody's herd is passed on to a provider that is down.
const PAUSE: Duration = Duration::from_secs(1);

/// What was made from which secret: another secret is another key, so that nothing outlives a change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The credential.
    pub credential: String,
    /// SHA-256 of what it is made from, as it is stored.
    pub secret: [u8; 32],
}

/// One key's result, and the lock that all who wait for it stand at.
type Slot = Arc<Mutex<Option<Known>>>;

#[derive(Clone)]
enum Known {
    Minted(Arc<Minted>),
    /// And the uptime until which it counts.
    Failed(Error, Duration),
}

/// Everything that was made. Cheap to clone.
#[derive(Clone, Default)]
pub struct Mint(Arc<Shelf<HashMap<Key, Slot>>>);

impl Mint {
    /// What was made from this secret, if it has enough life left; else `source` makes it, once for all who wait. It
    /// goes on when whoever asked goes away: a refresh token that was rotated must not be lost with him.
    ///
    /// # Errors
    /// What `source` fails with; for a second, everybody's.
    pub async fn get<F>(
        &self,
        clock: &Clock,
        key: Key,
        source: impl FnOnce() -> F,
    ) -> Result<Arc<Minted>, Error>
    where
        F: Future<Output = Result<Minted, Error>> + Send + 'static,
    {
        let mut known = self.slot(key).lock_owned().await;
        let now = clock.now();
        match &*known {
            Some(Known::Minted(minted)) if is_good(minted, now.wall) => return Ok(Arc::clone(minted)),
            Some(Known::Failed(error, until)) if now.uptime < *until => return Err(error.clone()),
            _ => {}
        }
        let (making, clock) = (source(), clock.clone());
        let made = tokio::spawn(async move {
            let made = making.await.map(Arc::new);
            *known = Some(match &made {
                Ok(minted) => Known::Minted(Arc::clone(minted)),
                Err(error) => Known::Failed(error.clone(), clock.uptime() + PAUSE),
            });
            made
        });
        let lost = |_| Err(Error::new(Class::Other, "the making of a credential was cut off"));
        made.await.unwrap_or_else(lost)
    }

    /// Takes what was made already as what this secret gives.
    pub fn keep(&self, key: Key, minted: Minted) {
        let slot = Arc::new(Mutex::new(Some(Known::Minted(Arc::new(minted)))));
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.insert(key, slot);
    }

    fn slot(&self, key: Key) -> Slot {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shelf.len() >= MOST_KEPT && !shelf.contains_key(&key) {
            // Whoever waits for a slot holds on to it; the rest can be made again.
            shelf.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        // Another secret of the same credential: the old one's result is of no use to anybody.
        if !shelf.contains_key(&key) {
            shelf.retain(|known, _| known.credential != key.credential);
        }
        Arc::clone(shelf.entry(key).or_default())
    }
}

/// Without an end it is made anew each time: nobody could tell when it stopped being good.
fn is_good(minted: &Minted, now: jeton_core::UnixTime) -> bool {
    minted.expires_at.is_some_and(|end| now.plus(MARGIN) < end)
}
