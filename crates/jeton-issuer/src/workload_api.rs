//! The SPIFFE Workload API (SPIFFE_Workload_API.md): gRPC over a unix socket, `FetchJWTSVID` and `FetchJWTBundles`.
//!
//! The messages are prost's, the frames of gRPC are five bytes, and HTTP/2 is hyper's.
use crate::answer::Answer;
use crate::call::Call;
use crate::connection::{before, stopped};
use crate::desk::{Desk, Provider, claims, lock};
use crate::faults::{Effect, Fault, Play};
use crate::record::{self, Recorded};
use crate::routes::WORKLOAD_API;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use serde_json::json;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::UnixStream;
use tokio::sync::watch;

/// The largest request that is read: audiences are short.
const BODY_CAP: usize = 1024 * 1024;
/// A frame of gRPC: one byte for compression, four for the length.
const FRAME_HEAD: usize = 5;
/// The gRPC codes that are used here.
const INVALID_ARGUMENT: i64 = 3;
const PERMISSION_DENIED: i64 = 7;
const UNIMPLEMENTED: i64 = 12;
const UNAVAILABLE: i64 = 14;

type Body = UnsyncBoxBody<Bytes, Infallible>;

#[derive(Clone, PartialEq, Message)]
struct JwtSvidRequest {
    #[prost(string, repeated, tag = "1")]
    audience: Vec<String>,
    #[prost(string, tag = "2")]
    spiffe_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct JwtSvid {
    #[prost(string, tag = "1")]
    spiffe_id: String,
    #[prost(string, tag = "2")]
    svid: String,
    #[prost(string, tag = "3")]
    hint: String,
}

#[derive(Clone, PartialEq, Message)]
struct JwtSvidResponse {
    #[prost(message, repeated, tag = "1")]
    svids: Vec<JwtSvid>,
}

#[derive(Clone, PartialEq, Message)]
struct JwtBundlesResponse {
    #[prost(map = "string, bytes", tag = "1")]
    bundles: HashMap<String, Vec<u8>>,
}

/// A refusal: a gRPC code and what it says.
type Refusal = (i64, &'static str);

/// Serves a connection until it ends, or until the issuer stops.
pub(crate) async fn serve(
    stream: UnixStream,
    provider: Arc<Provider>,
    connection: u64,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(move |request| reply(Arc::clone(&provider), connection, request));
    let http = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = http => {}
        () = stopped(&mut stop) => {}
    }
}

async fn reply(
    provider: Arc<Provider>,
    connection: u64,
    request: Request<Incoming>,
) -> Result<Response<Body>, &'static str> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_CAP)
        .collect()
        .await
        .map_err(|_| "the body was cut short")?;
    let path = head.uri.path().to_owned();
    let faults = lock(&provider.faults).for_request(WORKLOAD_API, head.method.as_str(), &path);
    let call = Call {
        path,
        query: String::new(),
        headers: head.headers,
        body: body.to_bytes(),
        pieces: Vec::new(),
    };
    let recorded = recorded(&provider, connection, &call, &faults);
    lock(&provider.record).push(recorded);
    let mut desk = Desk::plain(&provider);
    faults.iter().for_each(|fault| before(&mut desk, fault));
    for fault in &faults {
        match fault.effect {
            Effect::Cut(_) | Effect::Wire(_) if fault.spelling.contains("stall") => {
                std::future::pending().await
            }
            // An error of the service resets the stream, which is the nearest to what these do to a connection.
            Effect::Cut(_) | Effect::Wire(_) => return Err("as the script of faults has it"),
            Effect::Instead(change) => return Ok(plain_http(&provider, &call, fault, change)),
            Effect::Grpc => {
                return Ok(refused((
                    fault.args.number_or(UNAVAILABLE),
                    "as the script of faults has it",
                )));
            }
            _ => {}
        }
    }
    Ok(answered(&desk, &call).unwrap_or_else(refused))
}

