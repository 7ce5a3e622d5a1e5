//! A request, and what of it is secret.
use super::{Guard, Route, TOKEN_BODY_CAP, target};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jeton_core::Secret;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::time::Duration;
use url::Url;

/// The form of grants (RFC 6749 appendix B).
const FORM: &str = "application/x-www-form-urlencoded";
/// The fields of grants that are secret (RFC 6749, 7009, 7521, 7636, 8628, 8693).
const SECRET_FORM_FIELDS: [&str; 11] = [
    "client_secret",
    "client_assertion",
    "assertion",
    "refresh_token",
    "code",
    "code_verifier",
    "device_code",
    "subject_token",
    "password",
    "token",
    "WebIdentityToken",
];
/// A request.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The target.
    pub url: Url,
    /// Header fields; secret ones are marked sensitive.
    pub headers: HeaderMap,
    /// The body.
    pub body: Option<Bytes>,
    /// Whether it carries a credential: then no redirect is ever followed. Otherwise at most three to the same origin.
    pub credential: bool,
    /// The largest body that is read, in bytes.
    pub body_cap: usize,
    /// Where it goes through.
    pub route: Route,
    /// Whether it may be sent again after an answer was lost. `false` for a single-use refresh token.
    pub repeatable: bool,
    /// A shorter time for the connection than the policy's, for link-local metadata servers.
    pub connect_timeout: Option<Duration>,
    /// Which addresses it may reach; checked before and after the name is resolved.
    pub guard: Guard,
    /// Whether it may go in clear text to a host that is neither loopback nor link-local, because the platform has it so.
    pub clear_text: bool,
}

impl Request {
    /// A request without credential, body or special wishes.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            credential: false,
            body_cap: TOKEN_BODY_CAP,
            route: Route::Auto,
            repeatable: true,
            connect_timeout: None,
            guard: Guard::Off,
            clear_text: false,
        }
    }

    /// The same request for a URL that a document of `issuer` named: any address when it is the issuer's own host,
    /// else public ones, and loopback only when the issuer itself is there.
    #[must_use]
    pub fn guarded_by(mut self, issuer: &Url) -> Self {
        self.guard = match (self.url.host() == issuer.host(), target::is_loopback(issuer)) {
            (true, _) => Guard::Off,
            (false, true) => Guard::PublicOrLoopback,
            (false, false) => Guard::Public,
        };
        self
    }

    /// `GET url`.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// `POST url` with a form (`application/x-www-form-urlencoded`). A form of a grant carries a credential.
    #[must_use]
    pub fn form(url: Url, fields: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let mut request = Self::new(Method::POST, url);
        request.credential = true;
        request.body = Some(Bytes::from(body));
        request.header("content-type", FORM)
    }

    /// `POST url` with a JSON body.
    #[must_use]
    pub fn json(url: Url, body: String) -> Self {
        let mut request = Self::new(Method::POST, url);
        request.body = Some(Bytes::from(body));
        request.header("content-type", "application/json")
    }

    /// The same request with a header field. A name or value that no header can hold is left out.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The same request with a header field that is a credential: never logged, never redirected.
    #[must_use]
    pub fn secret_header(mut self, name: &str, value: &Secret) -> Self {
        if let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::try_from(value.reveal()))
        {
            value.set_sensitive(true);
            self.headers.insert(name, value);
        }
        self.credential = true;
        self
    }

    /// The same request with `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(self, token: &Secret) -> Self {
        self.secret_header(
            "authorization",
            &Secret::new(format!("Bearer {}", token.reveal())),
        )
    }

    /// The host and port as they are named in messages.
    #[must_use]
    pub fn place(&self) -> String {
        target::place(&self.url)
    }

    /// The secrets it carries, so that an answer that echoes them can be shown without them.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let fields = self.headers.values().filter(|value| value.is_sensitive());
        let fields = fields
            .filter_map(|value| value.to_str().ok())
            .flat_map(credentials);
        let form = self.headers.get("content-type").is_some_and(|kind| kind == FORM);
        let body = self.body.as_deref().filter(|_| form).unwrap_or_default();
        let pairs = url::form_urlencoded::parse(body);
        let pairs = pairs.filter(|(name, _)| SECRET_FORM_FIELDS.contains(&&**name));
        fields.chain(pairs.map(|(_, value)| Secret::new(value))).collect()
    }
}

/// What of a secret field is secret: all of it but the scheme, and the password inside a `Basic` (RFC 7617).
fn credentials(value: &str) -> Vec<Secret> {
    let (scheme, rest) = value.split_once(' ').unwrap_or(("", value));
    let mut secrets = vec![Secret::new(rest)];
    let pair = STANDARD
        .decode(rest)
        .ok()
        .filter(|_| scheme.eq_ignore_ascii_case("basic"));
    if let Some((_, password)) = pair
        .as_deref()
        .and_then(|pair| std::str::from_utf8(pair).ok()?.split_once(':'))
    {
        secrets.push(Secret::new(password));
        // A client's secret is form-encoded first (RFC 6749 section 2.3.1).
        secrets.push(Secret::new(percent_decode_str(password).decode_utf8_lossy()));
    }
    secrets
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither query, fields nor body: each may hold a credential.
        let mut shown = f.debug_struct("Request");
        shown.field("method", &self.method).field("place", &self.place());
        shown.finish_non_exhaustive()
    }
}
