//! Keeping a token fresh ahead of need: one task a token, asleep until there is something to do.
use crate::alarm::Alarm;
use crate::token_file::TokenFile;
use jeton::jeton::Slot;
use jeton::{Clock, Error, Token};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How many tokens are kept fresh at the most: a caller must not make the agent fetch without end.
pub(super) const MOST: usize = 1024;
/// The wait after a refresh failed, before another one; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest wait between two attempts to a source that keeps failing.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The shortest sleep: tokens that live for seconds are fetched when they are asked for.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);
/// How many first tokens are fetched at once: a hundred connections at the same moment need memory that nobody needs
/// afterwards, and are no kindness to an issuer.
pub(super) const TURNS: usize = 8;
/// How long a profile waits for its turn: sources that do not answer must not keep those waiting that do.
const TURN_TIME: Duration = Duration::from_secs(5);
/// How often in a row a token's replacement may fail before it is no longer kept fresh.
const GIVE_UP: u32 = 12;

/// Fetches the first token, however long the source takes to come to life; fails for what will not mend itself.
pub(super) async fn first(slot: &Slot, alarm: &Alarm, turns: &Semaphore) -> Result<(), Error> {
    let mut pause = FIRST_PAUSE;
    loop {
        let turn = tokio::time::timeout(TURN_TIME, turns.acquire()).await;
        let token = slot.token().await;
        drop(turn);
        match token {
            Ok(_) => return Ok(()),
            Err(e) if !e.is_transient() => return Err(e),
            Err(_) => alarm.sleep(jittered(pause)).await,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Replaces the token before it ends, as long as that works; `gone` is called when it no longer does.
pub(super) async fn keep(slot: Slot, alarm: Alarm, gone: impl FnOnce() + Send) {
    let (mut pause, mut failures) = (FIRST_PAUSE, 0);
    while failures < GIVE_UP {
        // Nothing is kept of a token that nobody says the end of: the next caller fetches it.
        let Some(()) = due(&slot, &alarm).await else { break };
        match slot.refresh().await {
            Ok(_) => (pause, failures) = (FIRST_PAUSE, 0),
            Err(e) if !e.is_transient() && failures > 1 => break,
            Err(_) => {
                failures += 1;
                alarm.sleep(jittered(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    gone();
}

/// Sleeps until the kept token should be replaced; `None` when none is kept.
async fn due(slot: &Slot, alarm: &Alarm) -> Option<()> {
    let whole = slot.refresh_in()?;
    let early = whole - jittered(whole);
    // A token that is always due must not keep anybody busy.
    tokio::time::sleep(SHORTEST_SLEEP).await;
    loop {
        let left = slot.refresh_in()?.saturating_sub(early);
        if left.is_zero() {
            return Some(());
        }
        alarm.sleep(left).await;
    }
}

/// This pause; the next one is twice as long.
fn doubled(pause: &mut Duration) -> Duration {
    let next = (*pause * 2).min(LONGEST_PAUSE);
    std::mem::replace(pause, next)
}

/// Up to a tenth shorter, so that a hundred profiles do not all wake at once.
fn jittered(span: Duration) -> Duration {
    let mut byte = [0u8; 1];
    // Without randomness there is no jitter, which harms nobody.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    span.mul_f64(1.0 - f64::from(byte[0]) / 2560.0)
}

/// Keeps a file fresh until the future is dropped. `report` is told what went wrong, each time; the file keeps the
/// last token that there was. `hand` is told of each token before it stands in the file.
pub async fn keep_file(
    slot: Slot,
    file: TokenFile,
    clock: Clock,
    alarm: Alarm,
    hand: impl Fn(&Token),
    report: impl Fn(&Error),
) {
    let mut pause = FIRST_PAUSE;
    let mut written = None;
    loop {
        let is_due = slot.refresh_in().is_some_and(|due| due.is_zero());
        // The old one is served, and stays in the file, until the new one is there.
        let refreshed = if is_due {
            slot.refresh().await.map(drop)
        } else {
            Ok(())
        };
        let outcome = match slot.token().await {
            Ok(token) if written.as_ref() == Some(&token.value) => refreshed.map(|()| (token, false)),
            Ok(token) => {
                hand(&token);
                file.write(&token.value).map(|()| {
                    written = Some(token.value.clone());
                    (token, true)
                })
            }
            Err(e) => Err(e),
        };
        let wait = match outcome {
            Ok((token, is_new)) => {
                // Tokens that are born shorter than what is asked of them are not kept: half of their life is waited.
                let half = token.life.map(|life| life.left(clock.now()) / 2);
                let kept = slot.refresh_in();
                if is_new || kept.is_some() {
                    pause = FIRST_PAUSE;
                    kept.or(half).map_or(LONGEST_PAUSE, |due| due.max(SHORTEST_SLEEP))
                } else {
                    doubled(&mut pause)
                }
            }
            Err(e) => {
                report(&e);
                doubled(&mut pause)
            }
        };
        tokio::select! {
            () = alarm.sleep(wait) => {}
            // Somebody else had it replaced.
            () = slot.changed() => {}
        }
    }
}
