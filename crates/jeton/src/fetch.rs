//! The one loop that sends a request under the retry contract.
pub use crate::answer::success;

use crate::context::DEFAULT_TIMEOUT;
use crate::http::{Fault, Request, Response};
use crate::{Context, Error};
use ::http::HeaderValue;
use ::http::header::CACHE_CONTROL;
use futures_util::future::ready;
use jeton_core::{Class, Failure, Step};
use std::time::Duration;
use tokio::time::Instant;

impl Context {
    /// Sends `request` until `read` makes something of an answer, the retry contract says stop, or the deadline
    /// passes. `read` sees answers of every status; [`success`] is its usual first line.
    ///
    /// # Errors
    /// The class of the last failure; the message names the host, the attempts, the time and the status.
    pub async fn fetch<T>(
        &self,
        what: &str,
        request: &Request,
        read: impl FnMut(&Response) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        self.fetch_anew(what, |_| Ok(request.clone()), read).await
    }

    /// The same for a request that is made anew for each attempt (a fresh `jti`, a re-read file).
    ///
    /// # Errors
    /// As [`Context::fetch`], and whatever `make` fails with.
    pub async fn fetch_anew<T>(
        &self,
        what: &str,
        mut make: impl FnMut(u32) -> Result<Request, Error>,
        read: impl FnMut(&Response) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        self.fetch_late(what, |number| ready(make(number)), read).await
    }

    /// The same where making the request takes time of its own: it holds a token that must be alive when it is sent,
    /// so that a retry never carries one that has run out.
    ///
    /// # Errors
    /// As [`Context::fetch`], and whatever `make` fails with.
    pub async fn fetch_late<T, M>(
        &self,
        what: &str,
        mut make: impl FnMut(u32) -> M,
        mut read: impl FnMut(&Response) -> Result<T, Fault>,
    ) -> Result<T, Error>
    where
        M: Future<Output = Result<Request, Error>>,
    {
        let mut attempts = Attempts::of(self);
        let mut past_caches = false;
        loop {
            let mut request = make(attempts.number).await?;
            if past_caches {
                let no_cache = HeaderValue::from_static("no-cache");
                request.headers.insert(CACHE_CONTROL, no_cache);
            }
            let place = request.place();
            attempts.begin(&place);
            let answer = self.http.send(&request, &self.policy, attempts.deadline).await;
            let mut fault = match answer.and_then(|response| read(&response)) {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            };
            if !request.repeatable && is_lost(&fault) {
                fault.failure = Failure::LostAnswer;
            }
            attempts.failed(what, &place, &fault).await?;
            past_caches = fault.failure == Failure::DyingToken;
        }
    }
}

/// The attempts of one call under the retry contract, whatever they are made over.
pub(crate) struct Attempts<'a> {
    cx: &'a Context,
    started: Instant,
    /// When everything must be over.
    pub(crate) deadline: Option<Instant>,
    /// The number of the attempt that is made now; the first is 1.
    pub(crate) number: u32,
}

impl<'a> Attempts<'a> {
    /// Before the first. Nobody waits for ever, also when nobody said how long.
    pub(crate) fn of(cx: &'a Context) -> Self {
        let started = Instant::now();
        Self {
            cx,
            started,
            deadline: cx.deadline.or_else(|| started.checked_add(DEFAULT_TIMEOUT)),
            number: 1,
        }
    }

    /// Says that an attempt begins.
    pub(crate) fn begin(&self, place: &str) {
        let most = self.cx.policy.max_attempts;
        self.cx.observer.attempt(place, self.number, most);
    }

    /// After an attempt failed: waits until the next, or ends with the error of them all.
    pub(crate) async fn failed(&mut self, what: &str, place: &str, fault: &Fault) -> Result<(), Error> {
        let told = Told {
            what,
            place,
            attempt: self.number,
            elapsed: self.started.elapsed(),
        };
        if fault.overdue {
            return Err(told.error(Class::Timeout, fault, None));
        }
        let left = self.deadline.map(|d| d.saturating_duration_since(Instant::now()));
        let policy = &self.cx.policy;
        match policy.next_step(self.number, fault.failure, fault.retry_after, left, random()) {
            Step::Retry(wait) => {
                self.cx.observer.waiting(place, &fault.detail, wait);
                tokio::time::sleep(wait).await;
                self.number += 1;
                Ok(())
            }
            Step::Stop(class) => Err(told.error(class, fault, None)),
            Step::OutOfTime { class, wait } => Err(told.error(class, fault, Some(wait))),
        }
    }
}

/// Whether the other side may have acted although no answer came.
fn is_lost(fault: &Fault) -> bool {
    let failure = fault.failure;
    let may_be = matches!(
        failure,
        Failure::Cut | Failure::Stalled | Failure::Slow | Failure::Framing
    );
    may_be && !fault.unsent
}

/// A number in `[0, 1)` for jitter.
fn random() -> f64 {
    let mut bytes = [0u8; 4];
    // Without randomness there is no jitter, which harms nobody.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

struct Told<'a> {
    what: &'a str,
    place: &'a str,
    attempt: u32,
    elapsed: Duration,
}

impl Told<'_> {
    fn error(&self, class: Class, fault: &Fault, wait: Option<Duration>) -> Error {
        let Self {
            what,
            place,
            attempt,
            elapsed,
        } = self;
        let seconds = elapsed.as_secs_f64();
        let tried = match (class, attempt) {
            (Class::Timeout, _) => format!("the deadline passed at attempt {attempt} after {seconds:.1} s"),
            _ if fault.failure == Failure::Config => "nothing was sent".to_owned(),
            (_, 1) => format!("1 attempt in {seconds:.1} s"),
            (_, n) => format!("failed after retries, {n} attempts in {seconds:.1} s"),
        };
        let message = format!(
            "{what}: {place}: {} ({tried}{})",
            fault.detail,
            told_wait(fault, wait)
        );
        let mut error = Error::new(class, message);
        if let Some(hint) = &fault.hint {
            error = error.with_hint(hint);
        }
        if let Some(status) = fault.status {
            error = error.with_status(status);
        }
        if let Some(asked) = fault.retry_after {
            error = error.with_retry_after(asked);
        }
        if let Some(code) = &fault.oauth {
            error = error.with_oauth(code);
        }
        error
    }
}

/// What is said when the next attempt would come too late.
fn told_wait(fault: &Fault, wait: Option<Duration>) -> String {
    let Some(wait) = wait else { return String::new() };
    let span = match wait {
        Duration::MAX => "longer than anybody waits".to_owned(),
        wait => format!("{:.1} s", wait.as_secs_f64()),
    };
    match fault.retry_after {
        Some(_) => format!("; it asked to wait {span}, which passes the deadline"),
        None => format!("; the next wait, {span}, passes the deadline"),
    }
}
