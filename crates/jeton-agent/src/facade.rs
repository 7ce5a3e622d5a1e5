//! Platforms' own protocols on loopback, for programs that speak nothing else.
//!
//! | facade | speaks | tells the program by |
//! |---|---|---|
//! | `github` | GitHub's request URL | `ACTIONS_ID_TOKEN_REQUEST_URL`, `…_TOKEN` |
//! | `aws` | container credentials, and a web identity file beside it | `AWS_CONTAINER_CREDENTIALS_FULL_URI`, `…_TOKEN` |
//! | `gcp` | the metadata server | `GCE_METADATA_HOST`, `GCE_METADATA_IP` |
//! | `azure` | App Service's managed identity | `IDENTITY_ENDPOINT`, `IDENTITY_HEADER` |
//!
//! Each is guarded by a secret made at each start, carried as the protocol itself carries one. The metadata server's
//! protocol has none: there the kernel says who asks, and the protocol's own header keeps browsers out.
use crate::agent::{Agent, document};
use crate::peer::Peer;
use crate::proxy::answer::{Body, own, whole};
use crate::service::Service;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use jeton::{Error, Secret, Token, TokenRequest};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;

/// The platforms whose protocols are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Facade {
    /// GitHub Actions.
    Github,
    /// AWS container credentials.
    Aws,
    /// Google's metadata server.
    Gcp,
    /// Azure App Service.
    Azure,
    /// Kubernetes: a projected token's file (no endpoint).
    Kubernetes,
}

impl Facade {
    /// Every facade.
    pub const ALL: [Self; 5] = [Self::Github, Self::Aws, Self::Gcp, Self::Azure, Self::Kubernetes];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Aws => "aws",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
            Self::Kubernetes => "kubernetes",
        }
    }

    /// The facade of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }
}

/// The endpoints of all facades, on one port.
pub struct Facades {
    agent: Arc<Agent>,
    profile: Option<String>,
    secret: Secret,
    served: Vec<Facade>,
}

impl Facades {
    /// Facades of the agent's profile, guarded by `secret`.
    #[must_use]
    pub fn new(agent: Arc<Agent>, profile: Option<String>, secret: Secret, served: Vec<Facade>) -> Arc<Self> {
        Arc::new(Self {
            agent,
            profile,
            secret,
            served,
        })
    }

    /// What tells a program where the endpoints are. Secrets are in it: they are for that program alone.
    #[must_use]
    pub fn environment(&self, address: SocketAddr) -> Vec<(&'static str, String)> {
        let base = format!("http://{address}");
        let secret = self.secret.reveal();
        let mut variables = Vec::new();
        for facade in &self.served {
            match facade {
                Facade::Github => {
                    variables.push((
                        "ACTIONS_ID_TOKEN_REQUEST_URL",
                        format!("{base}/github/idtoken?api-version=2.0"),
                    ));
                    variables.push(("ACTIONS_ID_TOKEN_REQUEST_TOKEN", secret.to_owned()));
                }
                Facade::Aws => {
                    variables.push((
                        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                        format!("{base}/aws/credentials"),
                    ));
                    variables.push(("AWS_CONTAINER_AUTHORIZATION_TOKEN", secret.to_owned()));
                }
                Facade::Gcp => {
                    variables.push(("GCE_METADATA_HOST", address.to_string()));
                    // Where google-auth looks whether there is a metadata server at all.
                    variables.push(("GCE_METADATA_IP", address.to_string()));
                }
                Facade::Azure => {
                    variables.push(("IDENTITY_ENDPOINT", format!("{base}/azure/token")));
                    variables.push(("IDENTITY_HEADER", secret.to_owned()));
                }
                Facade::Kubernetes => {}
            }
        }
        variables
    }

    async fn respond(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        let path = request.uri().path().to_owned();
        if !is_loopback_host(&request) {
            return own(
                StatusCode::FORBIDDEN,
                "host",
                "the Host is not this machine",
                None,
            );
        }
        if matches!(path.as_str(), "/healthz" | "/metrics") && request.method() == Method::GET {
            return self.agent.health(&path);
        }
        // A browser sends a Host it was told, an Origin, or both; the platforms' clients send neither of these.
        if !matches!(peer, Peer::Same | Peer::Unknown) || request.headers().contains_key(header::ORIGIN) {
            return own(
                StatusCode::FORBIDDEN,
                "user",
                "this endpoint serves its own user's programs only",
                None,
            );
        }
        let facade = match path.split('/').nth(1) {
            Some("github") => Facade::Github,
            Some("aws") => Facade::Aws,
            Some("computeMetadata") => Facade::Gcp,
            Some("azure") => Facade::Azure,
            Some("") if self.served.contains(&Facade::Gcp) => Facade::Gcp,
            _ => return own(StatusCode::NOT_FOUND, "path", "there is nothing here", None),
        };
        if !self.served.contains(&facade) {
            return own(
                StatusCode::NOT_FOUND,
                "path",
                "this facade was not asked for",
                None,
            );
        }
        if request.method() != Method::GET {
            return own(
                StatusCode::METHOD_NOT_ALLOWED,
                "method",
                "GET is needed here",
                None,
            );
        }
        match facade {
            Facade::Github => self.github(&request).await,
            Facade::Aws => self.aws(&request).await,
            Facade::Gcp => self.gcp(&request, &path, peer).await,
            Facade::Azure | Facade::Kubernetes => self.azure(&request).await,
        }
    }

