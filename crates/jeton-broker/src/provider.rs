//! What a credential of each provider holds, and what it releases: a table.
//!
//! `secret` is a text or an object; which members an object may have is in [`ROWS`]. A plain one releases what it holds.
//! One that mints is a line in [`release`] and a file of its own in `provider/`: it is handed the [`Stored`] secret and
//! answers with [`Released`].
use crate::broker::{Broker, Live};
use crate::credential::Credential;
use crate::fields::Fields;
use crate::problem::Problem;
use jeton_core::{Json, Secret, UnixTime, json};
use serde_json::{Map, Value};
use std::sync::Arc;

mod minted;

/// The longest secret, in bytes: a kubeconfig with certificates in it.
const LONGEST_SECRET: usize = 256 * 1024;
/// The annotation that says as whom a token acts.
const USER_NAME: &str = "user_name";

/// A provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "their names say it")]
pub enum Provider {
    Github,
    Gitlab,
    Jira,
    Google,
    Vertex,
    Kubeconfig,
    Gerrit,
    Coderabbit,
    Mcp,
    Aws,
    Gcp,
    Azure,
    Vault,
    Oidc,
    Generic,
}

/// What a member of a secret must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text that is not empty.
    Text,
    /// A text, or a number that is written as one (GitHub's ids).
    Id,
    /// A list of texts, or one text with spaces between them.
    Texts,
    /// A list of objects.
    Objects,
    /// An object of texts.
    Fields,
}

/// A member of a secret: its name, what it must be, and whether it must be there.
pub type Member = (&'static str, Kind, bool);

/// A line of the table.
pub struct Row {
    /// The provider.
    pub provider: Provider,
    /// Its name.
    pub name: &'static str,
    /// Whether its secret may be a text.
    pub text: bool,
    /// The members of its secret as an object; empty when it may not be one.
    pub members: &'static [Member],
}

const fn row(provider: Provider, name: &'static str, text: bool, members: &'static [Member]) -> Row {
    Row {
        provider,
        name,
        text,
        members,
    }
}

/// Every provider.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row(Provider::Github, "github", true, &[("app_id", Kind::Id, true), ("installation_id", Kind::Id, true), ("private_key", Kind::Text, true)]),
    row(Provider::Gitlab, "gitlab", true, &[]),
    row(Provider::Jira, "jira", true, &[]),
    row(Provider::Google, "google", true, &[("client_id", Kind::Text, true), ("client_secret", Kind::Text, true), ("refresh_token", Kind::Text, true), ("scopes", Kind::Texts, false)]),
    row(Provider::Vertex, "vertex", true, &[]),
    row(Provider::Kubeconfig, "kubeconfig", true, &[]),
    row(Provider::Gerrit, "gerrit", false, &[("instances", Kind::Objects, true)]),
    row(Provider::Coderabbit, "coderabbit", true, &[]),
    row(Provider::Mcp, "mcp", false, &[("fields", Kind::Fields, true)]),
    row(Provider::Aws, "aws", false, &[("role", Kind::Text, true), ("audience", Kind::Text, false), ("region", Kind::Text, false), ("session_name", Kind::Text, false), ("duration", Kind::Text, false)]),
    row(Provider::Gcp, "gcp", false, &[("audience", Kind::Text, true), ("service_account", Kind::Text, false), ("scopes", Kind::Texts, false)]),
    row(Provider::Azure, "azure", false, &[("tenant", Kind::Text, false), ("tenant_id", Kind::Text, false), ("client_id", Kind::Text, true), ("scope", Kind::Text, false), ("audience", Kind::Text, false)]),
    row(Provider::Vault, "vault", false, &[("role", Kind::Text, true), ("mount", Kind::Text, false), ("audience", Kind::Text, false)]),
    row(Provider::Oidc, "oidc", false, &[("audience", Kind::Text, true), ("scope", Kind::Text, false)]),
    row(Provider::Generic, "generic", true, &[]),
];

impl Provider {
    /// The provider of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.name == name).map(|row| row.provider)
    }

    /// Its line.
    #[must_use]
    pub fn row(self) -> &'static Row {
        // The table stands in the order of the variants; a test holds it to that.
        &ROWS[self as usize]
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }
}

