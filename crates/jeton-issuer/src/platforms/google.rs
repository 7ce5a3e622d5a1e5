//! Google Cloud: the metadata server, and impersonation of a service account.
use super::{Environment, Platform, rfc3339, variables};
use crate::answer::Answer;
use crate::call::Call;
use crate::desk::{Desk, claims};
use crate::mint::Mint;
use crate::routes::{Reach, Route, route};
use http::Method;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// What the metadata server's tokens live.
const LIFE: Duration = Duration::from_secs(3600);
/// The service account that the instance has.
const EMAIL: &str = "build@octo-project.iam.gserviceaccount.com";
const SUBJECT: &str = "113475438248934895348";

pub(super) const PLATFORMS: &[Platform] = &[
    Platform {
        name: "gcp",
        routes: METADATA,
        environment: metadata_environment,
    },
    Platform {
        name: "gcp-impersonation",
        routes: IMPERSONATION,
        environment: impersonation_environment,
    },
];

const METADATA: &[Route] = &[
    route("gcp-ping", Method::GET, "/", Reach::Host, ping),
    route(
        "gcp-identity",
        Method::GET,
        "/computeMetadata/v1/instance/service-accounts/{account}/identity",
        Reach::Host,
        identity,
    ),
    route(
        "gcp-token",
        Method::GET,
        "/computeMetadata/v1/instance/service-accounts/{account}/token",
        Reach::Host,
        access_token,
    ),
    route(
        "gcp-email",
        Method::GET,
        "/computeMetadata/v1/instance/service-accounts/{account}/email",
        Reach::Host,
        email,
    ),
    route(
        "gcp-project",
        Method::GET,
        "/computeMetadata/v1/project/project-id",
        Reach::Host,
        project,
    ),
];

const IMPERSONATION: &[Route] = &[
    route(
        "gcp-impersonation",
        Method::POST,
        "/v1/projects/-/serviceAccounts/{account}:generateIdToken",
        Reach::Host,
        generate_id_token,
    ),
    route(
        "gcp-impersonation",
        Method::POST,
        "/v1/projects/-/serviceAccounts/{account}:generateAccessToken",
        Reach::Host,
        generate_access_token,
    ),
];

/// The metadata server refuses who does not say that the request is meant for it.
fn metadata(call: &Call, give: impl FnOnce() -> Answer) -> Answer {
    let meant = call.header("metadata-flavor") == Some("Google");
    let answer = match meant && call.header("x-forwarded-for").is_none() {
        true => give(),
        false => Answer::typed(
            403,
            "text/html; charset=UTF-8",
            "Missing Metadata-Flavor:Google header.\n",
        ),
    };
    answer
        .with("metadata-flavor", "Google")
        .with("server", "Metadata Server for VM")
}

fn ping(_: &Desk<'_>, call: &Call) -> Answer {
    metadata(call, || {
        Answer::typed(200, "application/text", "computeMetadata/\n")
    })
}

fn project(_: &Desk<'_>, call: &Call) -> Answer {
    metadata(call, || Answer::typed(200, "application/text", "octo-project"))
}

fn email(_: &Desk<'_>, call: &Call) -> Answer {
    metadata(call, || Answer::typed(200, "application/text", EMAIL))
}

fn identity(desk: &Desk<'_>, call: &Call) -> Answer {
    metadata(call, || {
        let Some(audience) = call.query_value("audience") else {
            return Answer::typed(400, "text/html", "non-empty audience parameter required\n");
        };
        let full = call.query_value("format").as_deref() == Some("full");
        let token = identity_token(desk, &audience, EMAIL, full);
        Answer::typed(200, "text/html", token).token_at("")
    })
}

fn identity_token(desk: &Desk<'_>, audience: &str, email: &str, full: bool) -> String {
    let mut members = claims([
        ("aud", json!(audience)),
        ("azp", json!(SUBJECT)),
        ("sub", json!(SUBJECT)),
    ]);
    if full {
        members.extend(claims([
            ("email", json!(email)),
            ("email_verified", json!(true)),
            (
                "google",
                json!({"compute_engine": {"instance_name": "vm-1", "project_id": "octo-project"}}),
            ),
        ]));
    }
    desk.sign(Mint::new(desk.url(), desk.now(), LIFE, members))
}

fn access_token(desk: &Desk<'_>, call: &Call) -> Answer {
    metadata(call, || {
        let token = opaque(desk, call.query_value("scopes").unwrap_or_default());
        Answer::json(
            200,
            json!({"access_token": token, "expires_in": LIFE.as_secs(), "token_type": "Bearer"}),
        )
        .token_at("/access_token")
    })
}

fn opaque(desk: &Desk<'_>, scopes: String) -> String {
    let members: Map<_, _> = claims([
        ("aud", json!(desk.url())),
        ("sub", json!(SUBJECT)),
        ("scope", json!(scopes)),
    ]);
    desk.sign(Mint::new(desk.url(), desk.now(), LIFE, members).typed("at+jwt"))
}

/// The body, for who shows a bearer token.
fn bearer_body(call: &Call) -> Result<Map<String, Value>, Answer> {
    if call.authorization("bearer").is_none_or(str::is_empty) {
        return Err(error(
            401,
            "UNAUTHENTICATED",
            "Request is missing required authentication credential.",
        ));
    }
    match call.json() {
        Some(Value::Object(body)) => Ok(body),
        _ => Err(error(400, "INVALID_ARGUMENT", "Invalid JSON payload received.")),
    }
}

fn generate_id_token(desk: &Desk<'_>, call: &Call) -> Answer {
    let body = match bearer_body(call) {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let Some(audience) = body.get("audience").and_then(Value::as_str) else {
        return error(400, "INVALID_ARGUMENT", "audience is required");
    };
    let full = body.get("includeEmail") == Some(&json!(true));
    let token = identity_token(desk, audience, call.piece(0), full);
    Answer::json(200, json!({ "token": token })).token_at("/token")
}

fn generate_access_token(desk: &Desk<'_>, call: &Call) -> Answer {
    let body = match bearer_body(call) {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let scopes: Vec<_> = body
        .get("scope")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let token = opaque(desk, scopes.join(" "));
    let ends = rfc3339(desk.now().plus(LIFE).seconds());
    Answer::json(200, json!({"accessToken": token, "expireTime": ends})).token_at("/accessToken")
}

/// An error as Google's APIs write it.
fn error(code: u16, status: &str, message: &str) -> Answer {
    Answer::json(
        code,
        json!({"error": {"code": code, "message": message, "status": status}}),
    )
}

fn metadata_environment(desk: &Desk<'_>) -> Environment {
    let authority = desk.provider.authority().to_owned();
    Ok(variables([
        ("GCE_METADATA_HOST", authority.clone()),
        ("GCE_METADATA_IP", authority),
    ]))
}

fn impersonation_environment(desk: &Desk<'_>) -> Environment {
    let mut all = metadata_environment(desk)?;
    all.extend(variables([
        ("GOOGLE_SERVICE_ACCOUNT_NAME", EMAIL.to_owned()),
        (
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS",
            format!("{}/", desk.provider.origin()),
        ),
    ]));
    Ok(all)
}
