//! A keyring whose keys a service has sealed: the service plays the transit engine of Vault and OpenBao.
use super::server::Server;
use jeton::{Class, Context};
use jeton_broker::Config;
use jeton_broker::key_service::{self, KeyService};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A transit engine whose cipher is to put an `x` in front; it takes one token, and can be made to fail.
struct Engine {
    url: String,
    status: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
}

async fn engine() -> Engine {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let engine = Engine {
        url: format!("http://{}", listener.local_addr().unwrap()),
        status: Arc::new(AtomicU16::new(200)),
        asked: Arc::default(),
    };
    let (status, asked) = (Arc::clone(&engine.status), Arc::clone(&engine.asked));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0u8; 64 * 1024];
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&buffer[..read]).into_owned();
            asked.fetch_add(1, Ordering::Relaxed);
            let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
            let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
            let data = if request.starts_with("POST /v1/transit/encrypt/broker ") {
                json!({"ciphertext": format!("vault:v1:x{}", text("plaintext"))})
            } else if request.starts_with("POST /v1/transit/decrypt/broker ") {
                json!({"plaintext": text("ciphertext").replacen("vault:v1:x", "", 1)})
            } else {
                json!({})
            };
            let allowed = request
                .to_ascii_lowercase()
                .contains("x-vault-token: the-token\r\n");
            let status = if allowed {
                status.load(Ordering::Relaxed)
            } else {
                403
            };
            let body = json!({ "data": data }).to_string();
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes()).await;
        }
    });
    engine
}

/// A broker whose keyring the engine has sealed.
async fn sealed(engine: &Engine) -> (Server, Box<dyn KeyService>) {
    let more = format!(
        "[key_service]\nurl = \"{}\"\nkey = \"broker\"\ntoken_file = \"token\"\n",
        engine.url
    );
    let server = Server::with(&more).await;
    std::fs::write(server.folder.path().join("token"), "the-token\n").unwrap();
    let service = key_service::of(&server.broker.live_full().config);
    let path = server.folder.path().join("keyring.json");
    let plain = std::fs::read_to_string(&path).unwrap();
    let text = key_service::sealed(&*service, &server.broker.cx, &plain)
        .await
        .unwrap();
    assert!(text.contains("\"vault:v1:x"), "{}", text.as_str());
    std::fs::write(&path, text.as_bytes()).unwrap();
    server.reload().await.unwrap();
    let open = key_service::opened(&*service, &server.broker.cx, &text)
        .await
        .unwrap();
    let (open, plain): (Value, Value) = (
        serde_json::from_str(&open).unwrap(),
        serde_json::from_str(&plain).unwrap(),
    );
    assert_eq!(open, plain);
    (server, service)
}

#[tokio::test(flavor = "multi_thread")]
async fn d14_a_sealed_keyring_opens_once_and_a_service_that_is_away_stops_nobody_who_runs() {
    let engine = engine().await;
    let (server, service) = sealed(&engine).await;
    let body = json!({"id": "c", "name": "c", "provider": "gitlab", "secret": "glpat"});
    server.made("POST", "/credentials", body).await;
    let before = engine.asked.load(Ordering::Relaxed);
    let works = async || server.made("GET", "/credentials/c/token", Value::Null).await["token"] == "glpat";
    assert!(works().await);
    // The same file again asks nobody.
    engine.status.store(503, Ordering::Relaxed);
    server.reload().await.unwrap();
    assert!(works().await);
    assert_eq!(engine.asked.load(Ordering::Relaxed), before);
    // Another one has to be opened, and until then the old one goes on.
    let path = server.folder.path().join("keyring.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(':', ": ")).unwrap();
    let wrong = server.reload().await.unwrap_err();
    assert_eq!(wrong.kind(), Class::Unavailable, "{wrong}");
    assert!(works().await);
    // A replica that starts has the same keys.
    std::fs::write(&path, &text).unwrap();
    engine.status.store(200, Ordering::Relaxed);
    let replica = server.replica().await;
    let released = replica.made("GET", "/credentials/c/token", Value::Null).await;
    assert_eq!(released["token"], "glpat");
    // A token that the service does not take is said without what it says, or what was sent.
    std::fs::write(server.folder.path().join("token"), "another").unwrap();
    let cx: &Context = &server.broker.cx;
    let wrong = key_service::opened(&*service, cx, &text)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        wrong.contains("403") && !wrong.contains("another") && !wrong.contains("vault:"),
        "{wrong}"
    );
    // Without the service sealed keys are not taken for anything else.
    let without: Config = Config {
        key_service: None,
        ..server.broker.live_full().config.clone()
    };
    let wrong = key_service::keyring(cx, &without, None).await.unwrap_err();
    assert_eq!(wrong.kind(), Class::Config, "{wrong}");
}
