//! The schemas of bodies and answers.
use crate::provider::{Kind, ROWS};
use serde_json::{Map, Value, json};

/// Names, ids and texts without characters that do not print.
const PRINTABLE: &str = "^[ -~\u{a1}-\u{ac}\u{ae}-\u{2ff}]+$";
/// The same, without white space at the ends.
const PRINTABLE_WORD: &str = "^[!-~]+$";
/// An issuer: https, or http on this machine.
const ISSUER: &str =
    "^(https://[a-z0-9][a-z0-9.-]{0,200}|http://127\\.0\\.0\\.1)(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~-]+)*/?$";
/// Ids that are given in a path.
const ID: &str = "^[A-Za-z0-9._-]+$";
/// Names of policies.
const POLICY_NAME: &str = "^[a-z0-9._-]{1,128}$";

fn text(longest: u32) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": longest, "pattern": PRINTABLE})
}

fn optional(longest: u32) -> Value {
    json!({"type": ["string", "null"], "maxLength": longest})
}

/// A text that may be absent, or `null`, which is the same.
fn maybe(longest: u32) -> Value {
    json!({"type": ["string", "null"], "minLength": 1, "maxLength": longest, "pattern": PRINTABLE})
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn labels() -> Value {
    json!({"type": ["object", "null"], "maxProperties": 64, "additionalProperties": {"type": "string", "maxLength": 4096, "pattern": "^[ -~]*$"}, "propertyNames": {"pattern": "^[ -~]*$"}})
}

fn string() -> Value {
    json!({"type": "string"})
}

fn strings() -> Value {
    json!({"type": "array", "items": {"type": "string", "minLength": 1}})
}

/// A parameter in a path.
pub(super) fn path_parameter(name: &str) -> Value {
    match name {
        "name" => json!({"type": "string", "pattern": POLICY_NAME}),
        _ => json!({"type": "string", "pattern": ID}),
    }
}

/// A parameter in a query.
pub(super) fn query_parameter(name: &str) -> Value {
    match name {
        "page" => json!({"type": "integer", "minimum": 1, "maximum": 1_000_000_000, "default": 1}),
        "size" => json!({"type": "integer", "minimum": 1, "maximum": 500, "default": 100}),
        _ => string(),
    }
}

/// An object of these members, of which some must be there.
fn object(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties})
}

/// The same, and nothing else may be there.
fn closed(required: &[&str], properties: Value) -> Value {
    let mut schema = object(required, properties);
    schema["additionalProperties"] = false.into();
    schema
}

fn list(of: &str) -> Value {
    object(
        &["kind", "page", "size", "total", "items"],
        json!({
            "kind": string(), "page": {"type": "integer"}, "size": {"type": "integer"}, "total": {"type": "integer"},
            "items": {"type": "array", "items": {"$ref": format!("#/components/schemas/{of}")}},
        }),
    )
}

/// All of them, by name.
pub(super) fn all() -> Map<String, Value> {
    let mut all = Map::new();
    for (name, schema) in objects()
        .into_iter()
        .chain(access())
        .chain(sessions())
        .chain(exchange())
        .chain(operation())
    {
        all.insert(name.to_owned(), schema);
    }
    for of in [
        "Project",
        "Agent",
        "Credential",
        "Role",
        "Binding",
        "Policy",
        "AuditRecord",
    ] {
        let name = of.strip_suffix("Record").unwrap_or(of);
        all.insert(format!("{name}List"), list(of));
    }
    all
}

fn objects() -> Vec<(&'static str, Value)> {
    let secret = json!({
        "description": "A text, or the fields of the provider. It is in no answer but the token route's.",
        "oneOf": [{"type": "string", "minLength": 1}, {"type": "object", "minProperties": 1}, {"type": "null"}],
    });
    let kept = json!({
        "kind": string(), "id": string(), "name": string(), "description": string(),
        "created_at": time(), "updated_at": time(),
    });
    let with = |more: Value| {
        let mut all = kept.clone();
        if let (Some(all), Some(more)) = (all.as_object_mut(), more.as_object()) {
            all.extend(more.clone());
        }
        all
    };
    let credential = json!({
        "provider": string(), "url": string(), "email": string(), "labels": labels(), "annotations": labels(),
    });
    let writable = json!({
        "name": text(256), "description": optional(4096), "url": optional(4096), "email": optional(4096),
        "labels": labels(), "annotations": labels(), "secret": secret,
    });
    let mut creatable = writable.clone();
    creatable["provider"] = json!({"type": "string", "enum": providers()});
    creatable["id"] = json!({"type": ["string", "null"], "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"});
    let plain = json!({"name": text(256), "description": optional(4096)});
    let mut new = plain.clone();
    new["id"] = creatable["id"].clone();
    vec![
        ("Project", object(&["id", "name"], with(json!({})))),
        ("NewProject", closed(&["name"], new.clone())),
        ("ProjectChange", closed(&[], plain.clone())),
        ("AgentChange", closed(&[], plain)),
        (
            "Agent",
            object(
                &["id", "name", "project_id"],
                with(json!({"project_id": string()})),
            ),
        ),
        ("NewAgent", closed(&["name"], new)),
        (
            "Credential",
            object(&["id", "name", "provider"], with(credential)),
        ),
        ("NewCredential", new_credential(creatable)),
        ("CredentialChange", closed(&[], writable)),
        (
            "TokenAnswer",
            object(
                &["credential_id", "provider"],
                json!({
                    "credential_id": string(), "provider": string(), "token": string(), "expires_at": time(),
                    "url": string(), "email": string(), "user_name": string(),
                    "instances": {"type": "array", "items": {"type": "object"}}, "fields": {"type": "object"},
                }),
            ),
        ),
    ]
}

