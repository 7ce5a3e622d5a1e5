//! Role bindings: who may give whom what, and take it away (D9).
use crate::credentials::{bind, to};
use crate::server::Server;
use serde_json::{Value, json};

async fn credential(server: &Server, token: &str) -> String {
    let body = json!({"name": "c", "provider": "generic", "secret": "s3cr3t-s3cr3t"});
    server
        .call("POST", "/credentials", token, Some(body))
        .await
        .text_of("id")
}

async fn project(server: &Server, token: &str) -> String {
    server
        .call("POST", "/projects", token, Some(json!({"name": "p"})))
        .await
        .text_of("id")
}

#[tokio::test]
async fn d9_g4_who_may_give_whom_what() {
    let server = Server::start().await;
    let (ann, eve) = (server.token("ann"), server.token("eve"));
    let (mine, hers) = (project(&server, &ann).await, project(&server, &eve).await);
    let agents = format!("/projects/{mine}/agents");
    let agent = server
        .call("POST", &agents, &ann, Some(json!({"name": "a"})))
        .await
        .text_of("id");
    let secret = credential(&server, &ann).await;
    let p = |role: &str, project: &str, whom: &str| json!({"role": role, "scope": "project", "project_id": project, "principal": to(&server, whom)});
    let a = |project: Value, whom: &str| json!({"role": "agent:operator", "scope": "agent", "agent_id": agent, "project_id": project, "principal": to(&server, whom)});
    let c = |role: &str, whom: &str| json!({"role": role, "scope": "credential", "credential_id": secret, "principal": to(&server, whom)});
    let attach = |project: Value, agent: Value| json!({"role": "credential:viewer", "scope": "credential", "credential_id": secret, "project_id": project, "agent_id": agent});
    let rows = [
        ("below himself", "ann", p("project:editor", &mine, "ed"), 201),
        ("at his level", "ann", p("project:owner", &mine, "bob"), 403),
        ("an admin any", "admin", p("project:owner", &mine, "bob"), 201),
        ("an editor nothing", "ed", p("project:viewer", &mine, "bob"), 403),
        (
            "owner of one is nobody in the next",
            "eve",
            p("project:viewer", &mine, "eve"),
            403,
        ),
        ("on an agent of his", "ann", a(json!(mine), "op"), 201),
        (
            "on an agent of another's project",
            "eve",
            a(Value::Null, "eve"),
            403,
        ),
        (
            "on it with a project of her own",
            "eve",
            a(json!(hers), "eve"),
            403,
        ),
        (
            "on an agent that is not in the project",
            "admin",
            a(json!(hers), "eve"),
            400,
        ),
        (
            "global",
            "ann",
            json!({"role": "platform:viewer", "scope": "global", "principal": to(&server, "ann")}),
            403,
        ),
        (
            "admin by nobody",
            "ann",
            json!({"role": "platform:admin", "scope": "global", "principal": to(&server, "ann")}),
            403,
        ),
        (
            "a credential by its owner",
            "ann",
            c("credential:viewer", "bob"),
            201,
        ),
        (
            "internal by its owner",
            "ann",
            c("credential:token-reader", "bob"),
            201,
        ),
        (
            "internal by another",
            "eve",
            c("credential:token-reader", "eve"),
            403,
        ),
        ("by a viewer", "bob", c("credential:viewer", "eve"), 403),
        (
            "attached where he edits",
            "ann",
            attach(json!(mine), Value::Null),
            201,
        ),
        (
            "attached where he is nobody",
            "ann",
            attach(json!(hers), Value::Null),
            403,
        ),
        (
            "attached by who does not own it",
            "eve",
            attach(json!(hers), Value::Null),
            403,
        ),
        (
            "attached everywhere",
            "ann",
            attach(Value::Null, Value::Null),
            403,
        ),
        (
            "attached everywhere by an admin",
            "admin",
            attach(Value::Null, Value::Null),
            201,
        ),
        (
            "attached to an agent",
            "ann",
            attach(json!(mine), json!(agent)),
            201,
        ),
        (
            "attached to an agent elsewhere",
            "admin",
            attach(json!(hers), json!(agent)),
            400,
        ),
        (
            "no such role",
            "admin",
            json!({"role": "king", "scope": "global", "principal": to(&server, "a")}),
            400,
        ),
        (
            "no such scope",
            "admin",
            json!({"role": "project:owner", "scope": "x", "principal": to(&server, "a")}),
            400,
        ),
        (
            "out of its scope",
            "admin",
            json!({"role": "project:owner", "scope": "credential", "credential_id": secret, "principal": to(&server, "a")}),
            400,
        ),
        (
            "for nobody",
            "admin",
            json!({"role": "project:owner", "scope": "project", "project_id": mine}),
            400,
        ),
        (
            "a project that is not there",
            "admin",
            p("project:viewer", "none", "a"),
            400,
        ),
    ];
    for (what, who, body, wanted) in rows {
        let token = if who == "admin" {
            server.admin.clone()
        } else {
            server.token(who)
        };
        assert_eq!(bind(&server, &token, body).await, wanted, "{what}");
    }
    // What is not there and what is another's are refused alike.
    let stranger = server.token("stranger");
    for (there, missing) in [
        (p("project:viewer", &mine, "x"), p("project:viewer", "none", "x")),
        (
            c("credential:viewer", "x"),
            json!({"role": "credential:viewer", "scope": "credential", "credential_id": "none", "principal": to(&server, "x")}),
        ),
        (
            a(Value::Null, "x"),
            json!({"role": "agent:operator", "scope": "agent", "agent_id": "none", "principal": to(&server, "x")}),
        ),
    ] {
        let mut seen = Vec::new();
        for body in [there, missing] {
            let answered = server.call("POST", "/role_bindings", &stranger, Some(body)).await;
            seen.push((answered.status, answered.text_of("reason")));
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[0].0, 403);
    }
}

