//! One unary gRPC call over HTTP/2 on the Workload API's socket (SPIFFE Workload Endpoint; gRPC over HTTP/2).
//!
//! By hand over hyper: one connection, one call, two small messages; a gRPC stack would be sixteen crates for that.
use super::Socket;
use super::message::{self, Svid};
use crate::http::Fault;
use ::http::{HeaderMap, Request, StatusCode, header};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jeton_core::{Failure, redact};
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

const METHOD: &str = "http://localhost/SpiffeWorkloadAPI/FetchJWTSVID";
/// What every caller says, so that no request that was tricked out of a browser or a proxy is answered.
const SECURITY_HEADER: &str = "workload.spiffe.io";
const NO_REGISTRATION: &str = "no registration entry is for this process: have one made for its selectors (spire-server entry \
                               create), and give the agent a moment to hear of it";

/// Asks once, whoever keeps the time.
pub(super) fn fetch<'a>(
    socket: &'a Socket,
    audience: &'a [String],
    spiffe_id: Option<&'a str>,
) -> BoxFuture<'a, Result<Vec<Svid>, Fault>> {
    Box::pin(async move {
        let body = Bytes::from(message::framed(&message::request(audience, spiffe_id)));
        let frame = match socket {
            Socket::Unix(path) => call(UnixStream::connect(path).await.map_err(not_there)?, body).await?,
            Socket::Tcp(address) => call(TcpStream::connect(address).await.map_err(not_there)?, body).await?,
        };
        let svids = message::unframed(&frame).and_then(message::response);
        svids.ok_or_else(|| Fault::new(Failure::Unexpected, "an answer that is no JWTSVIDResponse"))
    })
}

fn not_there(error: std::io::Error) -> Fault {
    let fault = Fault::new(Failure::Connect, format!("no connection: {}", error.kind()));
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            fault.with_hint("let this user open the Workload API's socket")
        }
        _ => fault.with_hint("is the SPIFFE agent running, and its socket mounted?"),
    }
}

async fn call<S>(stream: S, body: Bytes) -> Result<Bytes, Fault>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(cut)?;
    let exchange = async move {
        let request = Request::post(METHOD)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header(SECURITY_HEADER, "true")
            .body(Full::new(body));
        let request =
            request.map_err(|_| Fault::new(Failure::Unexpected, "the request cannot be written"))?;
        let response = sender.send_request(request).await.map_err(cut)?;
        let (head, body) = response.into_parts();
        let whole = Limited::new(body, crate::http::TOKEN_BODY_CAP).collect().await;
        let whole = whole.map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(error) => cut(*error),
            Err(_) => Fault::new(Failure::TooLarge, "an answer larger than any token"),
        })?;
        judge(head.status, whole.trailers().unwrap_or(&head.headers))?;
        Ok(whole.to_bytes())
    };
    // Nothing is spawned that outlives the call: the connection runs beside it.
    tokio::select! {
        answer = exchange => answer,
        ended = connection => Err(ended.err().map_or_else(
            || Fault::new(Failure::Cut, "the connection ended"), cut)),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn cut(error: hyper::Error) -> Fault {
    let failure = if error.is_parse() {
        Failure::Framing
    } else {
        Failure::Cut
    };
    Fault::new(failure, "the connection was cut, or does not speak gRPC")
}

/// Passes status 0 on and makes a fault of everything else.
fn judge(status: StatusCode, trailers: &HeaderMap) -> Result<(), Fault> {
    let code = trailers
        .get("grpc-status")
        .and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    if status != StatusCode::OK {
        return Err(Fault::new(
            Failure::Status(status.as_u16()),
            format!("status {}", status.as_u16()),
        ));
    }
    let Some(code) = code else {
        return Err(Fault::new(Failure::Unexpected, "an answer without grpc-status"));
    };
    let (failure, name) = match code {
        0 => return Ok(()),
        2 => (Failure::Status(500), "Unknown"),
        3 => (Failure::Status(400), "InvalidArgument"),
        4 => (Failure::Status(504), "DeadlineExceeded"),
        // Refused, but asked again with the same patience as a job that is about to start: registrations take a while.
        7 => (Failure::JobPending, "PermissionDenied"),
        8 => (Failure::Status(429), "ResourceExhausted"),
        12 => (Failure::Status(501), "Unimplemented"),
        13 => (Failure::Status(500), "Internal"),
        14 => (Failure::Status(503), "Unavailable"),
        _ => (Failure::Status(400), "another error"),
    };
    let said = trailers.get("grpc-message").map(|value| {
        percent_decode_str(&String::from_utf8_lossy(value.as_bytes()))
            .decode_utf8_lossy()
            .into_owned()
    });
    let mut detail = format!("gRPC status {code} ({name})");
    if let Some(said) = said.filter(|said| !said.is_empty()) {
        detail = format!("{detail}: {}", redact::foreign(&said, &[]));
    }
    let fault = Fault::new(failure, detail);
    Err(match code {
        7 => fault.with_hint(NO_REGISTRATION),
        12 => fault.with_hint("the agent gives no JWT-SVIDs: name another source"),
        _ => fault,
    })
}