/// The names of the providers.
fn providers() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.name).collect()
}

/// A new credential: what its secret may be is its provider's.
fn new_credential(properties: Value) -> Value {
    let mut schema = closed(&["name", "provider", "secret"], properties);
    let each = ROWS.iter().map(|row| {
        let mut forms = Vec::new();
        if row.text {
            forms.push(
                json!({"type": "string", "minLength": 1, "maxLength": 65536, "pattern": PRINTABLE_WORD}),
            );
        }
        if !row.members.is_empty() {
            let members: Map<String, Value> = row
                .members
                .iter()
                .map(|(name, kind, _)| ((*name).to_owned(), member(*kind)))
                .collect();
            let required: Vec<&str> = row.members.iter().filter(|m| m.2).map(|m| m.0).collect();
            forms.push(closed(&required, Value::Object(members)));
        }
        json!({"properties": {"provider": {"const": row.name}, "secret": {"oneOf": forms}}})
    });
    schema["oneOf"] = each.collect();
    schema
}

/// A member of a secret.
fn member(kind: Kind) -> Value {
    let word = json!({"type": "string", "minLength": 1, "maxLength": 4096, "pattern": PRINTABLE_WORD});
    match kind {
        Kind::Text => word,
        Kind::Id => json!({"oneOf": [word, {"type": "integer", "minimum": 1, "maximum": 4_294_967_295_u32}]}),
        Kind::Texts => json!({"oneOf": [word, {"type": "array", "items": word}]}),
        Kind::Objects => json!({"type": "array", "minItems": 1, "items": {"type": "object"}}),
        Kind::Fields => {
            json!({"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}})
        }
    }
}

fn access() -> Vec<(&'static str, Value)> {
    let principal = closed(
        &["issuer", "subject"],
        json!({"issuer": text(4096), "subject": text(4096)}),
    );
    let nullable = json!({"type": ["string", "null"]});
    let scopes = jeton_core::access::Scope::ALL.map(jeton_core::access::Scope::name);
    let roles: Vec<&str> = jeton_core::access::Role::all()
        .map(jeton_core::access::Role::name)
        .collect();
    let binding = json!({
        "role": {"type": "string", "enum": roles},
        "scope": {"type": "string", "enum": scopes},
        "principal": {"oneOf": [principal, {"type": "null"}]},
        "trust_policy": nullable, "project_id": nullable, "agent_id": nullable, "credential_id": nullable,
        "session_id": nullable,
    });
    let mut bound = binding.clone();
    bound["kind"] = string();
    bound["id"] = string();
    bound["created_at"] = time();
    vec![
        (
            "Role",
            object(
                &["name", "level", "permissions", "internal"],
                json!({
                    "name": string(), "level": {"type": "integer"}, "permissions": strings(),
                    "internal": {"type": "boolean"},
                }),
            ),
        ),
        ("NewBinding", closed(&["role", "scope"], binding)),
        ("Binding", object(&["id", "role", "scope"], bound)),
    ]
}

/// One user or several.
fn new_session(mut schema: Value) -> Value {
    schema["not"] = json!({"required": ["user", "users"]});
    schema
}

fn sessions() -> Vec<(&'static str, Value)> {
    let granted = object(
        &["provider", "id"],
        json!({"provider": string(), "id": string(), "name": string(), "user": string()}),
    );
    let unavailable = object(
        &["provider", "reason"],
        json!({"provider": string(), "reason": string(), "user": string()}),
    );
    vec![
        (
            "NewSession",
            new_session(closed(
                &["project", "agent"],
                json!({
                    "project": text(1024), "agent": text(1024), "user": maybe(1024),
                    "users": {"type": ["array", "null"], "maxItems": 64, "items": text(1024)},
                    "providers": {"type": ["array", "null"], "maxItems": 64, "items": {
                        "anyOf": [{"type": "string", "enum": providers()}, {"type": "string", "pattern": "^mcp/[!-~]+$"}],
                    }},
                }),
            )),
        ),
        (
            "OpenedSession",
            object(
                &["id", "token", "expires_at", "credentials", "unavailable"],
                json!({
                    "kind": string(), "id": string(), "token": string(), "expires_at": time(),
                    "credentials": {"type": "array", "items": granted},
                    "unavailable": {"type": "array", "items": unavailable},
                }),
            ),
        ),
        (
            "Session",
            object(
                &["id", "project", "agent", "credentials", "active"],
                json!({
                    "kind": string(), "id": string(), "project": string(), "agent": string(),
                    "user": string(), "users": strings(), "active": {"type": "boolean"}, "created_at": time(),
                    "lease_until": time(), "ended_at": time(), "credentials": {"type": "array", "items": granted},
                }),
            ),
        ),
        (
            "SessionToken",
            object(
                &["id", "token", "expires_at"],
                json!({"id": string(), "token": string(), "expires_at": time()}),
            ),
        ),
        (
            "Shape",
            json!({"oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]}),
        ),
        (
            "McpFields",
            object(&["fields"], json!({"fields": {"type": "object"}})),
        ),
    ]
}

/// A new policy says who: exactly, or by a pattern.
fn new_policy(properties: Value) -> Value {
    let mut schema = object(&["issuer"], properties);
    schema["anyOf"] = json!([
        {"required": ["subject"], "properties": {"subject": {"type": "string"}, "subject_pattern": {"type": "null"}}},
        {"required": ["subject_pattern"], "properties": {"subject_pattern": {"type": "string"}, "subject": {"type": "null"}}},
        {"required": ["claim_pattern"]},
    ]);
    schema
}

fn exchange() -> Vec<(&'static str, Value)> {
    let several = json!({"oneOf": [{"type": ["string", "null"], "minLength": 1}, strings()]});
    let policy = json!({
        "name": {"type": "string", "pattern": POLICY_NAME}, "description": {},
        "issuer": {"type": "string", "pattern": ISSUER}, "subject": maybe(4096), "subject_pattern": maybe(1024),
        "claim_pattern": {"type": ["object", "null"], "additionalProperties": text(1024)},
        "audience": several, "scope": several, "credential": maybe(1024), "roles": several,
        "ttl": {"oneOf": [
            {"type": "string", "pattern": "^([1-9][0-9]{0,3}s|[1-9][0-9]{0,1}m|[1-9]h)$"},
            {"type": "integer", "minimum": 1, "maximum": 43200}, {"type": "null"},
        ]},
        "mode": {"enum": ["enforce", "report", null]},
    });
    let mut kept = policy.clone();
    kept["kind"] = string();
    kept["created_at"] = time();
    kept["updated_at"] = time();
    kept["read_only"] = json!({"type": "boolean"});
    kept["warnings"] = json!({"type": "array", "items": {"type": "object"}});
    vec![
        ("NewPolicy", new_policy(policy)),
        ("Policy", object(&["name", "issuer"], kept)),
        (
            "Replay",
            closed(&["claims"], json!({"claims": {"type": "object"}})),
        ),
        (
            "PolicyVerdict",
            object(
                &["decision", "rule", "why"],
                json!({
                    "decision": {"type": "string", "enum": ["allow", "deny"]}, "rule": {"type": ["string", "null"]},
                    "why": strings(),
                }),
            ),
        ),
        (
            "TokenRequest",
            object(
                &["grant_type"],
                json!({
                    "grant_type": {"type": "string", "enum": [
                        "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:jwt-bearer",
                    ]},
                    "subject_token": string(), "subject_token_type": string(), "actor_token": string(),
                    "actor_token_type": string(), "requested_token_type": string(), "assertion": string(),
                    "audience": string(), "resource": string(), "scope": string(),
                }),
            ),
        ),
        (
            "IssuedToken",
            object(
                &["access_token", "token_type"],
                json!({
                    "access_token": string(), "token_type": string(), "issued_token_type": string(),
                    "expires_in": {"type": "integer"}, "scope": string(),
                }),
            ),
        ),
        (
            "OAuthError",
            object(
                &["error"],
                json!({"error": string(), "error_description": string()}),
            ),
        ),
    ]
}

fn operation() -> Vec<(&'static str, Value)> {
    vec![
        (
            "Error",
            object(
                &["kind", "code", "reason", "operation_id"],
                json!({"kind": {"const": "Error"}, "code": string(), "reason": string(), "operation_id": string()}),
            ),
        ),
        ("AuditRecord", json!({"type": "object"})),
        (
            "Discovery",
            object(
                &["issuer", "jwks_uri", "token_endpoint"],
                json!({"issuer": string(), "jwks_uri": string(), "token_endpoint": string()}),
            ),
        ),
        (
            "KeySet",
            object(
                &["keys"],
                json!({"keys": {"type": "array", "items": {"type": "object"}}}),
            ),
        ),
        ("Health", json!({"type": "object"})),
        ("Document", json!({"type": "object"})),
    ]
}
