//! An issuer's keys, fetched when they are first needed and kept within bounds.
//!
//! | situation | what happens |
//! |---|---|
//! | fresh | used |
//! | four fifths of its life are over | used, and replaced behind the back of those who use it |
//! | its life is over | replaced by one call for all who wait; used on for a day while that fails |
//! | a token names a key that is not there | one more fetch, for all who wait, at most one in a cool-down |
//! | the document is bad | never replaces a good one |
//!
//! A key is gone at most an hour after it left the issuer's set. Nothing in a token chooses where keys come from.
use crate::discovery::Discovery;
use crate::fetch::success;
use crate::flight::{Call, Flight};
use crate::http::{Fault, JWKS_BODY_CAP, Request, Response, checked_url};
use crate::{Context, Error, answer};
use arc_swap::ArcSwapOption;
use futures_util::future::FutureExt;
use jeton_core::jwk::KeySet;
use jeton_core::verify::{Expectations, Unproved, Verified};
use jeton_core::{Claims, Class, Failure, Moment, Rejection, Secret};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::Url;

mod freshness;
mod verified;

pub(crate) use freshness::Freshness;
pub use freshness::{LONGEST_LIFE, SHORTEST_LIFE, STALE_IF_ERROR};
pub use verified::Verifier;

/// How long tokens with unknown keys cause no further fetch: a stranger who makes up key names costs two requests a
/// minute.
pub const COOL_DOWN: Duration = Duration::from_secs(30);

/// Why a token was not verified.
#[derive(Clone, Debug)]
pub enum NotVerified {
    /// Because of the token, or because the issuer's keys are of no use ([`Rejection::KeysUnusable`]).
    Rejected(Rejection),
    /// Because the keys could not be fetched; nothing is said of the token.
    Unavailable(Error),
}

impl NotVerified {
    /// As a rejection, with its stable code.
    #[must_use]
    pub fn rejection(&self) -> Rejection {
        match self {
            Self::Rejected(rejection) => rejection.clone(),
            Self::Unavailable(error) => Rejection::KeysUnavailable(error.to_string()),
        }
    }

    /// What it means to the person who has to act on it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Rejected(rejection) if rejection.is_about_keys() => Class::Protocol,
            Self::Rejected(_) => Class::Refused,
            Self::Unavailable(error) => error.kind(),
        }
    }
}

impl fmt::Display for NotVerified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rejection = self.rejection();
        write!(f, "{}: {rejection}", rejection.code())
    }
}

impl std::error::Error for NotVerified {}

impl From<Rejection> for NotVerified {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// The keys of one issuer, or at one URL. Cheap to clone; all clones share what is kept.
#[derive(Clone)]
pub struct RemoteKeys(Arc<Inner>);

struct Inner {
    origin: Origin,
    kept: ArcSwapOption<Kept>,
    flight: Flight<Arc<Kept>>,
    /// Uptime at which the last fetch for an unknown key was made.
    cooling: Mutex<Option<Duration>>,
    generations: AtomicU64,
}

enum Origin {
    Issuer(Arc<Discovery>),
    Url(Url),
    /// Given once and for all: nothing is ever asked.
    Fixed(Arc<Kept>),
}

/// A good set.
pub(crate) struct Kept {
    pub(crate) set: KeySet,
    /// Changes whenever a key is not there any more.
    pub(crate) generation: u64,
    freshness: Freshness,
    etag: Option<String>,
}

/// What an answer held.
enum Answer {
    Set(Box<KeySet>, Option<String>, Freshness),
    /// 304: the set that is kept is still the one.
    Same(Freshness),
    Bad(Rejection),
}

impl RemoteKeys {
    /// The keys at the `jwks_uri` of an issuer's metadata.
    #[must_use]
    pub fn discovered(discovery: Arc<Discovery>) -> Self {
        Self::new(Origin::Issuer(discovery))
    }

    /// The keys at this address.
    ///
    /// # Errors
    /// `Class::Config` for an address that keys must not be taken from.
    pub fn at_url(keys: &str) -> Result<Self, Error> {
        Ok(Self::new(Origin::Url(checked_url(keys, "keys")?)))
    }

    /// Keys that were pinned: no request is ever made for them.
    #[must_use]
    pub fn fixed(set: KeySet) -> Self {
        let kept = Arc::new(Kept {
            set,
            generation: 1,
            freshness: Freshness::NEVER_ASKED,
            etag: None,
        });
        let keys = Self::new(Origin::Fixed(Arc::clone(&kept)));
        keys.0.kept.store(Some(kept));
        keys
    }

