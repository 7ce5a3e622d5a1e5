//! Callers that wait for the same document share its answer, or its error.
//!
//! Unlike [`flight`](crate::flight) nothing is remembered after the waiters are gone, and a caller that gives up hands
//! the turn to the next one.
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The turn to make a call, and what the last call brought.
pub(crate) struct Together<T, E> {
    turn: tokio::sync::Mutex<()>,
    finished: AtomicU64,
    last: Mutex<Option<Result<T, E>>>,
}

impl<T, E> Default for Together<T, E> {
    fn default() -> Self {
        Self {
            turn: tokio::sync::Mutex::default(),
            finished: AtomicU64::new(0),
            last: Mutex::default(),
        }
    }
}

impl<T: Clone, E: Clone> Together<T, E> {
    /// What a call that ends after this moment brings: somebody else's who is at it, or `call`'s.
    pub(crate) async fn run(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let before = self.finished.load(Ordering::Acquire);
        let _turn = self.turn.lock().await;
        if self.finished.load(Ordering::Acquire) != before
            && let Some(last) = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
        {
            return last;
        }
        let result = call.await;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(result.clone());
        self.finished.fetch_add(1, Ordering::AcqRel);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test(start_paused = true)]
    async fn a_hundred_callers_make_one_call_and_share_its_error_and_the_next_one_calls_again() {
        let (together, calls) = (
            Arc::new(Together::<u8, &str>::default()),
            Arc::new(AtomicU64::new(0)),
        );
        let one = || {
            let (together, calls) = (Arc::clone(&together), Arc::clone(&calls));
            tokio::spawn(async move {
                together
                    .run(async {
                        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                        if calls.fetch_add(1, Ordering::SeqCst) == 0 {
                            Err("first")
                        } else {
                            Ok(7)
                        }
                    })
                    .await
            })
        };
        let herd: Vec<_> = (0..100).map(|_| one()).collect();
        for caller in herd {
            assert_eq!(caller.await.expect("task"), Err("first"));
        }
        assert_eq!(one().await.expect("task"), Ok(7));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }
}
