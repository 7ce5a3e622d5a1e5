//! Who asks: the tokens that a credential can be asked for with, in their order.
//!
//! 1. the caller's: the person for whom this runs
//! 2. the minted one: the session's own, from the broker or from the platform's control plane
//! 3. the named ones, files before variables, read anew each time
//!
//! A token that is refused (401, 403) gives its turn to the next one, once for each request; a minted one is minted anew
//! first.
use super::control_plane::ControlPlane;
use super::session::Session;
use jeton::{Context, Error, Secret, Source, TokenRequest, UnixTime};
use jeton_core::Class;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// A minted token that ends sooner than this is minted anew before it is used.
const SPARE: Duration = Duration::from_secs(30);

/// Whose token it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The caller's.
    Caller,
    /// The session's own.
    Minted,
    /// The named one of this number.
    Named(usize),
}

impl Kind {
    /// How it is called in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Caller => "the caller's token",
            Self::Minted => "the session's token",
            Self::Named(_) => "the named token",
        }
    }
}

/// A token to ask with.
#[derive(Clone)]
pub struct Bearer {
    /// Whose.
    pub kind: Kind,
    /// The token.
    pub value: Secret,
}

/// Who mints the session's own token.
pub enum Mint {
    /// Nobody.
    Nobody,
    /// The broker.
    Broker(Arc<Session>),
    /// The Ambient platform's control plane.
    ControlPlane(ControlPlane),
}

/// A minted token, and when it ends, where that is known.
#[derive(Clone)]
pub struct Minted {
    /// The token.
    pub value: Secret,
    /// Its end.
    pub ends: Option<UnixTime>,
}

/// The order.
pub struct Bearers {
    cx: Context,
    caller: Option<Arc<dyn Source>>,
    mint: Mint,
    named: Vec<Arc<dyn Source>>,
    minted: Mutex<Option<Minted>>,
}

impl Bearers {
    /// These, in this order.
    #[must_use]
    pub fn new(
        cx: Context,
        caller: Option<Arc<dyn Source>>,
        mint: Mint,
        named: Vec<Arc<dyn Source>>,
    ) -> Self {
        Self {
            cx,
            caller,
            mint,
            named,
            minted: Mutex::default(),
        }
    }

    /// Takes a minted token that came another way: with the answer that opened the session.
    pub async fn hold(&self, minted: Minted) {
        *self.minted.lock().await = Some(minted);
    }

    /// The first that can be had.
    ///
    /// # Errors
    /// Why the last one that was tried cannot be had; `Class::NotFound` when there is none at all.
    pub async fn first(&self) -> Result<Bearer, Error> {
        let mut last = None;
        if let Some(caller) = &self.caller {
            match self.read(caller, Kind::Caller).await {
                Ok(bearer) => return Ok(bearer),
                Err(e) => last = Some(e),
            }
        }
        match self.minted().await {
            Ok(Some(bearer)) => return Ok(bearer),
            Ok(None) => {}
            Err(e) => last = Some(e),
        }
        for (number, source) in self.named.iter().enumerate() {
            match self.read(source, Kind::Named(number)).await {
                Ok(bearer) => return Ok(bearer),
                Err(e) => last = last.or(Some(e)),
            }
        }
        Err(last.unwrap_or_else(|| {
            Error::new(Class::NotFound, "there is no token to ask the broker with")
                .with_hint("name one with --bearer, or a profile whose identity opens the session")
        }))
    }

    /// The one that follows on one that was refused; `None` when there is no other.
    pub async fn after(&self, refused: &Bearer) -> Option<Bearer> {
        let minted = match refused.kind {
            Kind::Caller => self.minted().await,
            _ => self.mint_anew(&refused.value).await.map(Some),
        };
        if let Ok(Some(bearer)) = minted
            && bearer.value != refused.value
        {
            return Some(bearer);
        }
        let from = match refused.kind {
            Kind::Named(number) => number + 1,
            _ => 0,
        };
        for (number, source) in self.named.iter().enumerate().skip(from) {
            if let Ok(bearer) = self.read(source, Kind::Named(number)).await
                && bearer.value != refused.value
            {
                return Some(bearer);
            }
        }
        None
    }

    /// Renews the session's token when less than half of `life` is left of it; nothing to do where nobody mints.
    ///
    /// # Errors
    /// Why the session's token cannot be renewed.
    pub async fn renew(&self, life: Duration) -> Result<(), Error> {
        let mut kept = self.minted.lock().await;
        let spare = life / 2;
        if matches!(&self.mint, Mint::Broker(_)) && !kept.as_ref().is_some_and(|m| self.lives(m, spare)) {
            *kept = self.mint(kept.as_ref()).await?.or(kept.take());
        }
        Ok(())
    }

    async fn read(&self, source: &Arc<dyn Source>, kind: Kind) -> Result<Bearer, Error> {
        let token = source.fetch(&self.cx, &TokenRequest::default()).await?;
        Ok(Bearer {
            kind,
            value: token.value,
        })
    }

    /// The session's own token: the one that is held while it lives, else a new one.
    async fn minted(&self) -> Result<Option<Bearer>, Error> {
        let mut kept = self.minted.lock().await;
        if !kept.as_ref().is_some_and(|minted| self.lives(minted, SPARE)) {
            *kept = self.mint(kept.as_ref()).await?;
        }
        Ok(kept.as_ref().map(bearer))
    }

    /// A new one, unless another than the refused one came in the meantime.
    async fn mint_anew(&self, refused: &Secret) -> Result<Bearer, Error> {
        let mut kept = self.minted.lock().await;
        if kept.as_ref().is_none_or(|minted| minted.value == *refused) {
            *kept = self.mint(None).await?;
        }
        let minted = kept.as_ref().map(bearer);
        minted.ok_or_else(|| Error::new(Class::NotFound, "nobody mints a token for this session"))
    }

    /// `with`: the session's token as it is, which can be renewed with itself.
    async fn mint(&self, with: Option<&Minted>) -> Result<Option<Minted>, Error> {
        match &self.mint {
            Mint::Nobody => Ok(None),
            Mint::Broker(session) => {
                let alive = with.filter(|minted| self.lives(minted, Duration::ZERO));
                session
                    .token(&self.cx, alive.map(|minted| &minted.value))
                    .await
                    .map(Some)
            }
            Mint::ControlPlane(plane) => plane.token(&self.cx).await.map(Some),
        }
    }

    /// Whether it is alive for this long; one that says nothing of its end is good until it is refused.
    fn lives(&self, minted: &Minted, spare: Duration) -> bool {
        minted
            .ends
            .is_none_or(|ends| ends.since(self.cx.clock.now().wall) > spare)
    }
}

fn bearer(minted: &Minted) -> Bearer {
    Bearer {
        kind: Kind::Minted,
        value: minted.value.clone(),
    }
}
