//! The one server that a proxy's tokens go to: scheme, host and port as configured, TLS verified, no redirect followed.
use super::Settings;
use super::answer::{Body, own};
use super::passage::Passage;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jeton::http::checked_url;
use jeton::{Context, Error};
use jeton_core::Class;
use std::time::Duration;
use tokio::time::Instant;

/// How long a connection to the server may take.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// How long an unused connection to the server is kept.
const IDLE_TIME: Duration = Duration::from_secs(60);

type Connector = HttpsConnector<HttpConnector>;

/// The server.
pub(crate) struct Upstream {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    path: String,
    timeout: Duration,
    client: Client<Connector, Body>,
    /// An upgrade needs a connection of its own, on HTTP/1.1.
    upgrading: Client<Connector, Body>,
}

impl Upstream {
    pub(crate) fn new(settings: &Settings, cx: &Context) -> Result<Self, Error> {
        let url = checked_url(settings.upstream.as_str(), "--upstream")?;
        let wrong = |what: &str| Error::new(Class::Config, format!("--upstream {url}: {what}"));
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("a query or a fragment means nothing here"));
        }
        let authority = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err(wrong("no host")),
        };
        let host = HeaderValue::try_from(&authority).map_err(|_| wrong("no host"))?;
        let authority = Authority::try_from(authority).map_err(|_| wrong("no host"))?;
        let scheme = Scheme::try_from(url.scheme()).map_err(|_| wrong("no scheme"))?;
        // What is trusted is read only where it is needed: not for a server on loopback in clear text.
        let tls = if url.scheme() == "https" {
            cx.http.tls_config()?
        } else {
            trusting_nobody()?
        };
        let plain = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .build(connector(tls.clone(), true));
        let upgrading = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector(tls, false));
        Ok(Self {
            scheme,
            authority,
            host,
            path: url.path().trim_end_matches('/').to_owned(),
            timeout: settings.upstream_timeout,
            client: plain,
            upgrading,
        })
    }

    /// Where a request goes: the configured server, its path before the request's own.
    pub(crate) fn target(&self, asked: &Uri) -> Uri {
        let asked = asked.path_and_query().map_or("/", PathAndQuery::as_str);
        let path = format!("{}{asked}", self.path);
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = PathAndQuery::try_from(path).ok();
        Uri::from_parts(parts).unwrap_or_default()
    }

    /// The server's own address: what was configured, and nothing after it.
    pub(crate) fn url(&self) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        let path = if self.path.is_empty() { "/" } else { &self.path };
        parts.path_and_query = PathAndQuery::try_from(path).ok();
        Uri::from_parts(parts).unwrap_or_default()
    }

    /// What the server is called in messages.
    pub(crate) fn name(&self) -> &str {
        self.authority.as_str()
    }

    /// Sends a request and waits for the head of its answer, as long as its body still moves or the time allows.
    pub(crate) async fn send(
        &self,
        request: Request<Body>,
        body: &Passage,
        upgrade: bool,
    ) -> Result<Response<Incoming>, Response<Body>> {
        let client = if upgrade { &self.upgrading } else { &self.client };
        let sent = self.send_by(client, request, || body.moved()).await;
        if sent.is_err() && body.is_broken() {
            let why = "the request's body broke off or was badly framed";
            return Err(own(StatusCode::BAD_REQUEST, "body", why, None));
        }
        sent.map_err(|why| own(why.status, why.code, &why.text, why.hint))
    }

    /// Sends a request that does not come from a client of the proxy.
    pub(crate) async fn ask(
        &self,
        request: Request<Body>,
        moved: impl Fn() -> Instant,
    ) -> Result<Response<Incoming>, Silence> {
        self.send_by(&self.client, request, moved).await
    }

    async fn send_by(
        &self,
        client: &Client<Connector, Body>,
        mut request: Request<Body>,
        moved: impl Fn() -> Instant,
    ) -> Result<Response<Incoming>, Silence> {
        request.headers_mut().insert(header::HOST, self.host.clone());
        let started = Instant::now();
        let mut answer = std::pin::pin!(client.request(request));
        loop {
            let ends = moved().max(started) + self.timeout;
            tokio::select! {
                answer = &mut answer => return answer.map_err(|e| self.down(&e)),
                () = tokio::time::sleep_until(ends) => {
                    if moved().max(started) + self.timeout <= Instant::now() {
                        return Err(self.slow());
                    }
                }
            }
        }
    }

    fn slow(&self) -> Silence {
        let seconds = self.timeout.as_secs_f64();
        Silence {
            status: StatusCode::GATEWAY_TIMEOUT,
            code: "upstream-timeout",
            text: format!("{}: no answer within {seconds} s", self.authority),
            hint: Some("see --upstream-timeout"),
        }
    }

    fn down(&self, e: &hyper_util::client::legacy::Error) -> Silence {
        let what = if e.is_connect() {
            "cannot be reached"
        } else {
            "broke off"
        };
        let cause = std::error::Error::source(e)
            .map(|c| format!(": {c}"))
            .unwrap_or_default();
        Silence {
            status: StatusCode::BAD_GATEWAY,
            code: "upstream",
            text: format!("{} {what}{cause}", self.authority),
            hint: None,
        }
    }
}

/// Why there is no answer of the server.
pub(crate) struct Silence {
    /// What the proxy answers then.
    pub(crate) status: StatusCode,
    /// The code in that answer.
    pub(crate) code: &'static str,
    /// What happened.
    pub(crate) text: String,
    /// The mend.
    pub(crate) hint: Option<&'static str>,
}

fn trusting_nobody() -> Result<rustls::ClientConfig, Error> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| Error::new(Class::Other, format!("TLS: {e}")))?;
    Ok(builder
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth())
}

fn connector(tls: rustls::ClientConfig, both: bool) -> Connector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT_TIME));
    tcp.set_nodelay(true);
    let builder = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1();
    if both {
        builder.enable_http2().wrap_connector(tcp)
    } else {
        builder.wrap_connector(tcp)
    }
}
