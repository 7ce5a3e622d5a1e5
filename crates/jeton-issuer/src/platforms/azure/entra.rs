//! Entra's token endpoint for workload identity: client credentials with a federated assertion.
use super::{CLIENT, access_token};
use crate::answer::Answer;
use crate::call::Call;
use crate::desk::{Desk, claims};
use crate::grants::unverified_claims;
use crate::platforms::{Environment, rfc3339, variables, write_file};
use crate::routes::{Reach, Route, route};
use http::Method;
use serde_json::{Value, json};

const TENANT: &str = "99999999-8888-7777-6666-555555555555";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The audience that Entra wants of an assertion.
const AUDIENCE: &str = "api://AzureADTokenExchange";
/// What Entra's access tokens live, about.
const ACCESS_SECONDS: u32 = 3599;

pub(super) const ROUTES: &[Route] = &[route(
    "azure-entra",
    Method::POST,
    "/azure/entra/{tenant}/oauth2/v2.0/token",
    Reach::Host,
    token,
)];

fn token(desk: &Desk<'_>, call: &Call) -> Answer {
    exchanged(desk, call).unwrap_or_else(|refusal| refusal)
}

fn exchanged(desk: &Desk<'_>, call: &Call) -> Result<Answer, Answer> {
    let form = call.form();
    let wanted = |name: &str| {
        let text = format!("The required field '{name}' is missing from the credential.");
        form.one(name)
            .ok_or_else(|| refusal(desk, 400, "invalid_request", 90014, &text))
    };
    if wanted("grant_type")? != "client_credentials" {
        return Err(refusal(
            desk,
            400,
            "unsupported_grant_type",
            70003,
            "The grant type is not supported.",
        ));
    }
    let (client, scope) = (wanted("client_id")?, wanted("scope")?);
    if wanted("client_assertion_type")? != ASSERTION_TYPE {
        return Err(refusal(
            desk,
            400,
            "invalid_request",
            900_144,
            "The client_assertion_type is not supported.",
        ));
    }
    let assertion = unverified_claims(&wanted("client_assertion")?);
    let assertion =
        assertion.ok_or_else(|| refusal(desk, 401, "invalid_client", 50027, "JWT token is invalid."))?;
    let exp = assertion.get("exp").and_then(Value::as_i64).unwrap_or_default();
    if exp <= desk.now().seconds() {
        let text = "Client assertion is not within its valid time range.";
        return Err(refusal(desk, 401, "invalid_client", 700_024, text));
    }
    if assertion.get("aud") != Some(&json!(AUDIENCE)) {
        let text = "No matching federated identity record found for presented assertion audience.";
        return Err(refusal(desk, 401, "invalid_client", 700_212, text));
    }
    let audience = scope.strip_suffix("/.default").unwrap_or(&scope);
    let body = json!({"token_type": "Bearer", "expires_in": ACCESS_SECONDS, "ext_expires_in": ACCESS_SECONDS,
        "access_token": access_token(desk, audience)});
    tracing::debug!(client, "an assertion was exchanged");
    Ok(Answer::json(200, body).token_at("/access_token"))
}

/// An error as Entra writes it.
fn refusal(desk: &Desk<'_>, status: u16, error: &str, code: u32, text: &str) -> Answer {
    let time = rfc3339(desk.now().seconds());
    Answer::json(
        status,
        json!({"error": error, "error_description": format!("AADSTS{code}: {text} Timestamp: {time}"),
            "error_codes": [code], "timestamp": time, "trace_id": "0", "correlation_id": "0"}),
    )
}

pub(super) fn environment(desk: &Desk<'_>) -> Environment {
    let members = claims([
        ("aud", json!(AUDIENCE)),
        ("sub", json!("system:serviceaccount:default:web")),
    ]);
    let file = write_file(desk, "azure-identity-token", &desk.identity_token(members))?;
    Ok(variables([
        ("AZURE_FEDERATED_TOKEN_FILE", file),
        ("AZURE_CLIENT_ID", CLIENT.into()),
        ("AZURE_TENANT_ID", TENANT.into()),
        ("AZURE_AUTHORITY_HOST", format!("{}/azure/entra", desk.url())),
    ]))
}
