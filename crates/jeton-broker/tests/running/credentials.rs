//! Credentials: what is stored, what is shown, and what is released to whom.
use crate::server::Server;
use serde_json::{Value, json};

/// What must never be seen where it was not asked for.
const CANARY: &str = "ghp_canary0123456789canary0123456789";

async fn put(server: &Server, token: &str, body: Value) -> String {
    let made = server.call("POST", "/credentials", token, Some(body)).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert!(!made.text.contains("canary"), "{made:?}");
    made.text_of("id")
}

async fn github(server: &Server, token: &str) -> String {
    put(
        server,
        token,
        json!({"name": "ci", "provider": "github", "secret": CANARY}),
    )
    .await
}

pub(crate) async fn bind(server: &Server, token: &str, body: Value) -> u16 {
    server
        .call("POST", "/role_bindings", token, Some(body))
        .await
        .status
}

pub(crate) fn to(server: &Server, subject: &str) -> Value {
    json!({"issuer": server.issuer.url(), "subject": subject})
}

#[tokio::test]
async fn d6_a_credential_is_made_shown_changed_and_deleted_and_its_secret_is_never_shown() {
    let server = Server::start().await;
    let ann = server.token("ann");
    let id = put(
        &server,
        &ann,
        json!({"name": "ci", "provider": "github", "secret": CANARY, "url": "https://github.com",
               "email": "ann@example.com", "labels": {"a": "b"}, "annotations": {"user_name": "ann"}}),
    )
    .await;
    let path = format!("/credentials/{id}");
    let shown = server.call("GET", &path, &ann, None).await;
    assert_eq!(shown.status, 200);
    let list = server.call("GET", "/credentials", &ann, None).await;
    assert_eq!(list.json()["total"], 1);
    let changed = server
        .call("PATCH", &path, &ann, Some(json!({"description": "for ci"})))
        .await;
    assert_eq!(
        (changed.status, changed.json()["description"].as_str()),
        (200, Some("for ci"))
    );
    let audit = server.call("GET", "/audit", &server.admin, None).await;
    for answered in [&shown, &list, &changed, &audit] {
        assert!(
            !answered.text.contains("canary") && !answered.text.contains("enc:v"),
            "{answered:?}"
        );
    }
    let released = server.call("GET", &format!("{path}/token"), &ann, None).await;
    assert_eq!(
        released.json(),
        json!({"credential_id": id, "provider": "github", "token": CANARY, "url": "https://github.com",
               "email": "ann@example.com", "user_name": "ann"})
    );
    assert_eq!(
        server
            .call("PATCH", &path, &ann, Some(json!({"secret": "another"})))
            .await
            .status,
        200
    );
    let again = server.call("GET", &format!("{path}/token"), &ann, None).await;
    assert_eq!(again.json()["token"], "another");
    let deleted = server.call("DELETE", &path, &ann, None).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    for path in [path.clone(), format!("{path}/token")] {
        assert_eq!(server.call("GET", &path, &ann, None).await.status, 404);
    }
    // Its bindings died with it.
    let left = server.call("GET", "/role_bindings", &ann, None).await;
    assert_eq!(left.json()["total"], 0);
}

#[tokio::test]
async fn d6_what_is_wrong_with_a_credential_is_400_and_names_the_field() {
    let server = Server::start().await;
    let ann = server.token("ann");
    let rows = [
        (json!({"provider": "github", "secret": "x"}), "name: "),
        (json!({"name": "a", "secret": "x"}), "provider: "),
        (
            json!({"name": "a", "provider": "ftp", "secret": "x"}),
            "provider: ",
        ),
        (json!({"name": "a", "provider": "github"}), "secret: "),
        (
            json!({"name": "a", "provider": "github", "secret": 1}),
            "secret: ",
        ),
        (
            json!({"name": "a", "provider": "github", "secret": {"app_id": "1"}}),
            "secret.installation_id: ",
        ),
        (
            json!({"name": "a", "provider": "github", "secret": "x", "tokn": "y"}),
            "tokn: ",
        ),
        (
            json!({"name": "a", "provider": "github", "secret": "x", "token": "y"}),
            "token: ",
        ),
        (
            json!({"name": "a", "provider": "github", "secret": "x", "labels": []}),
            "labels: ",
        ),
        (
            json!({"id": "a/b", "name": "a", "provider": "github", "secret": "x"}),
            "id: ",
        ),
    ];
    for (body, wanted) in rows {
        let answered = server
            .call("POST", "/credentials", &ann, Some(body.clone()))
            .await;
        assert_eq!(answered.status, 400, "{body}");
        let reason = answered.text_of("reason");
        assert!(reason.starts_with(wanted), "{body}: {reason}");
    }
    // An older API calls it `token`.
    put(
        &server,
        &ann,
        json!({"id": "mine", "name": "a", "provider": "gitlab", "token": CANARY}),
    )
    .await;
    let twice = json!({"id": "mine", "name": "a", "provider": "gitlab", "token": CANARY});
    assert_eq!(
        server
            .call("POST", "/credentials", &ann, Some(twice))
            .await
            .status,
        409
    );
    let provider = json!({"provider": "jira"});
    let refused = server
        .call("PATCH", "/credentials/mine", &ann, Some(provider))
        .await;
    assert_eq!(refused.status, 400);
    let large = json!({"name": "x".repeat(1024 * 1024)});
    assert_eq!(
        server
            .call("POST", "/credentials", &ann, Some(large))
            .await
            .status,
        413
    );
}

