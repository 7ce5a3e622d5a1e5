//! One rung of a ladder: a profile whose grant asks a token endpoint.
use super::target::Exchanged;
use super::{Profiles, fingerprint};
use crate::config::{Grant, Input, Profile, Reference, Store};
use crate::grant::exchange::Exchange;
use crate::grant::{Authority, Client, Granted, client_credentials, jwt_bearer, login_needed, refresh};
use crate::session::courier::Errand;
use crate::session::{Held, RefreshToken, Session, SessionKey, SessionStore};
use crate::{Context, Error, Jeton, Presence, Source};
use futures_util::future::BoxFuture;
use jeton_core::{Class, Secret, Token, TokenRequest};
use std::path::PathBuf;
use std::time::Duration;

/// A profile that asks a token endpoint.
pub(super) struct Rung {
    profile: Profile,
    what: String,
    authority: Authority,
    client: Client,
    /// What is asked of the input.
    wanted: TokenRequest,
    /// How long the input's token must live at least, where its profile says; else as long as the call's.
    margin: Option<Duration>,
    /// Where the profile is written: who does an errand for us reads it there.
    config: Option<PathBuf>,
    kind: Kind,
}

enum Kind {
    ClientCredentials,
    /// A login or a refresh: both live on a session.
    Session {
        store: SessionStore,
        key: SessionKey,
        start: Option<Reference>,
        login: String,
        place: Store,
    },
    JwtBearer(Jeton),
    Exchange(Jeton, Exchange),
    Target(Jeton, Box<Exchanged>),
}

impl Rung {
    pub(super) fn new(profiles: &Profiles, profile: &Profile) -> Result<Self, Error> {
        let what = format!("profile \"{}\"", profile.name);
        let (mut authority, mut client) = profiles.party(profile)?;
        let needs_input = || {
            let error = Error::new(Class::Config, format!("{what}: `from` is missing"));
            profiles
                .input(profile)?
                .ok_or_else(|| error.with_hint("say whose token is the input: `from = \"…\"`"))
        };
        let kind = match &profile.grant {
            Grant::ClientCredentials => Kind::ClientCredentials,
            Grant::Device | Grant::Browser | Grant::Refresh => {
                let login = profiles.login_of(profile)?;
                // A refresh takes issuer and client from the rung it stands on.
                if login.name != profile.name {
                    (authority, client) = profiles.party(login)?;
                }
                Kind::Session {
                    store: profiles.sessions.clone(),
                    key: profiles.session_key(login)?,
                    start: login.refresh_token.clone(),
                    login: login.name.clone(),
                    place: login.store,
                }
            }
            Grant::JwtBearer => Kind::JwtBearer(needs_input()?),
            Grant::TokenExchange if profile.preset.is_some() => Kind::Target(
                needs_input()?,
                Box::new(Exchanged::new(profile, &profiles.cx, &what)?),
            ),
            Grant::TokenExchange => Kind::Exchange(needs_input()?, super::target::exchange_of(profile)),
            Grant::Ambient | Grant::Place(_) => {
                return Err(Error::new(
                    Class::Other,
                    format!("{what}: no token endpoint is asked here"),
                ));
            }
        };
        let wanted = profiles.input_request(profile)?;
        let margin = match &profile.from {
            Some(Input::Profile(name)) => profiles.profile(name)?.min_validity,
            _ => None,
        };
        Ok(Self {
            profile: profile.clone(),
            what,
            authority,
            client,
            wanted,
            margin,
            config: profiles.config.path.clone(),
            kind,
        })
    }

    /// What makes this rung what it is, besides what every cache key covers.
    fn particulars(&self, below: &[u8]) -> Vec<u8> {
        let endpoint = self
            .profile
            .endpoint
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        fingerprint(&[
            self.profile.grant.name().as_bytes(),
            self.authority.issuer.as_bytes(),
            endpoint.as_bytes(),
            self.client.id.as_bytes(),
            self.profile.preset.as_deref().unwrap_or_default().as_bytes(),
            self.profile.role.as_deref().unwrap_or_default().as_bytes(),
            below,
        ])
    }

    /// A token from the session, whose lease is `held`.
    pub(super) async fn refreshed(
        &self,
        cx: &Context,
        held: &Held,
        request: &TokenRequest,
    ) -> Result<Token, Error> {
        let granted = self.refresh(cx, held, request).await?;
        self.token(cx, &granted, request)
    }

