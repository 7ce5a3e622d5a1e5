//! Which authorities are trusted, and the TLS handshake under that trust. There is no switch to trust anything.
use super::Fault;
use super::wire::Stream;
use crate::Env;
use jeton_core::{Failure, redact};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::{Host, Url};

/// The variable that names an authority's file, beside the flag of the same name.
const CA_FILE: &str = "JETON_CA_FILE";
/// How people call that file.
const NAMED_CA_FILE: &str = "the CA file (--ca-file, JETON_CA_FILE)";
/// OpenSSL's variables, which most programs read: a file, and folders parted as in `PATH`. They replace the platform's store.
const SSL_CERT_FILE: &str = "SSL_CERT_FILE";
const SSL_CERT_DIR: &str = "SSL_CERT_DIR";

/// What is trusted. Read when the first handshake needs it, once.
pub(super) struct Trust {
    env: Env,
    ca_file: Option<PathBuf>,
    config: OnceLock<Result<Arc<ClientConfig>, Fault>>,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust")
            .field("ca_file", &self.ca_file)
            .finish_non_exhaustive()
    }
}

impl Trust {
    pub(super) fn new(env: Env, ca_file: Option<PathBuf>) -> Self {
        Self {
            env,
            ca_file,
            config: OnceLock::new(),
        }
    }

    /// The settings of a client under this trust.
    pub(super) fn client_config(&self) -> Result<Arc<ClientConfig>, Fault> {
        self.config.get_or_init(|| self.load()).clone()
    }

    /// Shakes hands with the host of `url` over `stream`.
    pub(super) async fn handshake(&self, url: &Url, stream: Stream) -> Result<TlsStream<Stream>, Fault> {
        let config = self.client_config()?;
        let name = server_name(url)
            .ok_or_else(|| Fault::new(Failure::Config, "the host cannot be the name in a certificate"))?;
        TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|error| classify(&error))
    }

    fn load(&self) -> Result<Arc<ClientConfig>, Fault> {
        let mut roots = RootCertStore::empty();
        let (parsable, _) = roots.add_parsable_certificates(self.usual()?);
        let extra = self
            .ca_file
            .as_deref()
            .or_else(|| self.env.get(CA_FILE).map(Path::new));
        let mut extra_parsable = 0;
        if let Some(path) = extra {
            let (added, _) = roots.add_parsable_certificates(file(path, NAMED_CA_FILE)?);
            extra_parsable = added;
            if added == 0 {
                return Err(unusable(
                    NAMED_CA_FILE,
                    path,
                    "there is no certificate in it that can be trusted",
                ));
            }
        }
        if parsable + extra_parsable == 0 {
            return Err(nothing_to_trust());
        }
        configure(roots)
    }

    /// What other programs trust here: `SSL_CERT_FILE` and `SSL_CERT_DIR` where they are set, else the platform's store.
    fn usual(&self) -> Result<Vec<CertificateDer<'static>>, Fault> {
        let (path, folders) = (self.env.get(SSL_CERT_FILE), self.env.get(SSL_CERT_DIR));
        if path.is_none() && folders.is_none() {
            return Ok(rustls_native_certs::load_native_certs().certs);
        }
        let mut certs = match path {
            Some(path) => file(Path::new(path), SSL_CERT_FILE)?,
            None => Vec::new(),
        };
        for folder in folders.into_iter().flat_map(std::env::split_paths) {
            // A folder of the list that is missing is no error to OpenSSL either.
            certs.extend(rustls_native_certs::load_certs_from_paths(None, Some(&folder)).certs);
        }
        if certs.is_empty() {
            return Err(
                Fault::new(Failure::Config, format!("{SSL_CERT_DIR} holds no certificate"))
                    .with_hint("unset it to use the platform's trust store"),
            );
        }
        Ok(certs)
    }
}

fn file(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let loaded = rustls_native_certs::load_certs_from_paths(Some(path), None);
    match loaded.errors.first() {
        _ if !loaded.certs.is_empty() => Ok(loaded.certs),
        Some(rustls_native_certs::Error {
            kind: rustls_native_certs::ErrorKind::Io { inner, .. },
            ..
        }) => Err(unusable(what, path, &inner.to_string())),
        Some(_) => Err(unusable(what, path, "it is not PEM")),
        None => Err(unusable(what, path, "there is no certificate in it")),
    }
}

fn unusable(what: &str, path: &Path, why: &str) -> Fault {
    Fault::new(
        Failure::Config,
        format!("{what} cannot be used: {}: {why}", path.display()),
    )
    .with_hint("name a PEM file with the certificates of the authorities to trust")
}

fn nothing_to_trust() -> Fault {
    Fault::new(
        Failure::Config,
        "this machine has no trust store, so that no certificate can be checked",
    )
    .with_hint(
        "install the CA certificates (ca-certificates), or name a file with --ca-file or JETON_CA_FILE",
    )
}

fn configure(roots: RootCertStore) -> Result<Arc<ClientConfig>, Fault> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder =
        versions.map_err(|error| Fault::new(Failure::Config, format!("TLS cannot be set up: {error}")))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn server_name(url: &Url) -> Option<ServerName<'static>> {
    match url.host()? {
        Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned()).ok(),
        Host::Ipv4(address) => Some(ServerName::from(std::net::IpAddr::V4(address))),
        Host::Ipv6(address) => Some(ServerName::from(std::net::IpAddr::V6(address))),
    }
}

/// The row of the fault table for a handshake that failed.
fn classify(error: &io::Error) -> Fault {
    use rustls::Error;
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        None => Fault::new(Failure::TlsCut, "the connection was cut during the TLS handshake"),
        Some(Error::InvalidCertificate(why)) => certificate(why),
        Some(Error::NoCertificatesPresented) => Fault::new(Failure::Certificate, "it showed no certificate"),
        Some(Error::AlertReceived(alert)) => Fault::new(
            Failure::TlsAlert,
            format!("it ended the TLS handshake with the alert {alert:?}"),
        ),
        Some(Error::InvalidMessage(_)) => Fault::new(Failure::TlsAlert, "it does not speak TLS on this port"),
        Some(other) => Fault::new(
            Failure::TlsAlert,
            format!(
                "the TLS handshake failed: {}",
                redact::foreign(&other.to_string(), &[])
            ),
        ),
    }
}

fn certificate(why: &CertificateError) -> Fault {
    use CertificateError as E;
    let (detail, hint) = match why {
        E::Expired | E::ExpiredContext { .. } => (
            "its certificate has expired".to_owned(),
            "check this machine's clock, else the server's owner must renew the certificate",
        ),
        E::NotValidYet | E::NotValidYetContext { .. } => (
            "its certificate is not valid yet".to_owned(),
            "check this machine's clock",
        ),
        E::NotValidForName | E::NotValidForNameContext { .. } => (
            "its certificate is for another host name".to_owned(),
            "check the URL; a proxy or a captive portal may be in between",
        ),
        E::UnknownIssuer => (
            "its certificate is from an authority that is not trusted here".to_owned(),
            "if the authority is your own, name its certificate with --ca-file or JETON_CA_FILE",
        ),
        other => (
            format!(
                "its certificate is not valid: {}",
                redact::foreign(&other.to_string(), &[])
            ),
            "the server's owner must replace the certificate",
        ),
    };
    Fault::new(Failure::Certificate, detail).with_hint(hint)
}
