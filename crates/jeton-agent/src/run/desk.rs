//! The credentials of a run as they are now: fetched when somebody asks, followed while nobody does, cleared at the end.
use super::api::Api;
use super::bearer::{Bearer, Bearers};
use super::credential::Credential;
use super::outfit::Outfit;
use super::provider::{Provider, Wanted};
use super::tools::{self, Door, write};
use crate::agent::{document, rfc3339};
use crate::peer::Peer;
use crate::proxy::answer::{Body, no_token, own};
use crate::redaction::Secrets;
use crate::service::Service;
use crate::token_file::USUAL_MODE;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use jeton::{Context, Error, Presence, Secret, Source, Token, TokenRequest};
use jeton_core::{Class, Life};
use serde_json::json;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long before its end a credential is fetched anew.
const AHEAD: Duration = Duration::from_secs(5 * 60);
/// The shortest wait between two rounds for one credential: one that is always about to end must not be asked for in a
/// loop.
const SHORTEST_ROUND: Duration = Duration::from_secs(1);
/// How long somebody who asks waits for the broker before what is held is good enough.
const PATIENCE: Duration = Duration::from_secs(10);
/// The path at which credentials for a host are asked for.
const OFFER: &str = "/v1/offer";

/// Where what happens is said to people.
pub type Tell = Box<dyn Fn(&str) + Send + Sync>;

/// What a run is told.
pub struct Desk {
    api: Api,
    bearers: Bearers,
    cx: Context,
    user: Option<String>,
    folder: PathBuf,
    secrets: Secrets,
    tell: Tell,
    items: Vec<Item>,
    patience: Duration,
}

/// One credential.
struct Item {
    wanted: Wanted,
    /// One flight at a time; when the last one that succeeded began.
    flight: tokio::sync::Mutex<Option<Instant>>,
    held: Mutex<Held>,
}

/// A credential as it is held.
#[derive(Default)]
struct Held {
    credential: Option<Arc<Credential>>,
    files: Vec<PathBuf>,
    /// What was said of it last, so that it is said once.
    said: Option<Class>,
}

impl Desk {
    /// The desk of these credentials; nothing is fetched yet.
    #[must_use]
    pub fn new(
        cx: Context,
        api: Api,
        bearers: Bearers,
        user: Option<String>,
        folder: PathBuf,
        tell: Tell,
    ) -> Self {
        Self {
            api,
            bearers,
            cx,
            user,
            folder,
            secrets: Secrets::default(),
            tell,
            items: Vec::new(),
            patience: PATIENCE,
        }
    }

    /// The same desk, whose callers wait no longer than this for the broker.
    #[must_use]
    pub fn patient(self, span: Duration) -> Self {
        Self {
            patience: span.min(PATIENCE),
            ..self
        }
    }

    /// The same desk for these credentials.
    #[must_use]
    pub fn wanting(mut self, wanted: Vec<Wanted>) -> Self {
        let item = |wanted| Item {
            wanted,
            flight: tokio::sync::Mutex::default(),
            held: Mutex::default(),
        };
        self.items = wanted.into_iter().map(item).collect();
        self
    }

    /// Who asks.
    #[must_use]
    pub const fn bearers(&self) -> &Bearers {
        &self.bearers
    }

    /// What must not be seen in the program's output; grows with every rotation.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    /// Which credentials there are, by their place.
    pub fn wanted(&self) -> impl Iterator<Item = &Wanted> {
        self.items.iter().map(|item| &item.wanted)
    }

    /// Fetches all of them at once. The result is what could not be had, and why.
    pub async fn open(&self) -> Vec<(&Wanted, Error)> {
        let all = (0..self.items.len()).map(|at| self.current(at));
        let all = futures_util::future::join_all(all).await;
        let failed = self.items.iter().zip(all);
        failed
            .filter_map(|(item, result)| Some((&item.wanted, result.err()?)))
            .collect()
    }

    /// The credentials that are held.
    #[must_use]
    pub fn held(&self) -> Vec<Arc<Credential>> {
        self.items.iter().filter_map(|item| item.credential()).collect()
    }

    /// The variables that a program starts with.
    ///
    /// # Errors
    /// `Class::Protocol` for a credential that cannot be one.
    pub fn variables(&self) -> Result<Vec<(String, String)>, Error> {
        let mut variables = Vec::new();
        for item in &self.items {
            if let Some(credential) = item.credential() {
                variables.extend(self.outfit(&item.wanted, &credential)?.variables);
            }
        }
        Ok(variables)
    }