    /// What was granted, if it is all that was asked for.
    fn token(&self, cx: &Context, granted: &Granted, request: &TokenRequest) -> Result<Token, Error> {
        for scope in granted.answer.withheld(&request.scopes) {
            let scope = jeton_core::redact::foreign(scope, &[]);
            if scope != "offline_access" && scope != "openid" {
                return Err(Error::new(
                    Class::Refused,
                    format!("{}: the scope \"{scope}\" was not granted", self.what),
                )
                .with_hint("ask for less, or have the scope added to the grant"));
            }
        }
        granted.into_token(cx, self.profile.grant.name(), request, &self.what)
    }

    async fn ask(&self, cx: &Context, request: &TokenRequest) -> Result<Granted, Error> {
        match &self.kind {
            Kind::ClientCredentials => {
                client_credentials::ask(cx, &self.what, &self.authority, &self.client, request).await
            }
            Kind::Session { .. } => self.refresh(cx, &self.hold(cx).await?, request).await,
            Kind::JwtBearer(input) | Kind::Exchange(input, _) => {
                self.climb(cx, input, self.wanted.clone(), request).await
            }
            Kind::Target(input, target) => {
                let wanted = target.input_request(cx, &self.what, &self.wanted).await?;
                self.climb(cx, input, wanted, request).await
            }
        }
    }

    /// Exchanges the input's token; once more with a fresh one when a cached one was refused.
    async fn climb(
        &self,
        cx: &Context,
        input: &Jeton,
        wanted: TokenRequest,
        request: &TokenRequest,
    ) -> Result<Granted, Error> {
        let wanted = wanted.min_validity(self.margin.unwrap_or(request.min_validity));
        let token = self.input(cx, input, &wanted).await?;
        match self.exchange(cx, &token.value, request).await {
            Err(e) if token.cached && is_about_the_input(&e) => {
                input.invalidate(&token);
                let fresh = self.input(cx, input, &wanted).await?;
                self.exchange(cx, &fresh.value, request).await
            }
            other => other,
        }
    }

    async fn input(&self, cx: &Context, input: &Jeton, wanted: &TokenRequest) -> Result<Token, Error> {
        cx.bounded(&self.what, input.token(wanted))
            .await
            .map_err(|e| e.about(&self.what))
    }

    async fn exchange(&self, cx: &Context, token: &Secret, request: &TokenRequest) -> Result<Granted, Error> {
        match &self.kind {
            Kind::Exchange(_, exchange) => {
                let exchange = self.with_actor(cx, exchange).await?;
                exchange
                    .ask(cx, &self.what, &self.authority, &self.client, token, request)
                    .await
            }
            Kind::Target(_, target) => target.ask(cx, &self.what, token, request).await,
            _ => jwt_bearer::ask(cx, &self.what, &self.authority, &self.client, token, request).await,
        }
    }

    /// The exchange with whoever acts for the subject, where the profile names one; his token is read when it is used.
    async fn with_actor(&self, cx: &Context, exchange: &Exchange) -> Result<Exchange, Error> {
        let mut exchange = exchange.clone();
        if let Some(actor) = &self.profile.actor_token {
            let kind = self.profile.options.get("actor_token_type");
            let kind = super::target::urn(kind.map_or("jwt", String::as_str));
            exchange.actor = Some((actor.read(cx).await?, kind));
        }
        Ok(exchange)
    }

    /// Waits until nobody else on this machine uses the session that this rung lives on.
    pub(super) async fn hold(&self, cx: &Context) -> Result<Held, Error> {
        match &self.kind {
            Kind::Session { store, key, .. } => store.hold(cx, key).await,
            _ => Err(self.sessionless()),
        }
    }

    fn sessionless(&self) -> Error {
        Error::new(Class::Other, format!("{}: no session here", self.what))
    }

    /// Has a courier refresh, so that a kill of this process costs nothing. `None`: there is none to send, or he came
    /// to nothing.
    async fn sent(&self, cx: &Context, request: &TokenRequest) -> Option<Result<Token, Error>> {
        let (Some(courier), Some(config)) = (&cx.courier, &self.config) else {
            return None;
        };
        let Kind::Session {
            store, key, start, ..
        } = &self.kind
        else {
            return None;
        };
        let session = || store.read(cx, key);
        let has_token = start.is_some() || session().is_some_and(|s| s.refresh_token.is_some());
        if !has_token {
            return None;
        }
        let errand = Errand::new(config.clone(), &self.profile.name, cx, request);
        courier.send(cx, &errand).await
    }

