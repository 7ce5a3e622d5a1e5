//! Who may come in: this user or whoever has the secret, under the proxy's own name, from an allowed page.
//!
//! A browser is the enemy here: any page can make it send requests to loopback, and a rebound DNS name can make them
//! look same-origin. So `Host` must be ours, and an `Origin` must be allowed (RFC 6454).
use super::Settings;
use super::answer::{Body, own, whole};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use jeton::Secret;
use std::net::SocketAddr;

/// The field that carries the proxy's secret where `Proxy-Authorization` cannot.
pub const SECRET_FIELD: HeaderName = HeaderName::from_static("x-jeton-secret");
/// How long a browser may remember a preflight's answer, in seconds.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("600");

/// The rules of one proxy.
pub(crate) struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
    own_origins: Vec<String>,
    secret: Option<Secret>,
}

/// What the guard says of a request.
pub(crate) enum Admission {
    /// Let it through; a browser's page at this origin may read the answer.
    Enter(Option<HeaderValue>),
    /// This is the answer.
    Answer(Box<Response<Body>>),
}

impl Guard {
    pub(crate) fn new(address: SocketAddr, settings: &Settings) -> Self {
        let port = address.port();
        let mut hosts: Vec<String> = ["127.0.0.1", "[::1]", "localhost"]
            .map(|h| format!("{h}:{port}"))
            .into();
        hosts.push(address.to_string());
        let own_origins = hosts.iter().map(|h| format!("http://{h}")).collect();
        hosts.extend(settings.allow_hosts.iter().map(|h| h.to_ascii_lowercase()));
        let origins = settings
            .allow_origins
            .iter()
            .map(|o| o.trim_end_matches('/').to_ascii_lowercase())
            .collect();
        Self {
            hosts,
            origins,
            own_origins,
            secret: settings.secret.clone(),
        }
    }

    /// Decides on a request; `stranger` says that another user's program sent it.
    pub(crate) fn admit<B>(&self, request: &Request<B>, stranger: bool) -> Admission {
        let refuse =
            |code, why: &str| Admission::Answer(Box::new(own(StatusCode::FORBIDDEN, code, why, None)));
        if stranger {
            return refuse("user", "this proxy serves its own user only");
        }
        if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
            let why = "CONNECT and TRACE are not served";
            return Admission::Answer(Box::new(own(StatusCode::METHOD_NOT_ALLOWED, "method", why, None)));
        }
        if !self.is_own_host(request) {
            return refuse("host", "the Host is not this proxy's own (see --allow-host)");
        }
        let origin = match self.origin(request.headers()) {
            Ok(origin) => origin,
            Err(()) => return refuse("origin", "this origin was not allowed (see --allow-origin)"),
        };
        if is_preflight(request) {
            return Admission::Answer(Box::new(preflight(request.headers(), origin)));
        }
        if let Some(secret) = &self.secret
            && !carries(request.headers(), secret)
        {
            let hint = "send `Proxy-Authorization: Bearer SECRET` or `X-Jeton-Secret: SECRET`";
            let answer = own(
                StatusCode::FORBIDDEN,
                "secret",
                "the proxy's secret is missing or wrong",
                Some(hint),
            );
            return Admission::Answer(Box::new(answer));
        }
        Admission::Enter(origin)
    }

    fn is_own_host<B>(&self, request: &Request<B>) -> bool {
        let is_own = |host: &str| self.hosts.iter().any(|own| host.eq_ignore_ascii_case(own));
        let mut fields = request.headers().get_all(header::HOST).iter();
        let field = fields.next().map(|value| value.to_str().unwrap_or_default());
        // A target in absolute form (and HTTP/2's :authority) counts as a Host, and both must be ours.
        let authority = request.uri().authority().map(|a| a.as_str());
        fields.next().is_none()
            && (field.is_some() || authority.is_some())
            && field.is_none_or(is_own)
            && authority.is_none_or(is_own)
    }

    /// The origin that may read the answer; `Err` for one that may not even ask.
    fn origin(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, ()> {
        let mut values = headers.get_all(header::ORIGIN).iter();
        let Some(value) = values.next() else {
            // Browsers that send no Origin (navigation, images) still say where a request comes from.
            let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
            let foreign = site.is_some_and(|s| !matches!(s, b"none" | b"same-origin"));
            return if foreign { Err(()) } else { Ok(None) };
        };
        let text = value.to_str().map_err(drop)?.to_ascii_lowercase();
        let allowed =
            values.next().is_none() && (self.origins.contains(&text) || self.own_origins.contains(&text));
        allowed.then(|| Some(value.clone())).ok_or(())
    }
}

fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a browser's question before a request (Fetch standard, CORS protocol).
fn preflight(asked: &HeaderMap, origin: Option<HeaderValue>) -> Response<Body> {
    let mut response = Response::new(whole(""));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    for (ask, say) in [
        (
            header::ACCESS_CONTROL_REQUEST_METHOD,
            header::ACCESS_CONTROL_ALLOW_METHODS,
        ),
        (
            header::ACCESS_CONTROL_REQUEST_HEADERS,
            header::ACCESS_CONTROL_ALLOW_HEADERS,
        ),
    ] {
        if let Some(value) = asked.get(ask) {
            headers.insert(say, value.clone());
        }
    }
    if asked.contains_key("access-control-request-private-network") {
        headers.insert(
            "access-control-allow-private-network",
            HeaderValue::from_static("true"),
        );
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS);
    allow(headers, origin);
    response
}

/// Names the allowed origin, never `*`.
pub(crate) fn allow(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    let Some(origin) = origin else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}

fn carries(headers: &HeaderMap, secret: &Secret) -> bool {
    let equal = |given: &[u8]| verify_slices_are_equal(given, secret.reveal().as_bytes()).is_ok();
    let bearer = headers.get_all(header::PROXY_AUTHORIZATION).iter().any(|value| {
        let (scheme, rest) = value.as_bytes().split_at(value.len().min(7));
        scheme.eq_ignore_ascii_case(b"bearer ") && equal(rest)
    });
    bearer
        || headers
            .get_all(SECRET_FIELD)
            .iter()
            .any(|value| equal(value.as_bytes()))
}
