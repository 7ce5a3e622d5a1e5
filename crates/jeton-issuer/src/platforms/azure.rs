//! Azure: instance metadata, App Service, Arc, and Entra's token endpoint for workload identity.
mod entra;

use super::{Environment, Platform, variables, write_file};
use crate::answer::Answer;
use crate::call::Call;
use crate::desk::{Desk, claims};
use crate::mint::Mint;
use crate::routes::{Reach, Route, route};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Method;
use serde_json::json;
use std::time::Duration;

/// What a managed identity's token lives: about a day.
const LIFE: Duration = Duration::from_secs(86_400);
const CLIENT: &str = "11111111-2222-3333-4444-555555555555";
/// Where Arc's agent puts its key, under the issuer's folder.
const ARC_KEY: &str = "tokens/arc.key";

pub(super) const PLATFORMS: &[Platform] = &[
    Platform {
        name: "azure",
        routes: entra::ROUTES,
        environment: entra::environment,
    },
    Platform {
        name: "azure-imds",
        routes: METADATA,
        environment: metadata_environment,
    },
    Platform {
        name: "azure-app-service",
        routes: APP_SERVICE,
        environment: app_service_environment,
    },
    Platform {
        name: "azure-arc",
        routes: ARC,
        environment: arc_environment,
    },
];

const METADATA: &[Route] = &[route(
    "azure-imds",
    Method::GET,
    "/metadata/identity/oauth2/token",
    Reach::Host,
    metadata,
)];
const APP_SERVICE: &[Route] = &[route(
    "azure-app-service",
    Method::GET,
    "/azure/app-service/msi/token",
    Reach::Host,
    app_service,
)];
const ARC: &[Route] = &[route(
    "azure-arc",
    Method::GET,
    "/azure/arc/metadata/identity/oauth2/token",
    Reach::Host,
    arc,
)];

fn metadata(desk: &Desk<'_>, call: &Call) -> Answer {
    if !is_metadata(call) {
        return refusal("Required metadata header not specified");
    }
    token(desk, call)
}

fn is_metadata(call: &Call) -> bool {
    call.header("metadata")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn app_service(desk: &Desk<'_>, call: &Call) -> Answer {
    if call.header("x-identity-header") != Some(desk.provider.request_token.as_str()) {
        let body = json!({"statusCode": 401, "message": "Unauthorized", "correlationId": "0"});
        return Answer::json(401, body);
    }
    token(desk, call)
}

/// Arc first tells where its key is, then wants what is in it.
fn arc(desk: &Desk<'_>, call: &Call) -> Answer {
    if !is_metadata(call) {
        return refusal("Required metadata header not specified");
    }
    if let Some(shown) = call.authorization("basic") {
        return match shown == arc_key(desk) {
            true => token(desk, call),
            false => Answer::json(
                403,
                json!({"error": "forbidden", "error_description": "the key is wrong"}),
            ),
        };
    }
    match write_file(desk, ARC_KEY, &arc_key(desk)) {
        Ok(path) => Answer::empty(401).with("www-authenticate", format!("Basic realm={path}")),
        Err(error) => Answer::text(500, format!("{error}\n")),
    }
}

fn arc_key(desk: &Desk<'_>) -> String {
    BASE64_STANDARD.encode(format!("arc:{}", desk.provider.request_token))
}

fn token(desk: &Desk<'_>, call: &Call) -> Answer {
    if call.query_value("api-version").is_none() {
        return refusal("The api-version query parameter is missing");
    }
    let Some(resource) = call.query_value("resource") else {
        return refusal("Resource was not specified");
    };
    let now = desk.now();
    let access = access_token(desk, &resource);
    Answer::json(
        200,
        json!({
            "access_token": access,
            "client_id": CLIENT,
            "expires_in": LIFE.as_secs().to_string(),
            "expires_on": now.plus(LIFE).seconds().to_string(),
            "ext_expires_in": LIFE.as_secs().to_string(),
            "not_before": now.seconds().to_string(),
            "resource": resource,
            "token_type": "Bearer",
        }),
    )
    .token_at("/access_token")
}

fn access_token(desk: &Desk<'_>, audience: &str) -> String {
    let members = claims([
        ("aud", json!(audience)),
        ("sub", json!(CLIENT)),
        ("appid", json!(CLIENT)),
    ]);
    desk.sign(Mint::new(desk.url(), desk.now(), LIFE, members))
}

fn refusal(description: &str) -> Answer {
    Answer::json(
        400,
        json!({"error": "invalid_request", "error_description": description}),
    )
}

fn metadata_environment(desk: &Desk<'_>) -> Environment {
    Ok(variables([(
        "AZURE_POD_IDENTITY_AUTHORITY_HOST",
        desk.provider.origin().to_owned(),
    )]))
}

fn app_service_environment(desk: &Desk<'_>) -> Environment {
    Ok(variables([
        (
            "IDENTITY_ENDPOINT",
            format!("{}/azure/app-service/msi/token", desk.url()),
        ),
        ("IDENTITY_HEADER", desk.provider.request_token.clone()),
    ]))
}

fn arc_environment(desk: &Desk<'_>) -> Environment {
    write_file(desk, ARC_KEY, &arc_key(desk))?;
    Ok(variables([
        (
            "IDENTITY_ENDPOINT",
            format!("{}/azure/arc/metadata/identity/oauth2/token", desk.url()),
        ),
        ("IMDS_ENDPOINT", desk.provider.origin().to_owned()),
    ]))
}
