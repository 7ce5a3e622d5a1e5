//! Credentials that are made on demand, by way of the API: the providers are small servers that play their manuals.
use super::server::Server;
use jeton_core::{Algorithm, SigningKey};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server that plays these answers in turn, the last one for ever; its URL and what it was asked.
pub(crate) async fn played(answers: Vec<(u16, String)>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&asked);
    let mut answers = VecDeque::from(answers);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0u8; 64 * 1024];
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            record
                .lock()
                .unwrap()
                .push(String::from_utf8_lossy(&buffer[..read]).into_owned());
            let next = if answers.len() > 1 {
                answers.pop_front()
            } else {
                answers.front().cloned()
            };
            let (status, body) = next.unwrap();
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes()).await;
        }
    });
    (url, asked)
}

fn in_an_hour(server: &Server) -> String {
    let end = server.clock.now().wall.seconds() + 3600;
    jiff::Timestamp::from_second(end).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn d20_a_github_app_mints_and_its_key_never_leaves() {
    let server = Server::start().await;
    let ends = in_an_hour(&server);
    let (github, asked) = played(vec![(
        201,
        json!({"token": "ghs_1", "expires_at": ends}).to_string(),
    )])
    .await;
    let pem = SigningKey::generate(Algorithm::Rs256).unwrap().to_pem().unwrap();
    let secret = json!({"app_id": 1, "installation_id": "2", "private_key": pem.reveal()});
    let body = json!({"name": "app", "provider": "github", "url": github, "secret": secret});
    let made = server.made("POST", "/credentials", body).await;
    let path = format!("/credentials/{}/token", made["id"].as_str().unwrap());
    for _ in 0..3 {
        let released = server.made("GET", &path, Value::Null).await;
        assert_eq!(
            (&released["token"], &released["expires_at"]),
            (&json!("ghs_1"), &json!(ends))
        );
        assert!(!released.to_string().contains("PRIVATE KEY"));
    }
    assert_eq!(
        asked.lock().unwrap().len(),
        1,
        "kept until shortly before its end"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn d21_google_is_refreshed_the_rotated_token_is_kept_and_none_is_handed_out() {
    let server = Server::start().await;
    // It lives for less than the margin: each request makes a new one, with the refresh token of the one before.
    let answer = |n: u32| {
        let body = json!({"access_token": format!("ya29.{n}"), "expires_in": 200, "refresh_token": format!("refresh-{n}"),
                          "scope": "a b", "token_type": "Bearer"});
        (200, body.to_string())
    };
    let (google, asked) = played(vec![answer(1), answer(2)]).await;
    let (project, agent) = server.place().await;
    let secret = json!({"client_id": "id", "client_secret": "client-secret", "refresh_token": "refresh-0"});
    let id = server.credential(&server.admin, &project, "google", secret).await;
    server
        .made(
            "PATCH",
            &format!("/credentials/{id}"),
            json!({"url": google, "email": "me@example.com"}),
        )
        .await;
    let path = format!("/credentials/{id}/token");
    for n in 1..=2 {
        let released = server.made("GET", &path, Value::Null).await;
        assert_eq!(
            (&released["token"], &released["scopes"]),
            (&json!(format!("ya29.{n}")), &json!(["a", "b"]))
        );
        assert!(!released.to_string().contains("refresh"), "{released}");
        assert!(asked.lock().unwrap()[n - 1].contains(&format!("refresh_token=refresh-{}", n - 1)));
    }
    let body = json!({"project": project, "agent": agent, "user": "u"});
    let session = server.made("POST", "/sessions", body).await;
    let (sid, token) = (
        session["id"].as_str().unwrap(),
        session["token"].as_str().unwrap(),
    );
    let shape = format!("/projects/{project}/agentic-sessions/{sid}/credentials/google");
    let shaped = server.at("GET", &shape, token, &[], None).await;
    let members: Vec<String> = shaped.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["accessToken", "email", "expiresAt", "scopes"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn d25_a_provider_that_refuses_is_told_apart_from_one_that_is_away_and_neither_is_quoted() {
    let server = Server::start().await;
    for (status, body, wanted) in [
        (401, r#"{"message":"secret-in-an-error"}"#, 502),
        (503, r#"{"message":"secret-in-an-error"}"#, 503),
        (200, r#"{"nothing":"secret-in-an-error"}"#, 502),
    ] {
        let (provider, _) = played(vec![(status, body.to_owned())]).await;
        let secret = json!({"client_id": "id", "client_secret": "s", "refresh_token": "r"});
        let body = json!({"name": "g", "provider": "google", "url": provider, "secret": secret});
        let made = server.made("POST", "/credentials", body).await;
        let path = format!("/credentials/{}/token", made["id"].as_str().unwrap());
        let answered = server.call("GET", &path, &server.admin, None).await;
        assert_eq!(answered.status, wanted, "{status}: {answered:?}");
        assert!(!answered.text.contains("secret-in-an-error"), "{answered:?}");
        assert!(wanted != 503 || answered.field("retry-after").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oidc_credential_is_a_token_of_ours_for_that_audience() {
    let server = Server::start().await;
    let body = json!({"name": "o", "provider": "oidc", "secret": {"audience": "https://vault.example"}});
    let made = server.made("POST", "/credentials", body).await;
    let id = made["id"].as_str().unwrap();
    let released = server
        .made("GET", &format!("/credentials/{id}/token"), Value::Null)
        .await;
    let token = released["token"].as_str().unwrap();
    let verified = server
        .broker
        .own
        .verify(token, server.clock.now().wall)
        .expect("ours");
    assert_eq!(verified.subject(), Some(format!("credential:{id}").as_str()));
    assert_eq!(verified.audience().collect::<Vec<_>>(), ["https://vault.example"]);
    assert!(released["expires_at"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_a_cloud_may_trust_is_nobody_elses_later() {
    let server = Server::start().await;
    let oidc = json!({"id": "deploy", "name": "o", "provider": "oidc", "secret": {"audience": "https://v"}});
    let plain = json!({"id": "plain", "name": "o", "provider": "github", "secret": "t"});
    for (body, again) in [(oidc, 409), (plain, 201)] {
        let made = server.made("POST", "/credentials", body.clone()).await;
        let path = format!("/credentials/{}", made["id"].as_str().unwrap());
        server.made("DELETE", &path, Value::Null).await;
        let other = server
            .call("POST", "/credentials", &server.token("other"), Some(body))
            .await;
        assert_eq!(other.status, again, "{other:?}");
    }
}

/// A credential of Google's kind whose refresh token rotates at an issuer that takes a second use for theft.
async fn rotating(server: &Server, life: u64) -> (jeton_issuer::RunningIssuer, String) {
    let wall = server.clock.clone();
    let mut options = jeton_issuer::Options::new(move || wall.now().wall);
    options.access_life = std::time::Duration::from_secs(life);
    let google = jeton_issuer::Issuer::in_thread(options).unwrap();
    let refresh = google.refresh_token("id", "me", "a b");
    let secret = json!({"client_id": "id", "client_secret": "s", "refresh_token": refresh});
    let url = format!("{}/token", google.url());
    let body = json!({"name": "g", "provider": "google", "url": url, "secret": secret});
    let made = server.made("POST", "/credentials", body).await;
    let path = format!("/credentials/{}/token", made["id"].as_str().unwrap());
    (google, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn d21_a_rotating_refresh_token_is_used_by_one_replica_at_a_time_and_all_have_what_came_of_it() {
    let one = Server::start().await;
    let two = one.replica().await;
    // A life that all can use, and one that is too short to be kept: each request uses the refresh token.
    for (life, distinct) in [(3600, 1), (60, 12)] {
        let (_google, path) = rotating(&one, life).await;
        let asked = (0..12).map(|n| {
            let server = if n % 2 == 0 { &one } else { &two };
            server.call("GET", &path, &one.admin, None)
        });
        let mut tokens = std::collections::BTreeSet::new();
        for answered in futures_util::future::join_all(asked).await {
            assert_eq!(answered.status, 200, "{life}: {answered:?}");
            tokens.insert(answered.text_of("token"));
        }
        assert!((1..=distinct).contains(&tokens.len()), "{life}: {}", tokens.len());
        let again = two.call("GET", &path, &one.admin, None).await;
        assert_eq!(again.status, 200, "the refresh token is alive: {again:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d21_the_lease_of_a_replica_that_died_is_taken_over() {
    let clock = jeton::Clock::manual(jeton_core::UnixTime::from_seconds(1_800_000_000));
    let server = Server::at_time(clock.clone(), "").await;
    let (_google, path) = rotating(&server, 3600).await;
    let id = path.split('/').nth(2).unwrap();
    let store = &server.broker.store;
    let now = server.broker.now();
    let dead = jeton_broker::minting::lease::Lease::take(store, id, "dead".to_owned(), now);
    assert!(dead.await.unwrap().is_some());
    let other = jeton_broker::minting::lease::Lease::take(store, id, "other".to_owned(), now);
    assert!(other.await.unwrap().is_none(), "it is held");
    let waiting = server.call("GET", &path, &server.admin, None);
    let passing = async {
        tokio::time::sleep(jeton_broker::minting::lease::LOOK * 4).await;
        clock.advance(jeton_broker::minting::lease::LEASE + std::time::Duration::from_millis(1));
    };
    let (answered, ()) = tokio::join!(waiting, passing);
    assert_eq!(answered.status, 200, "{answered:?}");
}
