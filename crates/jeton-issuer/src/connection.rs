//! One connection: HTTP by hyper for everything that is normal, and a script on the raw connection where a fault is
//! below HTTP.
use crate::answer::Answer;
use crate::call::Call;
use crate::desk::{Desk, Provider, lock};
use crate::faults::{Effect, Fault, Play, TokenTwist};
use crate::record::{self, Recorded};
use crate::routes::{self, Found, Reach};
use crate::script::{Played, Script, Wire, play};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// The largest request body that is read: far beyond any real token request, so that a test of one can be seen here.
const BODY_CAP: usize = 16 * 1024 * 1024;

/// What a request gets.
enum Reply {
    Answer(Answer),
    Script(Script),
}

/// Serves a connection until it ends, or until the issuer stops.
pub(crate) async fn serve(
    mut wire: Box<dyn Wire>,
    provider: Arc<Provider>,
    connection: u64,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let (hand_over, mut scripts) = mpsc::unbounded_channel();
        let provider = Arc::clone(&provider);
        let service =
            service_fn(move |request| reply(Arc::clone(&provider), connection, request, hand_over.clone()));
        let mut http = http1::Builder::new()
            .auto_date_header(false)
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(wire), service);
        let script = tokio::select! {
            _ = &mut http => return,
            script = scripts.recv() => script.unwrap_or_default(),
            () = stopped(&mut stop) => {
                std::pin::Pin::new(&mut http).graceful_shutdown();
                let _ = http.await;
                return;
            }
        };
        wire = http.into_parts().io.into_inner();
        if !matches!(play(&mut *wire, script).await, Ok(Played::Resume)) {
            return;
        }
    }
}

/// Waits until the issuer stops, or is gone.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Answers a request, or hands the connection over to a script; hyper then waits for an answer that never comes.
async fn reply(
    provider: Arc<Provider>,
    connection: u64,
    request: Request<Incoming>,
    hand_over: mpsc::UnboundedSender<Script>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_CAP).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(Answer::text(413, "the body is too large, or was cut short\n").into_http()),
    };
    let whole = Request::from_parts(head, body);
    match answer(&provider, connection, whole) {
        Reply::Answer(answer) => Ok(answer.into_http()),
        Reply::Script(script) => {
            // The receiver lives as long as the connection, and so does this future.
            let _ = hand_over.send(script);
            std::future::pending().await
        }
    }
}

fn answer(provider: &Provider, connection: u64, request: Request<Bytes>) -> Reply {
    let (found, path) = routes::find(provider.prefix(), request.method(), request.uri().path());
    let (name, reach) = match &found {
        Found::Route(route, _) => (route.name, route.reach),
        Found::OtherMethod(name, _) => (*name, Reach::Issuer),
        Found::Nothing => ("", Reach::Issuer),
    };
    let faults = match reach {
        Reach::Steering => Vec::new(),
        _ => lock(&provider.faults).for_request(name, request.method().as_str(), &path),
    };
    if reach != Reach::Steering {
        let recorded = recorded(provider, connection, &request, name, &faults);
        lock(&provider.record).push(recorded);
    }
    let call = call(request, path);
    with_faults(provider, found, call, &faults)
}

fn recorded(
    provider: &Provider,
    connection: u64,
    request: &Request<Bytes>,
    route: &str,
    faults: &[Fault],
) -> Recorded {
    Recorded {
        route: route.to_owned(),
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        headers: record::fields(request.headers()),
        body: request.body().to_vec(),
        arrived: (provider.options.clock)(),
        since_start: provider.since_start(),
        faults: faults.iter().map(|fault| fault.spelling.clone()).collect(),
        connection,
    }
}

fn call(request: Request<Bytes>, path: String) -> Call {
    let (head, body) = request.into_parts();
    Call {
        path,
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
        pieces: Vec::new(),
    }
}

fn with_faults(provider: &Provider, found: Found, mut call: Call, faults: &[Fault]) -> Reply {
    let mut desk = Desk::plain(provider);
    faults.iter().for_each(|fault| before(&mut desk, fault));
    if let Found::Route(_, pieces) = &found {
        call.pieces.clone_from(pieces);
    }
    let mut answer = match faults.iter().any(Fault::is_instead) {
        true => Answer::empty(200),
        false => carried_out(&desk, &found, &call),
    };
    let play = |fault| Play {
        args: fault,
        url: &provider.url,
        call: &call,
    };
    for fault in faults {
        if let Effect::Answer(change) | Effect::Instead(change) = fault.effect {
            change(&play(&fault.args), &mut answer);
        }
    }
    let answer = answer.dated(desk.now());
    let script = faults.iter().find_map(|fault| match fault.effect {
        Effect::Wire(script) => Some(script(&play(&fault.args), &answer)),
        Effect::Cut(script) => Some(script(&play(&fault.args))),
        _ => None,
    });
    script.map_or(Reply::Answer(answer), Reply::Script)
}

fn carried_out(desk: &Desk<'_>, found: &Found, call: &Call) -> Answer {
    match found {
        Found::Route(route, _) => (route.handle)(desk, call),
        Found::OtherMethod(_, allowed) => {
            Answer::text(405, "not with this method\n").with("allow", allowed.clone())
        }
        Found::Nothing => Answer::text(404, "there is nothing here\n"),
    }
}

/// What a fault changes before the request is answered.
pub(crate) fn before(desk: &mut Desk<'_>, fault: &Fault) {
    match fault.effect {
        Effect::Token(change) => desk.twists.push(TokenTwist {
            change,
            args: fault.args.clone(),
        }),
        Effect::Clock(direction) => {
            let seconds = fault
                .args
                .number_or(DEFAULT_OFFSET_SECONDS)
                .saturating_mul(direction);
            desk.offset_seconds = desk.offset_seconds.saturating_add(seconds);
        }
        Effect::Rotate { drop_old } => {
            // A key that cannot be made leaves the old ones in place.
            let _ = desk.provider.keys().rotate(drop_old);
        }
        Effect::Normal
        | Effect::Grpc
        | Effect::Accept(_)
        | Effect::Wire(_)
        | Effect::Cut(_)
        | Effect::Answer(_)
        | Effect::Instead(_) => {}
    }
}

/// How far a clock is off when the fault does not say: beyond the leeway of most verifiers.
const DEFAULT_OFFSET_SECONDS: i64 = 120;
