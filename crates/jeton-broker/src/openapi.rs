//! The OpenAPI document (3.1), made from the table of routes and from what is said here of each of them.
//!
//! A route without a line in `operation` is no part of the document, and a test says so.
mod operation;
mod schema;

pub use operation::{ALL, Operation};

use serde_json::{Map, Value, json};

/// The version of the specification.
const VERSION: &str = "3.1.0";

/// One row of the table of routes, as far as the document is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The pattern as the table has it: parameters in braces.
    pub pattern: &'a str,
    /// The path from the server's root.
    pub full: &'a str,
    /// What it does, in a sentence.
    pub summary: &'a str,
    /// The status of success.
    pub success: u16,
    /// Whether it takes a token.
    pub token: bool,
}

/// The document for these paths.
#[must_use]
pub fn document<'a>(paths: impl IntoIterator<Item = Path<'a>>, server: &str) -> Value {
    let mut described: Map<String, Value> = Map::new();
    for path in paths {
        let Some(operation) = operation::named(path.method, path.pattern) else {
            continue;
        };
        let entry = described.entry(path.full.to_owned()).or_insert_with(|| json!({}));
        entry[path.method.to_ascii_lowercase()] = written(operation, &path);
    }
    json!({
        "openapi": VERSION,
        "info": {
            "title": "jeton broker",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Verifies who asks, decides, hands out a credential or exchanges a token, and writes it down.",
            "license": {"name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT"},
        },
        "servers": [{"url": server}],
        "security": [{"token": []}],
        "paths": described,
        "components": {
            "securitySchemes": {"token": {
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                "description": "A token of a configured issuer, or of the broker itself.",
            }},
            "schemas": schema::all(),
        },
    })
}

fn written(operation: &Operation, path: &Path<'_>) -> Value {
    let mut written = json!({
        "operationId": operation.id,
        "summary": path.summary,
        "tags": [operation.tag],
        "parameters": parameters(operation, path.pattern),
        "responses": responses(operation, path.success),
    });
    if !path.token {
        written["security"] = json!([]);
    }
    if let Some(body) = operation.body {
        let kind = if body == "TokenRequest" {
            "application/x-www-form-urlencoded"
        } else {
            "application/json"
        };
        written["requestBody"] = json!({"required": true, "content": {(kind): {"schema": reference(body)}}});
    }
    written
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn parameters(operation: &Operation, pattern: &str) -> Vec<Value> {
    let in_path = pattern.split(['{', '}']).skip(1).step_by(2).map(
        |name| json!({"name": name, "in": "path", "required": true, "schema": schema::path_parameter(name)}),
    );
    let in_query = operation
        .query
        .iter()
        .map(|name| json!({"name": name, "in": "query", "schema": schema::query_parameter(name)}));
    let fields = operation
        .fields
        .iter()
        .map(|name| json!({"name": name, "in": "header", "schema": {"type": "string"}}));
    in_path.chain(in_query).chain(fields).collect()
}

fn responses(operation: &Operation, success: u16) -> Value {
    let mut responses = Map::new();
    let done = match operation.answer {
        "" => json!({"description": "done"}),
        "text" => json!({"description": "done", "content": {"text/plain": {"schema": {"type": "string"}}}}),
        schema => {
            json!({"description": "done", "content": {"application/json": {"schema": reference(schema)}}})
        }
    };
    if operation.created {
        responses.insert("201".to_owned(), done.clone());
    }
    responses.insert(success.to_string(), done);
    let failure = if operation.body == Some("TokenRequest") {
        "OAuthError"
    } else {
        "Error"
    };
    let failure =
        json!({"description": "not done", "content": {"application/json": {"schema": reference(failure)}}});
    responses.insert("default".to_owned(), failure);
    Value::Object(responses)
}

#[cfg(test)]
mod tests;
