//! Sessions: what they resolve to, what their token opens, and that their end is one.
use super::server::Server;
use jeton::Clock;
use jeton_broker::session::record;
use jeton_core::UnixTime;
use serde_json::{Value, json};
use std::time::Duration;

async fn opened(server: &Server, body: Value) -> Value {
    let answered = server.call("POST", "/sessions", &server.admin, Some(body)).await;
    assert_eq!(answered.status, 201, "{answered:?}");
    answered.json()
}

fn text(value: &Value, name: &str) -> String {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name}: {value}"))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_d13_a_session_reads_exactly_what_it_resolved_to_until_its_end_on_every_replica() {
    let server = Server::start().await;
    let other = server.replica().await;
    let (project, agent) = server.place().await;
    let github = server
        .credential(&server.admin, &project, "github", json!("ghp_secret"))
        .await;
    let gitlab = server
        .credential(&server.admin, &project, "gitlab", json!("glpat_secret"))
        .await;
    let elsewhere = server
        .made(
            "POST",
            "/credentials",
            json!({"name": "x", "provider": "jira", "secret": "other"}),
        )
        .await;
    let body = json!({"project": project, "agent": agent, "user": "alice", "providers": ["github", "jira"]});
    let session = opened(&server, body).await;
    assert_eq!(
        session["credentials"],
        json!([{"provider": "github", "id": github}])
    );
    assert_eq!(session["unavailable"][0]["provider"], "jira");
    assert!(!text(&session["unavailable"][0], "reason").is_empty());
    let (id, token) = (text(&session, "id"), text(&session, "token"));
    let path = format!("/credentials/{github}/token");
    for replica in [&server, &other] {
        let answered = replica.call("GET", &path, &token, None).await;
        assert_eq!(
            (answered.status, answered.text_of("token").as_str()),
            (200, "ghp_secret")
        );
        let through = format!("/projects/{project}/credentials/{github}/token");
        assert_eq!(replica.call("GET", &through, &token, None).await.status, 200);
        // What it did not resolve to, and everything else that there is.
        for (method, path, status) in [
            ("GET", format!("/credentials/{gitlab}/token"), 404),
            (
                "GET",
                format!("/credentials/{}/token", text(&elsewhere, "id")),
                404,
            ),
            ("GET", format!("/credentials/{github}"), 404),
            ("GET", "/credentials".to_owned(), 404),
            ("GET", "/projects".to_owned(), 404),
            ("POST", "/projects".to_owned(), 403),
            ("POST", "/credentials".to_owned(), 403),
            ("POST", "/sessions".to_owned(), 403),
            ("GET", "/audit".to_owned(), 404),
            ("DELETE", format!("/credentials/{github}"), 403),
        ] {
            let body = (method == "POST").then(|| json!({"name": "n"}));
            let answered = replica.call(method, &path, &token, body).await;
            assert_eq!(answered.status, status, "{method} {path}");
        }
    }
    // Its end holds at once, everywhere, for its token and its grants.
    assert_eq!(
        other
            .call("DELETE", &format!("/sessions/{id}"), &server.admin, None)
            .await
            .status,
        204
    );
    for replica in [&server, &other] {
        assert_eq!(replica.call("GET", &path, &token, None).await.status, 401);
        assert_eq!(
            replica
                .call("POST", &format!("/sessions/{id}/token"), &token, None)
                .await
                .status,
            401
        );
        assert_eq!(
            replica
                .call("GET", &format!("/sessions/{id}"), &server.admin, None)
                .await
                .status,
            404
        );
        assert_eq!(
            replica
                .call("POST", &format!("/sessions/{id}/token"), &server.admin, None)
                .await
                .status,
            404
        );
    }
    let bindings = server.made("GET", "/role_bindings?size=500", Value::Null).await;
    assert!(
        !bindings.to_string().contains(&id),
        "its bindings are gone: {bindings}"
    );
    let actions = server.actions().await;
    for wanted in ["session.open", "session.end", "credential.token"] {
        assert!(
            actions.iter().any(|(action, _)| action == wanted),
            "{wanted}: {actions:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_a_token_is_renewed_by_itself_or_the_opener_and_by_nobody_else() {
    let server = Server::start().await;
    let (project, agent) = server.place().await;
    let session = opened(
        &server,
        json!({"project": project, "agent": agent, "user": "alice"}),
    )
    .await;
    let path = format!("/sessions/{}/token", text(&session, "id"));
    let token = text(&session, "token");
    for renewer in [&token, &server.admin] {
        let renewed = server.call("POST", &path, renewer, None).await;
        assert_eq!(renewed.status, 200, "{renewed:?}");
        let next = renewed.text_of("token");
        assert_ne!(next, token);
        let itself = format!("/sessions/{}", text(&session, "id"));
        assert_eq!(server.call("GET", &itself, &next, None).await.status, 200);
    }
    assert_eq!(
        server
            .call("POST", &path, &server.token("stranger"), None)
            .await
            .status,
        404
    );
    let other = opened(
        &server,
        json!({"project": project, "agent": agent, "user": "bob"}),
    )
    .await;
    assert_eq!(
        server
            .call("POST", &path, &text(&other, "token"), None)
            .await
            .status,
        404
    );
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    assert_eq!(server.call("POST", &path, &forged, None).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn d9_who_may_not_open_sessions_there_is_told_so_or_that_there_is_nothing() {
    let server = Server::start().await;
    let (project, agent) = server.place().await;
    let (other, others) = server.place().await;
    let bind = |role: &str, subject: &str| {
        json!({"role": role, "scope": "project", "project_id": project,
               "principal": {"issuer": server.issuer.url(), "subject": subject}})
    };
    server
        .made("POST", "/role_bindings", bind("project:viewer", "viewer"))
        .await;
    server
        .made("POST", "/role_bindings", bind("project:editor", "editor"))
        .await;
    for (subject, project, agent, status) in [
        ("stranger", &project, &agent, 404),
        ("viewer", &project, &agent, 403),
        ("editor", &project, &agent, 201),
        ("editor", &other, &others, 404),
        ("editor", &project, &others, 404),
        ("admin", &project, &others, 404),
        ("admin", &"nowhere".to_owned(), &agent, 404),
    ] {
        let body = json!({"project": project, "agent": agent, "user": "u"});
        let answered = server
            .call("POST", "/sessions", &server.token(subject), Some(body))
            .await;
        assert_eq!(answered.status, status, "{subject}: {answered:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d18_in_a_shared_session_each_request_names_its_user_and_gets_his_own() {
    let server = Server::start().await;
    let (project, agent) = server.place().await;
    let mut owned = Vec::new();
    for user in ["alice", "bob"] {
        let secret = json!(format!("{user}s-secret"));
        owned.push(
            server
                .credential(&server.token(user), &project, "github", secret)
                .await,
        );
    }
    let body = json!({"project": project, "agent": agent, "users": ["alice", "bob", "carol"]});
    let session = opened(&server, body).await;
    assert_eq!(
        session["credentials"],
        json!([
            {"provider": "github", "id": owned[0], "user": "alice"},
            {"provider": "github", "id": owned[1], "user": "bob"},
        ])
    );
    assert_eq!(session["unavailable"][0]["user"], "carol");
    let (id, token) = (text(&session, "id"), text(&session, "token"));
    let shape = format!("/v1/projects/{project}/agentic-sessions/{id}/credentials/github");
    let plain = format!("/v1/credentials/{}/token", owned[0]);
    let rows: [(&str, Option<&str>, Option<&str>, u16, &str); 8] = [
        (&shape, Some("alice"), None, 200, "alices-secret"),
        (&shape, None, Some("bob"), 200, "bobs-secret"),
        (&shape, Some("carol"), None, 404, ""),
        (&shape, Some("mallory"), None, 404, ""),
        (&shape, None, None, 400, ""),
        (&shape, Some("alice"), Some("bob"), 400, ""),
        (&plain, Some("alice"), None, 200, "alices-secret"),
        (&plain, Some("bob"), None, 404, ""),
    ];
    for (path, field, query, status, secret) in rows {
        let path = query.map_or(path.to_owned(), |user| format!("{path}?user={user}"));
        let fields: Vec<_> = field
            .iter()
            .map(|user| ("x-runner-current-user", *user))
            .collect();
        let answered = server.at("GET", &path, &token, &fields, None).await;
        assert_eq!(answered.status, status, "{path} {field:?}: {answered:?}");
        assert!(
            status != 200 || answered.text_of("token") == secret,
            "{path} {field:?}"
        );
    }
    // A user with a token of his own is himself and nobody else.
    let bob = server.token("bob");
    assert_eq!(
        server.at("GET", &shape, &bob, &[], None).await.text_of("token"),
        "bobs-secret"
    );
    let as_alice = [("x-runner-current-user", "alice")];
    assert_eq!(server.at("GET", &shape, &bob, &as_alice, None).await.status, 404);
    assert_eq!(
        server
            .at("GET", &shape, &server.token("dave"), &[], None)
            .await
            .status,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn d19_older_clients_find_their_shapes_at_both_places() {
    let server = Server::start().await;
    let (project, agent) = server.place().await;
    let secrets = [
        ("github", json!("g")),
        ("gitlab", json!("l")),
        ("jira", json!("j")),
        ("google", json!("o")),
        ("coderabbit", json!("c")),
        ("kubeconfig", json!("apiVersion: v1")),
        (
            "gerrit",
            json!({"instances": [{"instanceName": "main", "url": "https://gerrit.example"}]}),
        ),
        ("mcp", json!({"fields": {"API_KEY": "k"}})),
    ];
    for (provider, secret) in secrets {
        server.credential(&server.admin, &project, provider, secret).await;
    }
    let session = opened(
        &server,
        json!({"project": project, "agent": agent, "user": "alice"}),
    )
    .await;
    assert_eq!(
        session["credentials"].as_array().map(Vec::len),
        Some(8),
        "{session}"
    );
    let (id, token) = (text(&session, "id"), text(&session, "token"));
    for (provider, pointer, wanted) in [
        ("github", "/token", "g"),
        ("gitlab", "/token", "l"),
        ("jira", "/apiToken", "j"),
        ("google", "/accessToken", "o"),
        ("coderabbit", "/apiKey", "c"),
        ("kubeconfig", "/token", "apiVersion: v1"),
        ("gerrit", "/0/instanceName", "main"),
        ("mcp/mcp", "/fields/API_KEY", "k"),
    ] {
        for base in ["/v1", ""] {
            let path = format!("{base}/projects/{project}/agentic-sessions/{id}/credentials/{provider}");
            let answered = server.at("GET", &path, &token, &[], None).await;
            assert_eq!(answered.status, 200, "{path}: {answered:?}");
            assert_eq!(
                answered.json().pointer(pointer).and_then(Value::as_str),
                Some(wanted),
                "{provider}"
            );
        }
    }
    for path in [
        format!("/projects/{project}/agentic-sessions/{id}/credentials/vertex"),
        format!("/projects/{project}/agentic-sessions/{id}/credentials/mcp/other"),
        format!("/projects/other/agentic-sessions/{id}/credentials/github"),
        format!("/projects/{project}/agentic-sessions/other/credentials/github"),
    ] {
        assert_eq!(
            server.at("GET", &path, &token, &[], None).await.status,
            404,
            "{path}"
        );
    }
}

/// What the Ambient Code platform's runner asks, word for word, and what it does with the answer: it goes by names, and
/// by 401 and 403 alone tries another token.
#[tokio::test(flavor = "multi_thread")]
async fn d19_the_platforms_own_runner_is_served_at_its_base_path() {
    let server = Server::with("base_path = \"/api/ambient/v1\"").await;
    let (project, agent) = server.place().await;
    let instance =
        json!({"instanceName": "main", "url": "https://gerrit.example", "authMethod": "http_basic"});
    let rows = [
        (
            "github",
            json!("g"),
            vec![("/token", "g"), ("/userName", ""), ("/email", "")],
        ),
        (
            "gitlab",
            json!("l"),
            vec![("/token", "l"), ("/instanceUrl", "https://x.example")],
        ),
        (
            "jira",
            json!("j"),
            vec![("/apiToken", "j"), ("/url", "https://x.example"), ("/email", "")],
        ),
        (
            "google",
            json!("{\"type\":\"service_account\"}"),
            vec![("/token", "{\"type\":\"service_account\"}")],
        ),
        ("coderabbit", json!("c"), vec![("/apiKey", "c")]),
        (
            "kubeconfig",
            json!("apiVersion: v1"),
            vec![("/token", "apiVersion: v1")],
        ),
        (
            "gerrit",
            json!({"instances": [instance]}),
            vec![("/instanceName", "main"), ("/authMethod", "http_basic")],
        ),
        (
            "mcp",
            json!({"fields": {"API_KEY": "k"}}),
            vec![("/fields/API_KEY", "k")],
        ),
    ];
    let mut ids = Vec::new();
    for (provider, secret, _) in &rows {
        let id = server
            .credential(&server.admin, &project, provider, secret.clone())
            .await;
        if matches!(*provider, "gitlab" | "jira") {
            let change = json!({"url": "https://x.example"});
            server.made("PATCH", &format!("/credentials/{id}"), change).await;
        }
        ids.push(id);
    }
    let session = json!({"project": project, "agent": agent, "user": "alice"});
    let session = opened(&server, session).await;
    let (id, token) = (text(&session, "id"), text(&session, "token"));
    let alice = server.token("alice");
    let named = [("X-Runner-Current-User", "alice")];
    for ((provider, _, members), credential) in rows.iter().zip(&ids) {
        // CREDENTIAL_IDS names the credential, or the session and the provider say which it is.
        let by_id = format!("/api/ambient/v1/projects/{project}/credentials/{credential}/token");
        let name = if *provider == "mcp" { "mcp/mcp" } else { provider };
        let by_session = format!("/projects/{project}/agentic-sessions/{id}/credentials/{name}");
        // The bot token alone; with the user's name, as after a caller's token that had expired; the caller's own.
        for (path, token, fields) in [
            (&by_id, &token, &[][..]),
            (&by_id, &token, &named),
            (&by_session, &token, &[]),
            (&by_session, &token, &named),
            (&by_session, &alice, &named),
        ] {
            let answered = server.at("GET", path, token, fields, None).await;
            assert_eq!(answered.status, 200, "{path}: {answered:?}");
            let body = answered.json();
            // A list of several, or one by itself.
            let body = if body.is_array() { body[0].clone() } else { body };
            for (pointer, wanted) in members {
                let found = body.pointer(pointer).and_then(Value::as_str);
                assert_eq!(found, Some(*wanted), "{path} {pointer}");
            }
        }
        for (token, wanted) in [
            ("nonsense", 401),
            ("", 401),
            (server.token("mallory").as_str(), 404),
        ] {
            for path in [&by_id, &by_session] {
                let answered = server.at("GET", path, token, &[], None).await;
                assert_eq!(answered.status, wanted, "{path}: {answered:?}");
            }
        }
    }
    server
        .made("DELETE", &format!("/sessions/{id}"), Value::Null)
        .await;
    let path = format!("/api/ambient/v1/projects/{project}/credentials/{}/token", ids[0]);
    assert_eq!(server.at("GET", &path, &token, &[], None).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_that_is_taken_away_is_taken_from_the_session_too() {
    let server = Server::start().await;
    let (project, agent) = server.place().await;
    let github = server
        .credential(&server.admin, &project, "github", json!("ghp"))
        .await;
    let session = opened(
        &server,
        json!({"project": project, "agent": agent, "user": "alice"}),
    )
    .await;
    let token = text(&session, "token");
    let bindings = server.made("GET", "/role_bindings?size=500", Value::Null).await;
    let mut items = bindings["items"].as_array().unwrap().iter();
    let granted = items.find(|item| item["session_id"] == session["id"]).unwrap();
    assert_eq!(
        (&granted["role"], &granted["credential_id"]),
        (&json!("credential:token-reader"), &json!(github))
    );
    server
        .made(
            "DELETE",
            &format!("/role_bindings/{}", text(granted, "id")),
            Value::Null,
        )
        .await;
    let path = format!("/credentials/{github}/token");
    assert_eq!(server.call("GET", &path, &token, None).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_d13_a_session_that_missed_two_renewals_is_over_with_all_that_it_had() {
    let clock = Clock::manual(UnixTime::from_seconds(1_800_000_000));
    let server = Server::at_time(clock.clone(), "").await;
    let (project, agent) = server.place().await;
    let github = server
        .credential(&server.admin, &project, "github", json!("ghp"))
        .await;
    let path = format!("/credentials/{github}/token");
    let session = opened(
        &server,
        json!({"project": project, "agent": agent, "user": "alice"}),
    )
    .await;
    let renew = format!("/sessions/{}/token", text(&session, "id"));
    let token = text(&session, "token");
    clock.advance(Duration::from_secs(299));
    assert_eq!(server.call("GET", &path, &token, None).await.status, 200);
    clock.advance(Duration::from_secs(10));
    // One renewal is missed: its token is dead, it is not.
    assert_eq!(server.call("GET", &path, &token, None).await.status, 401);
    assert_eq!(server.call("POST", &renew, &token, None).await.status, 401);
    let renewed = server.call("POST", &renew, &server.token("admin"), None).await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    let token = renewed.text_of("token");
    assert_eq!(server.call("GET", &path, &token, None).await.status, 200);
    clock.advance(Duration::from_secs(600));
    assert_eq!(
        server
            .call("POST", &renew, &server.token("admin"), None)
            .await
            .status,
        404
    );
    assert_eq!(server.call("GET", &path, &token, None).await.status, 401);
    let swept = record::sweep(&server.broker.store, clock.now().wall).await;
    assert_eq!(swept, Ok(1));
    let admin = server.token("admin");
    let bindings = server.call("GET", "/role_bindings?size=500", &admin, None).await;
    assert!(!bindings.text.contains("token-reader"), "{bindings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn d14_sessions_and_policies_outlive_the_key_that_they_were_coded_with() {
    let server = Server::start().await;
    let (project, agent) = server.place().await;
    let github = server
        .credential(&server.admin, &project, "github", json!("ghp"))
        .await;
    let session = opened(
        &server,
        json!({"project": project, "agent": agent, "user": "alice"}),
    )
    .await;
    let body = json!({"issuer": server.issuer.url(), "subject": "s", "audience": "https://x"});
    server.made("PUT", "/trust_policies/p", body).await;
    server.new_key_only().await;
    let path = format!("/credentials/{github}/token");
    assert_eq!(
        server
            .call("GET", &path, &text(&session, "token"), None)
            .await
            .status,
        200
    );
    let exchanged = server.exchange(&server.token("s"), &[]).await;
    assert_eq!(exchanged.status, 200, "{exchanged:?}");
}