    /// One credential, as fresh as the broker has it. While the broker cannot be reached, what is held and alive is good.
    ///
    /// # Errors
    /// The broker's. A refusal also takes away what was held.
    pub async fn current(&self, at: usize) -> Result<Arc<Credential>, Error> {
        let item = self
            .items
            .get(at)
            .ok_or_else(|| Error::new(Class::NotFound, "there is no such credential"))?;
        let asked = Instant::now();
        let mut began = item.flight.lock().await;
        // Whoever waited while another flight began and ended takes what it brought.
        if let Some(credential) = item.credential().filter(|_| began.is_some_and(|b| b >= asked)) {
            return Ok(credential);
        }
        let start = Instant::now();
        match self.fetch(&item.wanted).await {
            Ok(credential) => {
                let credential = self.adopt(item, credential)?;
                *began = Some(start);
                Ok(credential)
            }
            Err(e) => self.without(item, e),
        }
    }

    /// Follows every rotation until it is dropped: each credential is asked for every `round`, sooner when it ends.
    pub async fn follow(&self, round: Duration) {
        let all = (0..self.items.len()).map(|at| self.follow_one(at, round));
        futures_util::future::join_all(all).await;
        std::future::pending::<()>().await;
    }

    async fn follow_one(&self, at: usize, round: Duration) {
        loop {
            let left = self
                .items
                .get(at)
                .and_then(Item::credential)
                .and_then(|c| self.left(&c));
            let due = left.map_or(round, |left| round.min(left.saturating_sub(AHEAD.min(left / 2))));
            tokio::time::sleep(due.max(SHORTEST_ROUND.min(round))).await;
            // What went wrong was said, and is tried again in the next round.
            let _ = self.current(at).await;
        }
    }

    /// Removes every file. Nothing of a credential is left behind.
    pub fn clear(&self) {
        for item in &self.items {
            self.drop_files(item);
        }
    }

    async fn fetch(&self, wanted: &Wanted) -> Result<Credential, Error> {
        let url = self.api.token_url(wanted)?.ok_or_else(|| {
            Error::new(
                Class::Config,
                format!("{wanted}: nothing says which credential that is"),
            )
            .with_hint("name the project and the session, or the credential's id")
        })?;
        let name = wanted.to_string();
        let cx = self.cx.within(self.patience);
        let ask = async |bearer: &Bearer| {
            let request = self.api.request(url.clone(), &bearer.value, self.user.as_deref());
            self.secrets.add(&bearer.value);
            cx.fetch(&name, &request, |response| {
                Credential::read(wanted.provider, response)
            })
            .await
        };
        let first = self.bearers.first().await.map_err(|e| e.about(&name))?;
        let refusal = match ask(&first).await {
            Err(e) if is_refused(&e) => e,
            other => return other,
        };
        let Some(next) = self.bearers.after(&first).await else {
            return Err(failed(wanted, &refusal, &[first]));
        };
        match ask(&next).await {
            Err(e) if is_refused(&e) => Err(failed(wanted, &e, &[first, next])),
            other => other,
        }
    }

    /// Holds a credential and writes its files, if it is another than before.
    fn adopt(&self, item: &Item, credential: Credential) -> Result<Arc<Credential>, Error> {
        let mut held = item.held();
        if let Some(same) = held.credential.as_ref().filter(|known| ***known == credential) {
            let same = Arc::clone(same);
            held.said = None;
            return Ok(same);
        }
        // Hidden before anybody can have it.
        for secret in credential.secrets() {
            self.cx.observer.minted(&secret);
            self.secrets.add(&secret);
        }
        let outfit = self.outfit(&item.wanted, &credential)?;
        for (path, content) in &outfit.files {
            write(&self.folder.join(path), content, USUAL_MODE)?;
        }
        let written: Vec<PathBuf> = outfit.files.into_iter().map(|(path, _)| path).collect();
        for old in held.files.iter().filter(|old| !written.contains(old)) {
            let _ = std::fs::remove_file(self.folder.join(old));
        }
        let credential = Arc::new(credential);
        *held = Held {
            credential: Some(Arc::clone(&credential)),
            files: written,
            said: None,
        };
        Ok(credential)
    }

    /// After a failure: what is held and alive, or nothing. A refusal is believed.
    fn without(&self, item: &Item, error: Error) -> Result<Arc<Credential>, Error> {
        let mut held = item.held();
        let had_one = held.credential.is_some();
        if had_one && held.said.replace(error.kind()) != Some(error.kind()) {
            (self.tell)(&error.to_string());
        }
        let alive = held
            .credential
            .as_ref()
            .filter(|c| self.left(c).is_none_or(|left| !left.is_zero()));
        if let Some(credential) = alive.filter(|_| error.is_transient()) {
            return Ok(Arc::clone(credential));
        }
        drop(held);
        self.drop_files(item);
        Err(error)
    }

    fn drop_files(&self, item: &Item) {
        let mut held = item.held();
        held.credential = None;
        for path in std::mem::take(&mut held.files) {
            let _ = std::fs::remove_file(self.folder.join(path));
        }
    }

    fn outfit(&self, wanted: &Wanted, credential: &Credential) -> Result<Outfit, Error> {
        Outfit::of(credential, wanted.name.as_deref(), &self.folder)
            .map_err(|why| Error::new(Class::Protocol, format!("{wanted}: {why}")))
    }

