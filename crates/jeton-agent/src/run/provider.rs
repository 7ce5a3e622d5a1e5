//! Which providers there are, and which credential of a session is meant.
use std::fmt;

/// Whose credential it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// GitHub, or a GitHub Enterprise server.
    Github,
    /// GitLab.
    Gitlab,
    /// Jira.
    Jira,
    /// A Google account's access token.
    Google,
    /// A key file for Google's Vertex AI.
    Vertex,
    /// A kubeconfig.
    Kubeconfig,
    /// Gerrit instances.
    Gerrit,
    /// CodeRabbit.
    Coderabbit,
    /// The named fields of one MCP server.
    Mcp,
    /// Short-lived AWS credentials.
    Aws,
    /// A Google Cloud access token.
    Gcp,
    /// An Azure access token.
    Azure,
    /// A Vault token.
    Vault,
    /// An identity token of the broker.
    Oidc,
    /// Anything else.
    Generic,
}

impl Provider {
    /// Every one, with its name as brokers spell it.
    pub const ALL: [(Self, &'static str); 15] = [
        (Self::Github, "github"),
        (Self::Gitlab, "gitlab"),
        (Self::Jira, "jira"),
        (Self::Google, "google"),
        (Self::Vertex, "vertex"),
        (Self::Kubeconfig, "kubeconfig"),
        (Self::Gerrit, "gerrit"),
        (Self::Coderabbit, "coderabbit"),
        (Self::Mcp, "mcp"),
        (Self::Aws, "aws"),
        (Self::Gcp, "gcp"),
        (Self::Azure, "azure"),
        (Self::Vault, "vault"),
        (Self::Oidc, "oidc"),
        (Self::Generic, "generic"),
    ];

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(p, _)| *p)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(p, _)| *p == self)
            .map_or("generic", |(_, name)| name)
    }
}

/// One credential of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Whose.
    pub provider: Provider,
    /// The broker's id of it; `None`: it is asked for by the session and the provider (the older scheme).
    pub id: Option<String>,
    /// Which of several of one provider: an MCP server's name.
    pub name: Option<String>,
    /// Whether the program must not run without it.
    pub required: bool,
}

impl Wanted {
    /// The credential of a provider, required.
    #[must_use]
    pub const fn new(provider: Provider) -> Self {
        Self {
            provider,
            id: None,
            name: None,
            required: true,
        }
    }

    /// `PROVIDER` or `PROVIDER/NAME`, as people write it; `None` for what is no provider.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (provider, name) = match text.split_once('/') {
            Some((provider, name)) => (provider, Some(name.to_owned()).filter(|n| !n.is_empty())),
            None => (text, None),
        };
        Some(Self {
            name,
            ..Self::new(Provider::named(provider)?)
        })
    }

    /// Whether `text` (`github`, `mcp/search`, or `mcp` for each of them) means this one.
    #[must_use]
    pub fn is_meant_by(&self, text: &str) -> bool {
        text == self.provider.name() || text == self.to_string()
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.provider.name())?;
        match &self.name {
            Some(name) => write!(f, "/{}", jeton_core::redact::foreign(name, &[])),
            None => Ok(()),
        }
    }
}
