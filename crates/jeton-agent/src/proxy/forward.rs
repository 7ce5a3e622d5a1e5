//! One request: let in, given a token, sent on, and once more when the server says 401.
use super::answer::{Body, no_token, own, whole};
use super::guard::{self, Admission};
use super::{Shared, fields};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper_util::rt::TokioIo;
use jeton::{Secret, Token};
use std::sync::Arc;

/// The largest request body that is kept to be sent again after a 401, in bytes.
const KEPT_BODY: usize = 1024 * 1024;

/// Answers one request.
pub(crate) async fn handle(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    stranger: bool,
) -> Response<Body> {
    let origin = match shared.guard.admit(&request, stranger) {
        Admission::Answer(answer) => return *answer,
        Admission::Enter(origin) => origin,
    };
    if fields::is_ambiguous(request.headers()) {
        let mut answer = own(
            StatusCode::BAD_REQUEST,
            "framing",
            "the request's length can be read in two ways",
            None,
        );
        answer
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
        return answer;
    }
    let mut answer = match carry(&shared, request).await {
        Ok(answer) | Err(answer) => answer,
    };
    guard::allow(answer.headers_mut(), origin);
    answer
}

/// A request that may be sent twice: its head, and its body if it is kept.
struct Outgoing {
    head: http::request::Parts,
    body: Sending,
}

enum Sending {
    /// The whole body, at hand.
    Kept(Bytes),
    /// A body that streams through and cannot be sent again.
    Stream(Option<Incoming>),
}

async fn carry(shared: &Shared, mut request: Request<Incoming>) -> Result<Response<Body>, Response<Body>> {
    let upgrade = fields::upgrade(request.headers());
    let client = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let (mut head, body) = request.into_parts();
    fields::for_request(&mut head.headers);
    if let Some(protocol) = &upgrade {
        head.headers
            .insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers.insert(header::UPGRADE, protocol.clone());
    }
    let body = keep(body).await?;
    let mut outgoing = Outgoing { head, body };
    let token = shared
        .tokens
        .token(&shared.request)
        .await
        .map_err(|e| no_token(&e))?;
    let mut answer = outgoing.send(shared, &token, upgrade.is_some()).await?;
    if answer.status() == StatusCode::UNAUTHORIZED && outgoing.can_repeat() {
        shared.tokens.invalidate(&token);
        // No other token, no other answer: the server's own 401 is the truth then.
        if let Ok(fresh) = shared.tokens.token(&shared.request).await
            && fresh.value != token.value
        {
            answer = outgoing.send(shared, &fresh, upgrade.is_some()).await?;
        }
    }
    Ok(give_back(answer, client))
}

/// Keeps a body that is known to be small; lets any other stream through.
async fn keep(body: Incoming) -> Result<Sending, Response<Body>> {
    let small = body.size_hint().exact().is_some_and(|n| n <= KEPT_BODY as u64);
    if !small {
        return Ok(Sending::Stream(Some(body)));
    }
    let mut kept = BytesMut::new();
    let mut body = body;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            own(
                StatusCode::BAD_REQUEST,
                "body",
                "the request's body broke off",
                None,
            )
        })?;
        if let Some(bytes) = frame.data_ref() {
            kept.extend_from_slice(bytes);
        }
    }
    Ok(Sending::Kept(kept.freeze()))
}

impl Outgoing {
    fn can_repeat(&self) -> bool {
        matches!(self.body, Sending::Kept(_))
    }

    async fn send(
        &mut self,
        shared: &Shared,
        token: &Token,
        upgrade: bool,
    ) -> Result<Response<Incoming>, Response<Body>> {
        let body = match &mut self.body {
            Sending::Kept(bytes) => whole(bytes.clone()),
            Sending::Stream(body) => match body.take() {
                Some(body) => body.boxed(),
                None => whole(""),
            },
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = shared.upstream.target(&self.head.uri);
        *request.headers_mut() = self.head.headers.clone();
        request
            .headers_mut()
            .insert(header::AUTHORIZATION, authorization(token)?);
        shared.upstream.send(request, upgrade).await
    }
}

#[allow(
    clippy::result_large_err,
    reason = "the error is the answer itself, made at most once a request"
)]
fn authorization(token: &Token) -> Result<HeaderValue, Response<Body>> {
    let text = Secret::new(format!("{} {}", token.token_type, token.value.reveal()));
    let mut value = HeaderValue::try_from(text.reveal()).map_err(|_| {
        own(
            StatusCode::BAD_GATEWAY,
            "token",
            "the token cannot stand in a header field",
            None,
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Makes the server's answer the client's, and joins the two connections when they switch protocols.
fn give_back(mut answer: Response<Incoming>, client: Option<hyper::upgrade::OnUpgrade>) -> Response<Body> {
    let protocol = fields::upgrade(answer.headers());
    fields::for_answer(answer.headers_mut());
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        let (Some(client), Some(protocol)) = (client, protocol) else {
            return own(
                StatusCode::BAD_GATEWAY,
                "upgrade",
                "the server switched protocols unasked",
                None,
            );
        };
        answer
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        answer.headers_mut().insert(header::UPGRADE, protocol);
        let server = hyper::upgrade::on(&mut answer);
        tokio::spawn(join(client, server));
    }
    answer.map(BodyExt::boxed)
}

async fn join(client: hyper::upgrade::OnUpgrade, server: hyper::upgrade::OnUpgrade) {
    if let (Ok(client), Ok(server)) = tokio::join!(client, server) {
        let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
        // Whoever ends first ends both; an error is one of the ends' business.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}
