//! An issuer's keys, fetched when they are needed and trusted no longer than they should be.
//!
//! | age of the set | what happens |
//! |---|---|
//! | within its soft life (`Cache-Control`, between a minute and an hour) | used |
//! | older | fetched anew, by one for all; if that fails, used for up to [`STALE`], with a warning |
//! | older than [`STALE`] | not used: `keys-unavailable` |
//!
//! A `kid` that the set does not have is worth one fetch in [`COOL_DOWN`]. A document that is no key set never replaces
//! one that is.
use crate::discovery::{Discovery, life_of};
use crate::http::{Fault, JWKS_BODY_CAP, Request, Response, checked_url};
use crate::together::Together;
use crate::{Context, Error, answer};
use jeton_core::verify::{self, Expectations, Verified};
use jeton_core::{Claims, Failure, KeySet, Moment, Rejection, Secret};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::Url;

/// How long a set is used after its issuer could not be asked any more.
pub const STALE: Duration = Duration::from_secs(24 * 3600);
/// How long an unknown `kid` causes no further fetch.
pub const COOL_DOWN: Duration = Duration::from_secs(30);

/// The keys of one issuer.
pub struct RemoteKeys {
    place: Place,
    state: Mutex<State>,
    flight: Together<Arc<KeySet>, NotVerified>,
}

enum Place {
    Url { keys: Url, issuer: Url },
    Discovered(Arc<Discovery>),
}

#[derive(Default)]
struct State {
    set: Option<Held>,
    /// When a fetch was last begun, whatever came of it.
    asked: Option<Moment>,
}

#[derive(Clone)]
struct Held {
    keys: Arc<KeySet>,
    fetched: Moment,
    life: Duration,
    etag: Option<String>,
}

/// Why a token was not verified.
#[derive(Clone, Debug)]
pub enum NotVerified {
    /// The token is not acceptable.
    Rejected(Rejection),
    /// The keys could not be had: the token may be good.
    Unavailable(Error),
}

impl std::fmt::Display for NotVerified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rejected(rejection) => write!(f, "{}: {rejection}", rejection.code()),
            Self::Unavailable(error) => write!(f, "keys-unavailable: {error}"),
        }
    }
}

/// What an answer to a request for keys is.
enum Fetched {
    Same,
    New {
        keys: Box<KeySet>,
        life: Duration,
        etag: Option<String>,
    },
    /// A document, but no key set.
    Unusable(Rejection),
}

impl RemoteKeys {
    /// The keys that the issuer's metadata name.
    #[must_use]
    pub fn discovered(discovery: Arc<Discovery>) -> Self {
        Self::at(Place::Discovered(discovery))
    }

