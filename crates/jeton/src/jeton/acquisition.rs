//! How a token comes that is not in memory: disk, lease, chain, checks, disk, memory.
use super::Inner;
use super::turn::{Turn, beating};
use crate::cache::Wanted;
use crate::cache::entry::Entry;
use crate::cache::memory::Slot;
use crate::chain::Choice;
use crate::flight::Call;
use crate::source::Caching;
use crate::{Context, Error};
use futures_util::future::FutureExt;
use jeton_core::{Class, Moment, Token, TokenRequest};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use zeroize::Zeroizing;

/// What is said, once, where nobody named a place for the disk cache.
const NOWHERE: &str = "cache: there is nowhere to keep tokens (JETON_CACHE_DIR, XDG_CACHE_HOME and HOME name no folder \
                       of yours); going on without it";

/// A token for somebody who keeps nothing: a fetch of his own.
pub(super) async fn direct(inner: &Inner, request: &TokenRequest) -> Result<Token, Error> {
    let cx = inner.cx.within(inner.settings.timeout);
    let fetch = async {
        let mut last = None;
        for choice in inner.chain.choose(&cx, request)? {
            match fetch_living(inner, &cx, &choice, request).await {
                Err(error) if error.kind() == Class::NotFound => last = Some(error),
                other => return other,
            }
        }
        Err(last.unwrap_or_else(|| inner.chain.nothing_here()))
    };
    let token = cx.bounded("token", fetch).await?;
    long_enough(inner, token, request.min_validity)
}

/// Keeps a token that was given, if its source's tokens are kept.
pub(super) async fn keep(inner: &Arc<Inner>, token: &Token, request: &TokenRequest) -> Result<(), Error> {
    inner.check(token)?;
    let choice = inner.chain.choose(&inner.cx, request)?.into_iter().next();
    let choice = choice.ok_or_else(|| inner.chain.nothing_here())?;
    if !inner.is_kept(&choice) {
        return Ok(());
    }
    let slot = inner.memory.slot(request, inner.cx.clock.uptime());
    let acquisition = Acquisition {
        inner,
        slot: &slot,
        cx: &inner.cx,
        request,
        reuse: inner.wanted(Duration::ZERO),
    };
    acquisition.store(&choice, token).await;
    Ok(())
}

/// A token from the one flight in this process: the one that is under way, or a new one.
pub(super) async fn joined(inner: &Arc<Inner>, slot: &Arc<Slot>, need: Duration) -> Result<Token, Error> {
    if let Some(error) = slot.flight.paused(inner.cx.clock.uptime()) {
        return living_on(inner, slot, error);
    }
    match slot.flight.join(need, || call(inner, slot, need, None)).await {
        Ok(token) => long_enough(inner, Token::clone(&token), need),
        Err(error) => living_on(inner, slot, error),
    }
}

/// The flight that replaces the kept token ahead of need.
pub(super) fn replace(inner: &Arc<Inner>, slot: &Arc<Slot>, need: Duration) -> Call<Arc<Token>> {
    let kept = slot.kept.load();
    let newer_than = kept.is_token().then_some(kept.received);
    slot.flight.join(need, || call(inner, slot, need, newer_than))
}

/// One flight: everything that it needs is its own, so that whoever waits can carry it.
fn call(
    inner: &Arc<Inner>,
    slot: &Arc<Slot>,
    need: Duration,
    newer_than: Option<Moment>,
) -> futures_util::future::BoxFuture<'static, Result<Arc<Token>, Error>> {
    let (inner, slot) = (Arc::clone(inner), Arc::clone(slot));
    async move {
        let request = slot.request.clone().min_validity(need);
        let mut cx = inner.cx.within(inner.settings.timeout);
        let since = if inner.settings.refresh {
            Some(inner.cx.clock.now())
        } else {
            newer_than
        };
        let reuse = Wanted {
            since,
            ..inner.wanted(Duration::ZERO)
        };
        cx.reuse = Some(reuse).filter(|_| inner.disk.is_some());
        let acquisition = Acquisition {
            inner: &inner,
            slot: &slot,
            cx: &cx,
            request: &request,
            reuse,
        };
        cx.bounded("token", acquisition.run()).await.map(Arc::new)
    }
    .boxed()
}

struct Acquisition<'a> {
    inner: &'a Inner,
    slot: &'a Slot,
    cx: &'a Context,
    request: &'a TokenRequest,
    /// What of the disk cache will do; one that lives too short is seen too.
    reuse: Wanted,
}

