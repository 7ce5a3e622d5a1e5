//! The agent: tokens of every profile over a socket that only this user can open, kept fresh ahead of need.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/token?profile=&audience=&min_validity=` | the token as `jeton token -o json` prints it |
//! | `GET /v1/status` | what is kept fresh |
//! | `POST /v1/stop` | 204, then it stops |
//! | `GET /healthz` | 200 while it serves |
//! | `GET /metrics` | counters, in Prometheus' text format |
use crate::alarm::Alarm;
use crate::peer::Peer;
use crate::proxy::answer::{Body, own, whole};
use crate::redaction::Secrets;
use crate::service::Service;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use jeton::config::AMBIENT;
use jeton::jeton::Slot;
use jeton::profiles::Profiles;
use jeton::{Error, Jeton, Token, TokenRequest, UnixTime, duration};
use jeton_core::Class;
use serde_json::json;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;

mod keeper;
mod upkeep;

pub use keeper::keep_file;
pub use upkeep::{Report, Upkeep, check};

/// What the agent hands out.
pub struct Agent {
    profiles: RwLock<Arc<Profiles>>,
    /// The profile that is meant when a request names none.
    default: String,
    /// The audience that is meant when a request names none.
    audience: Vec<String>,
    open: Mutex<HashMap<String, Jeton>>,
    kept: Mutex<HashMap<(String, TokenRequest), Kept>>,
    counters: Counters,
    alarm: OnceLock<Alarm>,
    /// Whose turn it is to fetch a first token that nobody has asked for.
    turns: Semaphore,
    /// Whoever hides what is handed out.
    secrets: Mutex<Option<Secrets>>,
    /// What was handed out, by profile, to be given back at the end.
    handed: Mutex<Vec<(String, Token)>>,
    /// What else runs, for whoever asks how it stands.
    told: Mutex<Told>,
    stop: Notify,
}

/// A token that is kept fresh.
struct Kept {
    slot: Slot,
    task: AbortHandle,
}

#[derive(Default)]
struct Told {
    /// The proxies, by name, and their URLs.
    proxies: Vec<(String, String)>,
    /// Where the facades are, and the file that says so to programs.
    facades: Option<(SocketAddr, PathBuf)>,
}

#[derive(Default)]
struct Counters {
    served: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
}

impl Agent {
    /// An agent of these profiles; `default` is the one that is meant when a request names none.
    #[must_use]
    pub fn new(profiles: Profiles, default: Option<String>, audience: Vec<String>) -> Arc<Self> {
        Arc::new(Self {
            profiles: RwLock::new(Arc::new(profiles)),
            default: default.unwrap_or_else(|| AMBIENT.to_owned()),
            audience,
            open: Mutex::default(),
            kept: Mutex::default(),
            counters: Counters::default(),
            alarm: OnceLock::new(),
            turns: Semaphore::new(keeper::TURNS),
            secrets: Mutex::default(),
            handed: Mutex::default(),
            told: Mutex::default(),
            stop: Notify::new(),
        })
    }

    /// The profiles as they are configured now.
    #[must_use]
    pub fn profiles(&self) -> Arc<Profiles> {
        Arc::clone(&self.profiles.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on these profiles are served; what was kept by the ones before is let go.
    pub fn reload(&self, profiles: Profiles) {
        *self.profiles.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(profiles);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let kept = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        for kept in kept.into_values() {
            kept.task.abort();
        }
    }

    /// Says where facades are, and which file tells programs so.
    pub fn tell_facades(&self, address: SocketAddr, file: PathBuf) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).facades = Some((address, file));
    }

