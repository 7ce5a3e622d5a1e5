//! The right token, fresh at the moment it is used: memory, disk, lease, chain and checks put together.
//!
//! ```text
//! memory (a lock-free read) -> one flight in the process -> disk -> one lease on the machine -> chain -> checks
//!                                                            -> disk -> memory -> caller
//! ```
use crate::cache::disk::Found;
use crate::cache::key::Scope;
use crate::cache::memory::{Kept, Memory};
use crate::cache::{Disk, Key, Wanted};
use crate::chain::{Chain, Choice, Report};
use crate::source::Caching;
use crate::{Context, Error, TokenSource};
use futures_util::future::{BoxFuture, FutureExt, ready};
use jeton_core::{Class, Moment, Token, TokenRequest};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

mod acquisition;
mod builder;
mod slot;
mod turn;

pub use builder::Builder;
pub use slot::{Current, Slot};

/// What programs hold: a chain of sources behind caches. Cheap to clone; works in any tokio runtime.
///
/// Where a token is asked for many times a second, hold a [`Slot`]: its [`Slot::current`] costs one atomic read and
/// one look at the clock.
#[derive(Clone)]
pub struct Jeton(Arc<Inner>);

pub(crate) struct Inner {
    cx: Context,
    chain: Chain,
    memory: Memory,
    disk: Option<Disk>,
    /// Whether it has still to be said that the environment names no place for a disk cache.
    homeless: AtomicBool,
    settings: builder::Settings,
}

impl Jeton {
    /// A builder with the defaults of the contract: caches on, 60 s for everything together.
    #[must_use]
    pub fn builder(cx: Context, chain: Chain) -> Builder {
        Builder::new(cx, chain)
    }

    /// A token from a cache, at once: no runtime, no network, no waiting. `None`: [`Jeton::token`] has to be asked,
    /// which also says what is wrong when something is.
    #[must_use]
    pub fn token_now(&self, request: &TokenRequest) -> Option<Token> {
        let inner = &self.0;
        let uptime = inner.cx.clock.uptime();
        let kept = inner.memory.peek(request, |slot| {
            let kept = slot.kept.load();
            kept.serves(uptime, request.min_validity)
                .then(|| kept.token.clone())
        });
        kept.flatten().or_else(|| inner.kept_on_disk(request))
    }

    /// The token for `request` that is on disk, if it is what is `wanted`.
    pub(crate) fn kept(&self, request: &TokenRequest, wanted: &Wanted) -> Option<Token> {
        let inner = &self.0;
        let choice = inner.chain.choose(&inner.cx, request).ok()?.into_iter().next()?;
        inner.read_disk(&choice, request, wanted, inner.cx.clock.now())
    }

    /// A token that fits `request`: from memory, from disk, or fresh from the first source that is here.
    ///
    /// Dropping the future cancels what it was doing, unless others wait for the same.
    ///
    /// # Errors
    /// [`Error`] of every class.
    pub async fn token(&self, request: &TokenRequest) -> Result<Token, Error> {
        if self.0.keeps_nothing() {
            return acquisition::direct(&self.0, request).await;
        }
        self.slot(request).token_within(request.min_validity).await
    }

    /// The handle for one request: what hot paths hold.
    #[must_use]
    pub fn slot(&self, request: &TokenRequest) -> Slot {
        let slot = self.0.memory.slot(request, self.0.cx.clock.uptime());
        Slot::new(Arc::clone(&self.0), slot, request.min_validity)
    }

    /// Forgets a token that its audience refused (401), in memory and on disk, so that the next call fetches anew.
    /// Only if it is still the one that is kept: a newer one stays.
    pub fn invalidate(&self, token: &Token) {
        self.0.memory.each(|slot| {
            let kept = slot.kept.load();
            if kept.is_token() && kept.token.value == token.value {
                slot.kept.compare_and_swap(&*kept, Arc::new(Kept::nothing()));
                slot.flight.clear();
                slot.changed.notify_waiters();
            }
        });
        if let Some(disk) = &self.0.disk {
            disk.forget(&token.value);
        }
    }

    /// Takes a token that came another way (a login's own answer) as if it had just been fetched for `request`: checked,
    /// then kept in memory and on disk. What the rules of the caches would not keep is not kept.
    ///
    /// # Errors
    /// As for a token that is fetched: `Class::Token` for one of another issuer, and `Class::NotFound` when there is no
    /// source whose token it could be.
    pub async fn keep(&self, token: &Token, request: &TokenRequest) -> Result<(), Error> {
        acquisition::keep(&self.0, token, request).await
    }

    /// What proves the identity of the tokens it gives: part of the key of every token that is made from one of them.
    pub(crate) fn identity(&self, request: &TokenRequest) -> Vec<u8> {
        let inner = &self.0;
        let choices = inner.chain.choose(&inner.cx, request).unwrap_or_default();
        let mut bytes = inner.settings.profile.clone().into_bytes();
        for choice in choices {
            bytes.push(0);
            bytes.extend_from_slice(choice.source.name().as_bytes());
            bytes.push(0);
            bytes.extend_from_slice(&choice.fingerprint);
        }
        bytes
    }

