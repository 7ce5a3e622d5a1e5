//! Kubernetes: the token that is projected into the pod, or one that the API server mints for another audience.
//!
//! Kubernetes documentation, "Managing Service Accounts" and `TokenRequest` (authentication.k8s.io/v1). The projected
//! file is opened anew each time; the kubelet replaces it by swapping a link.
use super::file::TokenFile;
use super::{Presence, Source, projected};
use crate::answer::{self, Received, success};
use crate::http::{Fault, Request, Response, Route, checked_url};
use crate::{Context, Env, Error};
use futures_util::future::BoxFuture;
use jeton_core::{Class, Failure, Json, Secret, Token, TokenRequest};
use std::time::Duration;

const NAME: &str = "kubernetes";
/// Where every pod has its account's token, unless it opted out.
const FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The shortest life that the API server grants. A token is minted when it is needed, so that no longer one is asked for.
const LEAST_LIFE: Duration = Duration::from_secs(600);
/// What is asked for beyond the caller's need, for the way from there to here.
const LIFE_SLACK: Duration = Duration::from_secs(60);

/// Another service account than the pod's own, written `NAMESPACE/NAME`. Its tokens always come from the API server.
pub const ACCOUNT_VARIABLE: &str = "JETON_SERVICE_ACCOUNT";
const ACCOUNT_FORM: &str = "write NAMESPACE/NAME, such as --service-account ci/deployer";

/// The source `kubernetes`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kubernetes;

/// A service account.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    namespace: String,
    name: String,
}

