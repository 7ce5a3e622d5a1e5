//! client-go's exec credential plugin (client.authentication.k8s.io).
use super::{Answer, Vault, host_of, wrong};
use jeton::{Env, Error, Token};
use serde_json::{Value, json};
use url::Url;

/// What client-go tells a plugin.
const EXEC_INFO: &str = "KUBERNETES_EXEC_INFO";
/// The versions there are; v1 first, which is answered when nobody asks.
const VERSIONS: [&str; 2] = [
    "client.authentication.k8s.io/v1",
    "client.authentication.k8s.io/v1beta1",
];

/// Answers an `ExecCredential` in the version that was asked for. The audience is the one that the cluster's extension
/// says (with `provideClusterInfo`), else the cluster's host decides, else the caller's own word.
///
/// # Errors
/// `Class::Config` for a question that cannot be read, else the source's.
pub fn answer(env: &Env, vault: &mut dyn Vault) -> Result<Answer, Error> {
    let asked = match env.get(EXEC_INFO) {
        Some(text) => {
            serde_json::from_str(text).map_err(|_| wrong(format!("kubectl: {EXEC_INFO} is no JSON")))?
        }
        None => json!({ "apiVersion": VERSIONS[0] }),
    };
    let version = version(&asked)?;
    let token = token(&asked, vault)?;
    let ends = token.expires_at.and_then(crate::agent::rfc3339);
    let mut status = json!({ "token": token.value.reveal() });
    if let Some(ends) = ends {
        status["expirationTimestamp"] = json!(ends);
    }
    let document = json!({ "apiVersion": version, "kind": "ExecCredential", "status": status });
    Ok(Answer::with(format!("{document}\n")))
}

fn version(asked: &Value) -> Result<&'static str, Error> {
    let named = asked["apiVersion"].as_str().unwrap_or_default();
    VERSIONS.into_iter().find(|known| *known == named).ok_or_else(|| {
        wrong(format!(
            "kubectl: unknown apiVersion {}",
            jeton_core::redact::foreign(named, &[])
        ))
        .with_hint(format!("write `apiVersion: {}` in the kubeconfig", VERSIONS[0]))
    })
}

fn token(asked: &Value, vault: &mut dyn Vault) -> Result<Token, Error> {
    let cluster = &asked["spec"]["cluster"];
    if let Some(audience) = cluster["config"]["audience"].as_str().filter(|a| !a.is_empty()) {
        return vault.token(Some(audience));
    }
    let server = cluster["server"]
        .as_str()
        .and_then(|server| Url::parse(server).ok());
    if let Some(host) = server.as_ref().and_then(host_of)
        && let Some(offer) = vault.offer(&host)?
    {
        return Ok(offer.token);
    }
    vault.token(None)
}
