//! The token endpoint over HTTP: what is given, to whom, and what everybody else is told.
use super::server::Server;
use serde_json::{Value, json};

const AUDIENCE: (&str, &str) = ("audience", "https://api.example.com");

async fn policy(server: &Server, name: &str, more: Value) {
    let mut body =
        json!({"issuer": server.issuer.url(), "subject": "builder", "audience": ["https://api.example.com"]});
    for (key, value) in more.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    server.made("PUT", &format!("/trust_policies/{name}"), body).await;
}

fn claims(token: &str) -> Value {
    let claims = jeton_core::decode(token).expect("a JWT");
    serde_json::from_str(&claims.peek().all().to_text()).expect("claims")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_exchanged_for_one_of_ours_that_says_what_the_policy_gives() {
    let server = Server::start().await;
    policy(&server, "ci", json!({"scope": ["read", "write"], "ttl": "10m"})).await;
    let answered = server
        .exchange(&server.token("builder"), &[AUDIENCE, ("scope", "read")])
        .await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(answered.field("cache-control"), Some("no-store"));
    assert_eq!(answered.field("pragma"), Some("no-cache"));
    let body = answered.json();
    assert_eq!(
        (&body["token_type"], &body["expires_in"], &body["scope"]),
        (&json!("Bearer"), &json!(600), &json!("read"))
    );
    assert_eq!(
        body["issued_token_type"],
        "urn:ietf:params:oauth:token-type:access_token"
    );
    let claims = claims(&answered.text_of("access_token"));
    assert_eq!(claims["iss"], server.root);
    assert_eq!(
        (&claims["sub"], &claims["aud"]),
        (&json!("builder"), &json!("https://api.example.com"))
    );
    let assertion = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", &server.token("builder")),
        AUDIENCE,
    ];
    let answered = server.token_endpoint(&assertion).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert!(answered.json().get("issued_token_type").is_none());
    let actions = server.actions().await;
    for action in ["token.exchange", "token.assertion"] {
        assert!(
            actions.contains(&(action.to_owned(), "allow".to_owned())),
            "{action}: {actions:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_oauths_and_one_is_like_the_other() {
    let server = Server::start().await;
    policy(&server, "ci", json!({"scope": ["read"]})).await;
    policy(&server, "seen", json!({"subject": "watched", "mode": "report"})).await;
    let good = server.token("builder");
    let wrong_audience = server.token_with("builder", json!({"aud": "https://other.example"}));
    let expired = server.token_with("builder", json!({"exp": 1_600_000_000, "iat": 1_599_999_000}));
    let rows: [(&str, &[(&str, &str)], u16, &str); 9] = [
        (&good, &[("audience", "https://z.example")], 400, "invalid_target"),
        (&good, &[AUDIENCE, ("scope", "admin")], 400, "invalid_scope"),
        (
            &good,
            &[AUDIENCE, ("requested_token_type", "urn:x")],
            400,
            "invalid_request",
        ),
        ("garbage", &[AUDIENCE], 400, "invalid_request"),
        (&wrong_audience, &[AUDIENCE], 400, "invalid_request"),
        (&expired, &[AUDIENCE], 400, "invalid_request"),
        (&server.token("stranger"), &[AUDIENCE], 400, "invalid_request"),
        (&server.token("watched"), &[AUDIENCE], 400, "invalid_request"),
        (&good, &[AUDIENCE], 200, ""),
    ];
    let mut bland = Vec::new();
    for (token, fields, status, code) in rows {
        let answered = server.exchange(token, fields).await;
        assert_eq!(answered.status, status, "{fields:?}: {answered:?}");
        if status == 400 {
            assert_eq!(answered.text_of("error"), code, "{fields:?}");
        }
        if code == "invalid_request" && fields.len() == 1 {
            bland.push(answered.text);
        }
    }
    bland.dedup();
    assert_eq!(
        bland.len(),
        1,
        "garbage, a stranger and a report look alike: {bland:?}"
    );
    let assertion = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", "garbage"),
    ];
    assert_eq!(
        server.token_endpoint(&assertion).await.text_of("error"),
        "invalid_grant"
    );
    let nothing = server.token_endpoint(&[]).await;
    assert_eq!(
        (nothing.status, nothing.text_of("error").as_str()),
        (400, "invalid_request")
    );
    let json = server.at("POST", "/v1/token", "", &[], Some(json!({}))).await;
    assert_eq!(
        (json.status, json.text_of("error").as_str()),
        (400, "invalid_request")
    );
    assert!(
        server
            .actions()
            .await
            .contains(&("trust_policy.report".to_owned(), "allow".to_owned()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_fetched_say_nothing_of_the_token() {
    let server = Server::start().await;
    let other = Server::start().await;
    other.issuer.fault("jwks", "s503").expect("a fault");
    let answered = other.exchange(&other.token("builder"), &[AUDIENCE]).await;
    assert_eq!(answered.status, 503, "{answered:?}");
    assert_eq!(answered.text_of("error"), "temporarily_unavailable");
    assert!(answered.field("retry-after").is_some());
    // A stranger's issuer is never asked.
    let before = other.issuer.connections();
    let answered = server.exchange(&other.token("builder"), &[AUDIENCE]).await;
    assert_eq!(
        (answered.status, answered.text_of("error").as_str()),
        (400, "invalid_request")
    );
    assert_eq!(other.issuer.connections(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn delegation_nests_actors_and_only_shrinks() {
    let server = Server::start().await;
    policy(&server, "first", json!({"scope": ["read", "write"], "ttl": "1h"})).await;
    let own = server.root.as_str();
    let again = json!({"issuer": own, "subject": "builder", "audience": ["https://next.example"],
                       "scope": ["read", "write", "admin"], "ttl": "12h"});
    server.made("PUT", "/trust_policies/again", again).await;
    let actor = server.token("robot");
    let acting = [
        AUDIENCE,
        ("scope", "read"),
        ("actor_token", actor.as_str()),
        ("actor_token_type", "urn:ietf:params:oauth:token-type:jwt"),
    ];
    let answered = server.exchange(&server.token("builder"), &acting).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    let mut token = answered.text_of("access_token");
    assert_eq!(
        claims(&token)["act"],
        json!({"sub": "robot", "iss": server.issuer.url()})
    );
    // Everyone who gets it passes it on, five deep and no deeper.
    for depth in 2..=6 {
        let next = server.token(&format!("robot-{depth}"));
        let fields = [
            ("audience", "https://next.example"),
            ("actor_token", next.as_str()),
            ("actor_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ];
        let answered = server.exchange(&token, &fields).await;
        if depth == 6 {
            assert_eq!(
                (answered.status, answered.text_of("error").as_str()),
                (400, "invalid_request")
            );
            break;
        }
        assert_eq!(answered.status, 200, "{depth}: {answered:?}");
        assert_eq!(
            answered.json()["scope"],
            "read",
            "nothing comes back that was left behind"
        );
        assert!(
            answered.json()["expires_in"]
                .as_u64()
                .is_some_and(|life| life <= 3600)
        );
        token = answered.text_of("access_token");
        assert_eq!(claims(&token)["act"]["sub"], format!("robot-{depth}"));
    }
    let wider = server
        .exchange(
            &token,
            &[("audience", "https://next.example"), ("scope", "write")],
        )
        .await;
    assert_eq!(wider.text_of("error"), "invalid_scope");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_for_one_exchange_where_its_issuer_says_so_also_with_replicas() {
    let server = Server::start().await;
    policy(&server, "ci", json!({})).await;
    let other = server.replica().await;
    // `require_jti` is the issuer's: set it for both.
    for replica in [&server, &other] {
        replica.set_require_jti().await;
    }
    let token = server.token("builder");
    let mut tasks = Vec::new();
    for n in 0..40 {
        let replica = if n % 2 == 0 { &server } else { &other };
        tasks.push(replica.exchange(&token, &[AUDIENCE]));
    }
    let answers = futures_util::future::join_all(tasks).await;
    let given = answers.iter().filter(|answered| answered.status == 200).count();
    assert_eq!(
        given,
        1,
        "{:?}",
        answers.iter().map(|a| a.status).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_hands_out_a_credential_and_its_roles_open_what_they_name_until_it_is_gone() {
    let server = Server::start().await;
    let made = json!({"name": "c", "provider": "github", "secret": "ghp_secret"});
    let made = server.made("POST", "/credentials", made).await;
    let body = json!({"issuer": server.issuer.url(), "subject": "builder", "credential": made["id"]});
    server.made("PUT", "/trust_policies/hand-out", body).await;
    let answered = server.exchange(&server.token("builder"), &[]).await;
    assert_eq!(
        (answered.status, answered.text_of("access_token").as_str()),
        (200, "ghp_secret")
    );
    let body = json!({"issuer": server.issuer.url(), "subject": "viewer", "roles": ["platform:viewer"]});
    server.made("PUT", "/trust_policies/look", body).await;
    let answered = server.exchange(&server.token("viewer"), &[]).await;
    let token = answered.text_of("access_token");
    let path = format!("/credentials/{}", made["id"].as_str().unwrap());
    assert_eq!(server.call("GET", &path, &token, None).await.status, 200);
    assert_eq!(
        server
            .call("GET", &format!("{path}/token"), &token, None)
            .await
            .status,
        404
    );
    assert_eq!(server.call("DELETE", &path, &token, None).await.status, 403);
    server.made("DELETE", "/trust_policies/look", Value::Null).await;
    assert_eq!(server.call("GET", &path, &token, None).await.status, 404);
    // A token for others is none for us.
    policy(&server, "ci", json!({})).await;
    let foreign = server
        .exchange(&server.token("builder"), &[AUDIENCE])
        .await
        .text_of("access_token");
    assert_eq!(server.call("GET", "/projects", &foreign, None).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_limited_and_good_requests_do_not_pay_for_them() {
    let server = Server::with("[limits]\nfailures = 20").await;
    policy(&server, "ci", json!({})).await;
    let (mut refused, mut limited) = (0, 0);
    for _ in 0..80 {
        let answered = server.exchange("garbage", &[AUDIENCE]).await;
        match answered.status {
            400 => refused += 1,
            429 => {
                assert!(answered.field("retry-after").is_some(), "{answered:?}");
                limited += 1;
            }
            _ => panic!("{answered:?}"),
        }
    }
    assert!(refused >= 20 && limited > 0, "{refused} {limited}");
    assert_eq!(
        server
            .exchange(&server.token("builder"), &[AUDIENCE])
            .await
            .status,
        200
    );
    let mut seen = Vec::new();
    for _ in 0..60 {
        seen.push(server.call("GET", "/projects", "garbage", None).await.status);
    }
    assert!(seen.contains(&429), "{seen:?}");
    assert_eq!(
        server.call("GET", "/projects", &server.admin, None).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_count_what_all_replicas_let_through() {
    // So few a second that none comes back while the test runs.
    let one = Server::with("[limits]\nfailures = 6\nper_issuer = 8\nper_policy = 2").await;
    let two = one.replica().await;
    // On SQLite each process counts for itself: nobody shares the file.
    let shared = one.broker.store.is_postgres();
    let most = |rate: usize| if shared { rate } else { 2 * rate };
    policy(&one, "ci", json!({})).await;
    let began = std::time::Instant::now();
    let spare = |rate: usize| rate * (1 + usize::try_from(began.elapsed().as_millis()).unwrap() / 1000);
    let mut refused = 0;
    for n in 0..40 {
        let server = if n % 2 == 0 { &one } else { &two };
        refused += usize::from(server.call("GET", "/projects", "garbage", None).await.status == 401);
    }
    assert!(
        refused >= 6 && refused <= most(6) + spare(6),
        "failures: {refused}"
    );
    let began = std::time::Instant::now();
    let spare = |rate: usize| rate * (1 + usize::try_from(began.elapsed().as_millis()).unwrap() / 1000);
    let token = one.token("builder");
    let mut given = 0;
    for n in 0..24 {
        let server = if n % 2 == 0 { &one } else { &two };
        given += usize::from(server.exchange(&token, &[AUDIENCE]).await.status == 200);
    }
    assert!(given >= 2 && given <= most(2) + spare(2), "exchanges: {given}");
    let store = &one.broker.store;
    let count = async || {
        let rows = store.row("SELECT COUNT(*) FROM rate_windows", vec![]).await;
        rows.unwrap().unwrap().int(0).unwrap()
    };
    assert_eq!(count().await > 0, shared);
    let later = one.broker.now().plus(std::time::Duration::from_secs(120));
    jeton_broker::limits::window::sweep(store, later).await.unwrap();
    assert_eq!(count().await, 0, "what limits nothing any more is forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_at_once_than_is_allowed_is_told_to_come_again_at_once() {
    let server = Server::with("[limits]\nconcurrency = 0").await;
    let answered = server.call("GET", "/projects", &server.admin, None).await;
    assert_eq!(answered.status, 503, "{answered:?}");
    assert!(answered.field("retry-after").is_some());
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(server.at("GET", path, "", &[], None).await.status, 200, "{path}");
    }
}
