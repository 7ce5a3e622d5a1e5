//! Limits that replicas share: one row a key in PostgreSQL, asked about by many requests at once.
//!
//! A row says until when what was let through has used up the rate. Requests that come while one statement is under way
//! are asked about together by the next: a flood costs the database one statement at a time from each replica. The
//! database's clock counts, so that those of the replicas need not agree.
use crate::store::{Store, StoreError};
use jeton_core::UnixTime;
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How many questions may wait; for more, what this process has seen decides.
const WAITING: usize = 4096;
/// How many one statement asks at most.
const BATCH: usize = 512;
/// How long the database may take; then what this process has seen decides.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a row is kept after its rate is there again in full.
const KEPT: Duration = Duration::from_secs(60);

/// Times are microseconds. Nobody waits for the disk on account of a counter: what a crash of the database takes away is
/// at most one second of counting.
const TAKE: &str = "\
    INSERT INTO rate_windows AS kept (name, used_until, asked_at, step, granted) \
    SELECT asked.name, clock.at + LEAST(asked.wanted, asked.rate) * GREATEST(1, 1000000 / asked.rate), clock.at, \
           GREATEST(1, 1000000 / asked.rate), LEAST(asked.wanted, asked.rate) \
    FROM json_to_recordset($1::json) AS asked(name text, wanted bigint, rate bigint), \
         (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS at) AS clock \
    WHERE set_config('synchronous_commit', 'off', true) = 'off' \
    ORDER BY asked.name \
    ON CONFLICT (name) DO UPDATE SET \
        granted = GREATEST(0, LEAST(excluded.granted, \
            (excluded.asked_at + 1000000 - GREATEST(kept.used_until, excluded.asked_at)) / excluded.step)), \
        used_until = GREATEST(kept.used_until, excluded.asked_at) + excluded.step * GREATEST(0, LEAST(excluded.granted, \
            (excluded.asked_at + 1000000 - GREATEST(kept.used_until, excluded.asked_at)) / excluded.step)), \
        asked_at = excluded.asked_at, step = excluded.step \
    RETURNING name, granted, used_until + step - asked_at - 1000000";

struct Asked {
    name: String,
    rate: u32,
    answer: oneshot::Sender<Result<(), Duration>>,
}

/// The way to the rows.
#[derive(Clone)]
pub(super) struct Windows(mpsc::Sender<Asked>);

impl Windows {
    /// Starts it; it ends when the last clone is gone.
    pub(super) fn start(store: Store) -> Self {
        let (sender, mut receiver) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while receiver.recv_many(&mut batch, BATCH).await > 0 {
                // On failure nobody is answered, and each decides by what its process has seen.
                let asked = answer(&store, batch.drain(..));
                let _ = tokio::time::timeout(PATIENCE, asked).await;
            }
        });
        Self(sender)
    }

    /// Takes one out of the rate of `name`, or says how long until there is one.
    pub(super) async fn take(&self, name: String, rate: u32) -> Result<(), Duration> {
        let (answer, waits) = oneshot::channel();
        if self.0.try_send(Asked { name, rate, answer }).is_err() {
            return Ok(());
        }
        waits.await.unwrap_or(Ok(()))
    }
}

async fn answer(store: &Store, asked: impl Iterator<Item = Asked>) -> Result<(), StoreError> {
    let mut waiting: BTreeMap<String, (u32, VecDeque<oneshot::Sender<_>>)> = BTreeMap::new();
    for one in asked {
        let (rate, answers) = waiting.entry(one.name).or_default();
        *rate = one.rate;
        answers.push_back(one.answer);
    }
    let questions: Vec<_> = waiting
        .iter()
        .map(|(name, (rate, answers))| json!({"name": name, "wanted": answers.len(), "rate": (*rate).max(1)}))
        .collect();
    let questions = serde_json::to_string(&questions).unwrap_or_default();
    for row in store.rows(TAKE, vec![questions.into()]).await? {
        let (name, granted, wait) = (row.text(0)?, row.int(1)?, row.int(2)?);
        let wait = Duration::from_micros(u64::try_from(wait).unwrap_or(0));
        let answers = waiting.remove(&name).unwrap_or_default().1;
        let granted = usize::try_from(granted).unwrap_or(0);
        for (place, answer) in answers.into_iter().enumerate() {
            // Whoever does not wait any more is told nothing.
            let _ = answer.send(if place < granted { Ok(()) } else { Err(wait) });
        }
    }
    Ok(())
}

/// Forgets rows that limit nothing any more.
///
/// # Errors
/// [`StoreError`].
pub async fn sweep(store: &Store, now: UnixTime) -> Result<u64, StoreError> {
    let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    let end = now.millis().saturating_sub(kept).saturating_mul(1000);
    store
        .execute("DELETE FROM rate_windows WHERE used_until < $1", vec![end.into()])
        .await
}