    /// The keys at this address.
    ///
    /// # Errors
    /// `Class::Config` for an address that keys must not be taken from.
    pub fn at_url(keys: &str) -> Result<Self, Error> {
        let keys = checked_url(keys, "keys")?;
        Ok(Self::at(Place::Url {
            issuer: keys.clone(),
            keys,
        }))
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            state: Mutex::default(),
            flight: Together::default(),
        }
    }

    /// Verifies a token with these keys.
    ///
    /// # Errors
    /// [`NotVerified`].
    pub async fn verify(
        &self,
        cx: &Context,
        token: &Secret,
        expect: &Expectations,
    ) -> Result<Verified<Claims>, NotVerified> {
        // Nothing that is no token at all is worth a request.
        verify::screen(token.reveal(), expect.allowed_algorithms()).map_err(NotVerified::Rejected)?;
        let keys = self.keys(cx).await?;
        let now = cx.clock.now().wall;
        match verify::verify(token.reveal(), &keys, expect, now) {
            Err(Rejection::UnknownKey(reason)) => match self.newer(cx, &keys).await? {
                Some(keys) => {
                    verify::verify(token.reveal(), &keys, expect, now).map_err(NotVerified::Rejected)
                }
                None => Err(NotVerified::Rejected(Rejection::UnknownKey(reason))),
            },
            other => other.map_err(NotVerified::Rejected),
        }
    }

    /// The set, fetched when it is missing or old.
    ///
    /// # Errors
    /// [`NotVerified::Unavailable`] when it cannot be had, [`NotVerified::Rejected`] when it is unusable.
    pub async fn keys(&self, cx: &Context) -> Result<Arc<KeySet>, NotVerified> {
        let now = cx.clock.now();
        let held = self.held();
        if let Some(held) = held.as_ref().filter(|h| now.since(h.fetched) < h.life) {
            return Ok(Arc::clone(&held.keys));
        }
        match (self.together(cx).await, held) {
            (Ok(keys), _) => Ok(keys),
            (Err(e), Some(held)) if now.since(held.fetched) < STALE => {
                cx.observer.warning(&format!(
                    "{e}; going on with keys of {} s ago",
                    now.since(held.fetched).as_secs()
                ));
                Ok(held.keys)
            }
            (Err(e), _) => Err(e),
        }
    }

    /// A set newer than `known`, for a `kid` that it does not have; `None` while the cool-down lasts.
    async fn newer(&self, cx: &Context, known: &Arc<KeySet>) -> Result<Option<Arc<KeySet>>, NotVerified> {
        if let Some(held) = self.held().filter(|h| !Arc::ptr_eq(&h.keys, known)) {
            return Ok(Some(held.keys));
        }
        if self.is_cooling(cx.clock.now()) {
            return Ok(None);
        }
        self.together(cx).await.map(Some)
    }

    fn held(&self) -> Option<Held> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .set
            .clone()
    }

    fn is_cooling(&self, now: Moment) -> bool {
        let asked = self.state.lock().unwrap_or_else(PoisonError::into_inner).asked;
        asked.is_some_and(|asked| now.since(asked) < COOL_DOWN)
    }

    async fn together(&self, cx: &Context) -> Result<Arc<KeySet>, NotVerified> {
        self.flight.run(self.fetch(cx)).await
    }

    async fn fetch(&self, cx: &Context) -> Result<Arc<KeySet>, NotVerified> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).asked = Some(cx.clock.now());
        let held = self.held();
        let mut request = self.request(cx).await.map_err(NotVerified::Unavailable)?;
        if let Some(etag) = held.as_ref().and_then(|h| h.etag.as_deref()) {
            request = request.header("if-none-match", etag);
        }
        let known = held.is_some();
        let what = format!("keys of {}", request.place());
        let fetched = cx.fetch(&what, &request, |response| read(response, known)).await;
        let fetched = fetched.map_err(NotVerified::Unavailable)?;
        let held = match (fetched, held) {
            (Fetched::Unusable(rejection), _) => return Err(NotVerified::Rejected(rejection)),
            (Fetched::New { keys, life, etag }, _) => Held {
                keys: Arc::from(keys),
                fetched: cx.clock.now(),
                life,
                etag,
            },
            (Fetched::Same, Some(held)) => Held {
                fetched: cx.clock.now(),
                ..held
            },
            (Fetched::Same, None) => {
                return Err(NotVerified::Rejected(Rejection::KeysUnusable(
                    "an answer without keys",
                )));
            }
        };
        let keys = Arc::clone(&held.keys);
        self.state.lock().unwrap_or_else(PoisonError::into_inner).set = Some(held);
        Ok(keys)
    }

    async fn request(&self, cx: &Context) -> Result<Request, Error> {
        let (keys, issuer) = match &self.place {
            Place::Url { keys, issuer } => (keys.clone(), issuer.clone()),
            Place::Discovered(discovery) => {
                let what = format!("keys of {}", discovery.issuer());
                let keys = discovery.required(cx, "jwks_uri").await?;
                (
                    checked_url(&keys, &what)?,
                    checked_url(discovery.issuer(), &what)?,
                )
            }
        };
        let mut request = Request::get(keys).guarded_by(&issuer);
        request.body_cap = JWKS_BODY_CAP;
        Ok(request.header("accept", "application/json"))
    }
}

fn read(response: &Response, known: bool) -> Result<Fetched, Fault> {
    if response.status == 304 && known {
        return Ok(Fetched::Same);
    }
    answer::success(response)?;
    // A page in place of keys is a gateway's doing and worth another attempt; anything else is the issuer's own.
    match answer::json(response) {
        Err(fault) if fault.failure != Failure::Unexpected => return Err(fault),
        _ => {}
    }
    Ok(match KeySet::parse(&response.body) {
        Ok(keys) => Fetched::New {
            keys: Box::new(keys),
            life: life_of(response),
            etag: response.header("etag").map(ToOwned::to_owned),
        },
        Err(rejection) => Fetched::Unusable(rejection),
    })
}
