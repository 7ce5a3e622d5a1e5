//! One request and its answer on a stream, with every cap and timer.
use super::proxy::{self, Proxy};
use super::wire::{Phase, Progress, Stream};
use super::{Fault, Request, USER_AGENT, target};
use crate::Clock;
use ::http::header::{
    ACCEPT, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION, TRANSFER_ENCODING,
};
use ::http::{HeaderMap, HeaderValue, Method, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use jeton_core::{Failure, Moment, RetryPolicy};
use std::error::Error as StdError;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use url::Url;

/// The longest silence inside a body.
const BODY_IDLE: Duration = Duration::from_secs(5);
/// The longest time for a body, however steadily it comes.
const BODY_TOTAL: Duration = Duration::from_secs(15);
/// The largest header section, in bytes; also what the reader holds of an answer at once.
const MOST_HEADER_BYTES: usize = 64 * 1024;
/// The most header fields.
const MOST_HEADER_FIELDS: usize = 256;
/// The most interim answers (1xx) before the answer.
const MOST_INTERIM: usize = 100;

/// How long and how large an answer may be.
pub(super) struct Limits {
    /// When the head must be here, from the start of the attempt on.
    pub(super) head_by: Instant,
    /// The span behind it.
    pub(super) head: Duration,
    body_idle: Duration,
    body_total: Duration,
    body_cap: usize,
}

impl Limits {
    /// A shorter time for an attempt shortens those for the body in proportion.
    pub(super) fn new(policy: &RetryPolicy, body_cap: usize) -> Self {
        let head = policy.attempt_timeout;
        let now = Instant::now();
        Self {
            head_by: now.checked_add(head).unwrap_or(now + BODY_TOTAL * 1000),
            head,
            body_idle: (head / 2).min(BODY_IDLE),
            body_total: head.saturating_mul(3).min(BODY_TOTAL * 2) / 2,
            body_cap,
        }
    }
}

/// An answer as it came.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) received: Moment,
}

type Outgoing = ::http::Request<Full<Bytes>>;
type Wire = TokioIo<Stream>;

/// The request as it is written.
pub(super) fn outgoing(request: &Request, absolute_form: Option<&Proxy>) -> Result<Outgoing, Fault> {
    let url = &request.url;
    let origin_form = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let line = if absolute_form.is_some() {
        format!("{}://{}{origin_form}", url.scheme(), authority(url, false))
    } else {
        origin_form
    };
    let mut outgoing = built(
        request.method.clone(),
        &line,
        request.body.clone().unwrap_or_default(),
    )?;
    let headers = outgoing.headers_mut();
    headers.clone_from(&request.headers);
    set_default(headers, HOST, &authority(url, false));
    set_default(headers, ::http::header::USER_AGENT, USER_AGENT);
    set_default(headers, ACCEPT, "*/*");
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Some(credentials) = absolute_form.and_then(|proxy| proxy.authorization.clone()) {
        headers.insert(PROXY_AUTHORIZATION, credentials);
    }
    Ok(outgoing)
}

fn built(method: Method, line: &str, body: Bytes) -> Result<Outgoing, Fault> {
    ::http::Request::builder()
        .method(method)
        .uri(line)
        .body(Full::new(body))
        .map_err(|error| Fault::new(Failure::Config, format!("the URL cannot be sent: {error}")))
}

fn set_default(headers: &mut HeaderMap, name: ::http::HeaderName, value: &str) {
    if let (false, Ok(value)) = (headers.contains_key(&name), HeaderValue::try_from(value)) {
        headers.insert(name, value);
    }
}

/// `host[:port]`, with the scheme's own port only where a tunnel needs it.
fn authority(url: &Url, always_port: bool) -> String {
    let port = url.port().or(if always_port {
        url.port_or_known_default()
    } else {
        None
    });
    let host = url.host_str().unwrap_or_default();
    port.map_or(host.to_owned(), |port| format!("{host}:{port}"))
}

