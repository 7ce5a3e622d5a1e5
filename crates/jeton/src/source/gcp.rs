//! Google Cloud: the metadata server's identity token, or the one of a service account that it may impersonate.
//!
//! Google Cloud documentation, "Verify the identity of a VM" and IAM Credentials API, `generateIdToken`. Nothing is
//! probed: a variable or the machine's own product name says whether this is Google Cloud.
use super::{Presence, Source, audience, projected};
use crate::answer::{self, Received, success};
use crate::http::{Fault, Request, Response, Route, checked_metadata_url, checked_url};
use crate::{Context, Env, Error};
use futures_util::future::BoxFuture;
use jeton_core::{Class, Failure, Json, Secret, Token, TokenRequest};
use std::time::Duration;
use url::Url;

const NAME: &str = "gcp";
/// The metadata server by address: no resolver, whatever it answers for `.internal`, can send us elsewhere.
const METADATA: &str = "169.254.169.254";
/// A neighbour that does not answer at once is not there.
const CONNECT: Duration = Duration::from_secs(1);
/// What the firmware of a machine at Google says.
const PRODUCT_FILE: &str = "/sys/class/dmi/id/product_name";
const PRODUCTS: [&str; 2] = ["Google", "Google Compute Engine"];
/// Variables of Cloud Run and Cloud Functions, where there is no firmware to ask.
const SERVERLESS: [&str; 3] = ["K_SERVICE", "CLOUD_RUN_JOB", "FUNCTION_TARGET"];
/// The account to impersonate, as other tools for identity tokens read it.
const IMPERSONATE: &str = "GOOGLE_SERVICE_ACCOUNT_NAME";
/// Where the IAM Credentials API is, as `gcloud` reads it.
const IAM_OVERRIDE: &str = "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS";
const IAM: &str = "https://iamcredentials.googleapis.com/";
const IAM_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// The metadata server keeps a token until four or five minutes before its end and only then makes a new one …
const REISSUE: Duration = Duration::from_secs(240);
/// … so that within them, asking again after this long finds a fresh one.
const REISSUE_WAIT: Duration = Duration::from_secs(10);

/// The source `gcp`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gcp;

impl Source for Gcp {
    fn name(&self) -> &str {
        NAME
    }

    fn presence(&self, cx: &Context, _request: &TokenRequest) -> Presence {
        match evidence(&cx.env) {
            Some(reason) => Presence::ready(reason, fingerprint(&cx.env)),
            None if cx.env.is_true("NO_GCE_CHECK") => Presence::absent("NO_GCE_CHECK is set"),
            None => Presence::absent(format!(
                "GCE_METADATA_HOST and {} are not set, and {PRODUCT_FILE} does not say Google",
                SERVERLESS.join(", ")
            )),
        }
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(fetch(cx, request))
    }
}

/// What says that this is Google Cloud, without asking the network.
fn evidence(env: &Env) -> Option<String> {
    let set = |name: &&str| env.get(name).is_some();
    if let Some(name) = ["GCE_METADATA_HOST", "GCE_METADATA_IP"]
        .iter()
        .find(|name| set(name))
    {
        return Some(format!("{name} is set"));
    }
    if env.is_true("NO_GCE_CHECK") {
        return None;
    }
    if let Some(name) = SERVERLESS.iter().find(|name| set(name)) {
        return Some(format!("{name} is set"));
    }
    let product = std::fs::read_to_string(env.well_known(PRODUCT_FILE)).ok()?;
    let product = product.trim();
    PRODUCTS
        .contains(&product)
        .then(|| format!("{PRODUCT_FILE} says {product}"))
}

fn fingerprint(env: &Env) -> Vec<u8> {
    let names = [
        "GCE_METADATA_HOST",
        "GCE_METADATA_IP",
        IMPERSONATE,
        IAM_OVERRIDE,
        "K_SERVICE",
        "K_REVISION",
        "CLOUD_RUN_JOB",
        "CLOUD_RUN_EXECUTION",
        "FUNCTION_TARGET",
        // A pod's name: on GKE the metadata server gives every pod another identity.
        "HOSTNAME",
    ];
    projected::joined(
        names
            .iter()
            .map(|name| env.get(name).unwrap_or_default().as_bytes()),
    )
}

async fn fetch(cx: &Context, request: &TokenRequest) -> Result<Token, Error> {
    let Some(audience) = audience::one(NAME, request)? else {
        return Err(
            Error::new(Class::Config, "gcp: no audience").with_hint("say whom the token is for: --audience")
        );
    };
    let mut near = cx.clone();
    if evidence(&cx.env).is_none() {
        // Nothing says that this is Google Cloud: this is a probe, and a probe is not repeated.
        near.policy.max_attempts = 1;
    }
    match cx.env.get(IMPERSONATE) {
        Some(account) => impersonate(cx, &near, account, audience, request).await,
        None => identity(&near, audience, request).await,
    }
}