/// The secret of a credential, checked: a text, or an object with the members that its provider takes.
#[derive(Clone)]
pub enum Stored {
    /// A text.
    Text(Secret),
    /// An object.
    Object(Json),
}

impl Stored {
    /// From the request that sets it.
    ///
    /// # Errors
    /// 400, naming the member.
    pub fn check(provider: Provider, secret: Json) -> Result<Self, Problem> {
        let row = provider.row();
        match secret {
            Json::String(text) if row.text => {
                if text.trim().is_empty() {
                    return Err(Problem::invalid("secret", "is empty"));
                }
                if text.len() > LONGEST_SECRET {
                    return Err(Problem::invalid("secret", "is too long"));
                }
                Ok(Self::Text(Secret::new(text)))
            }
            Json::Object(_) if !row.members.is_empty() => object(row, secret).map(Self::Object),
            _ => Err(Problem::invalid("secret", &wanted(row))),
        }
    }

    /// As it is sealed. The first letter of JSON text tells the two forms apart.
    #[must_use]
    pub fn to_sealed(&self) -> Secret {
        Secret::new(match self {
            Self::Text(text) => Json::from(text.reveal()).to_text(),
            Self::Object(object) => object.to_text(),
        })
    }

    /// From what was sealed.
    ///
    /// # Errors
    /// It is neither.
    pub fn from_sealed(secret: &Secret) -> Result<Self, Problem> {
        match json::parse(secret.reveal().as_bytes()) {
            Ok(Json::String(text)) => Ok(Self::Text(Secret::new(text))),
            Ok(object @ Json::Object(_)) => Ok(Self::Object(object)),
            _ => Err(Problem::internal(
                "what was sealed is not of a form that is known",
            )),
        }
    }

    /// A member of an object, as a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self {
            Self::Object(object) => object.get(name).and_then(Json::as_str),
            Self::Text(_) => None,
        }
    }
}

fn wanted(row: &Row) -> String {
    let members: Vec<&str> = row.members.iter().map(|(name, ..)| *name).collect();
    match (row.text, members.is_empty()) {
        (true, true) => "must be a string".to_owned(),
        (true, false) => format!("must be a string, or an object with {}", members.join(", ")),
        (false, _) => format!("must be an object with {}", members.join(", ")),
    }
}

fn object(row: &Row, secret: Json) -> Result<Json, Problem> {
    let size = secret.to_text().len();
    if size > LONGEST_SECRET {
        return Err(Problem::invalid("secret", "is too long"));
    }
    let mut fields = Fields::of(secret, "secret")?;
    let mut checked = Json::Object(Vec::new());
    for (name, kind, required) in row.members {
        match fields.take(name) {
            Some(value) => checked.set(*name, member(name, *kind, value)?),
            None if *required => return Err(Problem::invalid(&format!("secret.{name}"), "is missing")),
            None => (),
        }
    }
    fields.end()?;
    Ok(checked)
}

fn member(name: &str, kind: Kind, value: Json) -> Result<Json, Problem> {
    let texts = |list: &[Json]| {
        list.iter()
            .all(|item| item.as_str().is_some_and(|text| !text.is_empty()))
    };
    let fits = match (kind, &value) {
        (Kind::Text | Kind::Id | Kind::Texts, Json::String(text)) => !text.trim().is_empty(),
        (Kind::Id, Json::Integer(number)) => *number > 0,
        (Kind::Texts, Json::Array(list)) => texts(list),
        (Kind::Objects, Json::Array(list)) => {
            !list.is_empty() && list.iter().all(|item| item.as_object().is_some())
        }
        (Kind::Fields, Json::Object(members)) => {
            !members.is_empty() && members.iter().all(|(_, value)| value.as_str().is_some())
        }
        _ => false,
    };
    if !fits {
        let why = match kind {
            Kind::Text => "must be a string",
            Kind::Id => "must be a string or a number",
            Kind::Texts => "must be a list of strings",
            Kind::Objects => "must be a list of objects",
            Kind::Fields => "must be an object of strings",
        };
        return Err(Problem::invalid(&format!("secret.{name}"), why));
    }
    Ok(match (kind, value) {
        (Kind::Id, Json::Integer(number)) => Json::String(number.to_string()),
        (_, value) => value,
    })
}

