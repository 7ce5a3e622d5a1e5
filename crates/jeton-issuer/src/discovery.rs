//! The provider's documents: discovery (OpenID Connect Discovery 1.0, RFC 8414), keys, and minting by claims.
use crate::answer::Answer;
use crate::call::Call;
use crate::desk::Desk;
use crate::grants;
use serde_json::{Map, Value, json};

/// How long a client may keep the documents: short, so that a test of rotation needs no patience.
const DOCUMENT_CACHE: &str = "max-age=60";

/// `GET /.well-known/openid-configuration` and `/.well-known/oauth-authorization-server`.
pub(crate) fn document(desk: &Desk<'_>, _: &Call) -> Answer {
    let url = desk.url();
    let algorithm = desk
        .provider
        .keys()
        .current()
        .map_or("RS256", |key| key.algorithm().name());
    let body = json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "device_authorization_endpoint": format!("{url}/device_authorization"),
        "jwks_uri": format!("{url}/jwks"),
        "revocation_endpoint": format!("{url}/revoke"),
        "introspection_endpoint": format!("{url}/introspect"),
        "userinfo_endpoint": format!("{url}/userinfo"),
        "grant_types_supported": grants::names(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [algorithm],
        "token_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS256", "ES256", "EdDSA"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "scopes_supported": ["openid", "offline_access", "email", "profile"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "nonce", "azp", "at_hash"],
    });
    Answer::json(200, body).with("cache-control", DOCUMENT_CACHE)
}

/// `GET /jwks`.
pub(crate) fn jwks(desk: &Desk<'_>, _: &Call) -> Answer {
    Answer::json(200, desk.provider.keys().jwks()).with("cache-control", DOCUMENT_CACHE)
}

/// `POST /rotate`: a new key signs; `?drop=true` withdraws the old ones at once.
pub(crate) fn rotate(desk: &Desk<'_>, call: &Call) -> Answer {
    let drop_old = call.query_value("drop").as_deref() == Some("true");
    // Bound first: in the scrutinee the lock on the keys would be held while `jwks` asks for it.
    let rotated = desk.provider.keys().rotate(drop_old);
    match rotated {
        Ok(()) => jwks(desk, call),
        Err(error) => Answer::text(500, error.to_string()),
    }
}

/// `POST /token`: a form is a grant, JSON is the claims of a token to mint.
pub(crate) fn token(desk: &Desk<'_>, call: &Call) -> Answer {
    // `curl -d` calls everything a form; no form begins like a JSON object.
    if call.is_form() && !call.body.trim_ascii_start().starts_with(b"{") {
        return grants::token(desk, call);
    }
    match call.json() {
        Some(Value::Object(claims)) => mint_by_claims(desk, claims),
        _ => Answer::text(
            400,
            "the body is neither a form (a grant) nor a JSON object (claims)\n",
        ),
    }
}

fn mint_by_claims(desk: &Desk<'_>, given: Map<String, Value>) -> Answer {
    let mut claims = workflow_claims();
    if !given.contains_key("sub") {
        claims.insert("sub".into(), json!(subject(&given)));
    }
    claims.extend(given);
    Answer::text(200, desk.identity_token(claims)).token_at("")
}

fn subject(given: &Map<String, Value>) -> String {
    let text = |name, default| given.get(name).and_then(Value::as_str).unwrap_or(default);
    let repository = text("repository", "octo-org/octo-repo");
    format!("repo:{repository}:ref:{}", text("ref", "refs/heads/main"))
}

/// The claims that GitHub puts into a workflow's token beside the seven registered ones, with the values that tools
/// minting such tokens for development give them.
pub(crate) fn workflow_claims() -> Map<String, Value> {
    const EMPTY: [&str; 16] = [
        "actor",
        "actor_id",
        "base_ref",
        "event_name",
        "head_ref",
        "job_workflow_ref",
        "job_workflow_sha",
        "repository",
        "repository_id",
        "repository_owner",
        "repository_owner_id",
        "run_id",
        "run_number",
        "workflow",
        "workflow_ref",
        "workflow_sha",
    ];
    let mut claims: Map<_, _> = EMPTY.iter().map(|name| ((*name).to_owned(), json!(""))).collect();
    claims.extend(crate::desk::claims([
        ("aud", json!("https://github.com/octo-org")),
        ("environment", Value::Null),
        ("ref", json!("refs/heads/main")),
        ("ref_type", json!("branch")),
        ("repository_visibility", json!("public")),
        ("run_attempt", json!("1")),
        ("runner_environment", json!("github-hosted")),
    ]));
    claims
}