    /// A token of the profile, or of the one that the request names with `?profile=`.
    async fn token(&self, request: &Request<Incoming>, audience: Option<String>) -> Result<Token, Error> {
        let named = parameter(request, "profile");
        let profile = named.as_deref().or(self.profile.as_deref());
        let asked = TokenRequest {
            audience: audience.into_iter().collect(),
            ..self.agent.asking(profile)
        };
        self.agent.token(profile, asked).await
    }

    /// `GET …?audience=A`, `Authorization: Bearer SECRET` -> `{"value": …}`.
    async fn github(&self, request: &Request<Incoming>) -> Response<Body> {
        let given = request
            .headers()
            .get(header::AUTHORIZATION)
            .map(HeaderValue::as_bytes)
            .unwrap_or_default();
        let is_bearer = given.len() > 7 && given[..7].eq_ignore_ascii_case(b"bearer ");
        if !is_bearer || !self.is_secret(&given[7..]) {
            return own(
                StatusCode::UNAUTHORIZED,
                "secret",
                "the request token is missing or wrong",
                None,
            );
        }
        match self.token(request, parameter(request, "audience")).await {
            Ok(token) => {
                document(&json!({ "count": token.value.reveal().len(), "value": token.value.reveal() }))
            }
            Err(e) => unavailable(&e),
        }
    }

    /// The container credentials endpoint: the profile's token is the document that `preset = "aws"` gives.
    async fn aws(&self, request: &Request<Incoming>) -> Response<Body> {
        if !self.has_secret(request.headers(), &header::AUTHORIZATION) {
            return own(
                StatusCode::UNAUTHORIZED,
                "secret",
                "the authorization token is missing or wrong",
                None,
            );
        }
        let token = match self.token(request, None).await {
            Ok(token) => token,
            Err(e) => return unavailable(&e),
        };
        let Ok(credentials) = serde_json::from_str::<serde_json::Value>(token.value.reveal()) else {
            let hint = "give the facade a profile with `grant = \"token-exchange\"` and `preset = \"aws\"`";
            return own(
                StatusCode::BAD_GATEWAY,
                "profile",
                "the profile gives no AWS credentials",
                Some(hint),
            );
        };
        document(&json!({
            "AccessKeyId": credentials["AccessKeyId"],
            "SecretAccessKey": credentials["SecretAccessKey"],
            "Token": credentials["SessionToken"],
            "Expiration": credentials["Expiration"],
        }))
    }

    /// The metadata server: `identity?audience=`, `token`, and the little that clients ask to see whether it is one.
    async fn gcp(&self, request: &Request<Incoming>, path: &str, peer: Peer) -> Response<Body> {
        let flavor = HeaderName::from_static("metadata-flavor");
        let mut response = if peer != Peer::Same {
            own(
                StatusCode::FORBIDDEN,
                "user",
                "the kernel does not say that this user asks",
                None,
            )
        } else if request.headers().get(&flavor).is_none_or(|v| v != "Google") && path != "/" {
            own(
                StatusCode::FORBIDDEN,
                "flavor",
                "Metadata-Flavor: Google is missing",
                None,
            )
        } else {
            self.metadata(request, path).await
        };
        response
            .headers_mut()
            .insert(flavor, HeaderValue::from_static("Google"));
        response
            .headers_mut()
            .insert(header::SERVER, HeaderValue::from_static("Metadata Server for VM"));
        response
    }

