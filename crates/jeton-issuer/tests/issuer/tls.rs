//! Certificates, as a client that checks them sees them, and faults of the handshake.
use crate::client::*;
use jeton_issuer::{Issuer, RunningIssuer, TlsMode};
use rustls::pki_types::{CertificateDer, ServerName};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

fn authority(issuer: &RunningIssuer) -> CertificateDer<'static> {
    use base64::Engine;
    let pem = issuer.ca_pem().unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    base64::prelude::BASE64_STANDARD.decode(body).unwrap().into()
}

/// What a client that trusts the issuer's authority gets.
fn fetched(issuer: &RunningIssuer) -> Result<String, String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority(issuer)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(issuer.address()).unwrap();
    stream
        .set_read_timeout(Some(std::time::Duration::from_millis(2000)))
        .unwrap();
    let mut stream = rustls::StreamOwned::new(session, stream);
    let mut heard = String::new();
    stream
        .write_all(request("GET", "/jwks", &[], "").as_bytes())
        .map_err(|e| e.to_string())?;
    match stream.read_to_string(&mut heard) {
        Ok(_) => Ok(heard),
        Err(error) => Err(error.to_string()),
    }
}

fn with(mode: TlsMode) -> RunningIssuer {
    Issuer::in_thread(options().with_tls(mode)).unwrap()
}

#[test]
fn only_the_good_certificate_is_good() {
    let good = with(TlsMode::Ok);
    assert!(good.url().starts_with("https://127.0.0.1:"));
    assert!(fetched(&good).unwrap().starts_with("HTTP/1.1 200 OK"));
    for (mode, says) in [
        (TlsMode::Expired, "expired"),
        (TlsMode::WrongHost, "not valid for"),
        (TlsMode::SelfSigned, "invalid peer certificate"),
    ] {
        let error = fetched(&with(mode)).unwrap_err();
        assert!(error.contains(says), "{mode:?}: {error}");
    }
}

#[test]
fn handshakes_and_answers_fail_as_told() {
    let issuer = with(TlsMode::Ok);
    for fault in [
        "connrst",
        "rst_after_read",
        "connfin",
        "connstall",
        "tlsplain",
        "tlsalert",
        "rst",
        "rstbody",
        "trunc",
    ] {
        issuer.fault("*", &format!("{fault}-x1")).unwrap();
        let heard = fetched(&issuer);
        let whole = heard
            .as_ref()
            .is_ok_and(|text| text.contains("200 OK") && text.ends_with("]}"));
        assert!(heard.is_err() || !whole || fault == "trunc", "{fault}: {heard:?}");
        assert!(fetched(&issuer).is_ok(), "{fault}: then normal");
    }
}