/// Sends `outgoing` over `stream` and reads the whole answer.
pub(super) async fn exchange(
    stream: Stream,
    mut outgoing: Outgoing,
    limits: &Limits,
    progress: &Progress,
    clock: &Clock,
) -> Result<Answer, Fault> {
    progress.enter(Phase::Head);
    let interim = count_interim(&mut outgoing);
    let (mut sender, connection) = shake(stream).await?;
    let talk = async {
        let response = head(&mut sender, outgoing, limits, progress).await?;
        let received = clock.now();
        interim.check()?;
        let (parts, body) = response.into_parts();
        check_framing(&parts.headers)?;
        check_coding(parts.status, &parts.headers)?;
        progress.enter(Phase::Body);
        let body = whole(body, parts.status, limits).await?;
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
            received,
        })
    };
    driven(connection, talk, &interim).await
}

async fn shake(stream: Stream) -> Result<(SendRequest<Full<Bytes>>, Connection<Wire, Full<Bytes>>), Fault> {
    http1::Builder::new()
        .max_headers(MOST_HEADER_FIELDS)
        .max_header_size(MOST_HEADER_BYTES)
        .max_buf_size(MOST_HEADER_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| classify(&error))
}

async fn head(
    sender: &mut SendRequest<Full<Bytes>>,
    outgoing: Outgoing,
    limits: &Limits,
    progress: &Progress,
) -> Result<::http::Response<Incoming>, Fault> {
    match tokio::time::timeout_at(limits.head_by, sender.send_request(outgoing)).await {
        Ok(answer) => answer.map_err(|error| classify(&error)),
        Err(_) => Err(progress.timed_out(limits.head)),
    }
}

/// Runs the connection for as long as `talk` needs it. What the other side does after that is nobody's business.
async fn driven<T>(
    connection: impl Future<Output = Result<(), hyper::Error>>,
    talk: impl Future<Output = Result<T, Fault>>,
    interim: &Interim,
) -> Result<T, Fault> {
    let mut talk = pin!(talk);
    tokio::select! {
        biased;
        done = &mut talk => return done,
        () = interim.too_many.notified() => return Err(too_many_interim()),
        // Its error, if any, reaches `talk` as well; what is already buffered does too.
        _ = connection => {}
    }
    talk.await
}

/// Interim answers seen so far: the parser skips them without end.
#[derive(Default)]
struct Interim {
    seen: AtomicUsize,
    too_many: Notify,
}

impl Interim {
    /// The parser may have skipped all of them at once, with the answer behind them.
    fn check(&self) -> Result<(), Fault> {
        if self.seen.load(Ordering::Relaxed) > MOST_INTERIM {
            return Err(too_many_interim());
        }
        Ok(())
    }
}

fn too_many_interim() -> Fault {
    Fault::new(
        Failure::TooLarge,
        format!("more than {MOST_INTERIM} interim answers"),
    )
}

fn count_interim(outgoing: &mut Outgoing) -> Arc<Interim> {
    let interim = Arc::new(Interim::default());
    let counter = Arc::clone(&interim);
    hyper::ext::on_informational(outgoing, move |_| {
        if counter.seen.fetch_add(1, Ordering::Relaxed) >= MOST_INTERIM {
            counter.too_many.notify_one();
        }
    });
    interim
}

/// Where two readers of one answer could disagree about where it ends (RFC 9112 section 6.3), there is no answer.
fn check_framing(headers: &HeaderMap) -> Result<(), Fault> {
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    let codings: Vec<_> = headers.get_all(TRANSFER_ENCODING).iter().collect();
    let refuse = |why| Err(Fault::new(Failure::Framing, why));
    match (lengths, codings.as_slice()) {
        (0, []) => Ok(()),
        (1, []) if !headers[CONTENT_LENGTH].as_bytes().contains(&b',') => Ok(()),
        (0, [only]) if only.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        (_, []) => refuse("the answer has two lengths"),
        (0, _) => refuse("the answer has an unknown transfer coding"),
        _ => refuse("the answer has both a length and a transfer coding"),
    }
}

