//! Tokens for programs without a runtime: one thread of its own carries the calls (feature `blocking`).
use crate::Error;
use crate::jeton::Jeton;
use futures_util::future::BoxFuture;
use jeton_core::{Class, Token, TokenRequest};
use std::sync::mpsc;
use std::thread::JoinHandle;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A [`Jeton`] that is asked without `async`. May be asked from any thread, also from one that carries a runtime.
/// What is under way when it is dropped is given up.
pub struct Blocking {
    jeton: Jeton,
    runtime: Handle,
    calls: Option<UnboundedSender<BoxFuture<'static, ()>>>,
    thread: Option<JoinHandle<()>>,
}

impl Blocking {
    /// Starts the thread.
    ///
    /// # Errors
    /// `Class::Other` when the system gives no thread or no event queue.
    pub fn new(jeton: Jeton) -> Result<Self, Error> {
        let failed =
            |error: std::io::Error| Error::new(Class::Other, "no runtime can be started").with_source(error);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let handle = runtime.handle().clone();
        let (calls, queue) = unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("jeton".to_owned())
            .spawn(move || runtime.block_on(carry(queue)))
            .map_err(failed)?;
        Ok(Self {
            jeton,
            runtime: handle,
            calls: Some(calls),
            thread: Some(thread),
        })
    }

    /// A token that fits `request`, as [`Jeton::token`] gives it. Blocks only when none is kept.
    ///
    /// # Errors
    /// As [`Jeton::token`].
    pub fn token(&self, request: &TokenRequest) -> Result<Token, Error> {
        {
            // A token that grows old is replaced on our thread while it is served on.
            let _runtime = self.runtime.enter();
            if let Some(current) = self.jeton.slot(request).current() {
                return Ok(current.clone());
            }
        }
        let gone = || Error::new(Class::Other, "the thread that fetches tokens is gone");
        let (answer, wait) = mpsc::sync_channel(1);
        let (jeton, request) = (self.jeton.clone(), request.clone());
        let call = Box::pin(async move {
            // Nobody may be waiting any more.
            let _ = answer.send(jeton.token(&request).await);
        });
        self.calls
            .as_ref()
            .ok_or_else(gone)?
            .send(call)
            .map_err(|_| gone())?;
        wait.recv().map_err(|_| gone())?
    }

    /// The [`Jeton`] that is asked.
    #[must_use]
    pub fn jeton(&self) -> &Jeton {
        &self.jeton
    }
}

/// Carries calls until nobody can make any more.
async fn carry(mut queue: UnboundedReceiver<BoxFuture<'static, ()>>) {
    while let Some(call) = queue.recv().await {
        tokio::spawn(call);
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        self.calls = None;
        if let Some(thread) = self.thread.take() {
            // It ends with the queue; a panic in it has been reported where it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chain, Clock, Context, Env, source};
    use jeton_core::UnixTime;
    use jeton_issuer::{Issuer, Options};

    #[test]
    fn a_token_comes_without_a_runtime_and_inside_of_one() {
        let clock = Clock::manual(UnixTime::from_seconds(1_800_000_000));
        let theirs = clock.clone();
        let options = Options::new(move || theirs.now().wall).with_algorithm(jeton_issuer::Algorithm::Es256);
        let issuer = Issuer::in_thread(options).unwrap();
        let env: Env = issuer.environment("github").unwrap().into_iter().collect();
        let chain = Chain::ambient(vec![source::named("github").unwrap()]);
        let jeton = Jeton::builder(Context::new(env, clock), chain)
            .no_disk_cache()
            .build();
        let blocking = Blocking::new(jeton).unwrap();
        let wanted = TokenRequest::audience("a");
        let first = blocking.token(&wanted).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let second = runtime.block_on(async { blocking.token(&TokenRequest::audience("b")) });
        assert_eq!(second.unwrap().audience, ["b"]);
        let kept = blocking.token(&wanted).unwrap();
        assert_eq!((kept.value, kept.cached), (first.value, true));
        assert_eq!(issuer.requests_of("github").len(), 2);
        issuer.fault("github", "s403").unwrap();
        let refused = blocking.token(&TokenRequest::audience("c")).unwrap_err();
        assert_eq!(refused.kind(), Class::Refused);
    }
}