fn recorded(provider: &Provider, connection: u64, call: &Call, faults: &[Fault]) -> Recorded {
    Recorded {
        route: WORKLOAD_API.to_owned(),
        method: "POST".to_owned(),
        path: call.path.clone(),
        query: String::new(),
        headers: record::fields(&call.headers),
        body: call.body.to_vec(),
        arrived: (provider.options.clock)(),
        since_start: provider.since_start(),
        faults: faults.iter().map(|fault| fault.spelling.clone()).collect(),
        connection,
    }
}

/// An answer that is HTTP and no gRPC, as from a proxy in between.
fn plain_http(
    provider: &Provider,
    call: &Call,
    fault: &Fault,
    change: fn(&Play<'_>, &mut Answer),
) -> Response<Body> {
    let mut answer = Answer::empty(200);
    let play = Play {
        args: &fault.args,
        url: &provider.url,
        call,
    };
    change(&play, &mut answer);
    answer.into_http().map(|body| body.boxed_unsync())
}

fn answered(desk: &Desk<'_>, call: &Call) -> Result<Response<Body>, Refusal> {
    if call.header("workload.spiffe.io") != Some("true") {
        return Err((INVALID_ARGUMENT, "security header missing from request"));
    }
    match call.path.as_str() {
        "/SpiffeWorkloadAPI/FetchJWTSVID" => svids(desk, call),
        "/SpiffeWorkloadAPI/FetchJWTBundles" => Ok(message(&bundles(desk))),
        _ => Err((UNIMPLEMENTED, "no such method")),
    }
}

fn svids(desk: &Desk<'_>, call: &Call) -> Result<Response<Body>, Refusal> {
    let request = call
        .body
        .get(FRAME_HEAD..)
        .and_then(|bytes| JwtSvidRequest::decode(bytes).ok());
    let request = request.ok_or((INVALID_ARGUMENT, "no JWTSVIDRequest"))?;
    if request.audience.is_empty() {
        return Err((INVALID_ARGUMENT, "audience must be specified"));
    }
    let wanted = |id: &str| request.spiffe_id.is_empty() || request.spiffe_id == id;
    let identities = desk.options().spiffe_ids.iter().filter(|(id, _)| wanted(id));
    let svids: Vec<_> = identities
        .map(|(id, hint)| svid(desk, &request.audience, id, hint))
        .collect();
    match svids.is_empty() {
        true => Err((PERMISSION_DENIED, "no identity issued")),
        false => Ok(message(&JwtSvidResponse { svids })),
    }
}

fn svid(desk: &Desk<'_>, audience: &[String], id: &str, hint: &str) -> JwtSvid {
    let members = claims([("sub", json!(id)), ("aud", json!(audience))]);
    JwtSvid {
        spiffe_id: id.to_owned(),
        svid: desk.identity_token(members),
        hint: hint.to_owned(),
    }
}

fn bundles(desk: &Desk<'_>) -> JwtBundlesResponse {
    let jwks = desk.provider.keys().jwks().to_string().into_bytes();
    let ids = desk.options().spiffe_ids.iter();
    let domains = ids.filter_map(|(id, _)| id.strip_prefix("spiffe://")?.split('/').next());
    JwtBundlesResponse {
        bundles: domains
            .map(|domain| (format!("spiffe://{domain}"), jwks.clone()))
            .collect(),
    }
}

/// One message, and the trailers that end a call well.
fn message(message: &impl Message) -> Response<Body> {
    let encoded = message.encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(encoded.len()).unwrap_or_default().to_be_bytes());
    frame.extend(encoded);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(Bytes::from(frame)).with_trailers(async { Some(Ok(trailers)) });
    grpc(body.boxed_unsync())
}

/// A refusal without a message: its status is in the head ("Trailers-Only").
fn refused((code, says): Refusal) -> Response<Body> {
    let mut response = grpc(Full::new(Bytes::new()).boxed_unsync());
    response
        .headers_mut()
        .insert("grpc-status", HeaderValue::from(code));
    response
        .headers_mut()
        .insert("grpc-message", HeaderValue::from_static(says));
    response
}

fn grpc(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}
