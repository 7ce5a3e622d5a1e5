//! Row D19: each provider's documented shapes, and what is none.
use super::*;
use jeton_core::json;

fn read(provider: Provider, text: &str) -> Result<Credential, String> {
    Credential::of(provider, &json::parse(text.as_bytes()).expect("JSON"))
}

#[test]
fn d19_every_shape_is_read() {
    let rows = [
        (
            Provider::Github,
            r#"{"token":"t0k","userName":"Octo","email":"o@x","provider":"github"}"#,
            "t0k",
        ),
        (
            Provider::Github,
            r#"{"credential_id":"c","provider":"github","token":"t0k"}"#,
            "t0k",
        ),
        (
            Provider::Gitlab,
            r#"{"token":"t0k","instanceUrl":"https://gl.x","userName":"O","email":"o@x"}"#,
            "t0k",
        ),
        (
            Provider::Jira,
            r#"{"url":"https://j.x","email":"o@x","apiToken":"t0k"}"#,
            "t0k",
        ),
        (
            Provider::Google,
            r#"{"accessToken":"t0k","refreshToken":"r","email":"o@x","scopes":["a"]}"#,
            "t0k",
        ),
        (Provider::Coderabbit, r#"{"apiKey":"t0k"}"#, "t0k"),
        (
            Provider::Kubeconfig,
            "{\"token\":\"apiVersion: v1\\nkind: Config\\n\"}",
            "apiVersion: v1\nkind: Config\n",
        ),
        (
            Provider::Gerrit,
            r#"{"instances":[{"url":"https://g.x","username":"o","httpToken":"p"}]}"#,
            "",
        ),
        (
            Provider::Gerrit,
            r#"[{"url":"https://g.x","username":"o","httpToken":"p"}]"#,
            "",
        ),
        (Provider::Mcp, r#"{"fields":{"API_KEY":"p"}}"#, ""),
        (Provider::Mcp, r#"{"API_KEY":"p","provider":"mcp"}"#, ""),
    ];
    for (provider, text, secret) in rows {
        let read = read(provider, text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(read.secret.reveal(), secret, "{text}");
        let others = read.instances.len() + read.fields.len();
        assert_eq!(others, usize::from(secret.is_empty()), "{text}");
    }
}

#[test]
fn d2_an_answer_without_a_secret_is_an_error_and_no_empty_credential() {
    let rows = [
        (Provider::Github, "{}"),
        (Provider::Github, r#"{"token":""}"#),
        (Provider::Github, r#"{"token":null}"#),
        (Provider::Github, r#"{"token":7}"#),
        (Provider::Github, r#""token""#),
        (Provider::Github, r#"["token"]"#),
        (Provider::Github, "{\"token\":\"a\\nb\"}"),
        (Provider::Github, r#"{"token":"t","expires_at":"soon"}"#),
        (Provider::Jira, "{\"apiToken\":\"t\",\"email\":\"a\\u0000b\"}"),
        (Provider::Gerrit, "{}"),
        (Provider::Mcp, "{}"),
        (Provider::Mcp, r#"{"fields":[]}"#),
    ];
    for (provider, text) in rows {
        assert!(read(provider, text).is_err(), "{text}");
    }
}

#[test]
fn d22_what_is_secret_inside_a_file_is_known() {
    let config = "users:\n- name: a\n  user:\n    token: abcdefgh12\n    client-key-data: a2V5a2V5a2V5\n";
    let key = r#"{"type":"service_account","private_key":"-----BEGIN X-----\nMIIabcdefgh\nZZZZabcdefgh\n-----END X-----\n"}"#;
    let rows = [
        (Provider::Kubeconfig, config, vec!["abcdefgh12", "a2V5a2V5a2V5"]),
        (Provider::Vertex, key, vec!["MIIabcdefgh", "ZZZZabcdefgh"]),
    ];
    for (provider, text, wanted) in rows {
        let answer = serde_json::json!({ "token": text }).to_string();
        let read = read(provider, &answer).expect("readable");
        let found: Vec<String> = read.secrets().map(|s| s.reveal().to_owned()).collect();
        for secret in wanted {
            assert!(found.iter().any(|f| f == secret), "{secret}");
        }
    }
}