/// The machine's own token.
async fn identity(cx: &Context, audience: &str, wanted: &TokenRequest) -> Result<Token, Error> {
    let mut request = metadata(&cx.env, "identity", &[("format", "full")])?;
    request.url = audience::in_query(request.url, audience);
    let ask = || {
        cx.fetch("gcp: identity token", &request, |response| {
            from_metadata(response)?;
            let token = Secret::new(bare(response)?);
            answer::token(cx, NAME, wanted, &token, Received::over(response))
        })
    };
    let token = ask().await?;
    let left = token.life.map(|life| life.left(cx.clock.now()));
    let near_its_end = left.is_some_and(|left| left < wanted.min_validity && left < REISSUE);
    let worth_it = wanted.min_validity <= REISSUE && cx.left().is_none_or(|left| left > REISSUE_WAIT * 2);
    if !(near_its_end && worth_it) {
        return Ok(token);
    }
    cx.observer.waiting(
        &request.place(),
        "the metadata server's token is about to be replaced",
        REISSUE_WAIT,
    );
    tokio::time::sleep(REISSUE_WAIT).await;
    // The first one is still alive: whatever happens now, there is a token.
    Ok(ask().await.unwrap_or(token))
}

/// A token of `account`, which the machine's own account may impersonate.
async fn impersonate(
    cx: &Context,
    near: &Context,
    account: &str,
    audience: &str,
    wanted: &TokenRequest,
) -> Result<Token, Error> {
    let url = iam(&cx.env, account)?;
    let request = metadata(&cx.env, "token", &[("scopes", IAM_SCOPE)])?;
    let own = near
        .fetch("gcp: access token", &request, |response| {
            from_metadata(response)?;
            answer::secret_member(&answer::json(response)?, "access_token")
        })
        .await?;
    let body = Json::object([
        ("audience", Json::from(audience)),
        ("includeEmail", Json::from(true)),
    ]);
    let request = Request::json(url, body.to_text()).bearer(&own);
    cx.fetch("gcp: generateIdToken", &request, |response| {
        success(response).map_err(|fault| explain(fault, account))?;
        let token = answer::secret_member(&answer::json(response)?, "token")?;
        answer::token(cx, NAME, wanted, &token, Received::over(response))
    })
    .await
}

fn explain(fault: Fault, account: &str) -> Fault {
    let account = jeton_core::redact::foreign(account, &[]);
    match fault.status {
        Some(403) => fault.with_hint(format!(
            "grant the machine's account roles/iam.serviceAccountOpenIdTokenCreator on {account}, and give the machine the \
             scope cloud-platform"
        )),
        Some(404) => fault.with_hint(format!("{IMPERSONATE} names {account}, which does not exist")),
        _ => fault,
    }
}

/// A request to the metadata server about the default account.
fn metadata(env: &Env, what: &str, query: &[(&str, &str)]) -> Result<Request, Error> {
    let named = ["GCE_METADATA_HOST", "GCE_METADATA_IP"]
        .into_iter()
        .find_map(|name| Some((name, env.get(name)?)));
    let (name, host) = named.unwrap_or(("the metadata server", METADATA));
    let url = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/{what}");
    let mut url = checked_metadata_url(&url, name)?;
    if !url.path().starts_with("/computeMetadata/") || url.query().is_some() {
        return Err(Error::new(
            Class::Config,
            format!("{name} must be a host, or a host and a port"),
        ));
    }
    url.query_pairs_mut().extend_pairs(query);
    let mut request = Request::get(url).header("metadata-flavor", "Google");
    request.route = Route::Direct;
    request.connect_timeout = Some(CONNECT);
    // What comes back is a credential: it must come from there and from nowhere else.
    request.credential = true;
    Ok(request)
}

/// Passes a 200 of a metadata server on: one says that it is one.
fn from_metadata(response: &Response) -> Result<(), Fault> {
    if response.header("metadata-flavor") != Some("Google") && response.status == 200 {
        return Err(response
            .fault(Failure::Unexpected, "the answer has no Metadata-Flavor: Google")
            .with_hint("something else answers at the metadata server's address"));
    }
    success(response).map_err(|fault| match fault.status {
        Some(404) => fault.with_hint("the machine has no service account, or not the one that was asked for"),
        Some(403) => fault.with_hint("the machine's service account may not make such a token"),
        _ => fault,
    })
}

/// The body as text. The metadata server says `text/html` of the token, so that the type says nothing here.
fn bare(response: &Response) -> Result<&str, Fault> {
    let text = std::str::from_utf8(&response.body).unwrap_or_default().trim();
    match text.chars().next() {
        None => Err(response.fault(Failure::EmptyBody, "the answer is empty")),
        Some('<') => Err(response.fault(Failure::Html, "an HTML page came instead of a token")),
        Some(_) => Ok(text),
    }
}

/// Where `account`'s tokens are made.
fn iam(env: &Env, account: &str) -> Result<Url, Error> {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"@.-_".contains(&b);
    if !account.bytes().all(is_part) {
        return Err(Error::new(
            Class::Config,
            format!("{IMPERSONATE} is no service account's address"),
        ));
    }
    let base = env.get(IAM_OVERRIDE).unwrap_or(IAM).trim_end_matches('/');
    checked_url(
        &format!("{base}/v1/projects/-/serviceAccounts/{account}:generateIdToken"),
        IAM_OVERRIDE,
    )
}

#[cfg(test)]
mod tests;
