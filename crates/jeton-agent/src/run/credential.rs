//! What a broker answers for a credential: the token answer of the contract, and each provider's older shape.
//!
//! | provider | members that hold the secret | beside it |
//! |---|---|---|
//! | github, gitlab | `token` | `userName`, `email`, `instanceUrl`, `url`, `expiresAt` |
//! | jira | `apiToken`, `token` | `url`, `email` |
//! | google | `accessToken`, `token` | `email`, `scopes`, `expiresAt` |
//! | coderabbit | `apiKey`, `token` | |
//! | gerrit | `instances`, or the list itself | each `url`, `username`, `httpToken` |
//! | mcp | `fields`, or every text there is | `name` |
//! | kubeconfig, vertex | `token`, `kubeconfig`, `credentials` | |
use super::provider::Provider;
use jeton::http::{Fault, Response};
use jeton::{Secret, UnixTime, answer};
use jeton_core::{Failure, Json};

/// The members that hold the one secret, the most exact first.
const SECRET: [&str; 9] = [
    "accessToken",
    "apiToken",
    "apiKey",
    "access_token",
    "api_token",
    "api_key",
    "kubeconfig",
    "credentials",
    "token",
];
/// The members of an answer that are about the credential; everything else in a flat MCP answer is a field of it.
const ABOUT: [&str; 10] = [
    "credential_id",
    "provider",
    "expires_at",
    "expiresAt",
    "name",
    "kind",
    "id",
    "serverName",
    "server",
    "url",
];
/// The members of a Gerrit instance that may hold its password.
const PASSWORDS: [&str; 5] = ["httpToken", "http_token", "password", "token", "http_password"];

/// A credential as it was answered.
#[derive(Clone, PartialEq)]
pub struct Credential {
    /// Whose.
    pub provider: Provider,
    /// Its name, where the answer says one.
    pub name: Option<String>,
    /// The token, the key, or the text of the file.
    pub secret: Secret,
    /// Where it is good.
    pub url: Option<String>,
    /// The account's e-mail address.
    pub email: Option<String>,
    /// The account's name.
    pub user: Option<String>,
    /// The granted scopes.
    pub scopes: Vec<String>,
    /// When it ends.
    pub expires_at: Option<UnixTime>,
    /// The named fields of an MCP server.
    pub fields: Vec<(String, Secret)>,
    /// The instances of Gerrit that take a user name and a password.
    pub instances: Vec<Instance>,
    /// The refresh token, where an older broker gives it out.
    pub refresh_token: Option<Secret>,
    /// The whole answer, or the list in it, as text.
    pub whole: Secret,
}

/// A Gerrit instance.
#[derive(Clone, PartialEq)]
pub struct Instance {
    /// Its URL.
    pub url: String,
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

impl Credential {
    /// Reads an answer.
    ///
    /// # Errors
    /// A fault for a status that is no success, for what is no JSON of the shape, and for an answer without a secret: an
    /// empty credential is none.
    pub fn read(provider: Provider, response: &Response) -> Result<Self, Fault> {
        answer::success(response)?;
        let json = answer::json(response)?;
        Self::of(provider, &json).map_err(|why| response.fault(Failure::Unexpected, why))
    }

    /// Reads an answer's document.
    ///
    /// # Errors
    /// What is wrong with it, without any of its values.
    pub fn of(provider: Provider, json: &Json) -> Result<Self, String> {
        let list = json.as_array().filter(|_| provider == Provider::Gerrit);
        if json.as_object().is_none() && list.is_none() {
            return Err(format!("the answer is a JSON {}, no object", json.kind()));
        }
        let list = list.or_else(|| json.get("instances").and_then(Json::as_array));
        let text = |names: &[&str]| one_line(json, names);
        let fields = fields(provider, json)?;
        let secret = secret(provider, json, list.is_some() || !fields.is_empty())?;
        let whole = match list {
            Some(list) if provider == Provider::Gerrit => Json::Array(list.to_vec()).to_text(),
            _ => json.to_text(),
        };
        Ok(Self {
            provider,
            name: text(&["name", "serverName", "server"])?,
            secret,
            url: text(&["url", "instanceUrl", "instance_url"])?,
            email: text(&["email"])?,
            user: text(&["userName", "user_name", "username"])?,
            scopes: scopes(json),
            expires_at: expiry(json)?,
            fields,
            instances: list.unwrap_or_default().iter().filter_map(instance).collect(),
            refresh_token: text(&["refreshToken", "refresh_token"])?.map(Secret::new),
            whole: Secret::new(whole),
        })
    }

