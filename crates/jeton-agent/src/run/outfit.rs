//! What a program finds of a credential: variables, which it is given once, and files, which follow every rotation.
//!
//! | provider | variables | files |
//! |---|---|---|
//! | github | `GITHUB_TOKEN`, `GITHUB_TOKEN_FILE` | `github-token` |
//! | gitlab | `GITLAB_TOKEN`, `GITLAB_TOKEN_FILE`, `GITLAB_HOST` | `gitlab-token` |
//! | jira | `JIRA_URL`, `JIRA_EMAIL`, `JIRA_API_TOKEN`, `JIRA_API_TOKEN_FILE` | `jira-api-token` |
//! | google | `USER_GOOGLE_EMAIL`, `GOOGLE_ACCESS_TOKEN`, `GOOGLE_ACCESS_TOKEN_FILE`, `GOOGLE_MCP_CREDENTIALS_DIR` | `google-access-token`, `google/EMAIL.json` |
//! | vertex | `GOOGLE_APPLICATION_CREDENTIALS` | `vertex.json` |
//! | kubeconfig | `KUBECONFIG` | `kubeconfig` |
//! | gerrit | `GERRIT_INSTANCES_FILE` | `gerrit.json` |
//! | coderabbit | `CODERABBIT_API_KEY`, `CODERABBIT_API_KEY_FILE` | `coderabbit-api-key` |
//! | mcp | `MCP_SERVER_FIELD` for each field, `MCP_SERVER_FILE` | `mcp-SERVER.json` |
//! | aws | `AWS_CONFIG_FILE`, whose default profile reads the newest key | `aws-config`, `aws.json` |
//! | gcp | `CLOUDSDK_AUTH_ACCESS_TOKEN_FILE` | `gcp-access-token` |
//! | vault | `VAULT_TOKEN`, `VAULT_TOKEN_FILE`, `VAULT_ADDR` | `vault-token` |
//! | others | `JETON_CREDENTIAL_PROVIDER`, `JETON_CREDENTIAL_PROVIDER_FILE` | `PROVIDER-token` |
use super::credential::Credential;
use super::provider::Provider;
use jeton::Secret;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Where Google's access tokens are renewed.
const GOOGLE_TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// The variables and the files of one credential.
#[derive(Clone, Default)]
pub struct Outfit {
    /// Variables: name and value.
    pub variables: Vec<(String, String)>,
    /// Files: a path below the run's folder, and what it holds.
    pub files: Vec<(PathBuf, Secret)>,
}

impl Outfit {
    /// What `credential` is to a program whose folder is `folder`; `name` tells several of one provider apart.
    ///
    /// # Errors
    /// What in the credential cannot be a variable or a file.
    pub fn of(credential: &Credential, name: Option<&str>, folder: &Path) -> Result<Self, String> {
        let mut outfit = Self::default();
        let secret = &credential.secret;
        match credential.provider {
            Provider::Github => outfit.token("GITHUB_TOKEN", "github-token", secret, folder),
            Provider::Gitlab => {
                outfit.token("GITLAB_TOKEN", "gitlab-token", secret, folder);
                outfit.maybe("GITLAB_HOST", host(credential.url.as_deref()));
            }
            Provider::Jira => {
                outfit.token("JIRA_API_TOKEN", "jira-api-token", secret, folder);
                outfit.maybe("JIRA_URL", credential.url.clone());
                outfit.maybe("JIRA_EMAIL", credential.email.clone());
            }
            // A service account's key instead of an account's token.
            Provider::Google if secret.reveal().trim_start().starts_with('{') => {
                outfit.file(
                    "GOOGLE_APPLICATION_CREDENTIALS",
                    "google-key.json",
                    secret,
                    folder,
                );
            }
            Provider::Google => outfit.google(credential, folder)?,
            Provider::Vertex => outfit.file("GOOGLE_APPLICATION_CREDENTIALS", "vertex.json", secret, folder),
            Provider::Kubeconfig => outfit.file("KUBECONFIG", "kubeconfig", secret, folder),
            Provider::Gerrit => {
                outfit.file("GERRIT_INSTANCES_FILE", "gerrit.json", &credential.whole, folder);
            }
            Provider::Coderabbit => {
                outfit.token("CODERABBIT_API_KEY", "coderabbit-api-key", secret, folder);
            }
            Provider::Mcp => outfit.mcp(credential, name, folder)?,
            Provider::Aws => outfit.aws(secret, folder),
            Provider::Gcp => {
                outfit.file(
                    "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE",
                    "gcp-access-token",
                    secret,
                    folder,
                );
            }
            Provider::Vault => {
                outfit.token("VAULT_TOKEN", "vault-token", secret, folder);
                outfit.maybe("VAULT_ADDR", credential.url.clone());
            }
            other => {
                let variable = format!("JETON_CREDENTIAL_{}", upper(other.name()));
                outfit.token(&variable, &format!("{}-token", other.name()), secret, folder);
            }
        }
        Ok(outfit)
    }

