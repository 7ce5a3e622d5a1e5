//! The loopback callback: one HTTP request that carries a code, and the page it gets.
use super::page;
use crate::Error;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jeton_core::{Class, redact};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

/// How long a browser may take to fetch the final page.
const PAGE_TIME: Duration = Duration::from_secs(2);
/// How many connections may wait for their turn: browsers open a few ahead of need.
const CONNECTIONS: usize = 16;

/// What a genuine callback carries.
#[derive(Clone, Copy)]
pub(super) struct Expected<'a> {
    /// The state that was sent out.
    pub(super) state: &'a str,
    /// The issuer, for RFC 9207's `iss`.
    pub(super) issuer: &'a str,
    /// Whether the issuer says that it names itself in each answer.
    pub(super) issuer_names_itself: bool,
}

/// A callback whose browser waits for a page.
pub(super) struct Callback {
    outcome: Result<String, Error>,
    page: oneshot::Sender<Option<String>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Callback {
    /// The code, or why there is none.
    pub(super) fn code(&self) -> Result<&str, Error> {
        self.outcome.as_ref().map(String::as_str).map_err(Clone::clone)
    }

    /// Sends the final page: what went wrong, or that all is well.
    pub(super) async fn answer(self, failure: Option<String>) {
        // The browser may have gone; the login stands.
        let _ = self.page.send(failure);
        let _ = tokio::time::timeout(PAGE_TIME, self.serving).await;
    }
}

type Waiting = (Vec<(String, String)>, oneshot::Sender<Option<String>>);

/// Waits for the callback that carries our state. Everything else gets 404 or 400 and changes nothing.
pub(super) async fn wait(
    listener: &TcpListener,
    expected: Expected<'_>,
    what: &str,
) -> Result<Callback, Error> {
    let (found, mut callbacks) = mpsc::channel::<Waiting>(CONNECTIONS);
    let tasks = Tasks::default();
    loop {
        tokio::select! {
            connection = listener.accept() => {
                if let Ok((stream, _)) = connection {
                    tasks.push(tokio::spawn(serve(stream, found.clone(), expected.state.to_owned())));
                }
            }
            Some((parameters, page)) = callbacks.recv() => {
                let outcome = outcome(&parameters, expected, what);
                let serving = tasks.take();
                return Ok(Callback { outcome, page, serving });
            }
        }
    }
}

/// The connections' tasks, ended when the login ends.
#[derive(Default)]
struct Tasks(Mutex<Vec<tokio::task::JoinHandle<()>>>);

impl Tasks {
    fn push(&self, task: tokio::task::JoinHandle<()>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    fn take(&self) -> tokio::task::JoinHandle<()> {
        let tasks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::spawn(async move {
            for task in tasks {
                // A connection that is open without a request never ends by itself.
                let _ = tokio::time::timeout(PAGE_TIME, task).await;
            }
        })
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

async fn serve(stream: TcpStream, found: mpsc::Sender<Waiting>, state: String) {
    let state: Arc<str> = state.into();
    let service = service_fn(move |request| {
        let (found, state) = (found.clone(), Arc::clone(&state));
        async move { Ok::<_, Infallible>(answer(&request, &found, &state).await) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    // The connection's errors are the browser's business.
    let _ = server
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: &Request<Incoming>,
    found: &mpsc::Sender<Waiting>,
    state: &str,
) -> Response<Full<Bytes>> {
    if request.method() != Method::GET || request.uri().path() != "/callback" {
        return page::plain(StatusCode::NOT_FOUND, "There is nothing here.");
    }
    let query = request.uri().query().unwrap_or_default();
    let parameters: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    // A callback without our state is somebody else's (RFC 6749 section 10.12): it neither ends nor feeds this login.
    if only(&parameters, "state") != Some(state) {
        return page::plain(StatusCode::BAD_REQUEST, "This answer belongs to another login.");
    }
    let (page, result) = oneshot::channel();
    if found.send((parameters, page)).await.is_err() {
        return page::plain(StatusCode::GONE, "This login is over.");
    }
    match result.await {
        Ok(failure) => page::last(failure.as_deref()),
        Err(_) => page::plain(StatusCode::GONE, "This login is over."),
    }
}

/// The value of a parameter that is there exactly once.
fn only<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut values = parameters
        .iter()
        .filter(|(k, _)| k == name)
        .map(|(_, v)| v.as_str());
    values.next().filter(|_| values.next().is_none())
}

fn outcome(parameters: &[(String, String)], expected: Expected<'_>, what: &str) -> Result<String, Error> {
    // RFC 9207 section 2.4: an `iss` that is there must be the issuer that was asked, and a code without one is not
    // taken from an issuer that promises it.
    let issuers: Vec<&String> = parameters
        .iter()
        .filter(|(k, _)| k == "iss")
        .map(|(_, v)| v)
        .collect();
    if issuers.iter().any(|iss| *iss != expected.issuer) {
        return Err(Error::new(
            Class::Trust,
            format!("{what}: the answer came from another issuer"),
        ));
    }
    if let Some(error) = only(parameters, "error") {
        let description = only(parameters, "error_description").unwrap_or_default();
        let said = redact::foreign(&format!("{error} {description}"), &[]);
        return Err(Error::new(Class::Refused, format!("{what}: {}", said.trim())).with_oauth(error.trim()));
    }
    if expected.issuer_names_itself && issuers.is_empty() {
        return Err(Error::new(
            Class::Trust,
            format!("{what}: the answer does not say which issuer it comes from, and this one always does"),
        ));
    }
    only(parameters, "code")
        .filter(|code| !code.is_empty())
        .map(ToOwned::to_owned)
        .ok_or_else(|| Error::new(Class::Protocol, format!("{what}: the answer holds no code")))
}