#[tokio::test]
async fn d8_g2_only_an_owner_a_token_reader_and_an_admin_fetch() {
    let server = Server::start().await;
    let ann = server.token("ann");
    let id = github(&server, &ann).await;
    let other = github(&server, &ann).await;
    let on = |role: &str, subject: &str| json!({"role": role, "scope": "credential", "credential_id": id, "principal": to(&server, subject)});
    assert_eq!(bind(&server, &ann, on("credential:viewer", "viewer")).await, 201);
    assert_eq!(
        bind(&server, &ann, on("credential:token-reader", "reader")).await,
        201
    );
    let everywhere =
        json!({"role": "platform:viewer", "scope": "global", "principal": to(&server, "auditor")});
    assert_eq!(bind(&server, &server.admin, everywhere).await, 201);
    let on_other = json!({"role": "credential:viewer", "scope": "credential", "credential_id": other, "principal": to(&server, "elsewhere")});
    assert_eq!(bind(&server, &ann, on_other).await, 201);
    // Who, and what he gets: the metadata, the token.
    let rows = [
        ("ann", 200, 200),
        ("reader", 404, 200),
        ("viewer", 200, 404),
        ("auditor", 200, 404),
        // Any binding of credential scope was enough elsewhere (D.4 fault 1).
        ("elsewhere", 404, 404),
        ("stranger", 404, 404),
    ];
    for (who, metadata, token) in rows {
        let bearer = server.token(who);
        let got = server
            .call("GET", &format!("/credentials/{id}"), &bearer, None)
            .await;
        assert_eq!(got.status, metadata, "{who}");
        let got = server
            .call("GET", &format!("/credentials/{id}/token"), &bearer, None)
            .await;
        assert_eq!(got.status, token, "{who}");
        assert_eq!(got.text.contains(CANARY), token == 200, "{who}");
    }
    let admin = server
        .call("GET", &format!("/credentials/{id}/token"), &server.admin, None)
        .await;
    assert_eq!(admin.status, 200);
}

#[tokio::test]
async fn d10_d4_a_project_path_takes_a_binding_there_and_gives_nothing_by_itself() {
    let server = Server::start().await;
    let ann = server.token("ann");
    let (project, agent) = server.place().await;
    let (elsewhere, _) = server.place().await;
    let id = github(&server, &ann).await;
    let reader = json!({"role": "credential:token-reader", "scope": "credential", "credential_id": id, "principal": to(&server, "reader")});
    assert_eq!(bind(&server, &ann, reader).await, 201);
    let member = json!({"role": "project:owner", "scope": "project", "project_id": project, "principal": to(&server, "member")});
    assert_eq!(bind(&server, &server.admin, member).await, 201);
    let path = format!("/projects/{project}/credentials/{id}");
    let reader = server.token("reader");
    assert_eq!(
        server
            .call("GET", &format!("{path}/token"), &reader, None)
            .await
            .status,
        404,
        "not bound there"
    );
    let attach = json!({"role": "credential:viewer", "scope": "credential", "credential_id": id, "project_id": project});
    assert_eq!(bind(&server, &server.admin, attach.clone()).await, 201);
    assert_eq!(
        bind(&server, &server.admin, attach).await,
        409,
        "it is there already"
    );
    assert_eq!(
        server
            .call("GET", &format!("{path}/token"), &reader, None)
            .await
            .status,
        200
    );
    let there = format!("/projects/{elsewhere}/credentials/{id}/token");
    assert_eq!(
        server.call("GET", &there, &reader, None).await.status,
        404,
        "bound to another project"
    );
    assert_eq!(
        server
            .call("GET", "/projects/none/credentials/x/token", &reader, None)
            .await
            .status,
        404
    );
    // A project's owner reads no credential that is attached to it (D.4 fault 3).
    let member = server.token("member");
    for path in [path.clone(), format!("{path}/token")] {
        assert_eq!(server.call("GET", &path, &member, None).await.status, 404);
    }
    assert_eq!(server.call("GET", &path, &ann, None).await.status, 200);
    // Bound to an agent of the project is bound there.
    let second = github(&server, &ann).await;
    let body = json!({"role": "credential:viewer", "scope": "credential", "credential_id": second, "agent_id": agent});
    assert_eq!(bind(&server, &server.admin, body).await, 201);
    let path = format!("/projects/{project}/credentials/{second}/token");
    assert_eq!(server.call("GET", &path, &ann, None).await.status, 200);
}

