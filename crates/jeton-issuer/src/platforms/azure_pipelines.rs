//! Azure Pipelines: the OIDC request URI of a job.
use super::{Environment, Platform, variables};
use crate::answer::Answer;
use crate::call::Call;
use crate::desk::{Desk, claims};
use crate::routes::{Reach, route};
use http::Method;
use serde_json::json;

pub(super) const AZURE_PIPELINES: Platform = Platform {
    name: "azure-pipelines",
    routes: &[route(
        "azure-pipelines",
        Method::POST,
        "/azure/pipelines/oidctoken",
        Reach::Issuer,
        oidc_token,
    )],
    environment,
};

fn oidc_token(desk: &Desk<'_>, call: &Call) -> Answer {
    if call.authorization("bearer") != Some(desk.provider.request_token.as_str()) {
        // Without the header that asks it not to, the service would send a browser to its login page.
        return match call.header("x-tfs-fedauthredirect") {
            Some("Suppress") => Answer::text(401, "Unauthorized"),
            _ => Answer::typed(302, "text/html", "").with("location", format!("{}/authorize", desk.url())),
        };
    }
    if call.query_value("api-version").is_none() {
        return Answer::json(
            400,
            json!({"message": "No api-version was supplied for the request."}),
        );
    }
    let members = claims([
        ("aud", json!("api://AzureADTokenExchange")),
        ("sub", json!("sc://octo-org/octo-project/octo-connection")),
    ]);
    Answer::json(200, json!({"oidcToken": desk.identity_token(members)})).token_at("/oidcToken")
}

fn environment(desk: &Desk<'_>) -> Environment {
    Ok(variables([
        ("TF_BUILD", "True".into()),
        (
            "SYSTEM_OIDCREQUESTURI",
            format!("{}/azure/pipelines/oidctoken", desk.url()),
        ),
        ("SYSTEM_ACCESSTOKEN", desk.provider.request_token.clone()),
    ]))
}
