//! The right token, fresh at the moment it is used: memory, disk, lease, chain and checks put together.
use crate::cache::{self, Disk};
use crate::chain::{Chain, Report};
use crate::{Context, Error, TokenSource};
use futures_util::future::BoxFuture;
use jeton_core::{Class, Token, TokenRequest};
use std::sync::Arc;

mod builder;

pub use builder::Builder;

/// What programs hold: a chain of sources behind caches. Cheap to clone; works in any tokio runtime.
#[derive(Clone)]
pub struct Jeton(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) cx: Context,
    pub(crate) chain: Chain,
    pub(crate) disk: Option<Disk>,
    pub(crate) settings: builder::Settings,
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
        let _ = request;
        None
    }

    /// A token that fits `request`: from memory, from disk, or fresh from the first source that is here.
    ///
    /// # Errors
    /// [`Error`] of every class.
    pub async fn token(&self, request: &TokenRequest) -> Result<Token, Error> {
        let inner = &self.0;
        let cx = inner.cx.within(inner.settings.timeout);
        let mut last = Error::new(Class::NotFound, "no source of tokens is here");
        for choice in inner.chain.choose(&cx, request)? {
            match cx.bounded("token", choice.source.fetch(&cx, request)).await {
                Err(error) if error.kind() == Class::NotFound => last = error,
                other => return other,
            }
        }
        Err(last)
    }

    /// Forgets a token that its audience refused (401), in memory and on disk, so that the next call fetches anew.
    /// Only if it is still the one that is kept: a newer one stays.
    pub fn invalidate(&self, token: &Token) {
        let _ = token;
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
            let answer = cx.bounded("token", choice.source.fetch(&cx, request)).await;
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
        Box::pin(Jeton::token(self, request))
    }
}

/// The disk cache of the environment, where there is somewhere to write.
fn disk_of(cx: &Context) -> Option<Disk> {
    cache::locate(&cx.env).map(Disk::at)
}
