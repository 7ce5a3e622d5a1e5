//! The authorization matrix, made from the table of routes: every route × what a caller may bring.
use crate::credentials::to;
use crate::server::Server;
use jeton_broker::route::{Place, ROUTES, Route, Target, Who};
use serde_json::{Value, json};

/// What stands for each `{…}`: things that are there, of somebody else.
struct There {
    project: String,
    agent: String,
    credential: String,
}

fn path(route: &Route, there: &There) -> String {
    let filled = route
        .path
        .replace("{project}", &there.project)
        .replace("{agent}", &there.agent)
        .replace("{credential}", &there.credential)
        .replace("{binding}", "none")
        .replace("{session}", "none")
        .replace("{provider}", "github")
        .replace("{name}", "none");
    assert!(!filled.contains('{'), "{filled}: say what stands there");
    match route.place {
        Place::Root => filled,
        Place::Base | Place::Both => format!("/v1{filled}"),
    }
}

#[tokio::test]
async fn every_route_refuses_every_token_that_is_none() {
    let server = Server::with("[limits]\nfailures = 1000000\n").await;
    let there = There {
        project: "p".into(),
        agent: "a".into(),
        credential: "c".into(),
    };
    let past = server.broker.now().seconds() - 3600;
    let expired = server.token_with("ann", json!({"iat": past - 60, "exp": past}));
    let elsewhere = server.token_with("ann", json!({"aud": "https://elsewhere.example"}));
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.";
    let mut forged = server.token("ann");
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    let rows: [(&str, Option<String>); 9] = [
        ("no token", None),
        ("garbage", Some("Bearer garbage".into())),
        ("Bearer nothing", Some("Bearer nothing".into())),
        ("nothing behind Bearer", Some("Bearer ".into())),
        ("another scheme", Some(format!("Basic {}", server.token("ann")))),
        ("alg none", Some(format!("Bearer {unsigned}"))),
        ("expired", Some(format!("Bearer {expired}"))),
        ("wrong audience", Some(format!("Bearer {elsewhere}"))),
        ("a signature that does not fit", Some(format!("Bearer {forged}"))),
    ];
    for route in ROUTES {
        if matches!(route.who, Who::Anyone(_) | Who::Proof(_)) {
            continue;
        }
        for (what, field) in &rows {
            let fields: Vec<(&str, &str)> = field
                .iter()
                .map(|value| ("authorization", value.as_str()))
                .collect();
            let method = route.verb.method();
            let answered = server
                .at(
                    method.as_str(),
                    &path(route, &there),
                    "",
                    &fields,
                    Some(json!({})),
                )
                .await;
            assert_eq!(answered.status, 401, "{what}: {method} {}", route.path);
            assert_eq!(
                answered.field("www-authenticate"),
                Some("Bearer error=\"invalid_token\""),
                "{what}: {method} {}",
                route.path
            );
        }
        // Two tokens are no token.
        let bearer = format!("Bearer {}", server.token("ann"));
        let twice = [
            ("authorization", bearer.as_str()),
            ("authorization", bearer.as_str()),
        ];
        let answered = server
            .at(
                route.verb.method().as_str(),
                &path(route, &there),
                "",
                &twice,
                Some(json!({})),
            )
            .await;
        assert_eq!(answered.status, 401, "twice: {}", route.path);
    }
}

#[tokio::test]
async fn every_route_about_an_object_is_closed_to_strangers_and_to_who_is_too_weak() {
    let server = Server::start().await;
    let (project, agent) = server.place().await;
    let credential = server
        .credential(&server.admin, &project, "github", json!("s3cr3t-s3cr3t"))
        .await;
    let there = There {
        project,
        agent,
        credential,
    };
    for (role, scope, field, id) in [
        ("project:viewer", "project", "project_id", &there.project),
        (
            "credential:viewer",
            "credential",
            "credential_id",
            &there.credential,
        ),
    ] {
        let mut body = json!({"role": role, "scope": scope, "principal": to(&server, "weak")});
        body[field] = id.as_str().into();
        server.made("POST", "/role_bindings", body).await;
    }
    for route in ROUTES {
        let Who::May(kind, verb, target, _) = route.who else {
            continue;
        };
        let method = route.verb.method();
        let at = path(route, &there);
        let stranger = server.token("stranger");
        let answered = server
            .at(method.as_str(), &at, &stranger, &[], Some(json!({})))
            .await;
        assert_eq!(answered.status, 404, "a stranger: {method} {}", route.path);
        // Too weak: what he reads he reads, what he may not change is refused, what he may not fetch is not there.
        let weak = server
            .at(method.as_str(), &at, &server.token("weak"), &[], Some(json!({})))
            .await;
        let wanted: &[u16] = match (target, verb) {
            (Target::Everything, _) => &[404],
            (_, "read" | "list") => &[200],
            (_, "fetch_token") => &[404],
            _ => &[403],
        };
        assert!(
            wanted.contains(&weak.status),
            "too weak: {method} {}: {weak:?}",
            route.path
        );
        // The admin may: what he meets is no refusal.
        if route.verb != jeton_broker::route::Verb::Delete {
            let admin = server
                .at(method.as_str(), &at, &server.admin, &[], Some(json!({})))
                .await;
            assert!(
                ![401, 403].contains(&admin.status),
                "admin: {kind}:{verb} {admin:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_unknown_path_is_404_and_an_unknown_method_405_in_our_own_form() {
    let server = Server::start().await;
    for (method, path, status) in [
        ("GET", "/nothing", 404),
        ("GET", "/v1/nothing", 404),
        ("PUT", "/v1/projects", 405),
        ("GET", "/v1/credentials/%00", 404),
        ("GET", "/v1/credentials/%ff/token", 404),
        ("GET", "/v1/projects/%ff/credentials/x/token", 404),
        ("GET", "/v1/projects//credentials/x/token", 404),
        ("GET", "/v1/credentials/..%2fprojects", 404),
        ("DELETE", "/v1/role_bindings/'%20OR%201=1", 404),
    ] {
        let answered = server.at(method, path, &server.admin, &[], None).await;
        assert_eq!(answered.status, status, "{path}");
        assert_eq!(answered.json()["kind"], "Error");
        assert_eq!(
            answered.json()["operation_id"].as_str(),
            answered.field("x-operation-id")
        );
    }
    assert_ne!(
        server.at("GET", "/healthz", "", &[], None).await.json()["status"],
        Value::Null
    );
}
