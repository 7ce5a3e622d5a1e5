//! A fresh token on each request of an HTTP service (feature `tower`).
use crate::bearer::authorization;
use crate::jeton::Jeton;
use ::http::header::AUTHORIZATION;
use ::http::{Request, Response, StatusCode};
use futures_util::future::BoxFuture;
use jeton_core::{Token, TokenRequest};
use std::error::Error as StdError;
use std::mem;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Puts [`Bearer`] around a service.
#[derive(Clone)]
pub struct BearerLayer {
    jeton: Jeton,
    wanted: TokenRequest,
}

/// A service that sends each request on with a token that is fresh at that moment. After a 401 the token is
/// forgotten and the request is sent once more with a new one; bodies must be clonable for that.
#[derive(Clone)]
pub struct Bearer<S> {
    inner: S,
    jeton: Jeton,
    wanted: TokenRequest,
}

impl BearerLayer {
    /// Tokens of `jeton` for `wanted`.
    #[must_use]
    pub fn new(jeton: Jeton, wanted: TokenRequest) -> Self {
        Self { jeton, wanted }
    }
}

impl<S> Layer<S> for BearerLayer {
    type Service = Bearer<S>;

    fn layer(&self, inner: S) -> Bearer<S> {
        Bearer {
            inner,
            jeton: self.jeton.clone(),
            wanted: self.wanted.clone(),
        }
    }
}

/// What the inner service fails with, or an [`Error`](crate::Error) in a box.
type BoxError = Box<dyn StdError + Send + Sync>;

impl<S, B, R> Service<Request<B>> for Bearer<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Clone + Send + 'static,
    R: Send,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<R>, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready is the one that is called.
        let ready = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, ready);
        let (jeton, wanted) = (self.jeton.clone(), self.wanted.clone());
        Box::pin(async move {
            let token = jeton.token(&wanted).await?;
            let first = bearing(request.clone(), &token)?;
            let response = inner.call(first).await.map_err(Into::into)?;
            if response.status() != StatusCode::UNAUTHORIZED {
                return Ok(response);
            }
            drop(response);
            jeton.invalidate(&token);
            let token = jeton.token(&wanted).await?;
            std::future::poll_fn(|cx| inner.poll_ready(cx))
                .await
                .map_err(Into::into)?;
            inner.call(bearing(request, &token)?).await.map_err(Into::into)
        })
    }
}

/// The same request with the token.
fn bearing<B>(mut request: Request<B>, token: &Token) -> Result<Request<B>, BoxError> {
    request.headers_mut().insert(AUTHORIZATION, authorization(token)?);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chain, Clock, Env, source};
    use ::http::HeaderValue;
    use jeton_core::UnixTime;
    use jeton_issuer::{Issuer, Options};
    use std::convert::Infallible;
    use std::future::{Ready, ready};
    use std::sync::{Arc, Mutex};

    /// An HTTP client that refuses the first request.
    #[derive(Clone, Default)]
    struct Upstream(Arc<Mutex<Vec<HeaderValue>>>);

    impl Service<Request<String>> for Upstream {
        type Response = Response<String>;
        type Error = Infallible;
        type Future = Ready<Result<Response<String>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<String>) -> Self::Future {
            let mut seen = self.0.lock().unwrap();
            let mut response = Response::new(request.body().clone());
            if seen.is_empty() {
                *response.status_mut() = StatusCode::UNAUTHORIZED;
            }
            seen.push(request.headers()[AUTHORIZATION].clone());
            ready(Ok(response))
        }
    }

    #[tokio::test]
    async fn c12_a_refused_request_is_sent_once_more_with_a_new_token_and_its_body() {
        let clock = Clock::manual(UnixTime::from_seconds(1_800_000_000));
        let theirs = clock.clone();
        let options = Options::new(move || theirs.now().wall).with_algorithm(jeton_issuer::Algorithm::Es256);
        let issuer = Issuer::start(options).await.unwrap();
        let env: Env = issuer.environment("github").unwrap().into_iter().collect();
        let chain = Chain::ambient(vec![source::named("github").unwrap()]);
        let jeton = Jeton::builder(crate::Context::new(env, clock), chain)
            .no_disk_cache()
            .build();
        let upstream = Upstream::default();
        let mut service = BearerLayer::new(jeton, TokenRequest::audience("a")).layer(upstream.clone());
        for _ in 0..2 {
            let response = service.call(Request::new("body".to_owned())).await.unwrap();
            assert_eq!(
                (response.status(), response.body().as_str()),
                (StatusCode::OK, "body")
            );
        }
        let seen = upstream.0.lock().unwrap();
        assert_eq!(seen.len(), 3);
        assert_ne!(seen[0], seen[1]);
        assert_eq!(seen[1], seen[2]);
        assert!(seen.iter().all(HeaderValue::is_sensitive));
    }
}