impl Acquisition<'_> {
    async fn run(&self) -> Result<Token, Error> {
        let mut last = None;
        for choice in self.inner.chain.choose(self.cx, self.request)? {
            match self.obtain(&choice).await {
                Err(error) if error.kind() == Class::NotFound => last = Some(error),
                other => return other,
            }
        }
        Err(last.unwrap_or_else(|| self.inner.chain.nothing_here()))
    }

    async fn obtain(&self, choice: &Choice) -> Result<Token, Error> {
        let inner = self.inner;
        if !inner.is_kept(choice) {
            return fetch_living(inner, self.cx, choice, self.request).await;
        }
        let started = inner.cx.clock.now();
        if let Some(token) = self.look(choice) {
            return Ok(token);
        }
        let lease = match self.turn(choice, started).await {
            Turn::Mine(lease) => Some(lease),
            Turn::Alone => None,
            Turn::Answered(token) => return Ok(*token),
            Turn::Failed(error) => {
                self.slot.flight.failed(&error, inner.cx.clock.uptime());
                return Err(error);
            }
        };
        let fetch = fetch_living(inner, self.cx, choice, self.request);
        let before = inner.cx.clock.uptime();
        match beating(lease.as_ref(), &inner.cx.clock, fetch).await {
            Ok(token) => {
                let took = inner.cx.clock.uptime().saturating_sub(before);
                self.slot.minted_in(took);
                self.store(choice, &token).await;
                Ok(token)
            }
            Err(error) => {
                let now = inner.cx.clock.now();
                if let Some(lease) = &lease {
                    lease.fail(&error, now);
                }
                self.slot.flight.failed(&error, now.uptime);
                Err(error)
            }
        }
    }

    /// Waits for this machine's one lease on what `choice` gives.
    async fn turn(&self, choice: &Choice, started: Moment) -> Turn {
        let inner = self.inner;
        let Some(disk) = &inner.disk else {
            return Turn::Alone;
        };
        let key = inner.scoped(choice, self.request, |key, _| *key);
        let look = || self.look(choice);
        let turn = Turn::wait(disk, &key, &inner.cx, started, look).await;
        turn.unwrap_or_else(|why| {
            disk.warn(inner.cx.observer.as_ref(), &why);
            Turn::Alone
        })
    }

    /// Looks for a token on disk. One that is alive but does not live long enough is kept in memory, for the case
    /// that no better one can be had.
    fn look(&self, choice: &Choice) -> Option<Token> {
        let inner = self.inner;
        let now = inner.cx.clock.now();
        let token = inner.read_disk(choice, self.request, &self.reuse, now)?;
        self.remember(&token, now);
        let left = token.life.map_or(Duration::ZERO, |life| life.left_at_least(now));
        (left >= self.request.min_validity).then_some(token)
    }

    /// Keeps a token in memory, unless a better one is there.
    fn remember(&self, token: &Token, now: Moment) {
        if let Some(kept) = self.inner.keep(token, self.slot.minting(), now)
            && kept.ends > self.slot.kept.load().ends
        {
            self.slot.keep(kept);
        }
    }

    /// Keeps a fresh token on disk and in memory, if it is of use to anybody who asks the same again.
    async fn store(&self, choice: &Choice, token: &Token) {
        let inner = self.inner;
        self.slot.flight.clear();
        let now = inner.cx.clock.now();
        let left = token.life.map_or(Duration::ZERO, |life| life.left(now));
        if left.is_zero() || left < self.request.min_validity {
            return;
        }
        if let Some(kept) = inner.keep(token, self.slot.minting(), now) {
            self.slot.keep(kept);
        }
        let Some(disk) = inner.disk.clone() else {
            if inner.homeless.swap(false, Ordering::Relaxed) {
                inner.cx.observer.warning(NOWHERE);
            }
            return;
        };
        let sealed = inner.scoped(choice, self.request, |key, scope| {
            let sealed = Entry::of(scope, token).and_then(|entry| entry.seal());
            (*key, sealed.map(Zeroizing::new))
        });
        let (key, Some(sealed)) = sealed else {
            return;
        };
        let writing = disk.clone();
        // Forcing a file to disk takes milliseconds; nobody else on this thread should wait for it.
        let written = tokio::task::spawn_blocking(move || writing.write_sealed(&key, &sealed, now)).await;
        if let Ok(Err(why)) = written {
            disk.warn(inner.cx.observer.as_ref(), &why);
        }
    }
}

/// Asks a source; once more when what it gave is alive but does not live long enough, and takes the longer-lived.
async fn fetch_living(
    inner: &Inner,
    cx: &Context,
    choice: &Choice,
    request: &TokenRequest,
) -> Result<Token, Error> {
    let first = inner.fetch_checked(cx, choice, request).await?;
    let left = |token: &Token| token.life.map(|life| life.left(inner.cx.clock.now()));
    let short = left(&first).is_some_and(|left| left < request.min_validity);
    if !short || choice.source.mints() || choice.source.caching() == Caching::Reread {
        return Ok(first);
    }
    match inner.fetch_checked(cx, choice, request).await {
        Ok(second) if left(&second) > left(&first) => Ok(second),
        _ => Ok(first),
    }
}

/// Gives a token out although it may live shorter than was asked for: with a warning, or, strictly, not at all.
fn long_enough(inner: &Inner, token: Token, need: Duration) -> Result<Token, Error> {
    let Some(left) = token.life.map(|life| life.left_at_least(inner.cx.clock.now())) else {
        return Ok(token);
    };
    if left >= need {
        return Ok(token);
    }
    let (left, need) = (left.as_secs(), need.as_secs());
    let message = format!(
        "{}: the newest token that can be had lives {left} s, not the {need} s that are needed",
        token.source
    );
    if inner.settings.strict || left == 0 {
        return Err(Error::new(Class::Token, message)
            .with_hint("ask for a shorter minimum validity, or for tokens that live longer"));
    }
    inner.cx.observer.warning(&message);
    Ok(token)
}

/// After a failure that may pass: the kept token, while it is alive, is the newest that can be had.
fn living_on(inner: &Inner, slot: &Slot, error: Error) -> Result<Token, Error> {
    let kept = slot.kept.load();
    if !error.is_transient() || inner.settings.strict || !kept.serves(inner.cx.clock.uptime(), Duration::ZERO)
    {
        return Err(error);
    }
    let left = kept.ends.saturating_sub(inner.cx.clock.uptime()).as_secs();
    inner.cx.observer.warning(&format!(
        "{}: no new token can be had ({error}); the one that is kept lives {left} s more",
        kept.token.source
    ));
    Ok(kept.token.clone())
}