    fn new(origin: Origin) -> Self {
        Self(Arc::new(Inner {
            origin,
            kept: ArcSwapOption::empty(),
            flight: Flight::default(),
            cooling: Mutex::new(None),
            generations: AtomicU64::new(0),
        }))
    }

    /// Verifies `token`. What can be refused without keys is refused without a request; one more fetch is made for a
    /// key that is not there.
    ///
    /// # Errors
    /// [`NotVerified`].
    pub async fn verify(
        &self,
        cx: &Context,
        token: &Secret,
        expect: &Expectations,
    ) -> Result<Verified<Claims>, NotVerified> {
        let mut unproved = Unproved::read(token.reveal())?;
        let checked = self.check(cx, &mut unproved, expect).await;
        checked.map(|(verified, _)| verified)
    }

    pub(crate) async fn check(
        &self,
        cx: &Context,
        token: &mut Unproved<'_>,
        expect: &Expectations,
    ) -> Result<(Verified<Claims>, u64), NotVerified> {
        token.screen(expect.allowed_algorithms())?;
        let asked = cx.clock.now();
        let kept = self.current(cx).await?;
        let mut verify_with = |kept: &Kept| {
            let verified = token.verify(&kept.set, expect, cx.clock.now().wall);
            verified.map(|verified| (verified, kept.generation))
        };
        match verify_with(&kept) {
            // A set that came after this call began cannot be made newer by asking again.
            Err(Rejection::UnknownKey(_)) if kept.freshness.fetched.uptime <= asked.uptime => {
                let newer = self.for_unknown_key(cx, &kept).await?;
                Ok(verify_with(&newer)?)
            }
            other => Ok(other?),
        }
    }

    /// The key set itself.
    ///
    /// # Errors
    /// [`NotVerified`]: it could not be fetched, or is of no use.
    pub async fn set(&self, cx: &Context) -> Result<KeySet, NotVerified> {
        Ok(self.current(cx).await?.set.clone())
    }

    /// The number of the set that is kept; another one when a key is gone.
    pub(crate) fn generation(&self) -> Option<u64> {
        self.0.kept.load().as_ref().map(|kept| kept.generation)
    }

    async fn current(&self, cx: &Context) -> Result<Arc<Kept>, NotVerified> {
        if let Origin::Fixed(kept) = &self.0.origin {
            return Ok(Arc::clone(kept));
        }
        let now = cx.clock.now();
        let kept = self.0.kept.load_full();
        match kept {
            Some(kept) if kept.freshness.is_fresh(now) => {
                if kept.freshness.is_aging(now) {
                    self.refresh_behind(cx, now);
                }
                Ok(kept)
            }
            Some(kept) if kept.freshness.is_usable(now) => {
                let newer = self.fetch(cx, now).await;
                Ok(newer.unwrap_or_else(|error| {
                    cx.observer
                        .warning(&format!("{error}; the keys that are known are used on"));
                    kept
                }))
            }
            _ => self.fetch(cx, now).await,
        }
    }

