//! Waiting for one's turn: one process on the machine fetches, the others take what it got, or its failure.
use crate::cache::lease::{BEAT, FIRST_LOOK, Hold, LAST_LOOK, Lease, PATIENCE};
use crate::cache::{Disk, Key};
use crate::{Clock, Context, Error};
use jeton_core::{Moment, Token};
use tokio::time::Instant;

/// What came of waiting.
pub(super) enum Turn {
    /// It is our turn until the lease is dropped.
    Mine(Lease),
    /// There is no lease to be had: everybody for himself.
    Alone,
    /// Somebody else got a token meanwhile.
    Answered(Box<Token>),
    /// Somebody else failed while we waited.
    Failed(Error),
}

impl Turn {
    /// Waits for the lease on `key` until it is had, `look` finds a token, its holder fails, or shows no sign of
    /// life for [`PATIENCE`]. The caller's deadline ends it from outside.
    ///
    /// # Errors
    /// Why there is no lease, in words.
    pub(super) async fn wait(
        disk: &Disk,
        key: &Key,
        cx: &Context,
        started: Moment,
        look: impl Fn() -> Option<Token>,
    ) -> Result<Self, String> {
        let open = || disk.lease(key).map_err(|why| format!("no lease: {why}"));
        let mut lease = open()?;
        let mut pause = FIRST_LOOK;
        let mut alive_at = Instant::now();
        let mut beat = lease.last_beat();
        loop {
            match lease.try_hold() {
                Hold::Mine => return Ok(Self::taken(lease, cx, started, look)),
                Hold::Unsupported => return Ok(Self::Alone),
                Hold::Gone => {
                    lease = open()?;
                    continue;
                }
                Hold::Busy => (),
            }
            if let Some(token) = look() {
                return Ok(Self::Answered(Box::new(token)));
            }
            let latest = lease.last_beat();
            if latest != beat {
                beat = latest;
                alive_at = Instant::now();
            }
            if alive_at.elapsed() >= PATIENCE {
                return Ok(Self::Alone);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_LOOK);
        }
    }

    fn taken(lease: Lease, cx: &Context, started: Moment, look: impl Fn() -> Option<Token>) -> Self {
        if let Some(token) = look() {
            return Self::Answered(Box::new(token));
        }
        let now = cx.clock.now();
        if let Some(error) = lease.failure_since(started, now) {
            return Self::Failed(error);
        }
        lease.beat(now);
        Self::Mine(lease)
    }
}

/// Runs `work` while showing those who wait for the lease that we are alive.
pub(super) async fn beating<T>(lease: Option<&Lease>, clock: &Clock, work: impl Future<Output = T>) -> T {
    let Some(lease) = lease else {
        return work.await;
    };
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep(BEAT) => lease.beat(clock.now()),
        }
    }
}
