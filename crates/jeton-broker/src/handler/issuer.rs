//! The broker as an issuer, and the documents that it publishes about itself.
use crate::answer::Answer;
use crate::call::Call;
use crate::metrics::MEDIA_TYPE;
use crate::own_issuer::KEYS_MAX_AGE;
use crate::problem::Problem;
use crate::route;
use http::{HeaderValue, StatusCode, header};

/// What everybody may keep, for as long as a key is published before it leaves.
fn public(answer: Answer) -> Answer {
    match HeaderValue::from_str(&format!("public, max-age={KEYS_MAX_AGE}")) {
        Ok(value) => answer.with(header::CACHE_CONTROL, value),
        Err(_) => answer,
    }
}

pub(crate) async fn discovery(call: &Call) -> Result<Answer, Problem> {
    Ok(public(Answer::ok(&call.broker.own.discovery())))
}

pub(crate) async fn keys(call: &Call) -> Result<Answer, Problem> {
    Ok(public(Answer::ok(&call.broker.own.jwks())))
}

pub(crate) async fn metrics(call: &Call) -> Result<Answer, Problem> {
    let text = call.broker.metrics.text();
    Ok(Answer::of(
        StatusCode::OK,
        HeaderValue::from_static(MEDIA_TYPE),
        text,
    ))
}

pub(crate) async fn openapi(call: &Call) -> Result<Answer, Problem> {
    Ok(Answer::ok(&route::document(&call.broker)))
}
