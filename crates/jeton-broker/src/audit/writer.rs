//! Many requests, one commit: records that come while one is being written are written together by the next.
use super::{Record, append};
use crate::broker::Live;
use crate::store::{Store, StoreError};
use arc_swap::ArcSwap;
use jeton::Clock;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// How many requests may wait for their record; more are told to come again.
const WAITING: usize = 4096;
/// How many records one commit takes at most.
const BATCH: usize = 512;

type Waiting = (Record, oneshot::Sender<Result<(), StoreError>>);

/// The way into the chain for what is no transaction of its own.
#[derive(Clone)]
pub struct Writer(mpsc::Sender<Waiting>);

impl Writer {
    /// Starts it; it ends when the last clone is gone and all that waited is written.
    #[must_use]
    pub fn start(store: Store, live: Arc<ArcSwap<Live>>, clock: Clock) -> Self {
        let (sender, mut receiver) = mpsc::channel::<Waiting>(WAITING);
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while receiver.recv_many(&mut batch, BATCH).await > 0 {
                let (records, waiting): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
                let result = write(&store, &live, &clock, records).await;
                for one in waiting {
                    // Whoever does not wait any more is told nothing; the record stands.
                    let _ = one.send(result.clone());
                }
            }
        });
        Self(sender)
    }

    /// Writes a record; when this is done, it is on the disk.
    ///
    /// # Errors
    /// [`StoreError`]: it is not there, and nothing may be released.
    pub async fn write(&self, record: Record) -> Result<(), StoreError> {
        let (done, waits) = oneshot::channel();
        let full = || StoreError::Unavailable("too many records are waiting".into());
        self.0.try_send((record, done)).map_err(|_| full())?;
        waits
            .await
            .map_err(|_| StoreError::Unavailable("the writer of records is gone".into()))?
    }
}

async fn write(
    store: &Store,
    live: &ArcSwap<Live>,
    clock: &Clock,
    records: Vec<Record>,
) -> Result<(), StoreError> {
    let keyring = Arc::clone(&live.load().keyring);
    let mut tx = store.begin().await?;
    append(&mut tx, &keyring, records, clock.now().wall).await?;
    tx.commit().await
}
