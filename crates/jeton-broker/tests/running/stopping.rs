//! How it stops, and what it changes without stopping.
use super::server::{Server, send};
use jeton::Env;
use jeton_broker::reload::{self, Origin};
use jeton_broker::service::{self, Listener};
use rustls::pki_types::{CertificateDer, ServerName};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// Serves a broker once more; its URL, and how it is told to stop, and to stop at once.
async fn once_more(
    server: &Server,
    is_tls: bool,
) -> (
    String,
    oneshot::Sender<()>,
    oneshot::Sender<()>,
    tokio::task::JoinHandle<()>,
) {
    let listener = Listener::open("127.0.0.1:0".parse().unwrap(), is_tls)
        .await
        .unwrap();
    let root = listener.url();
    let (stop, stopped) = oneshot::channel::<()>();
    let (cut, at_once) = oneshot::channel::<()>();
    let broker = server.broker.clone();
    let serving = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        let at_once = async { drop(at_once.await) };
        service::serve(listener, &broker, stopped, at_once).await;
    });
    (root, stop, cut, serving)
}

async fn ready(root: &str) -> u16 {
    send(root, "GET", "/readyz", &[], "").await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_to_stop_is_not_ready_first_and_answers_on_until_the_delay_is_over() {
    let server = Server::with("shutdown_delay = \"2s\"").await;
    let (root, stop, _cut, serving) = once_more(&server, false).await;
    assert_eq!(ready(&root).await, 200);
    stop.send(()).unwrap();
    let began = Instant::now();
    while ready(&root).await == 200 {
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "it is not ready at once"
        );
    }
    // New connections are answered for as long as somebody may not have heard yet.
    let bearer = format!("Bearer {}", server.admin);
    let fields = [("authorization", bearer.as_str())];
    assert_eq!(send(&root, "GET", "/v1/projects", &fields, "").await.status, 200);
    assert_eq!(send(&root, "GET", "/healthz", &[], "").await.status, 200);
    serving.await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(
        TcpStream::connect(root.trim_start_matches("http://"))
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_waits_for_nothing() {
    let server = Server::with("shutdown_delay = \"300s\"").await;
    let (root, stop, cut, serving) = once_more(&server, false).await;
    stop.send(()).unwrap();
    while ready(&root).await == 200 {}
    cut.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(10), serving)
        .await
        .expect("at once")
        .unwrap();
}

/// A certificate for this machine, written as PEM; what it is called and its DER.
fn certificate(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

/// Whether a client that trusts only this certificate comes in.
async fn shows(root: &str, certificate: &CertificateDer<'static>) -> bool {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(root.trim_start_matches("https://"))
        .await
        .unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    connector.connect(name, stream).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_taken_over_and_a_wrong_one_is_not() {
    let server = Server::start().await;
    let folder = server.folder.path().to_owned();
    let path = folder.join("broker.toml");
    let first = certificate(&folder);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        format!("{text}\n[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n"),
    )
    .unwrap();
    // As if it had been started so.
    let replica = server.replica().await;
    let (root, _stop, _cut, _serving) = once_more(&replica, true).await;
    assert!(shows(&root, &first).await);
    let origin = Origin {
        env: Env::default(),
        path,
        folder: folder.clone(),
    };
    let (hangup, mut hung_up) = tokio::sync::mpsc::channel::<()>(1);
    let watching = reload::watch(&replica.broker, &origin, async || {
        if hung_up.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    });
    let changing = change(&replica, &root, &first, hangup);
    tokio::select! {
        // What is there when the watch begins is what was read.
        biased;
        () = watching => (),
        () = changing => (),
    }
}

async fn change(
    replica: &Server,
    root: &str,
    first: &CertificateDer<'static>,
    hangup: tokio::sync::mpsc::Sender<()>,
) {
    let folder = replica.folder.path();
    let changes = async |certificate: &CertificateDer<'static>| {
        let end = Instant::now() + Duration::from_secs(10);
        while !shows(root, certificate).await {
            assert!(Instant::now() < end, "the new certificate is not shown");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // The file changes, and nobody says so.
    let second = certificate(folder);
    changes(&second).await;
    assert!(!shows(root, first).await);
    // A key of another certificate: what was right goes on, also when somebody asks.
    let key = std::fs::read(folder.join("key.pem")).unwrap();
    certificate(folder);
    std::fs::write(folder.join("key.pem"), &key).unwrap();
    hangup.send(()).await.unwrap();
    tokio::time::sleep(reload::GLANCE * 2).await;
    assert!(shows(root, &second).await);
    let counted = replica.broker.metrics.text();
    assert!(
        counted.contains("jeton_broker_reloads_total{outcome=\"refused\"}"),
        "{counted}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_behind_who_asks_for_readiness_costs_no_request() {
    let first = Server::with("shutdown_delay = \"700ms\"").await;
    let bearer = format!("Bearer {}", first.admin);
    let nodes = Arc::new(std::sync::Mutex::new(Vec::<String>::new()));
    let mut running = Vec::new();
    for _ in 0..2 {
        let replica = first.replica().await;
        running.push((once_more(&replica, false).await, replica));
    }
    let roots =
        |running: &[((String, _, _, _), Server)]| running.iter().map(|node| node.0.0.clone()).collect();
    *nodes.lock().unwrap() = roots(&running);
    // The balancer: whoever is ready gets requests; it looks often enough for the delay.
    let balanced = Arc::clone(&nodes);
    let asked = tokio::spawn(async move {
        let fields = [("authorization", bearer.as_str())];
        let (mut ready_nodes, mut looked, mut statuses) = (Vec::new(), None::<Instant>, Vec::new());
        loop {
            if looked.is_none_or(|at| at.elapsed() > Duration::from_millis(100)) {
                ready_nodes.clear();
                let known = balanced.lock().unwrap().clone();
                if known.is_empty() {
                    return statuses;
                }
                for root in known {
                    let open = TcpStream::connect(root.trim_start_matches("http://"))
                        .await
                        .is_ok();
                    if open && ready(&root).await == 200 {
                        ready_nodes.push(root);
                    }
                }
                looked = Some(Instant::now());
            }
            for root in &ready_nodes {
                statuses.push(send(root, "GET", "/v1/projects", &fields, "").await.status);
            }
        }
    });
    for _ in 0..2 {
        let replica = first.replica().await;
        running.push((once_more(&replica, false).await, replica));
        *nodes.lock().unwrap() = roots(&running);
        let ((_, stop, _cut, serving), _replica) = running.remove(0);
        stop.send(()).unwrap();
        serving.await.unwrap();
        *nodes.lock().unwrap() = roots(&running);
    }
    nodes.lock().unwrap().clear();
    let statuses = asked.await.unwrap();
    assert!(statuses.len() > 20, "{}", statuses.len());
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
}