impl Account {
    /// An account, if both parts are names (RFC 1123 subdomains): they become parts of a path.
    fn new(namespace: &str, name: &str) -> Option<Self> {
        let is_name = |text: &str| {
            (1..=253).contains(&text.len())
                && !text.starts_with(['.', '-'])
                && text
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
        };
        (is_name(namespace) && is_name(name)).then(|| Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The account that the variable names.
    fn named(env: &Env) -> Result<Option<Self>, Error> {
        let Some(text) = env.get(ACCOUNT_VARIABLE) else {
            return Ok(None);
        };
        let account = text
            .split_once('/')
            .and_then(|(namespace, name)| Self::new(namespace, name));
        let shown = jeton_core::redact::foreign(text, &[]);
        let error = || {
            Error::new(
                Class::Config,
                format!("`{shown}` ({ACCOUNT_VARIABLE}) is no service account"),
            )
        };
        account.map(Some).ok_or_else(|| error().with_hint(ACCOUNT_FORM))
    }

    /// The account that a pod's token is about, by its own claims, else by its subject.
    fn of(token: &Secret) -> Option<Self> {
        let claims = projected::claims(token)?;
        let bound = claims.get("kubernetes.io").and_then(|bound| {
            let name = bound.get("serviceaccount")?.get("name")?.as_str()?;
            Self::new(bound.get("namespace")?.as_str()?, name)
        });
        bound.or_else(|| {
            let subject = claims.subject()?.strip_prefix("system:serviceaccount:")?;
            let (namespace, name) = subject.split_once(':')?;
            Self::new(namespace, name)
        })
    }
}

impl Source for Kubernetes {
    fn name(&self) -> &str {
        NAME
    }

    fn presence(&self, cx: &Context, request: &TokenRequest) -> Presence {
        let file = file(&cx.env);
        let path = format!("{FOLDER}/token");
        let host = cx.env.get("KUBERNETES_SERVICE_HOST");
        if !file.exists() {
            return Presence::absent(match host {
                Some(_) => format!(
                    "KUBERNETES_SERVICE_HOST is set, but {path} does not exist (automountServiceAccountToken: false)"
                ),
                None => format!("{path} does not exist"),
            });
        }
        let account = match Account::named(&cx.env) {
            Ok(account) => account,
            Err(error) => return Presence::broken(error.to_string(), ACCOUNT_FORM),
        };
        let Ok(token) = file.read_now() else {
            return Presence::ready(format!("{path} exists"), Vec::new());
        };
        if account.is_none() && projected::fits(&token, request) {
            return Presence::ready(
                format!("{path} exists, and its token fits"),
                projected::fingerprint_whole(&token),
            );
        }
        if host.is_none() {
            return Presence::broken(
                format!(
                    "the token in {path} is for another audience, and KUBERNETES_SERVICE_HOST is not set"
                ),
                "project a token for this audience into the pod, or let the pod reach the API server",
            );
        }
        let account = account.map_or(String::new(), |a| format!("{}/{}", a.namespace, a.name));
        let identity = projected::fingerprint(&token);
        Presence::ready(
            format!("{path} exists, and KUBERNETES_SERVICE_HOST is set"),
            projected::joined([identity.as_slice(), account.as_bytes()]),
        )
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(fetch(cx, request))
    }

    fn default_audience(&self, cx: &Context) -> Option<String> {
        let token = file(&cx.env).read_now().ok()?;
        projected::audiences(&token).into_iter().next()
    }
}

async fn fetch(cx: &Context, request: &TokenRequest) -> Result<Token, Error> {
    let named = Account::named(&cx.env)?;
    let pod_token = file(&cx.env).read().await?;
    if named.is_none() && projected::fits(&pod_token, request) {
        return projected::token(cx, NAME, &pod_token, request);
    }
    let own = named.is_none();
    let account = match named {
        Some(account) => account,
        None => Account::of(&pod_token).ok_or_else(|| {
            Error::new(
                Class::Token,
                format!("kubernetes: the token in {FOLDER} names no service account"),
            )
            .with_hint("say which: --service-account NAMESPACE/NAME")
        })?,
    };
    let url = api_server(&cx.env, &account)?;
    let body = token_request(&pod_token, request, own);
    let with_ca = Context {
        http: cx
            .http
            .clone()
            .with_ca_file(cx.env.well_known(&format!("{FOLDER}/ca.crt"))),
        ..cx.clone()
    };
    let make = |_| {
        // Read anew: the kubelet may have replaced it while we waited.
        let pod_token = file(&cx.env).read_now()?;
        let mut request = Request::json(url.clone(), body.clone()).bearer(&pod_token);
        request.route = Route::Direct;
        Ok(request.header("accept", "application/json"))
    };
    with_ca
        .fetch_anew("kubernetes: TokenRequest", make, |response| {
            read(cx, response, &account, request)
        })
        .await
}

/// The pod's own token.
fn file(env: &Env) -> TokenFile {
    TokenFile::of_platform(env.well_known(&format!("{FOLDER}/token")), "Kubernetes").replaced()
}

/// Where tokens for `account` are minted.
fn api_server(env: &Env, account: &Account) -> Result<url::Url, Error> {
    let host = env.get("KUBERNETES_SERVICE_HOST").ok_or_else(|| {
        Error::new(
            Class::Config,
            "kubernetes: KUBERNETES_SERVICE_HOST is not set, so there is no API server to ask",
        )
        .with_hint("project a token for this audience into the pod")
    })?;
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let port = env.get("KUBERNETES_SERVICE_PORT").unwrap_or("443");
    let Account { namespace, name } = account;
    let url = format!("https://{host}:{port}/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
    checked_url(&url, "KUBERNETES_SERVICE_HOST")
}

/// The body. The pod's own account keeps the bond to the pod: the token is refused once the pod is gone.
fn token_request(pod_token: &Secret, request: &TokenRequest, own: bool) -> String {
    let life = LEAST_LIFE.max(request.min_validity.saturating_add(LIFE_SLACK));
    let seconds = i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
    let audiences: Vec<&str> = request.audience.iter().map(String::as_str).collect();
    let mut spec = vec![
        ("audiences", Json::from(audiences.as_slice())),
        ("expirationSeconds", Json::from(seconds)),
    ];
    if let Some(pod) = pod(pod_token).filter(|_| own) {
        spec.push(("boundObjectRef", pod));
    }
    Json::object([
        ("apiVersion", Json::from("authentication.k8s.io/v1")),
        ("kind", Json::from("TokenRequest")),
        ("spec", Json::object(spec)),
    ])
    .to_text()
}

/// The pod that a token is bound to.
fn pod(token: &Secret) -> Option<Json> {
    let claims = projected::claims(token)?;
    let pod = claims.get("kubernetes.io")?.get("pod")?;
    let text = |name| pod.get(name).and_then(Json::as_str).map(Json::from);
    Some(Json::object([
        ("apiVersion", Json::from("v1")),
        ("kind", Json::from("Pod")),
        ("name", text("name")?),
        ("uid", text("uid")?),
    ]))
}

fn read(
    cx: &Context,
    response: &Response,
    account: &Account,
    request: &TokenRequest,
) -> Result<Token, Fault> {
    if response.status != 201 {
        success(response).map_err(|fault| explain(fault, account))?;
    }
    let json = answer::json(response)?;
    let status = json
        .get("status")
        .ok_or_else(|| response.fault(Failure::Unexpected, "the answer has no status"))?;
    let token = answer::secret_member(status, "token")?;
    answer::token(cx, NAME, request, &token, Received::over(response))
}

/// The same fault with what to do about it.
fn explain(fault: Fault, account: &Account) -> Fault {
    let Account { namespace, name } = account;
    match fault.status {
        Some(401) => fault.with_hint("the API server does not accept the pod's token: is the pod being deleted?"),
        Some(403) => fault.with_hint(format!(
            "the pod's account may not mint tokens: in namespace {namespace} bind it to a Role with `apiGroups: [\"\"], \
             resources: [serviceaccounts/token], resourceNames: [{name}], verbs: [create]`, or project a token for this \
             audience into the pod"
        )),
        Some(404) => fault.with_hint(format!("there is no service account {name} in namespace {namespace}")),
        Some(422) => fault.with_hint("the API server does not grant such a life or audience"),
        _ => fault,
    }
}

#[cfg(test)]
mod tests;