    /// Uses the session's refresh token, whose lease is `held`, and writes down what the server rotated before anyone
    /// uses what it granted.
    async fn refresh(&self, cx: &Context, held: &Held, request: &TokenRequest) -> Result<Granted, Error> {
        let Kind::Session { login, .. } = &self.kind else {
            return Err(self.sessionless());
        };
        let mut session = self.session(cx, held).await?;
        let Some(token) = session.known_token().cloned() else {
            return Err(login_needed(login, "the session is over"));
        };
        match refresh::ask(cx, &self.what, &self.authority, &self.client, &token, request).await {
            Ok(granted) => {
                if let Some(rotated) = &granted.answer.refresh_token
                    && *rotated != token
                {
                    session.refresh_token = Some(RefreshToken::Known(rotated.clone()));
                    held.write(cx, &session).await.or_else(|e| unstored(cx, &e))?;
                }
                Ok(granted)
            }
            Err(e) if e.oauth() == Some("invalid_grant") => {
                session.refresh_token = None;
                held.write(cx, &session).await.or_else(|e| unstored(cx, &e))?;
                Err(login_needed(
                    login,
                    "the issuer no longer accepts the session (invalid_grant)",
                ))
            }
            Err(e) => Err(e),
        }
    }

    /// The session as it is stored, or a new one from the configured start value.
    async fn session(&self, cx: &Context, held: &Held) -> Result<Session, Error> {
        let Kind::Session {
            key,
            start,
            login,
            place,
            ..
        } = &self.kind
        else {
            return Err(self.sessionless());
        };
        let stored = held.read(cx).await?;
        let Some(start) = start else {
            return stored.ok_or_else(|| login_needed(login, "nobody is logged in"));
        };
        let value = start.read(cx).await?;
        let generation = crate::session::generation_of(&value);
        match stored {
            // The same start value as the one this session grew from: what it was rotated to counts.
            Some(session) if session.generation == generation => Ok(session),
            _ => Ok(Session {
                key: key.clone(),
                subject: None,
                generation,
                since: cx.clock.now().wall,
                refresh_token: Some(RefreshToken::Known(value)),
                scopes: Vec::new(),
                store: *place,
            }),
        }
    }
}

/// A place that cannot be written to keeps nobody from working now; the next time he will have to log in.
fn unstored(cx: &Context, e: &Error) -> Result<(), Error> {
    cx.observer
        .warning(&format!("{e}; the next call will have to log in again"));
    Ok(())
}

/// Whether an exchange was refused because of the token that went in.
fn is_about_the_input(e: &Error) -> bool {
    let code = matches!(
        e.oauth(),
        Some("invalid_grant" | "invalid_token" | "invalid_request" | "invalid_client")
    );
    e.kind() == Class::Refused && (code || e.status() == Some(401))
}

impl Source for Rung {
    fn name(&self) -> &str {
        self.profile.grant.name()
    }

    fn presence(&self, cx: &Context, _request: &TokenRequest) -> Presence {
        match &self.kind {
            Kind::ClientCredentials => Presence::ready("a client of its own", self.particulars(&[])),
            Kind::Session {
                store, key, start, ..
            } => {
                let session = store.read(cx, key);
                let below = match start {
                    Some(start) => start_of(start, cx),
                    None => session.as_ref().map(|s| s.generation.clone()).unwrap_or_default(),
                };
                let reason = match (&session, start) {
                    (Some(_), _) => "a login that lasts",
                    (None, Some(_)) => "a refresh token to start from",
                    (None, None) => "no login yet",
                };
                Presence::ready(reason, self.particulars(below.as_bytes()))
            }
            Kind::JwtBearer(input) | Kind::Exchange(input, _) | Kind::Target(input, _) => {
                let mut below = input.identity(&self.wanted);
                if let Some(actor) = &self.profile.actor_token {
                    below = fingerprint(&[&below, start_of(actor, cx).as_bytes()]);
                }
                Presence::ready(
                    format!("stands on {}", from_name(&self.profile)),
                    self.particulars(&below),
                )
            }
        }
    }

    fn mints(&self) -> bool {
        true
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            if let Some(answer) = self.sent(cx, request).await {
                return answer;
            }
            let granted = self.ask(cx, request).await?;
            self.token(cx, &granted, request)
        })
    }
}

/// What a session grows from, or whoever acts in an exchange, as far as it is known without asking anybody. It must not change when the session is
/// first stored: what is in the cache by then is still good.
fn start_of(start: &Reference, cx: &Context) -> String {
    match start {
        Reference::Env(name) => {
            let value = cx.env.get(name).map(Secret::new);
            value
                .map(|value| crate::session::generation_of(&value))
                .unwrap_or_default()
        }
        other => format!("{other:?}"),
    }
}

fn from_name(profile: &Profile) -> String {
    match &profile.from {
        Some(Input::Profile(name)) => format!("profile \"{name}\""),
        Some(Input::Place(spec)) => spec.clone(),
        Some(Input::Ambient) | None => "the ambient chain".to_owned(),
    }
}