    fn tell_proxies(&self, urls: Vec<(String, String)>) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).proxies = urls;
    }

    /// Puts an opened profile in place of what the configuration says of it.
    pub fn provide(&self, name: impl Into<String>, jeton: Jeton) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.into(), jeton);
    }

    /// From now on what is handed out is hidden by whoever has `secrets`.
    pub fn watch(&self, secrets: Secrets) {
        *self.secrets.lock().unwrap_or_else(PoisonError::into_inner) = Some(secrets);
    }

    /// Gives back everything that was handed out and that its issuer takes back; what fails ends by itself in time.
    pub async fn revoke_all(&self) {
        let handed = std::mem::take(&mut *self.handed.lock().unwrap_or_else(PoisonError::into_inner));
        for (profile, token) in handed {
            if let Ok(jeton) = self.open(Some(&profile)) {
                jeton.invalidate(&token);
            }
            let _ = self.profiles().revoke(&profile, &token).await;
        }
    }

    /// Remembers a token that is handed out: it is hidden by whoever watches, and given back at the end.
    pub fn hand(&self, profile: &str, token: &Token) {
        if let Some(secrets) = &*self.secrets.lock().unwrap_or_else(PoisonError::into_inner) {
            secrets.add(&token.value);
        }
        let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        if !handed.iter().any(|(_, known)| known.value == token.value) && handed.len() < keeper::MOST {
            handed.push((profile.to_owned(), token.clone()));
        }
    }

    /// The clock that tokens are measured by.
    pub(crate) fn clock(&self) -> jeton::Clock {
        self.profiles().context().clock.clone()
    }

    /// What its long sleeps go by; set inside the runtime that first asks.
    pub fn alarm(&self) -> Alarm {
        self.alarm.get_or_init(Alarm::set).clone()
    }

    /// Both clocks, now.
    pub(crate) fn now(&self) -> jeton::Moment {
        self.profiles().context().clock.now()
    }

    /// Done when somebody asked it to stop.
    pub async fn stopped(&self) {
        self.stop.notified().await;
    }

    /// The profile's tokens; opened once, so that everybody shares what is kept.
    ///
    /// # Errors
    /// `Class::NotFound` for a profile that is none.
    pub fn open(&self, profile: Option<&str>) -> Result<Jeton, Error> {
        let name = profile.unwrap_or(&self.default);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jeton) = open.get(name) {
            return Ok(jeton.clone());
        }
        let jeton = self.profiles().open(name)?;
        open.insert(name.to_owned(), jeton.clone());
        Ok(jeton)
    }

    /// What a caller who says nothing asks of a profile.
    #[must_use]
    pub fn asking(&self, profile: Option<&str>) -> TokenRequest {
        self.profiles().asking(profile.unwrap_or(&self.default))
    }

    /// What a caller who says little asks of a profile.
    ///
    /// # Errors
    /// `Class::NotFound` for a profile that is none.
    pub fn request(&self, profile: Option<&str>, mut asked: TokenRequest) -> Result<TokenRequest, Error> {
        let name = profile.unwrap_or(&self.default);
        if asked.audience.is_empty() && name == self.default {
            asked.audience.clone_from(&self.audience);
        }
        self.profiles().request(name, asked)
    }

    /// A token, from what is kept or fresh; from now on one like it is kept fresh ahead of need.
    ///
    /// # Errors
    /// The source's.
    pub async fn token(self: &Arc<Self>, profile: Option<&str>, asked: TokenRequest) -> Result<Token, Error> {
        let jeton = self.open(profile)?;
        let request = self.request(profile, asked)?;
        let token = jeton.token(&request).await;
        let counter = if token.is_ok() {
            &self.counters.served
        } else {
            &self.counters.failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if let Ok(token) = &token {
            let profile = profile.unwrap_or(&self.default);
            self.hand(profile, token);
            self.keep(profile, &jeton, &request);
        }
        token
    }

    /// Fetches a profile's token as its configuration asks for it, and keeps it fresh from then on.
    ///
    /// # Errors
    /// The source's, for what will not mend itself: somebody has to log in, the platform says no.
    pub async fn warm(self: &Arc<Self>, profile: &str) -> Result<(), Error> {
        let jeton = self.open(Some(profile))?;
        let request = self.request(Some(profile), self.asking(Some(profile)))?;
        keeper::first(&jeton.slot(&request), &self.alarm(), &self.turns).await?;
        self.keep(profile, &jeton, &request);
        Ok(())
    }

    /// Keeps a token for this request fresh, once.
    pub fn keep(self: &Arc<Self>, profile: &str, jeton: &Jeton, request: &TokenRequest) {
        let key = (profile.to_owned(), request.clone());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= keeper::MOST || kept.contains_key(&key) {
            return;
        }
        let slot = jeton.slot(request);
        let (agent, gone) = (Arc::downgrade(self), key.clone());
        let task = tokio::spawn(keeper::keep(slot.clone(), self.alarm(), move || {
            if let Some(agent) = agent.upgrade() {
                let mut kept = agent.kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.remove(&gone);
            }
        }));
        let task = task.abort_handle();
        kept.insert(key, Kept { slot, task });
    }

    async fn respond(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        if peer != Peer::Same {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
            return own(
                StatusCode::FORBIDDEN,
                "user",
                "this agent serves its own user only",
                None,
            );
        }
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/v1/token") => self.token_answer(request.uri().query().unwrap_or_default()).await,
            (&Method::GET, "/v1/status") => self.status(),
            (&Method::GET, path @ ("/healthz" | "/metrics")) => self.health(path),
            (&Method::POST, "/v1/stop") => {
                self.stop.notify_one();
                let mut answer = Response::new(whole(""));
                *answer.status_mut() = StatusCode::NO_CONTENT;
                answer
            }
            (_, "/v1/token" | "/v1/status" | "/v1/stop" | "/healthz" | "/metrics") => own(
                StatusCode::METHOD_NOT_ALLOWED,
                "method",
                "another method is needed here",
                None,
            ),
            _ => own(StatusCode::NOT_FOUND, "path", "there is nothing here", None),
        }
    }

    /// `/healthz` and `/metrics`: there is no secret in either.
    pub(crate) fn health(&self, path: &str) -> Response<Body> {
        match path {
            "/metrics" => text(&self.metrics()),
            _ => text("ok\n"),
        }
    }

    async fn token_answer(self: &Arc<Self>, query: &str) -> Response<Body> {
        let (profile, request) = match self.asked(query) {
            Ok(asked) => asked,
            Err(why) => return own(StatusCode::BAD_REQUEST, "request", &why, None),
        };
        // That there is no such profile is something else than a source that is not here.
        if let Err(e) = self.open(profile.as_deref()) {
            return failure(&e);
        }
        match self.token(profile.as_deref(), request).await {
            Ok(token) => document(&token_document(&token, self.profiles().context())),
            Err(e) => own(StatusCode::BAD_GATEWAY, code(e.kind()), &e.to_string(), e.hint()),
        }
    }

    /// The query of `/v1/token`.
    fn asked(&self, query: &str) -> Result<(Option<String>, TokenRequest), String> {
        let (mut profile, mut request, mut lives) = (None, TokenRequest::default(), None);
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            match name.as_ref() {
                "profile" if profile.is_none() && !value.is_empty() => profile = Some(value),
                "profile" if value.is_empty() => {}
                "audience" if !value.is_empty() => request.audience.push(value),
                "audience" => {}
                "scope" => request.scopes.push(value),
                "resource" => request.resource.push(value),
                "min_validity" => {
                    let span = duration::parse(&value);
                    lives = Some(span.ok_or("min_validity is no duration; write it like 30s")?);
                }
                other => {
                    let shown = jeton_core::redact::foreign(other, &[]);
                    return Err(format!("unknown parameter {shown}"));
                }
            }
        }
        let usual = self.asking(profile.as_deref()).min_validity;
        Ok((profile, request.min_validity(lives.unwrap_or(usual))))
    }

    fn status(&self) -> Response<Body> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept: Vec<_> = kept
            .iter()
            .map(|((profile, request), kept)| (profile, request, kept))
            .collect();
        kept.sort_by(|a, b| (a.0, &a.1.audience).cmp(&(b.0, &b.1.audience)));
        let kept: Vec<_> = kept
            .into_iter()
            .map(|(profile, request, kept)| {
                let due = kept.slot.refresh_in().map(|due| due.as_secs());
                json!({ "profile": profile, "audience": request.audience, "refresh_in": due })
            })
            .collect();
        let profiles = self.profiles();
        let files = profiles.config().files.iter();
        let files: Vec<_> = files
            .map(|(path, file)| json!({ "path": path, "profile": file.profile, "audience": file.audience }))
            .collect();
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let proxies: Vec<_> = told
            .proxies
            .iter()
            .map(|(name, url)| json!({ "name": name, "url": url }))
            .collect();
        let facades = told
            .facades
            .as_ref()
            .map(|(address, file)| json!({ "listen": address.to_string(), "environment": file }));
        document(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "default": self.default,
            "kept": kept,
            "files": files,
            "proxies": proxies,
            "facades": facades,
        }))
    }

    fn metrics(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).len();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        format!(
            "# HELP jeton_agent_tokens_total Tokens asked for, by outcome.\n\
             # TYPE jeton_agent_tokens_total counter\n\
             jeton_agent_tokens_total{{outcome=\"served\"}} {}\n\
             jeton_agent_tokens_total{{outcome=\"failed\"}} {}\n\
             jeton_agent_tokens_total{{outcome=\"refused\"}} {}\n\
             # HELP jeton_agent_kept Tokens that are kept fresh.\n\
             # TYPE jeton_agent_kept gauge\n\
             jeton_agent_kept {kept}\n",
            count(&counters.served),
            count(&counters.failed),
            count(&counters.refused),
        )
    }
}

