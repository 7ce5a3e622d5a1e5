//! Credential helpers: the protocols by which git, docker, kubectl and others ask a program for a credential.
//!
//! Every protocol is a pure function from what the consumer sent to what it is to be answered; tokens come by way of a
//! [`Vault`], which knows whose token a host gets. A host is offered something only when it is exactly one that the
//! configuration names, and only over https.
//!
//! | kind | who | asks with |
//! |---|---|---|
//! | `git` | git | `key=value` lines |
//! | `docker` | docker, podman, helm, … | the server's URL |
//! | `kubectl` | client-go | `KUBERNETES_EXEC_INFO` |
//! | `aws` | the AWS SDKs (`credential_process`) | nothing |
//! | `gcp` | Google's SDKs (executable source) | `GOOGLE_EXTERNAL_ACCOUNT_*` |
//! | `cargo` | cargo | a JSON object a line |
//! | `terraform` | Terraform, OpenTofu | a host name |
//! | `bazel` | Bazel | a JSON object |
//! | `goauth` | go | a URL, perhaps |
//! | `netrc` | curl, pip and others | a host name, perhaps |
use jeton::{Error, Token};
use jeton_core::Class;
use url::Url;

pub mod aws;
pub mod bazel;
pub mod cargo;
pub mod docker;
pub mod gcp;
pub mod git;
pub mod goauth;
pub mod host;
pub mod kubectl;
pub mod netrc;
pub mod terraform;

/// A consumer's question is no longer than this, in bytes.
pub const LARGEST: usize = 1024 * 1024;

/// What a host is offered.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The token.
    pub token: Token,
    /// The user name, where the configuration says one.
    pub username: Option<String>,
}

impl Offer {
    /// The end of the token in seconds since 1970, where it is known.
    #[must_use]
    pub fn ends(&self) -> Option<i64> {
        self.token.expires_at.map(|at| at.seconds())
    }

    /// The end as RFC 3339 has it.
    #[must_use]
    pub fn ends_text(&self) -> Option<String> {
        self.token.expires_at.and_then(crate::agent::rfc3339)
    }
}

/// Whoever has tokens for hosts. `host` is `name` or `name:port`, in lower case, without the port of its scheme.
pub trait Vault {
    /// What this host is offered; `None`: nothing.
    ///
    /// # Errors
    /// The source's.
    fn offer(&mut self, host: &str) -> Result<Option<Offer>, Error>;

    /// A token that no host was named for; `audience` where the consumer said one.
    ///
    /// # Errors
    /// The source's.
    fn token(&mut self, audience: Option<&str>) -> Result<Token, Error>;

    /// The hosts that the configuration names.
    fn hosts(&self) -> Vec<(String, Option<String>)>;
}

/// What a consumer is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// On standard output.
    pub output: String,
    /// The exit code.
    pub code: u8,
}

impl Answer {
    /// Done, with this on standard output.
    #[must_use]
    pub fn with(output: impl Into<String>) -> Self {
        Self {
            output: output.into(),
            code: 0,
        }
    }

    /// Not done, with this on standard output, for protocols that say so there.
    #[must_use]
    pub fn refusal(output: impl Into<String>) -> Self {
        Self {
            output: output.into(),
            code: 1,
        }
    }
}

/// A question that is not of the protocol.
fn wrong(what: impl Into<String>) -> Error {
    Error::new(Class::Config, what.into())
}

/// The host of a URL that a token may be sent to: https, or http to this machine; no user, no password.
fn host_of(url: &Url) -> Option<String> {
    let is_safe = url.scheme() == "https" || url.scheme() == "http" && jeton::config::is_loopback(url);
    if !is_safe || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    let name = url.host_str()?;
    host::canonical(&match url.port() {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    })
}

/// Whether a value can stand in a line of its own: a line end or a NUL in it would begin another.
fn is_one_line(text: &str) -> bool {
    !text.bytes().any(|b| matches!(b, b'\r' | b'\n' | 0))
}

/// A token that can stand in a line of its own.
fn line_token(offer: &Offer) -> Result<&str, Error> {
    let token = offer.token.value.reveal();
    if is_one_line(token) {
        return Ok(token);
    }
    Err(Error::new(Class::Token, "the token has line ends in it")
        .with_hint("this consumer takes one line only"))
}

#[cfg(test)]
mod tests;
