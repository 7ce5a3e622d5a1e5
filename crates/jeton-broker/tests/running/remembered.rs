//! What is remembered of releases: it never outlives what it was decided on, on whichever replica that changed.
use super::server::{Answered, Server};
use jeton_broker::audit;
use serde_json::{Value, json};

/// What is asked for often enough to be remembered: three times.
async fn often(server: &Server, path: &str, token: &str) -> Answered {
    for _ in 0..2 {
        let released = server.call("GET", path, token, None).await;
        assert_eq!(released.status, 200, "{released:?}");
    }
    server.call("GET", path, token, None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_what_is_changed_on_one_replica_holds_for_the_next_release_on_every_other() {
    let server = Server::start().await;
    let other = server.replica().await;
    let (project, _) = server.place().await;
    let ann = server.token("ann");
    let id = server.credential(&ann, &project, "generic", json!("first")).await;
    let direct = format!("/credentials/{id}/token");
    let through = format!("/projects/{project}/credentials/{id}/token");
    let first = often(&other, &direct, &ann).await;
    assert_eq!(first.text_of("token"), "first");

    // Another secret.
    let patched = json!({"secret": "second"});
    server.made("PATCH", &format!("/credentials/{id}"), patched).await;
    let second = other.call("GET", &direct, &ann, None).await;
    assert_eq!(second.text_of("token"), "second");

    // No more attached to the project: not to be had through it.
    assert_eq!(often(&other, &through, &ann).await.status, 200);
    let bindings = server
        .made("GET", &format!("/role_bindings?search={id}"), Value::Null)
        .await;
    let named = |role: &str| {
        let items = bindings["items"].as_array().unwrap();
        let found = items.iter().find(|item| item["role"] == role).unwrap();
        format!("/role_bindings/{}", found["id"].as_str().unwrap())
    };
    server
        .made("DELETE", &named("credential:viewer"), Value::Null)
        .await;
    assert_eq!(other.call("GET", &through, &ann, None).await.status, 404);
    assert_eq!(often(&other, &direct, &ann).await.status, 200);

    // Not hers any more, but another's.
    let bob = json!({"issuer": server.issuer.url(), "subject": "bob"});
    let owner =
        json!({"role": "credential:owner", "scope": "credential", "credential_id": id, "principal": bob});
    server.made("POST", "/role_bindings", owner).await;
    server
        .made("DELETE", &named("credential:owner"), Value::Null)
        .await;
    assert_eq!(other.call("GET", &direct, &ann, None).await.status, 404);
    let bob = server.token("bob");
    assert_eq!(often(&other, &direct, &bob).await.status, 200);

    // Changed by a hand at the database.
    let sql = "UPDATE credentials SET secret = 'plain' WHERE id = $1";
    server
        .broker
        .store
        .execute(sql, vec![(&id).into()])
        .await
        .unwrap();
    assert_eq!(other.call("GET", &direct, &bob, None).await.status, 500);

    // Gone.
    let gone = server.credential(&ann, &project, "generic", json!("x")).await;
    let path = format!("/credentials/{gone}/token");
    assert_eq!(often(&other, &path, &ann).await.status, 200);
    server
        .made("DELETE", &format!("/credentials/{gone}"), Value::Null)
        .await;
    assert_eq!(other.call("GET", &path, &ann, None).await.status, 404);
    assert!(
        server
            .actions()
            .await
            .iter()
            .any(|(action, decision)| action == "credential.token" && decision == "deny")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn d7_a_policy_that_is_changed_on_one_replica_decides_the_next_exchange_on_every_other() {
    let server = Server::start().await;
    let other = server.replica().await;
    let policy = |audience: &str| json!({"issuer": server.issuer.url(), "subject": "ann", "audience": audience, "ttl": "5m"});
    let ann = server.token("ann");
    server
        .made("PUT", "/trust_policies/p", policy("https://a.example.com"))
        .await;
    let asks = async |audience: &str| other.exchange(&ann, &[("audience", audience)]).await.status;
    for _ in 0..3 {
        assert_eq!(asks("https://a.example.com").await, 200);
        assert_eq!(asks("https://b.example.com").await, 400);
    }
    server
        .made("PUT", "/trust_policies/p", policy("https://b.example.com"))
        .await;
    assert_eq!(asks("https://a.example.com").await, 400);
    assert_eq!(asks("https://b.example.com").await, 200);
    server
        .made("PUT", "/trust_policies/q", policy("https://a.example.com"))
        .await;
    assert_eq!(asks("https://a.example.com").await, 200, "one more policy");
    server.made("DELETE", "/trust_policies/p", Value::Null).await;
    assert_eq!(asks("https://b.example.com").await, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn d26_no_release_that_begins_after_a_revocation_succeeds_and_the_chain_is_whole() {
    let server = Server::start().await;
    let other = server.replica().await;
    let (project, _) = server.place().await;
    let id = server
        .credential(&server.admin, &project, "generic", json!("s"))
        .await;
    let path = format!("/credentials/{id}/token");
    let reader = json!({
        "role": "credential:token-reader", "scope": "credential", "credential_id": id,
        "principal": {"issuer": server.issuer.url(), "subject": "ann"},
    });
    let ann = server.token("ann");
    for _ in 0..3 {
        let made = server.made("POST", "/role_bindings", reader.clone()).await;
        let binding = format!("/role_bindings/{}", made["id"].as_str().unwrap());
        for replica in [&server, &other] {
            assert_eq!(often(replica, &path, &ann).await.status, 200);
        }
        let load = async {
            let ask = |n: usize| [&server, &other][n & 1].call("GET", &path, &ann, None);
            futures_util::future::join_all((0..40).map(ask)).await
        };
        let revoked = async {
            server.made("DELETE", &binding, Value::Null).await;
            let after = futures_util::future::join_all(
                (0..8).map(|n| [&server, &other][n & 1].call("GET", &path, &ann, None)),
            );
            after.await
        };
        let (during, after) = tokio::join!(load, revoked);
        assert!(
            during.iter().all(|answered| matches!(answered.status, 200 | 404)),
            "{during:?}"
        );
        assert!(after.iter().all(|answered| answered.status == 404), "{after:?}");
    }
    let live = server.broker.live_full();
    assert!(
        audit::verify(&server.broker.store, &live.keyring, None)
            .await
            .unwrap()
            .is_ok()
    );
}
