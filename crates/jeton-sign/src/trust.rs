//! What is trusted: the authorities, logs and timestamp authorities of one instance of Sigstore. From a file, or from a
//! TUF repository (The Update Framework), whose metadata is signed, versioned and expires.
//!
//! What was fetched is kept in the disk cache and verified anew each time it is read. While it has not expired, nothing
//! is fetched.
mod repository;

use crate::artifact::{document, unusable};
use jeton::cache::{Disk, locate};
use jeton::http::checked_url;
use jeton::{Class, Context, Error};
use repository::{Kept, Mirror};
use sigstore_trust_root::{SigningConfig, TrustedRoot};
use sigstore_tuf::{StoreRepository, Updater};
use std::path::Path;

/// Where the public instance says what is to be trusted.
const PUBLIC_URL: &str = "https://tuf-repo-cdn.sigstore.dev";
/// The root of that repository as it was when this program was made: all later ones are signed by it or by one
/// in between.
const PUBLIC_ROOT: &[u8] = include_bytes!("trust/root.json");
/// The trust root's name in a repository.
const TRUSTED_ROOT: &str = "trusted_root.json";
/// The signing config's.
const SIGNING_CONFIG: &str = "signing_config.v0.2.json";

/// A trust root from a file (`trusted_root.json`).
///
/// # Errors
/// `Class::NotFound` when it is not there, `Class::Protocol` when it is none.
pub fn read(path: &Path) -> Result<TrustedRoot, Error> {
    TrustedRoot::from_json(&document(path)?).map_err(|e| {
        let why = jeton_core::redact::foreign(&e.to_string(), &[]);
        unusable(path, &format!("it is no trust root: {why}"))
            .with_hint("name a trusted_root.json, as whoever runs the instance hands it out")
    })
}

/// A TUF repository, and the root that is trusted from the start.
#[derive(Clone, Debug)]
pub struct Repository {
    url: String,
    root: Vec<u8>,
}

/// What a repository says.
#[derive(Clone, Debug)]
pub struct Trust {
    /// What is trusted.
    pub root: TrustedRoot,
    /// Which services there are; `None` when the repository does not say.
    pub services: Option<SigningConfig>,
}

impl Repository {
    /// The public instance's.
    #[must_use]
    pub fn public() -> Self {
        Self {
            url: PUBLIC_URL.to_owned(),
            root: PUBLIC_ROOT.to_vec(),
        }
    }

    /// A mirror of it: another place, the same signatures.
    ///
    /// # Errors
    /// `Class::Config` for a URL that is none.
    pub fn mirrored(url: impl Into<String>) -> Result<Self, Error> {
        let url = url.into();
        checked_url(&url, "--tuf-url")?;
        Ok(Self {
            url,
            ..Self::public()
        })
    }

    /// Another one, with the root metadata (`root.json`) that is trusted.
    #[must_use]
    pub fn at(url: impl Into<String>, root: impl Into<Vec<u8>>) -> Self {
        Self {
            url: url.into(),
            root: root.into(),
        }
    }

    /// The same, with the root metadata from a file.
    ///
    /// # Errors
    /// As [`Repository::mirrored`]; `Class::NotFound` when it is not there, `Class::Protocol` when it is none, or does
    /// not sign itself.
    pub fn read(url: impl Into<String>, path: &Path) -> Result<Self, Error> {
        let url = url.into();
        checked_url(&url, "--tuf-url")?;
        let root = document(path)?;
        sigstore_tuf::TrustedMetadataSet::from_root(root.as_bytes()).map_err(|e| {
            let why = jeton_core::redact::foreign(&e.to_string(), &[]);
            unusable(path, &format!("it is no root of a TUF repository: {why}"))
                .with_hint("name the repository's root.json, as whoever runs it hands it out")
        })?;
        Ok(Self::at(url, root))
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it says: from the cache while that has not expired, else fetched. Older metadata than was seen before,
    /// metadata that has expired, and whatever is not signed as it should be, is refused.
    ///
    /// # Errors
    /// `Class::Trust` for metadata that is not to be trusted, else as [`Context::fetch`].
    pub async fn trust(&self, cx: &Context) -> Result<Trust, Error> {
        let now = now(cx)?;
        let kept = locate(&cx.env).map(|path| Kept::new(Disk::at(path), &self.url));
        if let Some(kept) = &kept {
            let offline = Updater::new(StoreRepository::new(kept.clone()), &self.root);
            let offline = offline.map_err(|e| refused(&e))?.with_store(kept.clone());
            if let Ok(trust) = said(offline, now).await {
                return Ok(trust);
            }
        }
        let mirror = Mirror::new(cx.clone(), &self.url)?;
        let online = Updater::new(mirror, &self.root).map_err(|e| refused(&e))?;
        let online = match kept {
            Some(kept) => online.with_store(kept),
            None => online,
        };
        said(online, now).await
    }
}

async fn said(mut updater: Updater, now: jiff::Timestamp) -> Result<Trust, Error> {
    updater.refresh(now).await.map_err(|e| refused(&e))?;
    let root = updater
        .get_target(TRUSTED_ROOT, now)
        .await
        .map_err(|e| refused(&e))?;
    let services = match updater.get_target(SIGNING_CONFIG, now).await {
        Ok(services) => Some(services),
        Err(sigstore_tuf::Error::TargetNotFound(_)) => None,
        Err(e) => return Err(refused(&e)),
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| unreadable("it is no text"));
    let services = services.map(text).transpose()?;
    let services = services.map(|text| SigningConfig::from_json(&text));
    Ok(Trust {
        root: TrustedRoot::from_json(&text(root)?).map_err(|e| unreadable(&e.to_string()))?,
        services: services.transpose().map_err(|e| unreadable(&e.to_string()))?,
    })
}

fn unreadable(why: &str) -> Error {
    let why = jeton_core::redact::foreign(why, &[]);
    Error::new(
        Class::Protocol,
        format!("trust root: what the repository holds cannot be used: {why}"),
    )
    .with_hint("--trusted-root FILE needs no repository")
}

fn now(cx: &Context) -> Result<jiff::Timestamp, Error> {
    jiff::Timestamp::from_second(cx.clock.now().wall.seconds())
        .map_err(|_| Error::new(Class::Other, "the clock is set to a time that no calendar has"))
}

/// What a failed update means: the error of the fetch, where that was it, else that the metadata is not to be trusted.
fn refused(error: &sigstore_tuf::Error) -> Error {
    if let Some(error) = repository::fetch_error(error) {
        return error;
    }
    let why = jeton_core::redact::foreign(&error.to_string(), &[]);
    Error::new(
        Class::Trust,
        format!("trust root: the repository's metadata is refused: {why}"),
    )
    .with_hint(
        "a clock that is wrong makes good metadata look expired; --trusted-root FILE needs no repository",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_repository_begins_with_a_root_that_signs_itself() {
        let root = sigstore_tuf::TrustedMetadataSet::from_root(PUBLIC_ROOT).unwrap();
        assert!(root.root().version >= 16);
        assert!(Repository::public().url.starts_with("https://"));
    }
}
