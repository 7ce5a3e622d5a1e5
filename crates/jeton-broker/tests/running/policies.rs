//! Trust policies over the API: written, linted, replayed.
use super::server::Server;
use serde_json::{Value, json};

const GITHUB: &str = "https://token.actions.githubusercontent.com";

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_written_read_changed_and_removed_by_admins_only() {
    let server = Server::start().await;
    let body = json!({"issuer": GITHUB, "subject": "repo:o/r:environment:prod", "audience": ["https://x"],
                      "claim_pattern": {"repository_owner_id": "1"}, "ttl": "5m"});
    let path = "/trust_policies/deploy";
    let created = server.call("PUT", path, &server.admin, Some(body.clone())).await;
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(created.json()["name"], "deploy");
    assert_eq!(
        server
            .call("PUT", path, &server.admin, Some(created.json()))
            .await
            .status,
        200
    );
    let read = server.made("GET", path, Value::Null).await;
    assert_eq!((&read["ttl"], &read["issuer"]), (&json!("5m"), &json!(GITHUB)));
    let listed = server.made("GET", "/trust_policies", Value::Null).await;
    assert_eq!(
        (&listed["total"], &listed["items"][0]["name"]),
        (&json!(1), &json!("deploy"))
    );
    let viewer = json!({"role": "platform:viewer", "scope": "global",
                        "principal": {"issuer": server.issuer.url(), "subject": "viewer"}});
    server.made("POST", "/role_bindings", viewer).await;
    for (who, read, write) in [("stranger", 404, 404), ("viewer", 200, 403)] {
        let token = server.token(who);
        assert_eq!(server.call("GET", path, &token, None).await.status, read, "{who}");
        assert_eq!(
            server.call("PUT", path, &token, Some(body.clone())).await.status,
            write,
            "{who}"
        );
        assert_eq!(
            server.call("DELETE", path, &token, None).await.status,
            write,
            "{who}"
        );
    }
    assert_eq!(server.call("DELETE", path, &server.admin, None).await.status, 204);
    assert_eq!(server.call("GET", path, &server.admin, None).await.status, 404);
    assert_eq!(server.call("DELETE", path, &server.admin, None).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lint_refuses_is_not_written_and_what_it_warns_of_is_said() {
    let server = Server::start().await;
    let base = |more: Value| {
        let mut body = json!({"issuer": GITHUB, "audience": ["https://x"]});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    for (more, field) in [
        (json!({}), "subject"),
        (json!({"subject_pattern": "**"}), "subject_pattern"),
        (json!({"subject_pattern": "re:.*"}), "subject_pattern"),
        (json!({"subject_pattern": "repo:octo*"}), "subject_pattern"),
        (json!({"subject": "s", "subject_pattern": "s"}), "subject_pattern"),
        (json!({"subject_pattern": "re:a)|(?:b"}), "subject_pattern"),
        (
            json!({"subject": "s", "claim_pattern": {"exp": "1"}}),
            "claim_pattern.exp",
        ),
        (json!({"subject": "s", "ttl": "13h"}), "ttl"),
        (json!({"subject": "s", "mode": "maybe"}), "mode"),
        (json!({"subject": "s", "nonsense": 1}), "nonsense"),
        (json!({"subject": "s", "name": "other"}), "name"),
    ] {
        let answered = server
            .call(
                "PUT",
                "/trust_policies/p",
                &server.admin,
                Some(base(more.clone())),
            )
            .await;
        assert_eq!(answered.status, 400, "{more}: {answered:?}");
        assert!(
            answered.text_of("reason").starts_with(field),
            "{more}: {answered:?}"
        );
    }
    let warned =
        base(json!({"subject": "repo:o/r:ref:refs/heads/main", "claim_pattern": {"repository": "o/r"}}));
    let warned = server.made("PUT", "/trust_policies/p", warned).await;
    let codes: Vec<_> = warned["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| w["code"].clone())
        .collect();
    assert!(
        codes.contains(&json!("shared-issuer")) && codes.contains(&json!("mutable-name")),
        "{codes:?}"
    );
    assert_eq!(
        server
            .call(
                "PUT",
                "/trust_policies/UPPER",
                &server.admin,
                Some(base(json!({"subject": "s"})))
            )
            .await
            .status,
        400
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_says_which_rule_decides_and_why() {
    let server = Server::start().await;
    let body = json!({"issuer": GITHUB, "subject_pattern": "repo:o/*:ref:refs/heads/main", "audience": ["https://x"],
                      "claim_pattern": {"repository_owner_id": "1"}});
    server.made("PUT", "/trust_policies/main", body).await;
    let claims =
        |sub: &str, owner: &str| json!({"claims": {"iss": GITHUB, "sub": sub, "repository_owner_id": owner}});
    for (sub, owner, decision, rule, why) in [
        (
            "repo:o/r:ref:refs/heads/main",
            "1",
            "allow",
            json!("main"),
            "matches",
        ),
        (
            "repo:o/r:ref:refs/heads/main",
            "2",
            "deny",
            Value::Null,
            "repository_owner_id",
        ),
        ("repo:o/r:ref:refs/heads/main2", "1", "deny", Value::Null, "sub"),
        ("repo:o/r/x:ref:refs/heads/main", "1", "deny", Value::Null, "sub"),
    ] {
        let verdict = server
            .made("POST", "/trust_policies/main/test", claims(sub, owner))
            .await;
        assert_eq!(
            (&verdict["decision"], &verdict["rule"]),
            (&json!(decision), &rule),
            "{sub} {owner}"
        );
        assert!(
            verdict["why"][0].as_str().is_some_and(|line| line.contains(why)),
            "{verdict}"
        );
    }
    for body in [
        json!({}),
        json!({"claims": 1}),
        json!({"claims": {"exp": "soon"}}),
        json!({"claims": {}, "x": 1}),
    ] {
        let answered = server
            .call(
                "POST",
                "/trust_policies/main/test",
                &server.admin,
                Some(body.clone()),
            )
            .await;
        assert_eq!(answered.status, 400, "{body}");
    }
    let answered = server
        .call(
            "POST",
            "/trust_policies/none/test",
            &server.admin,
            Some(claims("s", "1")),
        )
        .await;
    assert_eq!(answered.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_in_files_decide_and_are_read_again_and_only_their_file_changes_them() {
    let server = Server::with("policies = \"policies\"").await;
    let file = |text: &str| server.policy_file("looker.yaml", text);
    file(&format!(
        "issuer: {}\nsubject: looker\nroles: [platform:viewer]\n",
        server.issuer.url()
    ));
    server.reload().await.unwrap();
    let kept = server.made("GET", "/trust_policies/looker", Value::Null).await;
    assert_eq!(kept["read_only"], true);
    let body = json!({"issuer": server.issuer.url(), "subject": "other"});
    for (method, body) in [("PUT", Some(body)), ("DELETE", None)] {
        let answered = server
            .call(method, "/trust_policies/looker", &server.admin, body)
            .await;
        assert_eq!(answered.status, 409, "{method}");
    }
    let token = server
        .exchange(&server.token("looker"), &[])
        .await
        .text_of("access_token");
    assert_eq!(
        server.call("GET", "/trust_policies", &token, None).await.status,
        200
    );
    // What is wrong is refused, and what was right stays.
    file("issuer: nowhere\nsubject: looker\n");
    assert!(server.reload().await.is_err());
    assert_eq!(server.exchange(&server.token("looker"), &[]).await.status, 200);
    file(&format!(
        "issuer: {}\nsubject: somebody\naudience: https://x\n",
        server.issuer.url()
    ));
    server.reload().await.unwrap();
    assert_eq!(server.exchange(&server.token("looker"), &[]).await.status, 400);
    assert_eq!(
        server.call("GET", "/trust_policies", &token, None).await.status,
        404
    );
}