    async fn metadata(&self, request: &Request<Incoming>, path: &str) -> Response<Body> {
        let Some(rest) = path.strip_prefix("/computeMetadata/v1") else {
            return plain("computeMetadata/\n");
        };
        let rest = rest.trim_matches('/');
        let Some(account) = rest.strip_prefix("instance/service-accounts") else {
            return match rest {
                "" => plain("instance/\nproject/\n"),
                "project/project-id" => plain("jeton"),
                "universe/universe-domain" => plain("googleapis.com"),
                _ => own(StatusCode::NOT_FOUND, "path", "there is no such entry", None),
            };
        };
        let mut parts = account.trim_matches('/').split('/');
        match (parts.next().unwrap_or_default(), parts.next()) {
            ("", _) => plain("default/\n"),
            (_, Some("identity")) => match self.token(request, parameter(request, "audience")).await {
                Ok(token) => plain(token.value.reveal()),
                Err(e) => unavailable(&e),
            },
            (_, Some("token")) => match self.token(request, None).await {
                Ok(token) => document(&json!({
                    "access_token": token.value.reveal(),
                    "expires_in": self.left(&token),
                    "token_type": "Bearer",
                })),
                Err(e) => unavailable(&e),
            },
            (_, Some("email")) => plain("default"),
            (_, Some("scopes")) => plain("https://www.googleapis.com/auth/cloud-platform\n"),
            (_, None)
                if request
                    .uri()
                    .query()
                    .is_some_and(|q| q.contains("recursive=true")) =>
            {
                document(
                    &json!({ "aliases": ["default"], "email": "default", "scopes": ["https://www.googleapis.com/auth/cloud-platform"] }),
                )
            }
            (_, None) => plain("aliases\nemail\nidentity\nscopes\ntoken\n"),
            _ => own(StatusCode::NOT_FOUND, "path", "there is no such entry", None),
        }
    }

    /// `GET …?resource=R&api-version=2019-08-01`, `X-IDENTITY-HEADER: SECRET`.
    async fn azure(&self, request: &Request<Incoming>) -> Response<Body> {
        if !self.has_secret(request.headers(), &HeaderName::from_static("x-identity-header")) {
            return own(
                StatusCode::UNAUTHORIZED,
                "secret",
                "X-IDENTITY-HEADER is missing or wrong",
                None,
            );
        }
        let Some(resource) = parameter(request, "resource") else {
            return own(
                StatusCode::BAD_REQUEST,
                "resource",
                "the parameter resource is missing",
                None,
            );
        };
        match self.token(request, Some(resource.clone())).await {
            Ok(token) => document(&json!({
                "access_token": token.value.reveal(),
                "expires_on": token.expires_at.map(|at| at.seconds().to_string()),
                "resource": resource,
                "token_type": "Bearer",
            })),
            Err(e) => unavailable(&e),
        }
    }

    fn left(&self, token: &Token) -> u64 {
        let now = self.agent.now();
        token.life.map_or(0, |life| life.left(now).as_secs())
    }

    fn is_secret(&self, given: &[u8]) -> bool {
        verify_slices_are_equal(given, self.secret.reveal().as_bytes()).is_ok()
    }

    fn has_secret(&self, headers: &HeaderMap, name: &HeaderName) -> bool {
        headers
            .get(name)
            .is_some_and(|value| self.is_secret(value.as_bytes()))
    }
}

impl Service for Facades {
    fn answer(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> BoxFuture<'static, Response<Body>> {
        Box::pin(self.respond(request, peer))
    }
}

/// Whether the request was sent to this machine by its own names: a page whose DNS name was bound to loopback
/// afterwards says that name.
fn is_loopback_host(request: &Request<Incoming>) -> bool {
    let is_ours = |authority: &str| {
        let host = authority.rsplit_once(':').map_or(authority, |(host, port)| {
            if port.bytes().all(|b| b.is_ascii_digit()) {
                host
            } else {
                authority
            }
        });
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    };
    let mut fields = request.headers().get_all(header::HOST).iter();
    let field = fields.next().map(|value| value.to_str().unwrap_or_default());
    fields.next().is_none()
        && field.is_some_and(is_ours)
        && request
            .uri()
            .authority()
            .is_none_or(|authority| is_ours(authority.as_str()))
}

fn parameter(request: &Request<Incoming>, name: &str) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    let mut values = url::form_urlencoded::parse(query.as_bytes()).filter(|(n, _)| n == name);
    values
        .next()
        .map(|(_, value)| value.into_owned())
        .filter(|value| !value.is_empty())
}

fn plain(text: &str) -> Response<Body> {
    let mut response = Response::new(whole(text.to_owned()));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/text"));
    response
}

/// The platforms' clients retry a 503; anything else of ours would look like their own mistake.
fn unavailable(e: &Error) -> Response<Body> {
    let status = if e.is_transient() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::BAD_GATEWAY
    };
    let mut response = own(status, "token", &e.to_string(), e.hint());
    if let Some(wait) = e
        .retry_after()
        .and_then(|w| HeaderValue::try_from(w.as_secs().to_string()).ok())
    {
        response.headers_mut().insert(header::RETRY_AFTER, wait);
    }
    response
}