#[tokio::test]
async fn d9_the_last_owner_stays_and_an_editor_unbinds() {
    let server = Server::start().await;
    let ann = server.token("ann");
    let (mine, secret) = (project(&server, &ann).await, credential(&server, &ann).await);
    let owners = server.call("GET", "/role_bindings", &ann, None).await.json();
    let mut ids = Vec::new();
    for item in owners["items"].as_array().unwrap() {
        let id = item["id"].as_str().unwrap().to_owned();
        let refused = server
            .call("DELETE", &format!("/role_bindings/{id}"), &ann, None)
            .await;
        assert_eq!(
            (refused.status, refused.text_of("reason").as_str()),
            (409, "cannot delete the last owner binding")
        );
        ids.push((item["role"].clone(), id));
    }
    assert_eq!(ids.len(), 2);
    // With a second owner the first may go.
    let second = json!({"role": "project:owner", "scope": "project", "project_id": mine, "principal": to(&server, "bob")});
    assert_eq!(bind(&server, &server.admin, second).await, 201);
    let first = &ids.iter().find(|(role, _)| role == "project:owner").unwrap().1;
    let bob = server.token("bob");
    assert_eq!(
        server
            .call("DELETE", &format!("/role_bindings/{first}"), &bob, None)
            .await
            .status,
        204
    );
    assert_eq!(
        server
            .call("GET", &format!("/projects/{mine}"), &ann, None)
            .await
            .status,
        404
    );
    // An editor unbinds a credential from his project.
    let editor = json!({"role": "project:editor", "scope": "project", "project_id": mine, "principal": to(&server, "ed")});
    assert_eq!(bind(&server, &bob, editor).await, 201);
    let attach = json!({"role": "credential:viewer", "scope": "credential", "credential_id": secret, "project_id": mine});
    let made = server
        .call("POST", "/role_bindings", &server.admin, Some(attach))
        .await;
    let path = format!("/role_bindings/{}", made.text_of("id"));
    assert_eq!(
        server
            .call("DELETE", &path, &server.token("stranger"), None)
            .await
            .status,
        404
    );
    assert_eq!(
        server
            .call("DELETE", &path, &server.token("ed"), None)
            .await
            .status,
        204
    );
    assert_eq!(server.call("GET", &path, &server.admin, None).await.status, 404);
}

#[tokio::test]
async fn d9_two_owners_who_remove_each_other_at_once_leave_one() {
    let server = Server::start().await;
    let other = server.replica().await;
    for _ in 0..5 {
        let ann = server.token("ann");
        let mine = project(&server, &ann).await;
        let second = json!({"role": "project:owner", "scope": "project", "project_id": mine, "principal": to(&server, "bob")});
        assert_eq!(bind(&server, &server.admin, second).await, 201);
        let all = server
            .made("GET", &format!("/role_bindings?search={mine}"), Value::Null)
            .await;
        let id = |subject: &str| {
            let items = all["items"].as_array().unwrap();
            let found = items
                .iter()
                .find(|i| i["principal"]["subject"] == subject)
                .unwrap();
            format!("/role_bindings/{}", found["id"].as_str().unwrap())
        };
        let (hers, his, bob) = (id("ann"), id("bob"), server.token("bob"));
        let (a, b) = tokio::join!(
            server.call("DELETE", &his, &ann, None),
            other.call("DELETE", &hers, &bob, None)
        );
        let mut seen = [a.status, b.status];
        seen.sort_unstable();
        assert!(
            seen == [204, 409] || seen == [204, 403] || seen == [204, 404],
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn a_binding_dies_with_its_object_and_one_written_past_the_broker_gives_nothing() {
    let server = Server::start().await;
    let ann = server.token("ann");
    let mine = project(&server, &ann).await;
    let editor = json!({"role": "project:editor", "scope": "project", "project_id": mine, "principal": to(&server, "ed")});
    assert_eq!(bind(&server, &ann, editor).await, 201);
    assert_eq!(
        server
            .call("DELETE", &format!("/projects/{mine}"), &ann, None)
            .await
            .status,
        204
    );
    assert_eq!(
        server.call("GET", "/role_bindings", &ann, None).await.json()["total"],
        0
    );
    // Whoever can write to the database makes himself no admin.
    let sql = "INSERT INTO role_bindings (id, role, scope, issuer, subject, origin, mac, created_at) \
               SELECT 'forged', role, scope, issuer, $1, origin, mac, created_at FROM role_bindings \
               WHERE role = 'platform:admin'";
    let forged = server
        .broker
        .store
        .execute(sql, vec!["eve".into()])
        .await
        .unwrap();
    assert_eq!(forged, 1);
    let eve = server.token("eve");
    assert_eq!(server.call("GET", "/audit", &eve, None).await.status, 404);
    let body = json!({"role": "platform:viewer", "scope": "global", "principal": to(&server, "eve")});
    assert_eq!(bind(&server, &eve, body).await, 403);
}
