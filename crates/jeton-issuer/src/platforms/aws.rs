//! AWS: instance metadata (version 2), the container credentials endpoint, and STS.
mod sts;

use super::{Environment, Platform, rfc3339, variables};
use crate::answer::Answer;
use crate::call::Call;
use crate::desk::Desk;
use crate::keys::unguessable;
use crate::routes::{Reach, Route, route};
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// The longest life of a metadata token, and what SDKs ask for.
const LONGEST_METADATA_SECONDS: u32 = 21_600;
/// What role credentials live.
const CREDENTIALS_LIFE: Duration = Duration::from_secs(3600);
const ROLE: &str = "build";
const REGION: &str = "eu-central-1";
const ACCESS_KEY: &str = "ASIAJETONTESTKEY0001";

pub(super) const PLATFORMS: &[Platform] = &[
    Platform {
        name: "aws",
        routes: CONTAINER,
        environment: container_environment,
    },
    Platform {
        name: "aws-imds",
        routes: METADATA,
        environment: metadata_environment,
    },
    Platform {
        name: "aws-keys",
        routes: sts::ROUTES,
        environment: keys_environment,
    },
];

const CONTAINER: &[Route] = &[route(
    "aws-container",
    Method::GET,
    "/aws/container",
    Reach::Host,
    container,
)];

const METADATA: &[Route] = &[
    route(
        "aws-imds-token",
        Method::PUT,
        "/latest/api/token",
        Reach::Host,
        metadata_token,
    ),
    route(
        "aws-imds-role",
        Method::GET,
        "/latest/meta-data/iam/security-credentials/",
        Reach::Host,
        role,
    ),
    route(
        "aws-imds-role",
        Method::GET,
        "/latest/meta-data/iam/security-credentials",
        Reach::Host,
        role,
    ),
    route(
        "aws-imds-credentials",
        Method::GET,
        "/latest/meta-data/iam/security-credentials/{role}",
        Reach::Host,
        role_credentials,
    ),
    route(
        "aws-imds-region",
        Method::GET,
        "/latest/meta-data/placement/region",
        Reach::Host,
        region,
    ),
];

fn metadata_token(desk: &Desk<'_>, call: &Call) -> Answer {
    let ttl = call
        .header("x-aws-ec2-metadata-token-ttl-seconds")
        .and_then(|ttl| ttl.parse::<u32>().ok());
    match ttl {
        Some(ttl @ 1..=LONGEST_METADATA_SECONDS) => Answer::text(200, session(desk))
            .with("x-aws-ec2-metadata-token-ttl-seconds", ttl.to_string())
            .token_at(""),
        _ => Answer::text(400, "Bad Request"),
    }
}

/// The metadata token is the request token with a mark, so that neither passes for the other.
fn session(desk: &Desk<'_>) -> String {
    format!("imds-{}", desk.provider.request_token)
}

fn with_session(desk: &Desk<'_>, call: &Call, answer: impl FnOnce() -> Answer) -> Answer {
    match call.header("x-aws-ec2-metadata-token") == Some(session(desk).as_str()) {
        true => answer(),
        false => Answer::text(401, "Unauthorized"),
    }
}

fn role(desk: &Desk<'_>, call: &Call) -> Answer {
    with_session(desk, call, || Answer::text(200, ROLE))
}

fn region(desk: &Desk<'_>, call: &Call) -> Answer {
    with_session(desk, call, || Answer::text(200, REGION))
}

fn role_credentials(desk: &Desk<'_>, call: &Call) -> Answer {
    with_session(desk, call, || {
        if call.piece(0) != ROLE {
            return Answer::text(404, "Not Found");
        }
        let mut body = credentials(desk);
        body["Code"] = json!("Success");
        body["Type"] = json!("AWS-HMAC");
        body["LastUpdated"] = json!(rfc3339(desk.now().seconds()));
        Answer::json(200, body).token_at("/Token")
    })
}

fn credentials(desk: &Desk<'_>) -> Value {
    json!({
        "AccessKeyId": ACCESS_KEY,
        "SecretAccessKey": unguessable("secret-"),
        "Token": unguessable("session-"),
        "Expiration": rfc3339(desk.now().plus(CREDENTIALS_LIFE).seconds()),
    })
}

fn container(desk: &Desk<'_>, call: &Call) -> Answer {
    if call.header("authorization") != Some(desk.provider.request_token.as_str()) {
        return Answer::json(
            401,
            json!({"code": "AccessDenied", "message": "the authorization token is wrong"}),
        );
    }
    Answer::json(200, credentials(desk)).token_at("/Token")
}

fn container_environment(desk: &Desk<'_>) -> Environment {
    Ok(variables([
        ("AWS_REGION", REGION.into()),
        ("AWS_ENDPOINT_URL_STS", format!("{}/aws/sts", desk.url())),
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("{}/aws/container", desk.url()),
        ),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            desk.provider.request_token.clone(),
        ),
    ]))
}

fn metadata_environment(desk: &Desk<'_>) -> Environment {
    Ok(variables([
        ("AWS_REGION", REGION.into()),
        ("AWS_ENDPOINT_URL_STS", format!("{}/aws/sts", desk.url())),
        (
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            format!("{}/", desk.provider.origin()),
        ),
    ]))
}

fn keys_environment(desk: &Desk<'_>) -> Environment {
    Ok(variables([
        ("AWS_REGION", REGION.into()),
        ("AWS_ENDPOINT_URL_STS", format!("{}/aws/sts", desk.url())),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.into()),
        ("AWS_SECRET_ACCESS_KEY", unguessable("secret-")),
        ("AWS_SESSION_TOKEN", unguessable("session-")),
    ]))
}
