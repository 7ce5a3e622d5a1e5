//! Certificates for an issuer that speaks TLS: a good one, and the bad ones that a client must refuse.
use crate::error::Error;
use crate::options::TlsMode;
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// What an issuer with TLS needs, and what its clients need to trust it.
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) ca_pem: String,
}

pub(crate) fn make(mode: TlsMode) -> Result<Tls, Error> {
    build(mode).map_err(|error| Error::new(format!("no certificate could be made: {error}")))
}

fn build(mode: TlsMode) -> Result<Tls, Box<dyn std::error::Error>> {
    let authority_key = KeyPair::generate()?;
    let authority = authority_params()?;
    let ca_pem = authority.self_signed(&authority_key)?.pem();
    let key = KeyPair::generate()?;
    let signer = Issuer::new(authority, authority_key);
    let certificate = leaf(mode, &key, &signer)?;
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Tls {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        ca_pem,
    })
}

fn authority_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(
        rcgen::DnType::CommonName,
        "jeton development authority, trust it in tests only",
    );
    Ok(params)
}

fn leaf(mode: TlsMode, key: &KeyPair, signer: &Issuer<'_, KeyPair>) -> Result<Certificate, rcgen::Error> {
    let names: &[&str] = match mode {
        TlsMode::WrongHost => &["wrong.example.com"],
        _ => &["127.0.0.1", "::1", "localhost"],
    };
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    if mode == TlsMode::Expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    match mode {
        TlsMode::SelfSigned => params.self_signed(key),
        _ => params.signed_by(key, signer),
    }
}
