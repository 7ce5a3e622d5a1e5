//! GitHub Actions and Forgejo Actions: the request URL of a job.
use super::{Environment, Platform, Variable, variables};
use crate::answer::Answer;
use crate::call::Call;
use crate::desk::{Desk, claims};
use crate::discovery::workflow_claims;
use crate::routes::{Reach, route};
use http::Method;
use serde_json::{Map, Value, json};

/// The audience when none is asked for: the repository's owner.
const OWNER: &str = "https://github.com/octo-org";

pub(super) const GITHUB: Platform = Platform {
    name: "github",
    routes: &[route(
        "github",
        Method::GET,
        "/github/idtoken",
        Reach::Issuer,
        id_token,
    )],
    environment: github_environment,
};

pub(super) const FORGEJO: Platform = Platform {
    name: "forgejo",
    routes: &[route(
        "forgejo",
        Method::GET,
        FORGEJO_PATH,
        Reach::Issuer,
        id_token,
    )],
    environment: forgejo_environment,
};

const FORGEJO_PATH: &str = "/api/actions/_apis/pipelines/workflows/{run}/idtoken";

/// The same answer for both; without the request token it is GitHub's refusal.
fn id_token(desk: &Desk<'_>, call: &Call) -> Answer {
    if call.authorization("bearer") != Some(desk.provider.request_token.as_str()) {
        return refusal(
            401,
            "The request token is missing, wrong, or of a job that is over",
        );
    }
    let audience = call.query_value("audience").unwrap_or_else(|| OWNER.to_owned());
    let mut claims = job_claims();
    claims.insert("aud".into(), json!(audience));
    let token = desk.identity_token(claims);
    Answer::json(200, json!({"count": token.len(), "value": token})).token_at("/value")
}

fn job_claims() -> Map<String, Value> {
    let mut all = workflow_claims();
    all.extend(claims([
        ("sub", json!("repo:octo-org/octo-repo:ref:refs/heads/main")),
        ("actor", json!("octocat")),
        ("actor_id", json!("583231")),
        ("event_name", json!("push")),
        (
            "job_workflow_ref",
            json!("octo-org/octo-repo/.github/workflows/release.yml@refs/heads/main"),
        ),
        (
            "job_workflow_sha",
            json!("7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"),
        ),
        ("repository", json!("octo-org/octo-repo")),
        ("repository_id", json!("74")),
        ("repository_owner", json!("octo-org")),
        ("repository_owner_id", json!("65")),
        ("run_id", json!("30433642")),
        ("run_number", json!("562")),
        ("sha", json!("7fd1a60b01f91b314f59955a4e4d4e80d8edf11d")),
        ("workflow", json!("release")),
        (
            "workflow_ref",
            json!("octo-org/octo-repo/.github/workflows/release.yml@refs/heads/main"),
        ),
        ("workflow_sha", json!("7fd1a60b01f91b314f59955a4e4d4e80d8edf11d")),
    ]));
    all
}

/// An error as GitHub's endpoint writes it.
pub(crate) fn refusal(status: u16, message: &str) -> Answer {
    Answer::json(
        status,
        json!({"$id": "1", "innerException": null, "message": message, "typeName": "Refused",
            "typeKey": "Refused", "errorCode": 0, "eventId": 3000}),
    )
}

fn github_environment(desk: &Desk<'_>) -> Environment {
    let request_url = format!("{}/github/idtoken?api-version=2.0", desk.url());
    Ok(actions(desk, request_url))
}

fn forgejo_environment(desk: &Desk<'_>) -> Environment {
    let path = FORGEJO_PATH.replace("{run}", "17");
    Ok(actions(desk, format!("{}{path}?placeholder=true", desk.url())))
}

fn actions(desk: &Desk<'_>, request_url: String) -> Vec<Variable> {
    variables([
        ("GITHUB_ACTIONS", "true".into()),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", request_url),
        (
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            desk.provider.request_token.clone(),
        ),
    ])
}
