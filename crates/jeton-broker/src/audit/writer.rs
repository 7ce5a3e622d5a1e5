//! Many requests, one commit: records that come while one is being written are written together by the next.
//!
//! A release that rests on what is remembered is written only while that still holds: the transaction that adds its
//! record, alone with the chain, looks whether anything was changed since. What is stale is sent back to be decided anew.
use super::chain::Head;
use super::{Record, linked};
use crate::broker::Live;
use crate::remembered::Epoch;
use crate::store::{Store, StoreError};
use arc_swap::ArcSwap;
use jeton::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How many requests may wait for their record; more are told to come again.
const WAITING: usize = 4096;
/// How many records one commit takes at most.
const BATCH: usize = 512;
/// How long a state of the database that was seen counts: [`crate::store::change::sweep`] forgets much older ones.
pub const SEEN_TIME: Duration = Duration::from_secs(600);

/// Why a record was not written; nothing may be released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotWritten {
    /// What was decided on has changed meanwhile.
    Stale,
    /// The database failed.
    Store(StoreError),
}

impl From<StoreError> for NotWritten {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

struct Waiting {
    at: i64,
    text: String,
    /// The epoch of what was remembered, if the decision rests on that.
    epoch: Option<u64>,
    done: oneshot::Sender<Result<(), NotWritten>>,
}

/// The way into the chain for what is no transaction of its own.
#[derive(Clone)]
pub struct Writer {
    way: mpsc::Sender<Waiting>,
    clock: Clock,
}

struct Writing {
    store: Store,
    live: Arc<ArcSwap<Live>>,
    clock: Clock,
    epoch: Epoch,
    /// The state of the database that the epoch stands for, and the uptime at which it was seen.
    seen: Option<((i64, i64), Duration)>,
}

impl Writer {
    /// Starts it; it ends when the last clone is gone and all that waited is written.
    #[must_use]
    pub fn start(store: Store, live: Arc<ArcSwap<Live>>, clock: Clock, epoch: Epoch) -> Self {
        let (way, mut receiver) = mpsc::channel::<Waiting>(WAITING);
        let mut writing = Writing {
            store,
            live,
            clock: clock.clone(),
            epoch,
            seen: None,
        };
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while receiver.recv_many(&mut batch, BATCH).await > 0 {
                writing.write(&mut batch).await;
            }
        });
        Self { way, clock }
    }

    /// Writes a record; when this is done, it is on the disk.
    ///
    /// # Errors
    /// [`StoreError`]: it is not there, and nothing may be released.
    pub async fn write(&self, record: Record) -> Result<(), StoreError> {
        self.write_if(record, None).await.map_err(|why| match why {
            NotWritten::Store(error) => error,
            NotWritten::Stale => StoreError::Failed("a record was refused".into()),
        })
    }

    /// The same, if what was remembered in `epoch` still holds.
    ///
    /// # Errors
    /// [`NotWritten`].
    pub async fn write_if(&self, record: Record, epoch: Option<u64>) -> Result<(), NotWritten> {
        let (done, waits) = oneshot::channel();
        let now = self.clock.now().wall;
        let waiting = Waiting {
            at: now.millis(),
            text: record.text(now)?,
            epoch,
            done,
        };
        let full = || StoreError::Unavailable("too many records are waiting".into());
        self.way.try_send(waiting).map_err(|_| full())?;
        let gone = || StoreError::Unavailable("the writer of records is gone".into());
        waits.await.map_err(|_| gone())?
    }
}

impl Writing {
    /// Writes what still holds, and tells everybody. Whoever does not wait any more is told nothing; the record stands.
    async fn write(&mut self, batch: &mut Vec<Waiting>) {
        let begun = self.store.begin_chain().await;
        let (tx, end) = match begun {
            Ok(begun) => begun,
            Err(error) => return tell(batch.drain(..).map(|one| one.done), &Err(error.into())),
        };
        let epoch = self.epoch_of(end.state);
        let holds = |one: &Waiting| one.epoch.is_none_or(|known| known == epoch);
        let (fresh, stale): (Vec<_>, Vec<_>) = batch.drain(..).partition(holds);
        tell(stale.into_iter().map(|one| one.done), &Err(NotWritten::Stale));
        let (texts, waiting): (Vec<_>, Vec<_>) = fresh
            .into_iter()
            .map(|one| ((one.at, one.text), one.done))
            .unzip();
        if texts.is_empty() {
            return;
        }
        let head = end
            .head
            .map_or_else(Head::genesis, |(seq, hash)| Head { seq, hash });
        let keyring = Arc::clone(&self.live.load().keyring);
        let written = tx.add_and_commit(linked(head, texts, &keyring)).await;
        tell(waiting.into_iter(), &written.map_err(NotWritten::from));
    }

    /// The epoch of this state: a new one, if it is another than before.
    fn epoch_of(&mut self, state: (i64, i64)) -> u64 {
        let now = self.clock.uptime();
        let seen = self.seen.replace((state, now));
        let same = seen.is_some_and(|(seen, at)| seen == state && now.saturating_sub(at) < SEEN_TIME);
        if same { self.epoch.now() } else { self.epoch.end() }
    }
}

fn tell(
    waiting: impl Iterator<Item = oneshot::Sender<Result<(), NotWritten>>>,
    result: &Result<(), NotWritten>,
) {
    for done in waiting {
        let _ = done.send(result.clone());
    }
}
