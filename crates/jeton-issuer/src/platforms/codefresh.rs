//! Codefresh: the OIDC request URL of a build.
use super::{Environment, Platform, variables};
use crate::answer::Answer;
use crate::call::Call;
use crate::desk::{Desk, claims};
use crate::routes::{Reach, route};
use http::Method;
use serde_json::json;

pub(super) const CODEFRESH: Platform = Platform {
    name: "codefresh",
    routes: &[route(
        "codefresh",
        Method::GET,
        "/codefresh/oidc/id_token",
        Reach::Issuer,
        id_token,
    )],
    environment,
};

fn id_token(desk: &Desk<'_>, call: &Call) -> Answer {
    // The marketplace step sends the token alone, without a scheme.
    let shown = call.authorization("bearer").or(call.header("authorization"));
    if shown != Some(desk.provider.request_token.as_str()) {
        return Answer::json(401, json!({"error": "Unauthorized"}));
    }
    let audience = call
        .query_value("audience")
        .unwrap_or_else(|| "https://g.codefresh.io".into());
    let members = claims([
        ("aud", json!(audience)),
        (
            "sub",
            json!("account:octo:pipeline:octo-repo/build:initiator:octocat"),
        ),
    ]);
    Answer::json(200, json!({"id_token": desk.identity_token(members)})).token_at("/id_token")
}

fn environment(desk: &Desk<'_>) -> Environment {
    Ok(variables([
        ("CF_BUILD_ID", "65a0c1".into()),
        (
            "CF_OIDC_REQUEST_URL",
            format!("{}/codefresh/oidc/id_token", desk.url()),
        ),
        ("CF_OIDC_REQUEST_TOKEN", desk.provider.request_token.clone()),
    ]))
}
