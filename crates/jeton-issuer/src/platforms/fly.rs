//! Fly.io: the machine API on its unix socket. Peers of the socket need nothing more, so nothing is checked.
use super::{Environment, Platform, variables};
use crate::answer::Answer;
use crate::call::Call;
use crate::desk::{Desk, claims};
use crate::error::Error;
use crate::routes::{Reach, route};
use http::Method;
use serde_json::{Value, json};

pub(super) const FLY: Platform = Platform {
    name: "fly",
    routes: &[route(
        "fly",
        Method::POST,
        "/v1/tokens/oidc",
        Reach::Host,
        oidc_token,
    )],
    environment,
};

fn oidc_token(desk: &Desk<'_>, call: &Call) -> Answer {
    let body = if call.body.is_empty() {
        Some(json!({}))
    } else {
        call.json()
    };
    let Some(body) = body else {
        return Answer::json(400, json!({"error": "invalid JSON"}));
    };
    let audience = body
        .get("aud")
        .and_then(Value::as_str)
        .unwrap_or("https://fly.io/octo-org");
    let members = claims([
        ("aud", json!(audience)),
        ("sub", json!("octo-org:web:2865550c7e96d8")),
        ("app_name", json!("web")),
        ("machine_id", json!("2865550c7e96d8")),
        ("region", json!("fra")),
    ]);
    Answer::text(200, desk.identity_token(members)).token_at("")
}

/// The socket has a fixed place on a machine (`/.fly/api`); where the issuer's own is, the options said.
fn environment(desk: &Desk<'_>) -> Environment {
    if desk.options().unix_socket.is_none() {
        return Err(Error::new(
            "Fly's machines ask over a unix socket: start the issuer with one",
        ));
    }
    Ok(variables([
        ("FLY_APP_NAME", "web".into()),
        ("FLY_MACHINE_ID", "2865550c7e96d8".into()),
    ]))
}
