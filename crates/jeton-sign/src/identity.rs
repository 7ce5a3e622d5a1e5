//! Who signs: the token, asked for when it is used, alive when it is sent; and the name that becomes public with it.
use jeton::{Class, Context, Error, Token, TokenRequest, TokenSource};
use jeton_core::{Claims, Json, decode, redact};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long a token must live when it is sent: what a call takes at most, when all is well.
const CALL: Duration = Duration::from_secs(2);

/// Who a token says somebody is, as the certificate authority will see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The address, if the issuer verified it, else the subject. The key's possession is proven over this.
    pub name: String,
    /// The issuer.
    pub issuer: String,
}

impl Identity {
    /// The identity of a token.
    ///
    /// # Errors
    /// `Class::Token` when it has none.
    pub fn of(token: &Token) -> Result<Self, Error> {
        Self::claimed(token, &claims(token)?)
    }

    fn claimed(token: &Token, claims: &Claims) -> Result<Self, Error> {
        let name = address(claims).or_else(|| claims.subject());
        let name = name.ok_or_else(|| unusable(token, "does not say whose it is"))?;
        let issuer = claims
            .issuer()
            .ok_or_else(|| unusable(token, "does not say who made it"))?;
        Ok(Self {
            name: name.to_owned(),
            issuer: issuer.to_owned(),
        })
    }

    /// The name, fit to show.
    #[must_use]
    pub fn shown(&self) -> String {
        redact::foreign(&self.name, &[])
    }
}

/// What a token says; its audience verifies it, not we.
pub(crate) fn claims(token: &Token) -> Result<Claims, Error> {
    let decoded = decode(token.value.reveal()).map_err(|_| unusable(token, "is no identity token"))?;
    Ok(decoded.into_peeked())
}

fn unusable(token: &Token, why: &str) -> Error {
    Error::new(Class::Token, format!("the token of {} {why}", token.source))
        .with_hint("a signature needs an identity token: a JWT with `iss`, and `sub` or a verified `email`")
}

/// `email`, where `email_verified` says so, as a boolean or as the text that some issuers write.
fn address(claims: &Claims) -> Option<&str> {
    let is_verified = match claims.get("email_verified")? {
        Json::Bool(verified) => *verified,
        Json::String(text) => text.as_str() == "true",
        _ => false,
    };
    claims
        .text("email")
        .filter(|email| is_verified && !email.is_empty())
}

/// An answer that takes its time.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// Asked before an identity becomes public for ever.
pub trait Disclosure: Send + Sync {
    /// Whether it may. An error ends the signature before anybody has seen the token.
    fn allow<'a>(&'a self, identity: &'a Identity) -> Answer<'a>;
}

/// Nobody is asked: the identity is a machine's, or its owner has said yes.
#[derive(Clone, Copy, Debug)]
pub struct Allowed;

impl Disclosure for Allowed {
    fn allow<'a>(&'a self, _identity: &'a Identity) -> Answer<'a> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Where tokens for signatures come from.
pub struct Tokens {
    source: Arc<dyn TokenSource>,
    request: TokenRequest,
    disclosure: Arc<dyn Disclosure>,
    /// Whether getting one takes a person: then a living one is used for the next signature, too.
    interactive: bool,
    held: Mutex<Option<Arc<Held>>>,
}

/// A token that was asked for, and what it says.
pub(crate) struct Held {
    pub(crate) token: Token,
    pub(crate) identity: Identity,
    pub(crate) claims: Claims,
}

impl Tokens {
    /// Tokens of a platform, a profile, a place. Nobody is asked before they are used.
    #[must_use]
    pub fn ambient(source: Arc<dyn TokenSource>, request: TokenRequest) -> Self {
        Self {
            source,
            request,
            disclosure: Arc::new(Allowed),
            interactive: false,
            held: Mutex::default(),
        }
    }

    /// Tokens of a person, who is asked before his name becomes public.
    #[must_use]
    pub fn interactive(
        source: Arc<dyn TokenSource>,
        request: TokenRequest,
        disclosure: Arc<dyn Disclosure>,
    ) -> Self {
        Self {
            source,
            request,
            disclosure,
            interactive: true,
            held: Mutex::default(),
        }
    }

    /// Whether a person is behind it.
    #[must_use]
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Before a signature: what was asked for earlier is not used again, unless a person would have to be asked.
    pub(crate) async fn renew(&self) {
        if !self.interactive {
            *self.held.lock().await = None;
        }
    }

    /// The one that was sent.
    pub(crate) async fn held(&self) -> Result<Arc<Held>, Error> {
        let held = self.held.lock().await.clone();
        held.ok_or_else(|| Error::new(Class::Other, "no token was asked for"))
    }

    /// A token that lives long enough to be sent, and what it says. The one that is held, unless it has run out.
    ///
    /// # Errors
    /// What the source fails with; what the disclosure says.
    pub(crate) async fn living(&self, cx: &Context) -> Result<Arc<Held>, Error> {
        let mut held = self.held.lock().await;
        let left = |token: &Token| token.life.map(|life| life.left(cx.clock.now()));
        if let Some(held) = held
            .as_ref()
            .filter(|held| left(&held.token).is_none_or(|left| left >= CALL))
        {
            return Ok(Arc::clone(held));
        }
        let before = held.take();
        let token = self.source.token(&self.request).await?;
        let claims = claims(&token)?;
        let identity = Identity::claimed(&token, &claims)?;
        if before.is_none_or(|before| before.identity != identity) {
            self.disclosure.allow(&identity).await?;
        }
        if left(&token).is_some_and(|left| left.is_zero()) {
            let message = format!("the token of {} ran out before it was used", token.source);
            return Err(
                Error::new(Class::Token, message).with_hint("get a fresh one, or name a source that does")
            );
        }
        let fresh = Arc::new(Held {
            token,
            identity,
            claims,
        });
        *held = Some(Arc::clone(&fresh));
        Ok(fresh)
    }
}
