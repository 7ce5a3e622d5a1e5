//! A layer that puts a fresh token on each request: `cargo run --example tower --features tower`.
#![allow(clippy::print_stdout, reason = "an example shows something")]
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use jeton::tower::BearerLayer;
use jeton::{Chain, Clock, Context, Env, Jeton, TokenRequest, source};
use std::convert::Infallible;
use std::error::Error;
use std::future::{Ready, ready};
use std::task::Poll;
use tower_layer::Layer;
use tower_service::Service;

/// Stands for an HTTP client: says whether a token came.
#[derive(Clone)]
struct Upstream;

impl Service<Request<String>> for Upstream {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let mut response = Response::new(String::new());
        if !request.headers().contains_key(AUTHORIZATION) {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
        }
        ready(Ok(response))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let cx = Context::new(Env::from_process(), Clock::system());
    let jeton = Jeton::builder(cx, Chain::ambient(source::ambient_order())).build();

    let layer = BearerLayer::new(jeton, TokenRequest::audience("https://example.com"));
    let mut service = layer.layer(Upstream);
    let response = service.call(Request::new(String::new())).await?;
    println!("status {}", response.status());
    Ok(())
}
