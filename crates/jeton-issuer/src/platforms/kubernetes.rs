//! Kubernetes: the TokenRequest subresource of a service account, and the files of a pod.
use super::{Environment, Platform, host_and_port, rfc3339, variables, write_file};
use crate::answer::Answer;
use crate::call::Call;
use crate::desk::{Desk, claims};
use crate::mint::Mint;
use crate::routes::{Reach, route};
use http::Method;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// What the API server gives when nobody says how long.
const DEFAULT_SECONDS: u64 = 3600;
/// What the API server takes at the least.
const LEAST_SECONDS: u64 = 600;

pub(super) const KUBERNETES: Platform = Platform {
    name: "kubernetes",
    routes: &[route(
        "kubernetes",
        Method::POST,
        "/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token",
        Reach::Host,
        token_request,
    )],
    environment,
};

fn token_request(desk: &Desk<'_>, call: &Call) -> Answer {
    let bearer = call.authorization("bearer").unwrap_or_default();
    // A pod shows the token of its own file; which pod it is matters to no test.
    if bearer != desk.provider.request_token && bearer.matches('.').count() != 2 {
        return status(401, "Unauthorized", "Unauthorized");
    }
    let Some(Value::Object(body)) = call.json() else {
        return status(400, "BadRequest", "the body is no TokenRequest");
    };
    let spec = body.get("spec").cloned().unwrap_or_default();
    let seconds = spec
        .get("expirationSeconds")
        .and_then(Value::as_u64)
        .unwrap_or(DEFAULT_SECONDS);
    if seconds < LEAST_SECONDS {
        let text = "spec.expirationSeconds: Invalid value: may not specify a duration less than 10 minutes";
        return status(422, "Invalid", text);
    }
    let audiences = spec
        .get("audiences")
        .filter(|list| list.as_array().is_some_and(|list| !list.is_empty()));
    let audiences = audiences.cloned().unwrap_or_else(|| json!([desk.url()]));
    let token = pod_token(desk, call.piece(0), call.piece(1), &audiences, seconds);
    let ends = rfc3339(desk.now().plus(Duration::from_secs(seconds)).seconds());
    let answer = json!({
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": call.piece(1), "namespace": call.piece(0)},
        "spec": {"audiences": audiences, "expirationSeconds": seconds},
        "status": {"token": token, "expirationTimestamp": ends},
    });
    Answer::json(201, answer).token_at("/status/token")
}

fn pod_token(desk: &Desk<'_>, namespace: &str, account: &str, audiences: &Value, seconds: u64) -> String {
    let members: Map<_, _> = claims([
        ("aud", audiences.clone()),
        (
            "sub",
            json!(format!("system:serviceaccount:{namespace}:{account}")),
        ),
        (
            "kubernetes.io",
            json!({"namespace": namespace, "serviceaccount": {"name": account, "uid": "6b1e4c52"},
                "pod": {"name": "web-0", "uid": "2f0c7a11"}}),
        ),
    ]);
    desk.sign(Mint::new(
        desk.url(),
        desk.now(),
        Duration::from_secs(seconds),
        members,
    ))
}

/// An error as the API server writes it.
fn status(code: u16, reason: &str, message: &str) -> Answer {
    Answer::json(
        code,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code}),
    )
}

/// The variables of a pod; with a folder also its three files, `serviceaccount/{token,namespace,ca.crt}`.
fn environment(desk: &Desk<'_>) -> Environment {
    if desk.options().folder.is_some() {
        let token = pod_token(desk, "default", "web", &json!([desk.url()]), DEFAULT_SECONDS);
        write_file(desk, "serviceaccount/token", &token)?;
        write_file(desk, "serviceaccount/namespace", "default")?;
        write_file(
            desk,
            "serviceaccount/ca.crt",
            desk.provider.ca_pem.as_deref().unwrap_or_default(),
        )?;
    }
    let (host, port) = host_and_port(desk.provider.authority());
    Ok(variables([
        ("KUBERNETES_SERVICE_HOST", host),
        ("KUBERNETES_SERVICE_PORT", port.clone()),
        ("KUBERNETES_SERVICE_PORT_HTTPS", port),
    ]))
}
