//! The proxy's own answers: a status and a JSON body that says what and why.
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use jeton::Error;
use jeton_core::Class;

/// The body of every answer: the proxy's own, or the server's as it streams in.
pub type Body = BoxBody<Bytes, hyper::Error>;

/// A whole body.
#[must_use]
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// An answer of the proxy itself: `{"code","error","hint"}`.
#[must_use]
pub fn own(status: StatusCode, code: &str, error: &str, hint: Option<&str>) -> Response<Body> {
    let text = serde_json::json!({ "code": code, "error": error, "hint": hint }).to_string();
    let mut response = Response::new(whole(text + "\n"));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The answer when no token could be had.
#[must_use]
pub fn no_token(error: &Error) -> Response<Body> {
    let status = if error.kind() == Class::Timeout {
        StatusCode::GATEWAY_TIMEOUT
    } else {
        StatusCode::BAD_GATEWAY
    };
    own(status, "token", &error.to_string(), error.hint())
}
