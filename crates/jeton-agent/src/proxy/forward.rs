//! One request: let in, given a token, sent on, and once more when the server says 401.
use super::answer::{Body, own};
use super::guard::{self, Admission};
use super::passage::Passage;
use super::{Bearer, Shared, fields};
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use jeton::{Secret, Token};
use std::sync::Arc;

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
    if fields::is_ambiguous(request.headers()) || !request.uri().path().starts_with('/') {
        let mut answer = own(
            StatusCode::BAD_REQUEST,
            "framing",
            "the request's target or length can be read in two ways",
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

/// A request that may be sent twice: its head, and its body as far as it is known.
struct Outgoing {
    head: http::request::Parts,
    body: Passage,
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
    let outgoing = Outgoing {
        head,
        body: Passage::new(body),
    };
    let bearer = shared.bearer().await?;
    let first = outgoing.body.first();
    let mut answer = outgoing.send(shared, &bearer, first, upgrade.is_some()).await?;
    if answer.status() == StatusCode::UNAUTHORIZED {
        shared.tokens.invalidate(&bearer.token);
        // No other token, no other answer: the server's own 401 is the truth then.
        if let Some(again) = outgoing.body.again().await
            && let Ok(fresh) = shared.bearer().await
            && fresh.token.value != bearer.token.value
        {
            answer = outgoing.send(shared, &fresh, again, upgrade.is_some()).await?;
        }
    }
    Ok(give_back(answer, client))
}

impl Outgoing {
    async fn send(
        &self,
        shared: &Shared,
        bearer: &Bearer,
        body: Body,
        upgrade: bool,
    ) -> Result<Response<Incoming>, Response<Body>> {
        let mut request = Request::new(body);
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = shared.upstream.target(&self.head.uri);
        *request.headers_mut() = self.head.headers.clone();
        request
            .headers_mut()
            .insert(header::AUTHORIZATION, bearer.field.clone());
        shared.upstream.send(request, &self.body, upgrade).await
    }
}

/// The field that carries a token.
#[allow(
    clippy::result_large_err,
    reason = "the error is the answer itself, made at most once a request"
)]
pub(crate) fn authorization(token: &Token) -> Result<HeaderValue, Response<Body>> {
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
    if fields::is_ambiguous(answer.headers()) {
        let why = "the length of the server's answer can be read in two ways";
        return own(StatusCode::BAD_GATEWAY, "framing", why, None);
    }
    let protocol = fields::upgrade(answer.headers());
    fields::for_answer(answer.headers_mut());
    // The server's version is about its own connection: an HTTP/1.0 server does not end ours.
    *answer.version_mut() = Version::HTTP_11;
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
