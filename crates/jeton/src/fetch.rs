//! The one loop that sends a request under the retry contract.
use crate::http::{Fault, Request, Response};
use crate::{Context, Error};
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
        mut read: impl FnMut(&Response) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        self.fetch_anew(what, |_| Ok(request.clone()), &mut read).await
    }

    /// The same for a request that is made anew for each attempt (a fresh `jti`, a re-read file).
    ///
    /// # Errors
    /// As [`Context::fetch`], and whatever `make` fails with.
    pub async fn fetch_anew<T>(
        &self,
        what: &str,
        mut make: impl FnMut(u32) -> Result<Request, Error>,
        mut read: impl FnMut(&Response) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let request = make(attempt)?;
            self.observer
                .attempt(&request.place(), attempt, self.policy.max_attempts);
            let answer = self.http.send(&request, &self.policy, self.deadline).await;
            let fault = match answer.and_then(|response| read(&response)) {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            };
            let told = Told {
                what,
                place: &request.place(),
                attempt,
                elapsed: started.elapsed(),
            };
            if self.left() == Some(Duration::ZERO) {
                return Err(told.error(Class::Timeout, &fault, None));
            }
            let lost = !request.repeatable && is_lost(fault.failure);
            let failure = if lost { Failure::LostAnswer } else { fault.failure };
            match self
                .policy
                .next_step(attempt, failure, fault.retry_after, self.left(), random())
            {
                Step::Retry(wait) => {
                    self.observer.waiting(&request.place(), &fault.detail, wait);
                    tokio::time::sleep(wait).await;
                }
                Step::Stop(class) => return Err(told.error(class, &fault, None)),
                Step::OutOfTime { class, wait } => return Err(told.error(class, &fault, Some(wait))),
            }
        }
    }
}

/// Whether the other side may have acted although no answer came.
const fn is_lost(failure: Failure) -> bool {
    matches!(
        failure,
        Failure::Cut | Failure::Stalled | Failure::Slow | Failure::Framing
    )
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
            (Class::Timeout, _) => format!("the deadline passed at attempt {attempt}"),
            (_, 1) => "1 attempt".to_owned(),
            (_, n) => format!("failed after retries, {n} attempts"),
        };
        let mut message = format!("{what}: {place}: {} ({tried} in {seconds:.1} s)", fault.detail);
        if let Some(wait) = wait {
            message.push_str(&format!(
                "; the next attempt would be in {:.0} s, past the deadline",
                wait.as_secs_f64()
            ));
        }
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

/// Passes a 200 on and makes a fault of everything else.
///
/// # Errors
/// [`Failure::Status`] and its kin.
pub fn success(response: &Response) -> Result<(), Fault> {
    if response.status == 200 {
        return Ok(());
    }
    let mut fault = Fault::new(
        Failure::Status(response.status),
        format!("status {}", response.status),
    );
    fault.status = Some(response.status);
    Err(fault)
}