    fn maybe(&mut self, variable: &str, value: Option<String>) {
        if let Some(value) = value {
            self.variables.push((variable.to_owned(), value));
        }
    }

    fn file(&mut self, variable: &str, file: &str, content: &Secret, folder: &Path) {
        let path = folder.join(file).display().to_string();
        self.variables.push((variable.to_owned(), path));
        self.files.push((file.into(), content.clone()));
    }

    fn token(&mut self, variable: &str, file: &str, secret: &Secret, folder: &Path) {
        self.variables
            .push((variable.to_owned(), secret.reveal().to_owned()));
        self.file(&format!("{variable}_FILE"), file, secret, folder);
    }

    /// Keys end and are replaced: the SDKs ask a process for them, again when one has ended.
    fn aws(&mut self, document: &Secret, folder: &Path) {
        let newest = folder.join("aws.json");
        let config = format!("[default]\ncredential_process = cat \"{}\"\n", newest.display());
        self.file("AWS_CONFIG_FILE", "aws-config", &Secret::new(config), folder);
        self.files.push(("aws.json".into(), document.clone()));
    }

    /// An access token, and the file in which Google's own libraries keep an account.
    fn google(&mut self, credential: &Credential, folder: &Path) -> Result<(), String> {
        self.token(
            "GOOGLE_ACCESS_TOKEN",
            "google-access-token",
            &credential.secret,
            folder,
        );
        let Some(email) = credential.email.as_deref() else {
            return Ok(());
        };
        let account = json!({
            "token": credential.secret.reveal(),
            "refresh_token": credential.refresh_token.as_ref().map(Secret::reveal),
            "token_uri": GOOGLE_TOKEN_URL,
            "client_id": null,
            "client_secret": null,
            "scopes": credential.scopes,
            "expiry": credential.expires_at.and_then(crate::agent::rfc3339),
        });
        let file = Path::new("google").join(format!("{}.json", file_name(email)?));
        self.files.push((file, Secret::new(account.to_string())));
        self.maybe("USER_GOOGLE_EMAIL", Some(email.to_owned()));
        let accounts = folder.join("google").display().to_string();
        self.maybe("GOOGLE_MCP_CREDENTIALS_DIR", Some(accounts));
        Ok(())
    }

    fn mcp(&mut self, credential: &Credential, name: Option<&str>, folder: &Path) -> Result<(), String> {
        let server = name.or(credential.name.as_deref());
        let server = server.ok_or("the answer does not say which MCP server it is for")?;
        let label = upper(server);
        for (field, value) in &credential.fields {
            let variable = format!("MCP_{label}_{}", upper(field));
            self.variables.push((variable, value.reveal().to_owned()));
        }
        let fields = credential.fields.iter();
        let fields: serde_json::Map<_, _> = fields.map(|(n, v)| (n.clone(), json!(v.reveal()))).collect();
        let content = Secret::new(serde_json::Value::from(fields).to_string());
        let file = format!("mcp-{}.json", file_name(server)?);
        self.file(&format!("MCP_{label}_FILE"), &file, &content, folder);
        Ok(())
    }
}

/// A name as a part of a variable's: capitals, digits and underscores.
#[must_use]
pub fn upper(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() => c.to_ascii_uppercase(),
            _ => '_',
        })
        .collect()
}

/// A text as the name of a file.
fn file_name(text: &str) -> Result<&str, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@' | '%');
    match !text.is_empty() && !text.starts_with('.') && text.len() <= 200 && text.chars().all(fits) {
        true => Ok(text),
        false => Err("the answer names something that can be no file's name".to_owned()),
    }
}

/// The host of a URL, or of what is one without its scheme.
pub(super) fn host(url: Option<&str>) -> Option<String> {
    let url = url?;
    let url = url::Url::parse(url).or_else(|_| url::Url::parse(&format!("https://{url}")));
    let url = url.ok()?;
    let name = url.host_str()?;
    crate::consumer::host::canonical(&match url.port() {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    })
}