/// What is handed out.
pub struct Released {
    /// The token, or what stands for it.
    pub token: Secret,
    /// When it ends, where that is known.
    pub expires_at: Option<UnixTime>,
    /// The provider's own fields.
    pub more: Map<String, Value>,
}

/// What a credential releases to somebody who may have it.
///
/// # Errors
/// [`Problem`]: a provider that mints could not.
pub async fn release(
    broker: &Broker,
    live: &Arc<Live>,
    credential: &Credential,
    stored: Stored,
) -> Result<Released, Problem> {
    let mut released = match stored {
        Stored::Text(token) => plain(token),
        Stored::Object(object) => match credential.provider {
            Provider::Gerrit => listed(&object, "instances"),
            Provider::Mcp => listed(&object, "fields"),
            _ => minted::release(broker, live, credential, &object).await?,
        },
    };
    for (name, value) in [
        ("url", credential.url.as_str()),
        ("email", credential.email.as_str()),
        (USER_NAME, credential.annotation(USER_NAME)),
    ] {
        if !value.is_empty() {
            released.more.entry(name).or_insert_with(|| value.into());
        }
    }
    Ok(released)
}

fn plain(token: Secret) -> Released {
    Released {
        token,
        expires_at: None,
        more: Map::new(),
    }
}

/// What is not one token but several things: as its own field, and as text for who knows only of tokens.
fn listed(object: &Json, name: &str) -> Released {
    let text = object.get(name).map_or_else(String::new, Json::to_text);
    let mut more = Map::new();
    more.insert(name.to_owned(), serde_json::from_str(&text).unwrap_or_default());
    Released {
        token: Secret::new(text),
        expires_at: None,
        more,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_providers() {
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(row.provider as usize, index, "{}", row.name);
            assert_eq!(Provider::named(row.name), Some(row.provider));
        }
        assert_eq!(Provider::named("ftp"), None);
    }

    #[test]
    fn d6_a_secret_has_the_form_of_its_provider() {
        let rows = [
            ("github", r#""ghp_x""#, None),
            (
                "github",
                r#"{"app_id":1,"installation_id":"2","private_key":"k"}"#,
                None,
            ),
            (
                "github",
                r#"{"app_id":1,"installation_id":"2"}"#,
                Some("secret.private_key: is missing"),
            ),
            (
                "github",
                r#"{"app_id":1,"installation_id":2,"private_key":"k","x":1}"#,
                Some("x: "),
            ),
            ("github", r#""""#, Some("secret: is empty")),
            ("github", "1", Some("secret: must be")),
            ("gitlab", r#"{"a":"b"}"#, Some("secret: must be a string")),
            (
                "gerrit",
                r#""x""#,
                Some("secret: must be an object with instances"),
            ),
            ("gerrit", r#"{"instances":[{"url":"u"}]}"#, None),
            ("gerrit", r#"{"instances":[]}"#, Some("secret.instances: ")),
            ("mcp", r#"{"fields":{"a":"b"}}"#, None),
            ("mcp", r#"{"fields":{"a":1}}"#, Some("secret.fields: ")),
            ("aws", r#"{"role":"arn"}"#, None),
            ("aws", r#"{"audience":"a"}"#, Some("secret.role: is missing")),
            (
                "google",
                r#"{"client_id":"a","client_secret":"b","refresh_token":"c","scopes":["d"]}"#,
                None,
            ),
        ];
        for (provider, secret, wanted) in rows {
            let provider = Provider::named(provider).expect("provider");
            let secret_json = json::parse(secret.as_bytes()).expect("json");
            let got = Stored::check(provider, secret_json);
            match (&got, wanted) {
                (Ok(stored), None) => {
                    let again = Stored::from_sealed(&stored.to_sealed());
                    assert!(again.is_ok(), "{secret}");
                }
                (Err(problem), Some(wanted)) => {
                    assert!(
                        problem.reason().starts_with(wanted),
                        "{secret}: {}",
                        problem.reason()
                    );
                }
                _ => panic!("{secret}: {:?}", got.err().map(|p| p.reason().to_owned())),
            }
        }
    }
}
