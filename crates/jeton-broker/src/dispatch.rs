//! The way of one request: who asks, may he, what does he send, and what is he told.
use crate::answer::Answer;
use crate::broker::{Broker, Live};
use crate::call::{Access, Call};
use crate::handler::credentials;
use crate::id;
use crate::metrics::Counter;
use crate::permission;
use crate::principal::{self, Principal};
use crate::problem::{OPERATION, Problem};
use crate::route::{Route, Verb, Who};
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use jeton_core::access::Object;
use jeton_core::decode;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// The largest body, in bytes.
const LARGEST_BODY: usize = 1024 * 1024;
/// How long a body, and the whole request with it, may take.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// How many requests there may be at once when nobody says: each waits for the disk once, and a disk that takes a
/// hundred commits a second has written all their records within a second, many to a commit.
const AT_ONCE: u32 = 2048;
/// Who asked on whose behalf, when something stands in front of the broker.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address a connection came from; the listener puts it into every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Answers a request on a route.
pub async fn answer(
    broker: Broker,
    route: &'static Route,
    parameters: Vec<(String, String)>,
    request: Request,
) -> Response {
    let began = broker.cx.clock.uptime();
    let operation = broker.fresh_id().unwrap_or_default();
    let (under_way, at_once) = broker.metrics.begin();
    if is_too_much(&broker, route, at_once) {
        broker.metrics.count(Counter::Shed, "concurrency");
        return finish(&broker, &operation, Err(Problem::unavailable("")));
    }
    let (id, here) = (operation.clone(), broker.clone());
    let work = async move {
        // On the heap from the start: it is large, and would be copied each time it is handed on.
        let done = Box::pin(handle(here, route, parameters, request, id));
        match tokio::time::timeout(REQUEST_TIME, done).await {
            Ok(result) => result,
            Err(_) => Err(Problem::unavailable("the request took too long")),
        }
    };
    let result = match route.verb {
        // What only reads can end anywhere.
        Verb::Get => work.await,
        // A caller who hangs up ends nothing in the middle: what was begun is done, or undone, whole.
        _ => tokio::spawn(work)
            .await
            .unwrap_or_else(|_| Err(Problem::internal("the request's task ended early"))),
    };
    let response = finish(&broker, &operation, result);
    drop(under_way);
    let took = broker.cx.clock.uptime().saturating_sub(began);
    let status = response.status().as_u16();
    broker
        .metrics
        .answered(route.verb.name(), route.path, status, took);
    response
}

/// Whether a request is better told to come again than made to wait. What says how the broker is doing is always
/// answered.
fn is_too_much(broker: &Broker, route: &Route, at_once: i64) -> bool {
    let most = broker.live().config.limits.concurrency.unwrap_or(AT_ONCE);
    at_once > i64::from(most) && !matches!(route.who, Who::Anyone(_))
}

/// Refuses a request that is for no route.
pub async fn refuse(broker: Broker, problem: Problem) -> Response {
    let operation = broker.fresh_id().unwrap_or_default();
    finish(&broker, &operation, Err(problem))
}

fn finish(broker: &Broker, operation: &str, result: Result<Answer, Problem>) -> Response {
    let answer = result.unwrap_or_else(|problem| {
        if let Some(inside) = problem.inside().filter(|inside| !inside.is_empty()) {
            broker.log.warning(&format!("{operation}: {inside}"));
        }
        problem.answer(operation)
    });
    let mut response = answer.into_response().map(Body::new);
    if let Ok(value) = HeaderValue::from_str(operation) {
        response.headers_mut().insert(OPERATION, value);
    }
    response
}

async fn handle(
    broker: Broker,
    route: &'static Route,
    parameters: Vec<(String, String)>,
    request: Request,
    operation: String,
) -> Result<Answer, Problem> {
    let (parts, body) = request.into_parts();
    // In this order: what is decided with older settings must not be remembered as of a newer epoch.
    let epoch = broker.remembered.epoch.now();
    let live = broker.live_full();
    let from = source(&parts, &live);
    // Strangers do not make us read their bodies.
    let who = match route.who {
        Who::Anyone(_) | Who::Proof(_) => None,
        Who::Known(_) | Who::May(..) => Some(known(&broker, &live, route, &parts.headers, from).await?),
    };
    let call = Call {
        broker: broker.clone(),
        epoch,
        live,
        operation,
        from,
        uri: parts.uri,
        headers: parts.headers,
        body: Bytes::new(),
        parameters,
    };
    if let Some(who) = &who
        && route.is_release()
        && body.is_end_stream()
        && let Some(answer) = credentials::token_again(&call, who).await
    {
        return Ok(answer);
    }
    Box::pin(done(call, route, body, who)).await
}

