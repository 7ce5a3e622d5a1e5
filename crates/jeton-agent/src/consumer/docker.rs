//! The docker credential helper protocol, as docker, podman, skopeo, oras, helm and buildkit speak it.
use super::{Answer, LARGEST, Vault, host, host_of, wrong};
use jeton::Error;
use serde_json::json;
use url::Url;

/// Said on standard output, exactly so: docker goes on without a credential then, and stops at anything else.
pub const NOT_FOUND: &str = "credentials not found in native keychain";
/// Said when nothing was asked for.
const NO_SERVER: &str = "no credentials server URL";
/// The user name with which the registries' token endpoints take any token, when the configuration says none.
const USUAL_USERNAME: &str = "oauth2accesstoken";

/// Answers `get`, `store`, `erase`, `list` and `version`.
///
/// # Errors
/// `Class::Config` for a verb that is none, else the source's.
pub fn answer(verb: &str, input: &[u8], vault: &mut dyn Vault) -> Result<Answer, Error> {
    match verb {
        "get" => get(input, vault),
        // `docker login` must not fail because this helper keeps nothing.
        "store" | "erase" => Ok(Answer::default()),
        "list" => Ok(Answer::with(list(vault) + "\n")),
        "version" => Ok(Answer::with(concat!(
            "docker-credential-jeton (jeton) ",
            env!("CARGO_PKG_VERSION"),
            "\n"
        ))),
        other => Err(wrong(format!(
            "docker: unknown verb {}; one of get, store, erase, list, version",
            jeton_core::redact::foreign(other, &[])
        ))),
    }
}

fn get(input: &[u8], vault: &mut dyn Vault) -> Result<Answer, Error> {
    let server = (input.len() <= LARGEST)
        .then(|| std::str::from_utf8(input).ok())
        .flatten();
    let server = server.map(str::trim).unwrap_or_default();
    if server.is_empty() {
        return Ok(Answer::refusal(format!("{NO_SERVER}\n")));
    }
    let found = match server_host(server) {
        Some(host) => vault.offer(&host)?,
        None => None,
    };
    let Some(offer) = found else {
        return Ok(Answer::refusal(format!("{NOT_FOUND}\n")));
    };
    let username = offer.username.as_deref().unwrap_or(USUAL_USERNAME);
    let document = json!({ "ServerURL": server, "Username": username, "Secret": offer.token.value.reveal() });
    Ok(Answer::with(format!("{document}\n")))
}

/// Docker sends a bare host, or for its own hub a URL.
fn server_host(server: &str) -> Option<String> {
    if server.contains("://") {
        return host_of(&Url::parse(server).ok()?);
    }
    let host = server.split_once('/').map_or(server, |(host, _)| host);
    host::canonical(host)
}

fn list(vault: &dyn Vault) -> String {
    let hosts = vault.hosts().into_iter().map(|(host, username)| {
        let username = username.unwrap_or_else(|| USUAL_USERNAME.to_owned());
        (format!("https://{host}"), json!(username))
    });
    serde_json::Value::Object(hosts.collect()).to_string()
}
