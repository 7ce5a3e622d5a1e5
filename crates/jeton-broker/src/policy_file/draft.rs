//! A first policy from a token that was seen: exactly this caller, bound by what cannot be taken over by others.
use jeton_core::Claims;
use jeton_core::pattern::Pattern;
use jeton_core::trust::DEFAULT_TTL;
use std::time::Duration;
use toml::{Table, Value};

/// Claims that name something by an id that nobody else ever gets, and claims that say by which workflow or in which
/// environment a token was asked for. Those that a token has are bound.
const BINDING: [&str; 15] = [
    "repository_id",
    "repository_owner_id",
    "enterprise_id",
    "project_id",
    "namespace_id",
    "organization_id",
    "pipeline_id",
    "oidc.circleci.com/project-id",
    "oidc.circleci.com/org-id",
    "user_id",
    "workspaceUuid",
    "repositoryUuid",
    "terraform_organization_id",
    "job_workflow_ref",
    "environment",
];

/// What the caller of such a policy gets.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The policy's name.
    pub name: Option<String>,
    /// The audiences of tokens.
    pub audience: Vec<String>,
    /// The scopes.
    pub scope: Vec<String>,
    /// The credential.
    pub credential: Option<String>,
    /// How long.
    pub ttl: Option<Duration>,
}

/// The policy as TOML.
///
/// # Errors
/// The claim that is missing.
pub fn draft(claims: &Claims, gives: &Draft) -> Result<String, &'static str> {
    let issuer = claims.issuer().ok_or("the claims have no iss")?;
    let subject = claims.subject().ok_or("the claims have no sub")?;
    let mut policy = Table::new();
    let mut set = |name: &str, value: Value| drop(policy.insert(name.to_owned(), value));
    if let Some(name) = &gives.name {
        set("name", name.as_str().into());
    }
    set("issuer", issuer.into());
    set("subject", subject.into());
    for (name, texts) in [("audience", &gives.audience), ("scope", &gives.scope)] {
        if !texts.is_empty() {
            set(name, texts.clone().into());
        }
    }
    if let Some(credential) = &gives.credential {
        set("credential", credential.as_str().into());
    }
    let ttl = gives.ttl.unwrap_or(DEFAULT_TTL);
    set("ttl", format!("{}s", ttl.as_secs()).into());
    let bound = bound(claims);
    if !bound.is_empty() {
        set("claim_pattern", bound.into());
    }
    toml::to_string(&policy).map_err(|_| "the claims cannot be written as TOML")
}

fn bound(claims: &Claims) -> Table {
    let texts = BINDING
        .iter()
        .filter_map(|name| Some((*name, claims.text(name)?)));
    texts
        .map(|(name, text)| (name, Pattern::literal(text)))
        // What would be read as something else is left out: the subject is exact anyway.
        .filter(|(_, pattern)| {
            let read = Pattern::parse(pattern.source()).ok();
            read.is_some_and(|read| read.as_literal().is_some())
        })
        .map(|(name, pattern)| (name.to_owned(), pattern.source().into()))
        .collect()
}