/// Who asks, if he may ask at all.
async fn known(
    broker: &Broker,
    live: &Live,
    route: &Route,
    headers: &HeaderMap,
    from: IpAddr,
) -> Result<Principal, Problem> {
    let who = match principal::extract(broker, live, headers).await {
        Ok(who) => who,
        Err(problem) => {
            broker.metrics.count(Counter::Rejections, problem.reason());
            let issuer = claimed(live, headers);
            return Err(failed(broker, live, from, issuer.as_deref(), problem).await);
        }
    };
    let asked = broker
        .limits
        .request(&live.config.limits, &who.issuer, broker.cx.clock.uptime());
    asked.await.map_err(|wait| {
        broker.metrics.count(Counter::Limited, "issuer");
        Problem::rate_limited(wait)
    })?;
    if who.session.is_some() && !route.is_for_sessions() {
        // It opens its session and nothing else.
        return Err(if route.verb == Verb::Get {
            Problem::not_found()
        } else {
            Problem::forbidden("a session's token opens its session only")
        });
    }
    Ok(who)
}

/// Whose a token that was not accepted says that it is, if that is one of ours.
fn claimed(live: &Live, headers: &HeaderMap) -> Option<String> {
    let claims = decode(principal::bearer(headers).ok()?).ok()?;
    let issuer = claims.peek().issuer()?;
    live.issuers.named(issuer).map(|_| issuer.to_owned())
}

/// A token that is not accepted counts against its source and its issuer; what is too much is told to wait instead. Who
/// is known and may not do something has told us who he is, and who brings no token tries nothing.
async fn failed(
    broker: &Broker,
    live: &Live,
    from: IpAddr,
    issuer: Option<&str>,
    problem: Problem,
) -> Problem {
    if problem.status() != StatusCode::UNAUTHORIZED || problem.reason() == principal::NO_TOKEN {
        return problem;
    }
    let now = broker.cx.clock.uptime();
    match broker.limits.failed(&live.config.limits, from, issuer, now).await {
        Ok(()) => problem,
        Err(wait) => {
            broker.metrics.count(Counter::Limited, "failures");
            Problem::rate_limited(wait)
        }
    }
}

async fn done(
    mut call: Call,
    route: &'static Route,
    body: Body,
    who: Option<Principal>,
) -> Result<Answer, Problem> {
    let access = match (route.who, who) {
        (Who::May(kind, verb, target, _), Some(who)) => {
            let permission = jeton_core::access::Permission::new(kind, verb);
            let object = target.object(&call);
            let method = route.verb.method();
            match permission::check(&call.broker, &call.live, who.clone(), permission, object, &method).await
            {
                Ok(access) => Some(access),
                Err(problem) => {
                    note_refusal(&call, route, &who, &problem).await?;
                    return Err(problem);
                }
            }
        }
        (_, Some(principal)) => Some(Access {
            principal,
            object: Object::default(),
            bindings: Vec::new(),
            rule: String::new(),
        }),
        (_, None) => None,
    };
    call.body = read(body).await?;
    let call = Arc::new(call);
    match (route.who, access) {
        (Who::Anyone(open) | Who::Proof(open), _) => open(call).await,
        (Who::Known(known) | Who::May(_, _, _, known), Some(access)) => known(call, access).await,
        (Who::Known(_) | Who::May(..), None) => Err(Problem::internal("nobody asked")),
    }
}

/// That somebody was refused a secret is worth a record; who may not see a list is not.
async fn note_refusal(call: &Call, route: &Route, who: &Principal, problem: &Problem) -> Result<(), Problem> {
    let Some(permission) = route.who.permission() else {
        return Ok(());
    };
    if problem.status().is_server_error()
        || (permission.verb != "fetch_token" && route.verb.method() == http::Method::GET)
    {
        return Ok(());
    }
    let action = match permission.verb {
        "fetch_token" => "credential.token".to_owned(),
        verb => format!("{}.{verb}", permission.kind),
    };
    let mut record = call.record(&action, "deny", who);
    for name in ["project", "agent", "credential"] {
        let value = call.parameter(name);
        if !value.is_empty() {
            record = record.with(name, id::shown(value));
        }
    }
    Ok(call.broker.audit.write(record).await?)
}

/// Where a request came from. What a caller says of himself counts only where something trusted stands in front.
fn source(parts: &Parts, live: &Live) -> IpAddr {
    let peer = parts.extensions.get::<Peer>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
    if live.config.behind_proxy {
        return forwarded(&parts.headers).unwrap_or(peer);
    }
    peer
}

/// The last address in `X-Forwarded-For`: the one that the nearest proxy wrote.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(FORWARDED_FOR).iter().next_back()?;
    let last = last.to_str().ok()?.rsplit(',').next()?;
    last.trim().parse().ok()
}

async fn read(mut body: Body) -> Result<Bytes, Problem> {
    let mut whole = BytesMut::new();
    let reading = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Problem::invalid("body", "did not come whole"))?;
            let Ok(data) = frame.into_data() else { continue };
            if whole.len() + data.len() > LARGEST_BODY {
                return Err(Problem::too_large());
            }
            whole.extend_from_slice(&data);
        }
        Ok(())
    };
    tokio::time::timeout(REQUEST_TIME, reading)
        .await
        .unwrap_or_else(|_| Err(Problem::too_slow()))?;
    Ok(whole.freeze())
}
