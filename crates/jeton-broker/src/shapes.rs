//! A credential's token answer in the shapes that older clients of sessions expect, one for each provider.
//!
//! A refresh token is in none of them: the broker refreshes.
use jeton_core::json::Json;

/// The members of a shape: its name there, and what it is called in the token answer.
type Members = &'static [(&'static str, &'static str)];

const GITHUB: Members = &[
    ("token", "token"),
    ("userName", "user_name"),
    ("email", "email"),
    ("provider", "provider"),
    ("expiresAt", "expires_at"),
];
const GITLAB: Members = &[
    ("token", "token"),
    ("instanceUrl", "url"),
    ("userName", "user_name"),
    ("email", "email"),
    ("provider", "provider"),
    ("expiresAt", "expires_at"),
];
const JIRA: Members = &[("url", "url"), ("email", "email"), ("apiToken", "token")];
const GOOGLE: Members = &[
    ("accessToken", "token"),
    ("email", "email"),
    ("scopes", "scopes"),
    ("expiresAt", "expires_at"),
];
/// A service account's key file: clients tell it by `token`.
const GOOGLE_KEY_FILE: Members = &[("token", "token"), ("email", "email"), ("provider", "provider")];
const CODERABBIT: Members = &[("apiKey", "token")];
const MCP: Members = &[("fields", "fields")];

/// Members that clients read without looking whether they are there: a text that is not known is empty.
const ALWAYS: [&str; 4] = ["userName", "email", "url", "instanceUrl"];

/// The shape of `provider` for a token answer. Providers without one of their own get the token answer.
#[must_use]
pub fn shape(provider: &str, answer: Json) -> Json {
    let members = match provider {
        "github" => GITHUB,
        "gitlab" => GITLAB,
        "jira" => JIRA,
        "google" if is_document(&answer) => GOOGLE_KEY_FILE,
        "google" => GOOGLE,
        "coderabbit" => CODERABBIT,
        "mcp" => MCP,
        // A list, and no object around it: there may be several servers.
        "gerrit" => {
            return answer
                .get("instances")
                .cloned()
                .unwrap_or(Json::Array(Vec::new()));
        }
        _ => return answer,
    };
    let mut shaped = Json::Object(Vec::new());
    for (name, of) in members {
        match answer.get(of) {
            Some(value) if !value.is_null() => shaped.set(*name, value.clone()),
            _ if ALWAYS.contains(name) => shaped.set(*name, ""),
            _ => {}
        }
    }
    shaped
}

/// Where the API of the Ambient Code platform stands: under that path its clients are served, which read some members of
/// a token answer by other names.
pub const AMBIENT_BASE_PATH: &str = "/api/ambient/v1";

/// A token answer with the names that its older clients read beside its own; one Gerrit server's members among them.
#[must_use]
pub fn with_older_names(provider: &str, answer: Json) -> Json {
    let older = match shape(provider, answer.clone()) {
        Json::Array(mut instances) if instances.len() == 1 => instances.remove(0),
        older => older,
    };
    let mut whole = answer;
    for (name, value) in older.as_object().unwrap_or_default() {
        if whole.get(name.as_str()).is_none() {
            whole.set(name.as_str(), value.clone());
        }
    }
    whole
}

fn is_document(answer: &Json) -> bool {
    let token = answer.get("token").and_then(Json::as_str);
    token.is_some_and(|text| text.trim_start().starts_with('{'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jeton_core::json;

    #[test]
    fn d19_a_token_answer_has_the_older_names_beside_its_own() {
        let rows = [
            ("coderabbit", r#"{"token":"t"}"#, r#"{"token":"t","apiKey":"t"}"#),
            (
                "jira",
                r#"{"token":"t","url":"u"}"#,
                r#"{"token":"t","url":"u","email":"","apiToken":"t"}"#,
            ),
            (
                "gerrit",
                r#"{"instances":[{"instanceName":"a"}]}"#,
                r#"{"instances":[{"instanceName":"a"}],"instanceName":"a"}"#,
            ),
            ("generic", r#"{"token":"t"}"#, r#"{"token":"t"}"#),
        ];
        for (provider, answer, wanted) in rows {
            let answer = json::parse(answer.as_bytes()).expect("JSON");
            assert_eq!(with_older_names(provider, answer).to_text(), wanted);
        }
    }

    #[test]
    fn d19_every_provider_has_the_shape_that_its_older_clients_read() {
        let rows = [
            (
                "github",
                r#"{"credential_id":"c","provider":"github","token":"t","user_name":"u","email":"e","expires_at":"x"}"#,
                r#"{"token":"t","userName":"u","email":"e","provider":"github","expiresAt":"x"}"#,
            ),
            (
                "github",
                r#"{"credential_id":"c","provider":"github","token":"t"}"#,
                r#"{"token":"t","userName":"","email":"","provider":"github"}"#,
            ),
            (
                "gitlab",
                r#"{"credential_id":"c","provider":"gitlab","token":"t","url":"https://g","email":"e"}"#,
                r#"{"token":"t","instanceUrl":"https://g","userName":"","email":"e","provider":"gitlab"}"#,
            ),
            (
                "jira",
                r#"{"credential_id":"c","provider":"jira","token":"t","url":"https://j","email":"e"}"#,
                r#"{"url":"https://j","email":"e","apiToken":"t"}"#,
            ),
            (
                "google",
                r#"{"credential_id":"c","provider":"google","token":"t","email":"e","scopes":["a"],"expires_at":"x","refresh_token":"r"}"#,
                r#"{"accessToken":"t","email":"e","scopes":["a"],"expiresAt":"x"}"#,
            ),
            (
                "google",
                r#"{"credential_id":"c","provider":"google","token":"{\"type\":\"service_account\"}"}"#,
                r#"{"token":"{\"type\":\"service_account\"}","email":"","provider":"google"}"#,
            ),
            (
                "coderabbit",
                r#"{"provider":"coderabbit","token":"t"}"#,
                r#"{"apiKey":"t"}"#,
            ),
            (
                "gerrit",
                r#"{"provider":"gerrit","instances":[{"instanceName":"a"},{"instanceName":"b"}]}"#,
                r#"[{"instanceName":"a"},{"instanceName":"b"}]"#,
            ),
            (
                "mcp",
                r#"{"provider":"mcp","fields":{"API_KEY":"k"}}"#,
                r#"{"fields":{"API_KEY":"k"}}"#,
            ),
            (
                "kubeconfig",
                r#"{"credential_id":"c","provider":"kubeconfig","token":"apiVersion: v1"}"#,
                r#"{"credential_id":"c","provider":"kubeconfig","token":"apiVersion: v1"}"#,
            ),
        ];
        for (provider, answer, wanted) in rows {
            let answer = json::parse(answer.as_bytes()).expect("JSON");
            assert_eq!(shape(provider, answer).to_text(), wanted);
        }
    }
}