    /// What a call would do and why. No request is sent and no command is run.
    #[must_use]
    pub fn explain(&self, request: &TokenRequest) -> Report {
        self.0.chain.explain(&self.0.cx, request)
    }

    /// What a call does and why: the chosen source is asked, past every cache.
    pub async fn explain_fetched(&self, request: &TokenRequest) -> Report {
        let inner = &self.0;
        let cx = inner.cx.within(inner.settings.timeout);
        let mut report = inner.chain.explain(&cx, request);
        for choice in inner.chain.choose(&cx, request).unwrap_or_default() {
            let started = cx.clock.now();
            let answer = cx
                .bounded("token", inner.fetch_checked(&cx, &choice, request))
                .await;
            let gone = matches!(&answer, Err(error) if error.kind() == Class::NotFound);
            report.asked(choice.source.name(), answer, cx.clock.now().since(started));
            if !gone {
                break;
            }
        }
        report
    }

    /// The surroundings it was built with.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.0.cx
    }

    /// The disk cache, where there is one.
    #[must_use]
    pub fn disk(&self) -> Option<&Disk> {
        self.0.disk.as_ref()
    }
}

impl TokenSource for Jeton {
    fn token<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        // The common answer needs no state machine on the heap.
        let kept = self.0.memory.peek(request, |slot| {
            let slot = Slot::new(Arc::clone(&self.0), Arc::clone(slot), request.min_validity);
            slot.current().map(|current| current.clone())
        });
        match kept.flatten() {
            Some(token) => ready(Ok(token)).boxed(),
            None => Box::pin(Jeton::token(self, request)),
        }
    }
}

impl Inner {
    /// Whether every call is a fetch of its own (`--cache-ttl 0`).
    fn keeps_nothing(&self) -> bool {
        self.settings.ttl == Some(Duration::ZERO)
    }

    fn is_kept(&self, choice: &Choice) -> bool {
        choice.source.caching() == Caching::Keep && !self.keeps_nothing()
    }

    fn wanted(&self, min_left: Duration) -> Wanted {
        Wanted {
            min_left,
            ttl: self.settings.ttl,
            since: None,
        }
    }

    /// Runs `with` the key and the scope of what `choice` gives for `request`.
    fn scoped<T>(
        &self,
        choice: &Choice,
        request: &TokenRequest,
        with: impl FnOnce(&Key, &Scope<'_>) -> T,
    ) -> T {
        let particulars = choice.source.particulars(&self.cx);
        let scope = Scope {
            profile: &self.settings.profile,
            source: choice.source.name(),
            particulars: &particulars,
            request,
            fingerprint: &choice.fingerprint,
        };
        with(&Key::of(&scope), &scope)
    }

    /// What is on disk for the source that would be asked. Synchronous: one small file.
    fn kept_on_disk(&self, request: &TokenRequest) -> Option<Token> {
        if self.settings.refresh || self.disk.is_none() {
            return None;
        }
        let choice = self.chain.choose(&self.cx, request).ok()?.into_iter().next()?;
        let now = self.cx.clock.now();
        self.read_disk(&choice, request, &self.wanted(request.min_validity), now)
    }

    fn read_disk(
        &self,
        choice: &Choice,
        request: &TokenRequest,
        wanted: &Wanted,
        now: Moment,
    ) -> Option<Token> {
        let disk = self.disk.as_ref().filter(|_| self.is_kept(choice))?;
        match self.scoped(choice, request, |key, scope| disk.read(key, scope, wanted, now)) {
            Found::Token(token) if self.check(&token).is_ok() => Some(*token),
            Found::Token(_) | Found::Miss => None,
            Found::Suspect(why) => {
                disk.warn(self.cx.observer.as_ref(), &why);
                None
            }
        }
    }

    /// Asks a source and checks what it gives.
    async fn fetch_checked(
        &self,
        cx: &Context,
        choice: &Choice,
        request: &TokenRequest,
    ) -> Result<Token, Error> {
        let token = choice.source.fetch(cx, request).await?;
        self.check(&token)?;
        Ok(token)
    }

    /// What a token must be beyond what its source has seen to: from the profile's issuer.
    fn check(&self, token: &Token) -> Result<(), Error> {
        match (&self.settings.issuer, &token.issuer) {
            (Some(wanted), Some(found)) if wanted != found => {
                let found = jeton_core::redact::foreign(found, &[]);
                let message = format!("{}: the token is from {found}, not from {wanted}", token.source);
                Err(Error::new(Class::Token, message))
            }
            _ => Ok(()),
        }
    }

    fn keep(&self, token: &Token, minting: Duration, now: Moment) -> Option<Arc<Kept>> {
        Kept::of(token, self.settings.ttl, minting, now).map(Arc::new)
    }
}

#[cfg(test)]
mod tests;