#[tokio::test]
async fn d10_a_credential_made_under_a_project_is_bound_to_it() {
    let server = Server::start().await;
    let ann = server.token("ann");
    let made = server
        .call("POST", "/projects", &ann, Some(json!({"name": "p"})))
        .await;
    assert_eq!(made.status, 201);
    let project = made.text_of("id");
    let path = format!("/projects/{project}/credentials");
    let body = json!({"name": "ci", "provider": "github", "secret": CANARY});
    let made = server.call("POST", &path, &ann, Some(body.clone())).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.text_of("id");
    assert_eq!(server.call("GET", &path, &ann, None).await.json()["total"], 1);
    assert_eq!(
        server
            .call("GET", &format!("{path}/{id}/token"), &ann, None)
            .await
            .status,
        200
    );
    let bob = server.token("bob");
    assert_eq!(server.call("POST", &path, &bob, Some(body)).await.status, 404);
    assert_eq!(server.call("GET", &path, &bob, None).await.status, 404);
}

#[tokio::test]
async fn d11_g3_authorization_is_on_and_a_stranger_sees_what_is_not_there() {
    let server = Server::start().await;
    let (ann, bob) = (server.token("ann"), server.token("bob"));
    let id = github(&server, &ann).await;
    let project = server
        .call("POST", "/projects", &ann, Some(json!({"name": "p"})))
        .await
        .text_of("id");
    let missing = "01JZZZZZZZZZZZZZZZZZZZZZZZ";
    let kinds = [
        ("GET", "/credentials/{}", None),
        ("GET", "/credentials/{}/token", None),
        ("PATCH", "/credentials/{}", Some(json!({"name": "x"}))),
        ("DELETE", "/credentials/{}", None),
        ("GET", "/projects/{}", None),
        ("PATCH", "/projects/{}", Some(json!({"name": "x"}))),
        ("DELETE", "/projects/{}", None),
        ("GET", "/projects/{}/agents", None),
        ("POST", "/projects/{}/agents", Some(json!({"name": "x"}))),
        ("GET", "/projects/{}/credentials", None),
        ("GET", "/projects/{}/agents/x", None),
    ];
    for (method, path, body) in kinds {
        let there = if path.starts_with("/credentials") {
            &id
        } else {
            &project
        };
        let answers = [there.as_str(), missing].map(|id| path.replace("{}", id));
        let mut seen = Vec::new();
        for path in answers {
            let answered = server.call(method, &path, &bob, body.clone()).await;
            let mut json = answered.json();
            json["operation_id"] = Value::Null;
            seen.push((
                answered.status,
                json,
                answered.text.len(),
                names(&answered.fields),
            ));
        }
        assert_eq!(seen[0], seen[1], "{method} {path}");
        assert_eq!(seen[0].0, 404, "{method} {path}");
    }
    for list in ["/credentials", "/projects", "/role_bindings"] {
        assert_eq!(
            server.call("GET", list, &bob, None).await.json()["total"],
            0,
            "{list}"
        );
    }
}

/// The names of the header fields.
fn names(fields: &str) -> Vec<String> {
    fields
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, _)| name.to_owned())
        .collect()
}

#[tokio::test]
async fn a_list_has_pages_an_order_and_a_search() {
    let server = Server::start().await;
    let ann = server.token("ann");
    for name in ["b", "a", "c_d", "c%d"] {
        put(
            &server,
            &ann,
            json!({"name": name, "provider": "generic", "secret": CANARY}),
        )
        .await;
    }
    let rows = [
        ("?order_by=name", 4, json!(["a", "b", "c%d", "c_d"])),
        ("?order_by=name%20desc&size=2", 4, json!(["c_d", "c%d"])),
        ("?order_by=name&size=2&page=2", 4, json!(["c%d", "c_d"])),
        ("?search=c_", 1, json!(["c_d"])),
        ("?search=%25", 1, json!(["c%d"])),
        ("?page=9", 4, json!([])),
    ];
    for (query, total, wanted) in rows {
        let answered = server
            .call("GET", &format!("/credentials{query}"), &ann, None)
            .await;
        let list = answered.json();
        let names: Vec<&Value> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| &i["name"])
            .collect();
        assert_eq!((json!(names), &list["total"]), (wanted, &json!(total)), "{query}");
        assert_eq!(
            (&list["kind"], &list["size"]),
            (&json!("CredentialList"), &json!(names.len())),
            "{query}"
        );
    }
    for (query, field) in [
        ("?size=501", "size"),
        ("?size=0", "size"),
        ("?page=x", "page"),
        ("?order_by=secret", "order_by"),
        ("?order_by=name;drop", "order_by"),
        ("?sort=name", "sort"),
        ("?page=1&page=2", "page"),
        ("?search=%00", "search"),
    ] {
        let answered = server
            .call("GET", &format!("/credentials{query}"), &ann, None)
            .await;
        assert_eq!(answered.status, 400, "{query}");
        assert!(
            answered.text_of("reason").starts_with(field),
            "{query}: {answered:?}"
        );
    }
}
