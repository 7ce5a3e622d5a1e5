//! What can be chosen when an issuer is started.
use crate::faults::Rule;
use jeton_core::{Algorithm, UnixTime};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a minted token lives when nobody says: what GitHub gives.
pub const DEFAULT_TOKEN_LIFE: Duration = Duration::from_secs(300);
/// How long an access token lives: an hour, as most providers have it.
pub const DEFAULT_ACCESS_LIFE: Duration = Duration::from_secs(3600);
/// How often a device client may poll, as RFC 8628 section 3.5 has it for an answer that does not say.
pub const DEFAULT_DEVICE_INTERVAL: Duration = Duration::from_secs(5);
/// How long a user has to approve a device: long enough for a person, short enough for a test of the deadline.
pub const DEFAULT_DEVICE_LIFE: Duration = Duration::from_secs(600);

/// What the issuer takes for the present.
pub type Clock = Arc<dyn Fn() -> UnixTime + Send + Sync>;

/// The certificate that an issuer with TLS shows. The authority that [`crate::RunningIssuer::ca_pem`] gives signed all
/// but the self-signed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// For `127.0.0.1`, `::1` and `localhost`, valid now.
    Ok,
    /// As [`TlsMode::Ok`], but it ended years ago.
    Expired,
    /// Valid, for `wrong.example.com`.
    WrongHost,
    /// Signed by nobody but itself.
    SelfSigned,
}

/// A client that the token endpoint knows (RFC 6749 section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// `client_secret`; `None` makes it a public client.
    pub secret: Option<String>,
}

/// What can be chosen when an issuer is started.
#[derive(Clone)]
pub struct Options {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Listen beyond loopback too, where anybody who can reach the port gets any token.
    pub force: bool,
    /// The path of the issuer URL, such as `/some/path`; empty for none.
    pub path: String,
    /// The algorithm of its keys: RS256 is what most platforms sign with, ES256 is the quickest to start.
    pub algorithm: Algorithm,
    /// How long minted identity tokens live.
    pub token_life: Duration,
    /// How long access tokens live.
    pub access_life: Duration,
    /// Speak TLS, with this certificate.
    pub tls: Option<TlsMode>,
    /// Listen on this unix socket too, as Fly's machines do.
    pub unix_socket: Option<PathBuf>,
    /// Answer the SPIFFE Workload API on this unix socket (with the crate's feature `spiffe`).
    pub spiffe_socket: Option<PathBuf>,
    /// The identities that the Workload API gives, each with its hint.
    pub spiffe_ids: Vec<(String, String)>,
    /// A folder for the files that some platforms give a program (the service account's token, Arc's key).
    pub folder: Option<PathBuf>,
    /// What it takes for the present.
    pub clock: Clock,
    /// Faults from the start.
    pub faults: Vec<Rule>,
    /// The clients the token endpoint knows; empty: every client is welcome with any secret.
    pub clients: Vec<Client>,
    /// What a platform's client must show (GitHub's request token, Buildkite's agent token, …); `None` makes one up.
    pub request_token: Option<String>,
    /// Approve devices without waiting for anybody.
    pub approve_devices: bool,
    /// How often a device client may poll.
    pub device_interval: Duration,
    /// How long a user has to approve a device.
    pub device_life: Duration,
    /// Give a new refresh token at each refresh, and treat the use of an old one as theft.
    pub rotate_refresh: bool,
    /// Whose assertions and subject tokens are taken beside its own: an issuer or a client, and its JWK set as JSON.
    pub trusted: Vec<(String, serde_json::Value)>,
}

impl Options {
    /// The defaults: loopback, any port, RS256, no TLS, no faults, and the clock that is handed in.
    #[must_use]
    pub fn new(clock: impl Fn() -> UnixTime + Send + Sync + 'static) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            force: false,
            path: String::new(),
            algorithm: Algorithm::Rs256,
            token_life: DEFAULT_TOKEN_LIFE,
            access_life: DEFAULT_ACCESS_LIFE,
            tls: None,
            unix_socket: None,
            spiffe_socket: None,
            spiffe_ids: vec![("spiffe://example.org/web".into(), String::new())],
            folder: None,
            clock: Arc::new(clock),
            faults: Vec::new(),
            clients: Vec::new(),
            request_token: None,
            approve_devices: false,
            device_interval: DEFAULT_DEVICE_INTERVAL,
            device_life: DEFAULT_DEVICE_LIFE,
            rotate_refresh: true,
            trusted: Vec::new(),
        }
    }

    /// With keys of this algorithm.
    #[must_use]
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// With this path in the issuer URL.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// With TLS.
    #[must_use]
    pub fn with_tls(mut self, mode: TlsMode) -> Self {
        self.tls = Some(mode);
        self
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("listen", &self.listen)
            .field("path", &self.path)
            .field("algorithm", &self.algorithm)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
