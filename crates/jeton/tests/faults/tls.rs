//! TLS: which handshakes are tried again, which are refused, and whom we trust (FAULTS rows 6 to 9).
use super::*;
use jeton::http::Http;
use jeton_issuer::TlsMode;

fn tls_issuer(mode: TlsMode) -> RunningIssuer {
    let clock = Clock::system();
    let options = Options::new(move || clock.now().wall).with_algorithm(Algorithm::Es256);
    Issuer::in_thread(options.with_tls(mode)).unwrap()
}

/// A file with the issuer's authority, for as long as the folder lives.
fn ca_file(issuer: &RunningIssuer) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, issuer.ca_pem().unwrap()).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn trusting(env: Env) -> Context {
    let mut cx = Context::new(env, Clock::system());
    cx.policy = quick();
    cx.policy.attempt_timeout = Duration::from_secs(2);
    cx.within(Duration::from_secs(20))
}

async fn outcome(cx: &Context, issuer: &RunningIssuer) -> (u64, Outcome, String) {
    let before = issuer.connections();
    let result = get(cx, &request(issuer, "/github/idtoken")).await;
    let attempts = issuer.connections() - before;
    match result {
        Ok(_) => (attempts, Got, String::new()),
        Err(error) => (attempts, Fails(error.kind()), error.to_string()),
    }
}

#[tokio::test]
async fn certificates_that_do_not_fit_are_refused_at_once() {
    let rows = [
        (TlsMode::Ok, Got, ""),
        (TlsMode::Expired, Fails(Trust), "expired"),
        (TlsMode::WrongHost, Fails(Trust), "another host name"),
        (TlsMode::SelfSigned, Fails(Trust), "not trusted here"),
    ];
    for (mode, wanted, words) in rows {
        let issuer = tls_issuer(mode);
        let (_folder, path) = ca_file(&issuer);
        let cx = trusting(Env::default().with("JETON_CA_FILE", path));
        let (attempts, found, message) = outcome(&cx, &issuer).await;
        assert_eq!((attempts, found), (1, wanted), "{mode:?} {message}");
        assert!(message.contains(words), "{mode:?} {message}");
    }
}

#[tokio::test]
async fn b3_handshakes_that_are_cut_are_tried_again_and_alerts_are_not() {
    let issuer = tls_issuer(TlsMode::Ok);
    let (_folder, path) = ca_file(&issuer);
    let mut cx = trusting(Env::default().with("JETON_CA_FILE", path));
    cx.policy.attempt_timeout = Duration::from_millis(800);
    let rows = [
        ("rst_after_read", 5, Fails(Unavailable)),
        ("rst_after_read-x2", 3, Got),
        ("connrst", 5, Fails(Unavailable)),
        ("connfin", 5, Fails(Unavailable)),
        ("connstall", 3, Fails(Unavailable)),
        ("tlsplain", 1, Fails(Trust)),
        ("tlsalert", 1, Fails(Trust)),
        ("trunc", 5, Fails(Unavailable)),
        ("rstbody-x1", 2, Got),
        ("s503-x1", 2, Got),
        ("ok", 1, Got),
    ];
    for (fault, attempts, wanted) in rows {
        issuer
            .set_faults(&format!("[[rule]]\nfault = \"{fault}\"\n"))
            .unwrap();
        let (seen, found, message) = outcome(&cx, &issuer).await;
        assert_eq!((seen, found), (attempts, wanted), "{fault}: {message}");
    }
}

#[tokio::test]
async fn who_is_trusted_is_the_flag_the_variable_and_what_other_tools_read() {
    let issuer = tls_issuer(TlsMode::Ok);
    let (folder, path) = ca_file(&issuer);
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate\n").unwrap();
    let (empty, own) = (empty.to_str().unwrap(), folder.path().to_str().unwrap());
    let config = Fails(Class::Config);
    let rows: [(&str, &str, Outcome); 8] = [
        ("JETON_CA_FILE", &path, Got),
        ("SSL_CERT_FILE", &path, Got),
        ("SSL_CERT_DIR", own, Got),
        ("NOTHING", "", Fails(Trust)),
        ("SSL_CERT_FILE", "/nowhere/ca.pem", config),
        ("SSL_CERT_FILE", empty, config),
        ("JETON_CA_FILE", "/nowhere/ca.pem", config),
        ("JETON_CA_FILE", empty, config),
    ];
    for (variable, value, wanted) in rows {
        let cx = trusting(Env::default().with(variable, value));
        let (_, found, message) = outcome(&cx, &issuer).await;
        assert_eq!(found, wanted, "{variable}={value}: {message}");
        if wanted == config {
            assert!(
                message.contains(value) && message.contains("nothing was sent"),
                "{message}"
            );
        }
    }
    let env = Env::default().with("JETON_CA_FILE", "/nowhere/ca.pem");
    let mut cx = trusting(env.clone());
    cx.http = Http::new(env, Clock::system()).with_ca_file(&path);
    assert_eq!(
        outcome(&cx, &issuer).await.1,
        Got,
        "the flag wins over the variable"
    );
}

#[tokio::test]
async fn clear_text_on_a_port_where_tls_is_spoken_is_no_http() {
    let issuer = tls_issuer(TlsMode::Ok);
    let mut clear = request(&issuer, "/github/idtoken");
    clear.url.set_scheme("http").unwrap();
    let error = get(&context(), &clear).await.unwrap_err();
    assert!(matches!(error.kind(), Unavailable | Protocol), "{error}");
}