/// No coding was asked for. The status of a failure says enough without its body.
fn check_coding(status: StatusCode, headers: &HeaderMap) -> Result<(), Fault> {
    let plain = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if plain || !status.is_success() {
        return Ok(());
    }
    Err(Fault::new(
        Failure::TooLarge,
        "the answer is compressed, which was not asked for",
    ))
}

/// The whole body. One beyond the cap is a fault of a success; a failure is left without its body.
async fn whole(mut body: Incoming, status: StatusCode, limits: &Limits) -> Result<Bytes, Fault> {
    let total_by = Instant::now() + limits.body_total;
    let mut read = Vec::new();
    loop {
        let until = total_by.min(Instant::now() + limits.body_idle);
        let frame = match tokio::time::timeout_at(until, body.frame()).await {
            Ok(None) => return Ok(read.into()),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return Err(classify(&error)),
            Err(_) if until == total_by => {
                return Err(Fault::new(Failure::Slow, "the answer comes too slowly"));
            }
            Err(_) => return Err(Fault::new(Failure::Stalled, "the answer stopped in the middle")),
        };
        let Some(data) = frame.data_ref() else { continue };
        if read.len() + data.len() > limits.body_cap {
            return too_large(status, limits.body_cap);
        }
        read.extend_from_slice(data);
    }
}

fn too_large(status: StatusCode, cap: usize) -> Result<Bytes, Fault> {
    if status.is_client_error() || status.is_server_error() {
        return Ok(Bytes::new());
    }
    Err(Fault::new(
        Failure::TooLarge,
        format!("the answer is larger than {} KiB", cap / 1024),
    ))
}

/// The row of the fault table for what hyper found.
fn classify(error: &hyper::Error) -> Fault {
    // hyper has a method for this in servers only; a test of the wire sees it if the words change.
    if error.is_parse() && error.to_string().contains("too large") {
        return Fault::new(Failure::TooLarge, "the header section is too large");
    }
    if error.is_parse() {
        return Fault::new(Failure::Framing, "the answer is no HTTP/1.1");
    }
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    match cause.map(io::Error::kind) {
        Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
            Fault::new(Failure::Framing, "the answer's framing is broken")
        }
        _ => Fault::new(Failure::Cut, "the connection was cut before the answer was whole"),
    }
}

/// Asks `proxy`, which is at the other end of `stream`, for a tunnel to the host of `url` (RFC 9110 section 9.3.6).
pub(super) async fn tunnel(
    stream: Stream,
    url: &Url,
    proxy: &Proxy,
    _progress: &Progress,
) -> Result<Stream, Fault> {
    let place = authority(url, true);
    let mut outgoing = built(Method::CONNECT, &place, Bytes::new())?;
    set_default(outgoing.headers_mut(), HOST, &place);
    set_default(outgoing.headers_mut(), ::http::header::USER_AGENT, USER_AGENT);
    if let Some(credentials) = proxy.authorization.clone() {
        outgoing.headers_mut().insert(PROXY_AUTHORIZATION, credentials);
    }
    let interim = count_interim(&mut outgoing);
    let (mut sender, connection) = shake(stream).await?;
    let talk = async {
        let answer = sender
            .send_request(outgoing)
            .await
            .map_err(|error| classify(&error))?;
        match answer.status() {
            status if status.is_success() => {
                hyper::upgrade::on(answer).await.map_err(|error| classify(&error))
            }
            status => Err(proxy::refused(status, &target::place(&proxy.url))),
        }
    };
    let upgraded = driven(connection.with_upgrades(), talk, &interim).await?;
    Ok(Box::new(TokioIo::new(upgraded)))
}
