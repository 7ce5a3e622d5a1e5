//! Buildkite: the agent API's OIDC tokens.
use super::{Environment, Platform, variables};
use crate::answer::Answer;
use crate::call::Call;
use crate::desk::{Desk, claims};
use crate::mint::Mint;
use crate::routes::{Reach, route};
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;

const JOB: &str = "0184990a-477b-4fa8-9968-496074483cee";

pub(super) const BUILDKITE: Platform = Platform {
    name: "buildkite",
    routes: &[route(
        "buildkite",
        Method::POST,
        "/v3/jobs/{job}/oidc/tokens",
        Reach::Issuer,
        oidc_token,
    )],
    environment,
};

fn oidc_token(desk: &Desk<'_>, call: &Call) -> Answer {
    if call.authorization("token") != Some(desk.provider.request_token.as_str()) {
        return Answer::json(401, json!({"message": "Unauthorized"}));
    }
    let body = match call.body.is_empty() {
        true => json!({}),
        false => match call.json() {
            Some(body @ Value::Object(_)) => body,
            _ => return Answer::json(422, json!({"message": "the body is no JSON object"})),
        },
    };
    let text = |name: &str, default: &str| {
        body.get(name)
            .and_then(Value::as_str)
            .unwrap_or(default)
            .to_owned()
    };
    let life = body
        .get("lifetime")
        .and_then(Value::as_u64)
        .filter(|seconds| *seconds > 0);
    let life = life.map_or(desk.options().token_life, Duration::from_secs);
    let members = claims([
        ("aud", json!(text("audience", "https://buildkite.com/octo-org"))),
        (
            "sub",
            json!("organization:octo-org:pipeline:octo-repo:ref:refs/heads/main:commit:7fd1a60:step:build"),
        ),
        ("organization_slug", json!("octo-org")),
        ("pipeline_slug", json!("octo-repo")),
        ("job_id", json!(call.piece(0))),
    ]);
    let token = desk.sign(Mint::new(desk.url(), desk.now(), life, members));
    Answer::json(200, json!({ "token": token })).token_at("/token")
}

fn environment(desk: &Desk<'_>) -> Environment {
    Ok(variables([
        ("BUILDKITE", "true".into()),
        ("BUILDKITE_AGENT_ENDPOINT", format!("{}/v3", desk.url())),
        (
            "BUILDKITE_AGENT_ACCESS_TOKEN",
            desk.provider.request_token.clone(),
        ),
        ("BUILDKITE_JOB_ID", JOB.into()),
    ]))
}