    fn left(&self, credential: &Credential) -> Option<Duration> {
        Some(credential.expires_at?.since(self.cx.clock.now().wall))
    }

    /// What a host is offered, asked for anew.
    async fn offer(&self, host: &str) -> Result<Option<(Door, Arc<Credential>)>, Error> {
        let fits = |credential: &Credential| {
            tools::doors(credential)
                .into_iter()
                .find(|door| door.host == host)
        };
        for (at, item) in self.items.iter().enumerate() {
            if item.credential().is_some_and(|held| fits(&held).is_some()) {
                let credential = self.current(at).await?;
                return Ok(fits(&credential).map(|door| (door, credential)));
            }
        }
        Ok(None)
    }

    async fn respond(&self, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        if peer != Peer::Same {
            return own(
                StatusCode::FORBIDDEN,
                "user",
                "this run serves its own user only",
                None,
            );
        }
        if request.method() != Method::GET || request.uri().path() != OFFER {
            return own(StatusCode::NOT_FOUND, "path", "there is nothing here", None);
        }
        let query = request.uri().query().unwrap_or_default();
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        let host = pairs
            .find(|(name, _)| name == "host")
            .map(|(_, value)| value.into_owned());
        let Some(host) = host else {
            return own(StatusCode::BAD_REQUEST, "request", "for which host?", None);
        };
        match self.offer(&host).await {
            Ok(Some((door, credential))) => document(&json!({
                "username": door.username,
                "token": door.password.reveal(),
                "expires_at": credential.expires_at.and_then(rfc3339),
            })),
            Ok(None) => own(
                StatusCode::NOT_FOUND,
                "host",
                "this host is offered nothing",
                None,
            ),
            Err(e) => no_token(&e),
        }
    }
}

impl Item {
    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn credential(&self) -> Option<Arc<Credential>> {
        self.held().credential.clone()
    }
}

fn is_refused(error: &Error) -> bool {
    matches!(error.status(), Some(401 | 403))
}

/// Who was refused, with what.
fn failed(wanted: &Wanted, error: &Error, tried: &[Bearer]) -> Error {
    let status = error.status().unwrap_or_default();
    let who: Vec<&str> = tried.iter().map(|bearer| bearer.kind.name()).collect();
    let who = who.join(" was refused, and so was ");
    let verb = if tried.len() == 1 { " was refused" } else { "" };
    let why = error.to_string();
    Error::new(
        Class::Refused,
        format!("{wanted}: authentication failed with HTTP {status}: {who}{verb} ({why})"),
    )
    .with_status(status)
    .with_hint("renew the token that this runs with, or ask for the right to this credential")
}

impl Service for Desk {
    fn answer(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> BoxFuture<'static, Response<Body>> {
        Box::pin(async move { self.respond(request, peer).await })
    }
}

/// One of a desk's credentials as a source: what a proxy puts on each request.
pub struct Fresh {
    desk: Arc<Desk>,
    at: usize,
}

impl Fresh {
    /// The credential that is meant by `text`: `github`, `mcp/NAME`.
    #[must_use]
    pub fn of(desk: &Arc<Desk>, text: &str) -> Option<Self> {
        let at = desk.items.iter().position(|item| item.wanted.is_meant_by(text))?;
        Some(Self {
            desk: Arc::clone(desk),
            at,
        })
    }
}

impl Source for Fresh {
    fn name(&self) -> &str {
        "run"
    }

    fn presence(&self, _cx: &Context, _request: &TokenRequest) -> Presence {
        Presence::ready("a credential of this run", "run")
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        _request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let credential = self.desk.current(self.at).await?;
            let (token_type, value) = scheme(&credential)?;
            let now = cx.clock.now();
            let left = credential.expires_at.map(|at| at.since(now.wall));
            Ok(Token {
                value,
                token_type,
                issuer: None,
                subject: None,
                audience: Vec::new(),
                scopes: Vec::new(),
                source: "run".to_owned(),
                expires_at: credential.expires_at,
                life: left.map(|left| Life::from_expires_in(left, now)),
                cached: false,
            })
        })
    }

    fn caching(&self) -> jeton::source::Caching {
        jeton::source::Caching::Reread
    }
}

/// How a credential stands in a request: Jira's with its account, an MCP server's by the one field that is a token.
fn scheme(credential: &Credential) -> Result<(String, Secret), Error> {
    let bearer = |secret: &Secret| Ok(("Bearer".to_owned(), secret.clone()));
    match (credential.provider, &credential.email) {
        (Provider::Jira, Some(email)) => {
            let pair = Secret::new(format!("{email}:{}", credential.secret.reveal()));
            Ok(("Basic".to_owned(), Secret::new(STANDARD.encode(pair.reveal()))))
        }
        (Provider::Mcp | Provider::Gerrit, _) => match credential.fields.as_slice() {
            [(_, only)] => bearer(only),
            _ => Err(Error::new(
                Class::Config,
                "this credential has no one token that a proxy could send",
            )),
        },
        _ => bearer(&credential.secret),
    }
}