    /// One more fetch for a key that is not there, unless one was made within the cool-down.
    async fn for_unknown_key(&self, cx: &Context, kept: &Arc<Kept>) -> Result<Arc<Kept>, NotVerified> {
        if let Origin::Fixed(kept) = &self.0.origin {
            return Ok(Arc::clone(kept));
        }
        let now = cx.clock.now();
        let due = {
            let mut cooling = self.0.cooling.lock().unwrap_or_else(PoisonError::into_inner);
            let due = cooling.is_none_or(|at| now.uptime >= at + COOL_DOWN) || self.0.flight.is_running();
            if due && !self.0.flight.is_running() {
                *cooling = Some(now.uptime);
            }
            due
        };
        // A failure since then is why the key is not there: nothing is said of the token.
        if let Some(error) = self.0.flight.paused(now.uptime) {
            return Err(NotVerified::Unavailable(error));
        }
        if !due {
            return Ok(Arc::clone(kept));
        }
        let newer = self.fetch(cx, now).await;
        if newer.is_err() {
            // Nothing was learned; the pause after a failure is the flight's.
            *self.0.cooling.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        newer
    }

    /// One fetch for all who wait.
    async fn fetch(&self, cx: &Context, now: Moment) -> Result<Arc<Kept>, NotVerified> {
        if let Some(error) = self.0.flight.paused(now.uptime) {
            return Err(not_verified(error));
        }
        self.call(cx).await.map_err(not_verified)
    }

    fn call(&self, cx: &Context) -> Call<Arc<Kept>> {
        self.0.flight.join(Duration::ZERO, || {
            let (inner, cx) = (Arc::clone(&self.0), cx.clone());
            async move {
                let fetched = inner.fetch(&cx).await;
                match &fetched {
                    Ok(_) => inner.flight.clear(),
                    Err(error) => inner.flight.failed(error, cx.clock.uptime()),
                }
                fetched
            }
            .boxed()
        })
    }

    fn refresh_behind(&self, cx: &Context, now: Moment) {
        let idle = !self.0.flight.is_running() && self.0.flight.paused(now.uptime).is_none();
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && idle
        {
            let call = self.call(cx);
            runtime.spawn(async move {
                // Whatever came of it is kept, or was no better.
                let _ = call.await;
            });
        }
    }
}

/// What is said of an answer that was fetched but is no JSON at all.
const UNUSABLE: &str = "what the issuer publishes as its keys cannot be read";

/// A document that is no key set is of no use; everything else could not be fetched.
fn not_verified(error: Error) -> NotVerified {
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<Rejection>());
    if let Some(rejection) = cause {
        return NotVerified::Rejected(rejection.clone());
    }
    if error.kind() == Class::Protocol && error.status() == Some(200) {
        return NotVerified::Rejected(Rejection::KeysUnusable(UNUSABLE));
    }
    NotVerified::Unavailable(error)
}

impl Inner {
    async fn fetch(&self, cx: &Context) -> Result<Arc<Kept>, Error> {
        let mut request = match &self.origin {
            Origin::Fixed(kept) => return Ok(Arc::clone(kept)),
            Origin::Url(url) => Request::get(url.clone()),
            Origin::Issuer(discovery) => discovery.public(cx, "jwks_uri").await?,
        };
        request = request.header("accept", "application/jwk-set+json, application/json");
        request.body_cap = JWKS_BODY_CAP;
        let before = self.kept.load_full();
        if let Some(etag) = before.as_ref().and_then(|kept| kept.etag.as_deref()) {
            request = request.header("if-none-match", etag);
        }
        let answer = cx
            .fetch("keys", &request, |response| read(response, before.is_some()))
            .await?;
        let kept = Arc::new(self.judge(answer, before.as_deref())?);
        self.kept.store(Some(Arc::clone(&kept)));
        Ok(kept)
    }

    fn judge(&self, answer: Answer, before: Option<&Kept>) -> Result<Kept, Error> {
        match (answer, before) {
            (Answer::Set(set, etag, freshness), before) => {
                let lost = before.is_some_and(|before| has_lost_a_key(&before.set, &set));
                let generation = match before {
                    Some(before) if !lost => before.generation,
                    _ => self.generations.fetch_add(1, Ordering::Relaxed) + 1,
                };
                Ok(Kept {
                    set: *set,
                    generation,
                    freshness,
                    etag,
                })
            }
            (Answer::Same(freshness), Some(before)) => Ok(Kept {
                set: before.set.clone(),
                generation: before.generation,
                freshness,
                etag: before.etag.clone(),
            }),
            (Answer::Same(_), None) => Err(Error::new(Class::Protocol, "keys: status 304 without a set")),
            (Answer::Bad(rejection), _) => {
                let error = Error::new(Class::Protocol, format!("keys: {rejection}"));
                Err(error.with_source(rejection))
            }
        }
    }
}

fn read(response: &Response, have_one: bool) -> Result<Answer, Fault> {
    let freshness = Freshness::of(response);
    if response.status == 304 && have_one {
        return Ok(Answer::Same(freshness));
    }
    success(response)?;
    // Pages, empty bodies and bodies cut short may be a gateway's moment: they are asked for again.
    match answer::json(response) {
        Err(fault) if fault.failure != Failure::Unexpected => return Err(fault),
        _ => (),
    }
    Ok(match KeySet::parse(&response.body) {
        Ok(set) => Answer::Set(
            Box::new(set),
            response.header("etag").map(str::to_owned),
            freshness,
        ),
        Err(rejection) => Answer::Bad(rejection),
    })
}

fn has_lost_a_key(before: &KeySet, after: &KeySet) -> bool {
    let is_there = |thumbprint: &str| after.keys().iter().any(|key| key.thumbprint() == thumbprint);
    before.keys().iter().any(|key| !is_there(key.thumbprint()))
}

#[cfg(test)]
mod tests;