    /// Everything in it that nobody should see.
    pub fn secrets(&self) -> impl Iterator<Item = Secret> {
        let file = is_file(self.provider, self.secret.reveal());
        let inside = if file {
            inside(self.secret.reveal())
        } else {
            Vec::new()
        };
        let own = Some(self.secret.clone()).filter(|_| !file);
        let fields = self.fields.iter().map(|(_, value)| value.clone());
        let instances = self.instances.iter().map(|i| i.password.clone());
        let all = own.into_iter().chain(inside).chain(fields).chain(instances);
        all.chain(self.refresh_token.clone())
            .collect::<Vec<_>>()
            .into_iter()
    }
}

/// A member that is one line of text; an empty one is none.
fn one_line(json: &Json, names: &[&str]) -> Result<Option<String>, String> {
    let texts = names
        .iter()
        .filter_map(|name| Some((*name, json.get(name)?.as_str()?)));
    let Some((name, text)) = texts.into_iter().find(|(_, text)| !text.trim().is_empty()) else {
        return Ok(None);
    };
    match text.chars().any(char::is_control) {
        true => Err(format!("{name:?} in the answer has control characters in it")),
        false => Ok(Some(text.trim().to_owned())),
    }
}

fn secret(provider: Provider, json: &Json, is_elsewhere: bool) -> Result<Secret, String> {
    let texts = SECRET
        .iter()
        .filter_map(|name| Some((*name, json.get(name)?.as_str()?)));
    let found = texts.into_iter().find(|(_, text)| !text.trim().is_empty());
    match found {
        Some((_, text)) if is_file(provider, text) => Ok(Secret::new(text)),
        Some((name, text)) if text.trim().chars().any(char::is_control) => {
            Err(format!("{name:?} in the answer has control characters in it"))
        }
        Some((_, text)) => Ok(Secret::new(text.trim_end())),
        None if is_elsewhere => Ok(Secret::new("")),
        None => Err("the answer has no token in it".to_owned()),
    }
}

/// Whether it is the text of a file: a kubeconfig, a key file, the document of an AWS key.
fn is_file(provider: Provider, text: &str) -> bool {
    match provider {
        Provider::Kubeconfig | Provider::Vertex => true,
        Provider::Google | Provider::Aws => text.trim_start().starts_with('{'),
        _ => false,
    }
}

fn fields(provider: Provider, json: &Json) -> Result<Vec<(String, Secret)>, String> {
    if provider != Provider::Mcp {
        return Ok(Vec::new());
    }
    let members = match json.get("fields") {
        Some(fields) => fields
            .as_object()
            .ok_or("\"fields\" in the answer is no object")?,
        None => json.as_object().unwrap_or_default(),
    };
    let is_flat = json.get("fields").is_none();
    let texts = members.iter().filter_map(|(name, value)| {
        let name: &str = name;
        let is_field = !(is_flat && ABOUT.contains(&name));
        Some((name, value.as_str()?)).filter(|_| is_field)
    });
    texts
        .map(|(name, text)| match text.contains('\0') {
            true => Err(format!("the field {name:?} has a NUL in it")),
            false => Ok((name.to_owned(), Secret::new(text))),
        })
        .collect()
}

fn scopes(json: &Json) -> Vec<String> {
    match json.get("scopes") {
        Some(Json::Array(all)) => all.iter().filter_map(|s| s.as_str().map(str::to_owned)).collect(),
        Some(Json::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn expiry(json: &Json) -> Result<Option<UnixTime>, String> {
    let member = ["expires_at", "expiresAt"].iter().find_map(|name| json.get(name));
    match member {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) if text.is_empty() => Ok(None),
        Some(Json::String(text)) => match text.parse::<jiff::Timestamp>() {
            Ok(at) => Ok(Some(UnixTime::from_seconds(at.as_second()))),
            Err(_) => Err("the end in the answer is no time of RFC 3339".to_owned()),
        },
        Some(other) => match other.as_i64() {
            Some(seconds) => Ok(Some(UnixTime::from_seconds(seconds))),
            None => Err(format!("the end in the answer is {}, no time", other.kind())),
        },
    }
}

fn instance(json: &Json) -> Option<Instance> {
    let text = |names: &[&str]| one_line(json, names).ok().flatten();
    Some(Instance {
        url: text(&["url", "instanceUrl"])?,
        username: text(&["username", "user_name", "userName", "httpUser"])?,
        password: Secret::new(text(&PASSWORDS)?),
    })
}

/// What is secret in a file's text: the values of its members that are named like secrets, and the lines of its keys.
fn inside(text: &str) -> Vec<Secret> {
    const NAMES: [&str; 9] = [
        "SecretAccessKey",
        "SessionToken",
        "token",
        "password",
        "client-key-data",
        "private_key",
        "client_secret",
        "refresh_token",
        "access-token",
    ];
    let mut found = Vec::new();
    let lines = text.lines().flat_map(|line| line.split(','));
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let name = name
            .trim()
            .trim_start_matches(['-', '{', ' '])
            .trim_matches(['"', '\'']);
        if NAMES.contains(&name) {
            let value = value
                .trim()
                .trim_end_matches('}')
                .trim()
                .trim_matches(['"', '\'']);
            // A key is printed line by line, and its line ends are escaped in JSON.
            let pieces = value.split("\\n").filter(|piece| !piece.starts_with("-----"));
            found.extend(pieces.map(Secret::new));
        }
    }
    found
}

#[cfg(test)]
mod tests;
