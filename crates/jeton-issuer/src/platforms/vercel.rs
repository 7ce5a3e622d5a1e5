//! Vercel: the token in a variable, and the API that refreshes it for development.
use super::{Environment, Platform, variables};
use crate::answer::Answer;
use crate::call::Call;
use crate::desk::{Desk, claims};
use crate::routes::{Reach, route};
use http::Method;
use serde_json::json;

pub(super) const VERCEL: Platform = Platform {
    name: "vercel",
    routes: &[route(
        "vercel",
        Method::POST,
        "/v1/projects/{project}/token",
        Reach::Host,
        refresh,
    )],
    environment,
};

fn refresh(desk: &Desk<'_>, call: &Call) -> Answer {
    if call.authorization("bearer") != Some(desk.provider.request_token.as_str()) {
        return refusal(403, "forbidden", "Not authorized");
    }
    if call.query_value("source").as_deref() != Some("vercel-oidc-refresh") {
        return refusal(400, "bad_request", "source is missing");
    }
    Answer::json(200, json!({"token": token(desk, call.piece(0))})).token_at("/token")
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, json!({"error": {"code": code, "message": message}}))
}

fn token(desk: &Desk<'_>, project: &str) -> String {
    desk.identity_token(claims([
        ("aud", json!("https://vercel.com/octo-team")),
        (
            "sub",
            json!(format!(
                "owner:octo-team:project:{project}:environment:development"
            )),
        ),
        ("project_id", json!(project)),
    ]))
}

fn environment(desk: &Desk<'_>) -> Environment {
    Ok(variables([
        ("VERCEL", "1".into()),
        ("VERCEL_OIDC_TOKEN", token(desk, "prj_octo")),
    ]))
}
