//! Azure Pipelines: the job's access token asks for an ID token, always for the audience of Entra's token exchange.
use super::{Presence, Source};
use crate::answer::{self, Received};
use crate::http::{Fault, Request, Response, checked_url};
use crate::{Context, Env, Error, Token, TokenRequest, fetch};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Method;
use jeton_core::{Class, Secret, redact};
use url::Url;

const NAME: &str = "azure-pipelines";
const REQUEST_URI: &str = "SYSTEM_OIDCREQUESTURI";
const ACCESS_TOKEN: &str = "SYSTEM_ACCESSTOKEN";
/// Set by Azure's own tasks: the service connection whose identity the token is to have.
const CONNECTION: &str = "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID";
/// The first version of the API that gives ID tokens; without a version the answer is 400.
const API_VERSION: &str = "7.1";
/// The only audience there is.
const AUDIENCE: &str = "api://AzureADTokenExchange";

/// The source `azure-pipelines`.
#[derive(Clone, Copy, Debug)]
pub struct AzurePipelines;

impl Source for AzurePipelines {
    fn name(&self) -> &str {
        NAME
    }

    fn presence(&self, cx: &Context, request: &TokenRequest) -> Presence {
        let Some(sign) = sign(&cx.env) else {
            return Presence::absent("TF_BUILD is not `True` and SYSTEM_OIDCREQUESTURI is not set");
        };
        match Job::of(&cx.env).and_then(|job| takes_audience(request).map(|()| job)) {
            Ok(job) => Presence::ready(sign, format!("{}\0{}", job.url, job.token.reveal())),
            Err(error) => Presence::from_error(&error),
        }
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            takes_audience(request)?;
            let sent = Job::of(&cx.env)?.request();
            cx.fetch(NAME, &sent, |response| {
                granted(response)?;
                let body = answer::json(response)?;
                let value = answer::secret_member(&body, "oidcToken")?;
                answer::token(cx, NAME, request, &value, Received::over(response))
            })
            .await
        })
    }

    fn default_audience(&self, _cx: &Context) -> Option<String> {
        Some(AUDIENCE.to_owned())
    }
}

fn sign(env: &Env) -> Option<&'static str> {
    if env.is_true("TF_BUILD") {
        return Some("TF_BUILD=True");
    }
    env.get(REQUEST_URI).map(|_| "SYSTEM_OIDCREQUESTURI is set")
}

fn takes_audience(request: &TokenRequest) -> Result<(), Error> {
    if request.audience.iter().all(|audience| audience == AUDIENCE) {
        return Ok(());
    }
    Err(Error::new(
        Class::Config,
        format!("{NAME} issues tokens for {AUDIENCE} alone"),
    )
    .with_hint(format!(
        "ask for {AUDIENCE} or for none, and exchange that token for what you need"
    )))
}

struct Job {
    url: Url,
    token: Secret,
}

impl Job {
    fn of(env: &Env) -> Result<Self, Error> {
        let token = env.get(ACCESS_TOKEN).ok_or_else(|| {
            Error::new(Class::Config, format!("{ACCESS_TOKEN} is not set")).with_hint(format!(
                "map it into the step: `env: {{ {ACCESS_TOKEN}: $(System.AccessToken) }}`"
            ))
        })?;
        let uri = env.get(REQUEST_URI).ok_or_else(|| {
            Error::new(Class::Config, format!("{REQUEST_URI} is not set")).with_hint(
                "this server or agent is too old to issue ID tokens, or the step runs outside a job",
            )
        })?;
        let mut url = checked_url(uri, REQUEST_URI)?;
        if !url
            .query_pairs()
            .any(|(name, _)| name.eq_ignore_ascii_case("api-version"))
        {
            url.query_pairs_mut().append_pair("api-version", API_VERSION);
        }
        if let Some(connection) = env.get(CONNECTION) {
            url.query_pairs_mut()
                .append_pair("serviceConnectionId", connection);
        }
        let token = Secret::new(token);
        Ok(Self { url, token })
    }

    fn request(&self) -> Request {
        let mut request = Request::new(Method::POST, self.url.clone());
        request.body = Some(Bytes::new());
        request
            .bearer(&self.token)
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .header("content-length", "0")
            // Else a refused token is answered with a redirect to a page to sign in at.
            .header("x-tfs-fedauthredirect", "Suppress")
    }
}

/// Passes a 200 on; refusals name the ids that Microsoft's support asks for.
fn granted(response: &Response) -> Result<(), Fault> {
    let Err(mut fault) = fetch::success(response) else {
        return Ok(());
    };
    for name in ["x-vss-e2eid", "x-msedge-ref"] {
        if let Some(id) = response.headers.get(name).and_then(|value| value.to_str().ok()) {
            fault
                .detail
                .push_str(&format!(" ({name}: {})", redact::foreign(id, &[])));
        }
    }
    Err(match response.status {
        401 | 403 => {
            fault.with_hint("the access token is not allowed to ask: is the step part of a running job?")
        }
        _ => fault,
    })
}

#[cfg(test)]
mod tests;