impl Service for Agent {
    fn answer(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> BoxFuture<'static, Response<Body>> {
        Box::pin(self.respond(request, peer))
    }
}

fn text(text: &str) -> Response<Body> {
    let mut response = Response::new(whole(text.to_owned()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4"),
    );
    response
}

/// A JSON answer.
pub(crate) fn document(value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(whole(value.to_string()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A profile that cannot be opened: 404 where there is none of that name, else 502.
fn failure(e: &Error) -> Response<Body> {
    let status = match e.kind() {
        Class::NotFound => StatusCode::NOT_FOUND,
        _ => StatusCode::BAD_GATEWAY,
    };
    own(status, code(e.kind()), &e.to_string(), e.hint())
}

fn code(class: Class) -> &'static str {
    match class {
        Class::Config => "config",
        Class::NotFound => "not-found",
        Class::Refused => "refused",
        Class::Timeout => "timeout",
        Class::Unavailable => "unavailable",
        Class::Throttled => "throttled",
        Class::Protocol => "protocol",
        Class::Trust => "trust",
        Class::Token => "token",
        Class::Cancelled => "cancelled",
        _ => "other",
    }
}

/// A token as `jeton token -o json` prints it.
#[must_use]
pub fn token_document(token: &Token, cx: &jeton::Context) -> serde_json::Value {
    let left = token.life.map(|life| life.left(cx.clock.now()).as_secs());
    json!({
        "token": token.value.reveal(),
        "token_type": token.token_type,
        "expires_at": token.expires_at.and_then(rfc3339),
        "expires_in": left,
        "issuer": token.issuer,
        "subject": token.subject,
        "audience": token.audience,
        "scopes": token.scopes,
        "source": token.source,
        "cached": token.cached,
    })
}

/// RFC 3339 in UTC, whole seconds.
#[must_use]
pub fn rfc3339(at: UnixTime) -> Option<String> {
    jiff::Timestamp::from_second(at.seconds())
        .ok()
        .map(|at| at.to_string())
}
