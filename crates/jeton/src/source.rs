//! What a source is. Its children are the sources: one platform, one file.
//!
//! A source answers two questions: *are you here?* ([`Source::presence`], from the environment and files alone, no
//! network, no command) and *give me a token* ([`Source::fetch`], under the context's deadline and retry contract).
use crate::cache::Particulars;
use crate::config::nearest::nearest;
use crate::{Context, Error};
use futures_util::future::BoxFuture;
use jeton_core::{Class, Token, TokenRequest};
use std::sync::Arc;

pub mod agent;
pub mod audience;
pub mod aws;
pub mod azure;
pub mod azure_pipelines;
pub mod buildkite;
pub mod candidate;
pub mod circleci;
pub mod codefresh;
pub mod command;
pub mod file;
#[cfg(test)]
mod fixture;
pub mod fly;
pub mod gcp;
pub mod github;
pub mod gitlab;
pub mod kubernetes;
mod projected;
pub mod spec;
pub mod spiffe;
#[cfg(test)]
mod stage;
pub mod variable;
pub mod vercel;

/// Every built-in source, in the order in which the ambient chain asks them: the caller's own token, a running
/// agent, CI platforms, workload identities, clouds, and what any program may have left in a variable or a file.
/// CI stands before the machine it runs on, whose identity is another and mostly a stronger one.
#[must_use]
pub fn ambient_order() -> Vec<Arc<dyn Source>> {
    vec![
        // The caller's own, and a running agent.
        Arc::new(&variable::JETON_TOKEN),
        Arc::new(agent::Agent::ambient()),
        // CI platforms.
        Arc::new(github::Github),
        Arc::new(gitlab::Gitlab),
        Arc::new(buildkite::Buildkite),
        Arc::new(circleci::CircleCi),
        Arc::new(&variable::BITBUCKET),
        Arc::new(azure_pipelines::AzurePipelines),
        Arc::new(codefresh::Codefresh),
        Arc::new(&variable::TERRAFORM_CLOUD),
        Arc::new(&variable::SPACELIFT),
        Arc::new(&variable::SEMAPHORE),
        Arc::new(&variable::BITRISE),
        Arc::new(&variable::CIRRUS),
        // Workload identities.
        Arc::new(spiffe::Spiffe),
        Arc::new(kubernetes::Kubernetes),
        Arc::new(&variable::NOMAD),
        // Clouds; the first two have their machines inside the others.
        Arc::new(fly::Fly),
        Arc::new(vercel::Vercel::new()),
        Arc::new(gcp::Gcp),
        Arc::new(aws::Aws),
        Arc::new(azure::Azure),
        // Variables and files that belong to no platform.
        Arc::new(&variable::SYSTEMD),
        Arc::new(&variable::WLCG),
        Arc::new(&variable::COSIGN),
    ]
}

/// The built-in source of this name.
///
/// # Errors
/// [`Class::Config`] for a name that no source has, with the nearest that one has.
pub fn named(name: &str) -> Result<Arc<dyn Source>, Error> {
    let mut sources = ambient_order();
    if let Some(found) = sources.iter().position(|source| source.name() == name) {
        return Ok(sources.swap_remove(found));
    }
    let names: Vec<&str> = sources.iter().map(|source| source.name()).collect();
    let shown = jeton_core::redact::foreign(name, &[]);
    let error = Error::new(Class::Config, format!("there is no source named `{shown}`"));
    Err(error.with_hint(match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", names.join(", ")),
    }))
}

/// Something that can be asked for a token: what programs hold, whatever is behind it.
pub trait TokenSource: Send + Sync {
    /// A token that fits `request` and lives long enough, from a cache or fresh.
    ///
    /// Dropping the future cancels what it was doing; nothing is left half done.
    ///
    /// # Errors
    /// [`Error`] of every [`Class`].
    fn token<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>>;
}

/// One place that tokens come from.
pub trait Source: Send + Sync {
    /// Its name, as it is spelled everywhere: flags, files, logs, pages.
    fn name(&self) -> &str;

    /// Whether it is here, and why. Reads the environment and perhaps a file; sends nothing, runs nothing.
    fn presence(&self, cx: &Context, request: &TokenRequest) -> Presence;

    /// A fresh token. Only called when [`Source::presence`] said [`Presence::Ready`], or when the source was named.
    fn fetch<'a>(&'a self, cx: &'a Context, request: &'a TokenRequest)
    -> BoxFuture<'a, Result<Token, Error>>;

    /// Whether what it gives may be kept.
    fn caching(&self) -> Caching {
        Caching::Keep
    }

    /// Whether each call makes a new token: then asking again cannot give one that lives longer.
    fn mints(&self) -> bool {
        false
    }

    /// What its tokens depend on beyond its name and the fingerprint of its presence: part of the cache key.
    fn particulars(&self, _cx: &Context) -> Particulars {
        Particulars::default()
    }

    /// The audience the source's tokens have when nobody asks for one; part of no check, shown to people.
    fn default_audience(&self, _cx: &Context) -> Option<String> {
        None
    }
}

/// Whether a source's tokens may be kept in caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// In memory and on disk, for as long as they live.
    Keep,
    /// Never: the place is read each time (a variable, a file that somebody else keeps fresh, standard input).
    Reread,
}

/// Whether a source is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is not: this variable is not set, that file does not exist.
    Absent {
        /// The exact variable or file.
        reason: String,
    },
    /// It is.
    Ready {
        /// What says so.
        reason: String,
        /// What proves the identity, to be hashed into the cache key (a request token, a job id, a pod's subject):
        /// another job on the same machine and account must never get this job's token.
        fingerprint: Vec<u8>,
    },
    /// It is here but cannot work. This ends an ambient chain: falling through would use a weaker identity in silence.
    Broken {
        /// What is missing or wrong.
        reason: String,
        /// What to do about it.
        hint: String,
    },
}

impl Presence {
    /// Not here, because of `reason`.
    pub fn absent(reason: impl Into<String>) -> Self {
        Self::Absent {
            reason: reason.into(),
        }
    }

    /// Here, because of `reason`; `fingerprint` is what proves the identity.
    pub fn ready(reason: impl Into<String>, fingerprint: impl Into<Vec<u8>>) -> Self {
        Self::Ready {
            reason: reason.into(),
            fingerprint: fingerprint.into(),
        }
    }

    /// Here but unusable.
    pub fn broken(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Broken {
            reason: reason.into(),
            hint: hint.into(),
        }
    }

    /// Here but unusable, as this error and its hint say.
    #[must_use]
    pub fn from_error(error: &Error) -> Self {
        Self::broken(
            error.to_string(),
            error.hint().unwrap_or("set it to something that can be used"),
        )
    }
}
