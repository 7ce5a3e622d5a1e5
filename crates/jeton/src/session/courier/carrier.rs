//! The courier's own end: does the one errand that it is handed.
use super::{Brought, Errand, Word};
use crate::config::Config;
use crate::context::Observer;
use crate::error::record::Record;
use crate::profiles::{Profiles, Wishes};
use crate::{Clock, Context, Env, Error};
use jeton_core::{Secret, Token};
use std::io::{BufRead, BufReader, Read, Write};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::oneshot;

/// How much of an error's texts is passed on, in characters; they were redacted and cut where they were made.
const MESSAGE_CAP: usize = 4096;

/// Reads an errand from `input`, does it, and says to `output` what happens.
///
/// Once the refresh token was sent it goes on to the end, also when `input` is closed and `output` broken. The caller
/// has left his parent's process group and session (`setsid`) before.
pub async fn carry(
    env: Env,
    clock: Clock,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
) {
    let mut input = BufReader::new(input);
    let mut line = String::new();
    if input.read_line(&mut line).is_err() {
        return;
    }
    // Cut off: whoever wrote it is gone, and nothing was done yet.
    let Ok(errand) = serde_json::from_str::<Errand>(&line) else {
        return;
    };
    let reporter = Arc::new(Reporter {
        output: Mutex::new(Box::new(output)),
        is_committed: AtomicBool::new(false),
    });
    let work = refreshed(env, clock, &errand, Arc::clone(&reporter));
    match unless_called_off(work, closed(input), &reporter).await {
        Some(Ok(token)) => reporter.say(&Word::Token(Brought::from(&token))),
        Some(Err(error)) => reporter.say(&Word::Failed(Record::of(&error, MESSAGE_CAP))),
        None => (),
    }
}

async fn refreshed(env: Env, clock: Clock, errand: &Errand, observer: Arc<Reporter>) -> Result<Token, Error> {
    let config = Config::load(&env, Some(&errand.config))?;
    let mut cx = Context::new(env, clock);
    cx.observer = observer;
    cx.policy = errand.policy();
    if let Some(left) = errand.left {
        cx = cx.within(left);
    }
    let wanted = errand.wanted();
    let wishes = Wishes {
        cache_ttl: wanted.and_then(|wanted| wanted.ttl),
        no_cache: wanted.is_none(),
        ..Wishes::default()
    };
    let profiles = Profiles::new(Arc::new(config), cx, wishes);
    profiles
        .refresh_session(&errand.profile, &errand.request(), wanted)
        .await
}

/// Ends when `input` does. A thread waits for that: it is a pipe.
async fn closed(mut input: impl Read + Send + 'static) {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        let mut rest = [0u8; 64];
        while matches!(input.read(&mut rest), Ok(1..)) {}
        let _ = ended.send(());
    });
    let _ = end.await;
}

/// Does `work` to its end, unless it is called off while nothing that counts is under way.
async fn unless_called_off<T>(
    work: impl Future<Output = T>,
    called_off: impl Future<Output = ()>,
    reporter: &Reporter,
) -> Option<T> {
    let (mut work, mut called_off) = (pin!(work), pin!(called_off));
    let mut is_off = false;
    std::future::poll_fn(|task| {
        if let Poll::Ready(done) = work.as_mut().poll(task) {
            return Poll::Ready(Some(done));
        }
        is_off = is_off || called_off.as_mut().poll(task).is_ready();
        if is_off && !reporter.is_committed.load(Ordering::Relaxed) {
            return Poll::Ready(None);
        }
        Poll::Pending
    })
    .await
}

/// Passes on what the library tells, and knows whether a refresh token is under way.
struct Reporter {
    output: Mutex<Box<dyn Write + Send>>,
    is_committed: AtomicBool,
}

impl Reporter {
    /// Whoever asked may be gone; then nobody is told.
    fn say(&self, word: &Word) {
        if let Ok(mut line) = serde_json::to_vec(word) {
            line.push(b'\n');
            let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = output.write_all(&line).and_then(|()| output.flush());
        }
    }
}

impl Observer for Reporter {
    fn attempt(&self, host: &str, attempt: u32, of: u32) {
        self.say(&Word::Attempt(host.to_owned(), attempt, of));
    }

    fn waiting(&self, host: &str, what: &str, wait: Duration) {
        self.is_committed.store(false, Ordering::Relaxed);
        self.say(&Word::Waiting(host.to_owned(), what.to_owned(), wait));
    }

    fn warning(&self, message: &str) {
        self.say(&Word::Warning(message.to_owned()));
    }

    fn minted(&self, secret: &Secret) {
        self.say(&Word::Minted(secret.reveal().to_owned()));
    }

    fn committed(&self) {
        self.is_committed.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reporter() -> Reporter {
        Reporter {
            output: Mutex::new(Box::new(std::io::sink())),
            is_committed: AtomicBool::new(false),
        }
    }

    #[tokio::test]
    async fn c11_an_errand_is_called_off_before_the_token_is_sent_and_never_after() {
        // (committed, waiting again, whether it is done to the end)
        for (committed, waiting, done) in [(false, false, false), (true, false, true), (true, true, false)] {
            let reporter = reporter();
            let work = async {
                if committed {
                    reporter.committed();
                }
                tokio::task::yield_now().await;
                if waiting {
                    reporter.waiting("host", "status 503", Duration::ZERO);
                }
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                7
            };
            let ended = unless_called_off(work, async {}, &reporter).await;
            assert_eq!(ended, done.then_some(7), "{committed} {waiting}");
        }
    }
}
