//! Azure Arc: the agent proves that the asker may read a file, and only then answers.
//!
//! Azure Arc documentation, "Authenticate against Azure resources with Azure Arc-enabled servers". The path comes from
//! whoever answered, so it is held to the agent's own folder, and what is sent back to the small file in it.
use super::managed_identity::{near, read};
use crate::answer::success;
use crate::http::{Fault, Request, Response, checked_metadata_url};
use crate::{Context, Env, Error};
use jeton_core::{Class, Failure, Secret, Token, TokenRequest};
use std::path::{Component, Path, PathBuf};

const ENDPOINT: &str = "http://localhost:40342/metadata/identity/oauth2/token";
const VERSION: &str = "2021-02-01";
/// The agent's own folder on Linux.
const KEY_FOLDER: &str = "/var/opt/azcmagent/tokens";
/// The largest key that the vendor's libraries accept, in bytes.
const KEY_CAP: usize = 4096;

/// An access token for `resource` of the machine's own identity: an agent has no other.
pub(super) async fn fetch(cx: &Context, resource: &str, wanted: &TokenRequest) -> Result<Token, Error> {
    if cx.env.get("AZURE_CLIENT_ID").is_some() {
        cx.observer
            .warning("azure: Arc knows the machine's own identity only; AZURE_CLIENT_ID is not used");
    }
    let request = request(&cx.env, resource)?;
    let path = cx.fetch("azure: Arc's challenge", &request, challenge).await?;
    let key = key(&cx.env, &path)?;
    let basic = Secret::new(format!("Basic {}", key.reveal()));
    let request = request.secret_header("authorization", &basic);
    cx.fetch("azure: Arc", &request, |response| read(cx, response, wanted))
        .await
}

fn request(env: &Env, resource: &str) -> Result<Request, Error> {
    let endpoint = env.get("IDENTITY_ENDPOINT").unwrap_or(ENDPOINT);
    let mut url = checked_metadata_url(endpoint, "IDENTITY_ENDPOINT")?;
    url.query_pairs_mut()
        .append_pair("api-version", VERSION)
        .append_pair("resource", resource);
    Ok(near(Request::get(url).header("metadata", "true")))
}

/// The path that the agent's 401 names.
fn challenge(response: &Response) -> Result<String, Fault> {
    if response.status != 401 {
        success(response)?;
        return Err(response.fault(Failure::Unexpected, "an answer without a challenge"));
    }
    let path = response
        .header("www-authenticate")
        .and_then(|field| field.split_once("Basic realm="))
        .map(|(_, p)| p);
    let path = path.map(|path| path.trim().trim_matches('"').to_owned());
    path.ok_or_else(|| response.fault(Failure::Unexpected, "a challenge without Basic realm="))
}

fn unknown(what: &str) -> Error {
    Error::new(Class::Protocol, format!("azure: {what}"))
}

/// The key in the file at `path`, if that is a place where the agent puts keys.
fn key(env: &Env, path: &str) -> Result<Secret, Error> {
    // Where the folder is looked for elsewhere, an agent there may name it either way.
    let here = env.well_known(KEY_FOLDER);
    let place = if is_key_path(path, &here) {
        PathBuf::from(path)
    } else if is_key_path(path, Path::new(KEY_FOLDER)) {
        env.well_known(path)
    } else {
        return Err(unknown(
            "Arc's challenge names a file that is no key of the agent",
        ));
    };
    let file = super::super::file::TokenFile::of_platform(place, "Arc's challenge");
    let key = file.read_now().map_err(|error| match error.kind() {
        Class::Config => error.with_hint("run as a member of the group himds"),
        _ => error,
    })?;
    if key.reveal().len() > KEY_CAP {
        return Err(unknown("Arc's key is larger than any key of the agent"));
    }
    Ok(key)
}

/// Whether it is a file `….key` in `folder`, and nothing below or beside it.
fn is_key_path(path: &str, folder: &Path) -> bool {
    let path = Path::new(path);
    let plain = path
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    plain && path.parent() == Some(folder) && path.extension().is_some_and(|kind| kind == "key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_may_name_keys_of_the_agent_only() {
        let rows = [
            ("/var/opt/azcmagent/tokens/a.key", true),
            ("/var/opt/azcmagent/tokens/a.txt", false),
            ("/var/opt/azcmagent/tokens/.key", false),
            ("/var/opt/azcmagent/tokens/deeper/a.key", false),
            ("/var/opt/azcmagent/tokens/../../../../etc/a.key", false),
            ("/var/opt/azcmagent/a.key", false),
            ("/etc/shadow", false),
            ("var/opt/azcmagent/tokens/a.key", false),
            ("", false),
        ];
        for (path, fine) in rows {
            assert_eq!(is_key_path(path, Path::new(KEY_FOLDER)), fine, "{path}");
        }
    }
}
