//! The Model Context Protocol's two transports, joined: lines of JSON-RPC on standard input and output, HTTP with a
//! fresh token to the server (MCP 2025-06-18, "Streamable HTTP").
//!
//! Each line is one POST. The answer is one JSON document or a stream of events; either way every message of it becomes
//! one line. What the session and the protocol's version are is learned from the answer to `initialize` and said with
//! every request from then on.
use crate::proxy::Settings;
use crate::proxy::answer::{Body, whole};
use crate::proxy::upstream::Upstream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use jeton::{Error, Jeton, TokenRequest};
use jeton_core::Class;
use message::Message;
use sse::Events;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::Instant;

mod message;
mod sse;

/// The largest message, either way, in bytes.
pub const LARGEST: usize = 10 * 1024 * 1024;
/// What names the session (MCP 2025-06-18, "Session Management").
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// What names the protocol's version.
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const EVENTS: &str = "text/event-stream";

/// A bridge to one server.
pub struct Bridge<W> {
    upstream: Upstream,
    tokens: Jeton,
    request: TokenRequest,
    /// What every request says of the session, once it is known.
    known: Mutex<HeaderMap>,
    output: tokio::sync::Mutex<W>,
    report: Box<dyn Fn(&str) + Send + Sync>,
}

impl<W: AsyncWrite + Unpin + Send + 'static> Bridge<W> {
    /// A bridge to the server of `settings`, writing to `output`; `report` is told of what no line can be written for.
    ///
    /// # Errors
    /// `Class::Config` for a server that a token must not be sent to.
    pub fn new(
        settings: &Settings,
        tokens: Jeton,
        output: W,
        report: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Arc<Self>, Error> {
        let upstream = Upstream::new(settings, tokens.context())?;
        Ok(Arc::new(Self {
            upstream,
            tokens,
            request: settings.request.clone(),
            known: Mutex::default(),
            output: tokio::sync::Mutex::new(output),
            report: Box::new(report),
        }))
    }

    /// Carries lines until `input` ends and everything that was asked is answered.
    ///
    /// # Errors
    /// `Class::Other` when `input` cannot be read.
    pub async fn run(self: &Arc<Self>, mut input: impl AsyncBufRead + Unpin) -> Result<(), Error> {
        let mut asked = JoinSet::new();
        let mut listening = JoinSet::new();
        while let Some(line) = next_line(&mut input).await? {
            let message = match Message::read(&line) {
                Ok(Some(message)) => message,
                Ok(None) => continue,
                Err(why) => {
                    self.write(&message::error(&serde_json::Value::Null, why.0, why.1))
                        .await;
                    continue;
                }
            };
            // What has to be there in order is waited for: the first request, and what wants no answer.
            let in_order = message.is_first || message.ids.is_empty();
            let starts = message.is_ready;
            let bridge = Arc::clone(self);
            let carried = async move { bridge.carry(line, message).await };
            if in_order {
                carried.await;
            } else {
                asked.spawn(carried);
            }
            if starts && self.is_session() {
                let bridge = Arc::clone(self);
                listening.spawn(async move { bridge.listen().await });
            }
            while asked.try_join_next().is_some() {}
        }
        while asked.join_next().await.is_some() {}
        listening.abort_all();
        if self.is_session() {
            // A server may keep its session for itself (405): its business.
            let _ = self.send(Method::DELETE, Vec::new()).await;
        }
        Ok(())
    }

    async fn carry(&self, line: Vec<u8>, message: Message) {
        let outcome = match self.send(Method::POST, line).await {
            Ok(answer) => self.relay(answer, message.is_first).await,
            Err(why) => Err(why),
        };
        if let Err(why) = outcome {
            if message.ids.is_empty() {
                (self.report)(&why);
            }
            for id in &message.ids {
                self.write(&message::error(id, message::SERVER, &why)).await;
            }
        }
    }

    /// What the server has to say unasked, for as long as it wants to.
    async fn listen(&self) {
        if let Ok(answer) = self.send(Method::GET, Vec::new()).await
            && answer.status() == StatusCode::OK
            && is_events(&answer)
        {
            let _ = self.relay(answer, false).await;
        }
    }

    fn is_session(&self) -> bool {
        self.known().contains_key(&SESSION)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HeaderMap> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request; once more with a fresh token when the server says 401.
    async fn send(&self, method: Method, body: Vec<u8>) -> Result<Response<Incoming>, String> {
        let text = |e: Error| format!("{e}{}", e.hint().map(|h| format!(" ({h})")).unwrap_or_default());
        let token = self.tokens.token(&self.request).await.map_err(text)?;
        let answer = self.send_with(&method, body.clone(), &token).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.tokens.invalidate(&token);
        match self.tokens.token(&self.request).await {
            Ok(fresh) if fresh.value != token.value => self.send_with(&method, body, &fresh).await,
            _ => Ok(answer),
        }
    }

    async fn send_with(
        &self,
        method: &Method,
        body: Vec<u8>,
        token: &jeton::Token,
    ) -> Result<Response<Incoming>, String> {
        let mut request: Request<Body> = Request::new(whole(body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = self.upstream.url();
        let headers = request.headers_mut();
        headers.clone_from(&self.known());
        let accept = if *method == Method::POST {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            "application/json, text/event-stream"
        } else {
            EVENTS
        };
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        let authorization = crate::proxy::forward::authorization(token)
            .map_err(|_| "the token cannot stand in a header field".to_owned())?;
        headers.insert(header::AUTHORIZATION, authorization);
        let started = Instant::now();
        self.upstream
            .ask(request, || started)
            .await
            .map_err(|why| why.text)
    }

    /// Writes every message of an answer as a line.
    async fn relay(&self, answer: Response<Incoming>, is_first: bool) -> Result<(), String> {
        if is_first && let Some(session) = answer.headers().get(&SESSION) {
            self.known().insert(SESSION, session.clone());
        }
        let status = answer.status();
        if !status.is_success() {
            return self.refused(answer).await;
        }
        if is_events(&answer) {
            return self.relay_events(answer, is_first).await;
        }
        let body = read(answer.into_body()).await?;
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        self.pass(&body, is_first).await
    }

    async fn relay_events(&self, answer: Response<Incoming>, is_first: bool) -> Result<(), String> {
        let (mut body, mut events) = (answer.into_body(), Events::default());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| format!("the server's stream broke off: {e}"))?;
            let Some(bytes) = frame.data_ref() else { continue };
            for event in events.push(bytes)? {
                self.pass(event.as_bytes(), is_first).await?;
            }
        }
        Ok(())
    }

    async fn pass(&self, message: &[u8], is_first: bool) -> Result<(), String> {
        let line = message::line(message).ok_or("the server's answer is no JSON")?;
        if is_first
            && let Some(version) = message::version(&line)
            && let Ok(version) = HeaderValue::try_from(version)
        {
            self.known().insert(VERSION, version);
        }
        self.write(&line).await;
        Ok(())
    }

    /// An answer that is no success: the server's own JSON-RPC error, or ours.
    async fn refused(&self, answer: Response<Incoming>) -> Result<(), String> {
        let status = answer.status();
        let why = match status {
            StatusCode::NOT_FOUND if self.is_session() => ": the session has ended; start a new one",
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ": the server does not accept this identity",
            _ if status.is_redirection() => ": a redirect is not followed with a token",
            _ => "",
        };
        let body = read(answer.into_body()).await.unwrap_or_default();
        match message::line(&body).filter(|line| message::is_error(line)) {
            Some(line) => {
                self.write(&line).await;
                Ok(())
            }
            None => Err(format!("{} answered {status}{why}", self.upstream.name())),
        }
    }

    async fn write(&self, line: &str) {
        let mut output = self.output.lock().await;
        // Whoever does not read any more has gone; its input ends, too.
        let _ = output.write_all(line.as_bytes()).await;
        let _ = output.write_all(b"\n").await;
        let _ = output.flush().await;
    }
}

fn is_events(answer: &Response<Incoming>) -> bool {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    kind.and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.trim().to_ascii_lowercase().starts_with(EVENTS))
}

async fn read(mut body: Incoming) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| format!("the server's answer broke off: {e}"))?;
        bytes.extend_from_slice(frame.data_ref().map(AsRef::as_ref).unwrap_or_default());
        if bytes.len() > LARGEST {
            return Err("the server's answer is larger than 10 MiB".to_owned());
        }
    }
    Ok(bytes)
}

/// The next line without its end; one that is too long is cut where nothing can read it as JSON.
async fn next_line(input: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Vec<u8>>, Error> {
    let failed = |e: std::io::Error| Error::new(Class::Other, format!("standard input: {e}"));
    let mut line = Vec::new();
    let most = LARGEST as u64 + 1;
    let read = (&mut *input)
        .take(most)
        .read_until(b'\n', &mut line)
        .await
        .map_err(failed)?;
    if read == 0 {
        return Ok(None);
    }
    if line.len() > LARGEST && line.last() != Some(&b'\n') {
        let mut rest = Vec::new();
        while (&mut *input)
            .take(most)
            .read_until(b'\n', &mut rest)
            .await
            .map_err(failed)?
            > 0
            && rest.last() != Some(&b'\n')
        {
            rest.clear();
        }
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(Some(line))
}
