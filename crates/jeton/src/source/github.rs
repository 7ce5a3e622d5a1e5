//! GitHub Actions, and the forges that speak its protocol: GitHub Enterprise Server, Forgejo, Gitea.
//!
//! A job with `permissions: id-token: write` gets a URL and a token to ask it with; each request gives a fresh ID
//! token of five minutes. Nothing here knows an issuer: the URL says whom to ask.
use super::candidate::claims_of;
use super::{Presence, Source, audience};
use crate::answer::{self, Received};
use crate::fetch::success;
use crate::http::{Fault, Request, Response, checked_url};
use crate::{Context, Env, Error, Token, TokenRequest};
use futures_util::future::BoxFuture;
use jeton_core::{Class, Failure, Secret, UnixTime};
use std::time::Duration;
use url::Url;

const NAME: &str = "github";
const REQUEST_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
const PERMISSION: &str = "give the job `permissions: id-token: write`; pull requests from forks never get it, \
    and local runners such as act have no ID tokens (`jeton issuer` stands in for them)";

/// The source `github`.
#[derive(Clone, Copy, Debug)]
pub struct Github;

impl Source for Github {
    fn name(&self) -> &str {
        NAME
    }

    fn presence(&self, cx: &Context, request: &TokenRequest) -> Presence {
        let Some(reason) = sign(&cx.env) else {
            return Presence::absent("GITHUB_ACTIONS is not `true`");
        };
        match Job::of(&cx.env).and_then(|job| audience::one(NAME, request).map(|_| job)) {
            Ok(job) => Presence::ready(reason, job.fingerprint()),
            Err(error) => Presence::from_error(&error),
        }
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let job = Job::of(&cx.env)?;
            let sent = job.request(audience::one(NAME, request)?);
            cx.fetch(NAME, &sent, |response| {
                granted(response)?;
                let body = answer::json(response)?;
                let value = answer::secret_member(&body, "value")?;
                answer::token(cx, NAME, request, &value, Received::over(response))
            })
            .await
        })
    }

    fn default_audience(&self, cx: &Context) -> Option<String> {
        let owner = cx.env.get("GITHUB_REPOSITORY_OWNER")?;
        let server = cx.env.get("GITHUB_SERVER_URL").unwrap_or("https://github.com");
        Some(format!("{server}/{owner}"))
    }
}

/// How much longer this job's request token is good: with its end, about six hours after the job's start, no more ID
/// tokens can be had. `None` when it is no token that says so.
#[must_use]
pub fn request_token_left(env: &Env, now: UnixTime) -> Option<Duration> {
    let claims = claims_of(env.get(REQUEST_TOKEN)?)?;
    Some(claims.expires_at()?.since(now))
}

/// What says that this is a job of such a forge.
fn sign(env: &Env) -> Option<&'static str> {
    if env.is_true("GITHUB_ACTIONS") {
        return Some("GITHUB_ACTIONS=true");
    }
    if env.get("GITHUB_ACTION").is_some() {
        return Some("GITHUB_ACTION is set");
    }
    let both = env.get(REQUEST_URL).is_some() && env.get(REQUEST_TOKEN).is_some();
    both.then_some("ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN are set")
}

/// What a job was given to ask with.
struct Job {
    url: Url,
    token: Secret,
}

impl Job {
    fn of(env: &Env) -> Result<Self, Error> {
        let missing = |what: String| Error::new(Class::Config, what).with_hint(PERMISSION);
        match (env.get(REQUEST_URL), env.get(REQUEST_TOKEN)) {
            (Some(url), Some(token)) => Ok(Self {
                url: checked_url(url, REQUEST_URL)?,
                token: Secret::new(token),
            }),
            (Some(_), None) => Err(missing(format!(
                "{REQUEST_TOKEN} is not set: this job has no `id-token: write` permission"
            ))),
            (None, Some(_)) => Err(missing(format!(
                "{REQUEST_URL} is not set, although {REQUEST_TOKEN} is"
            ))),
            (None, None) => Err(missing(format!(
                "{REQUEST_URL} and {REQUEST_TOKEN} are not set: this job has no `id-token: write` permission"
            ))),
        }
    }

    fn request(&self, audience: Option<&str>) -> Request {
        let url = match audience {
            Some(audience) => audience::in_query(self.url.clone(), audience),
            None => self.url.clone(),
        };
        Request::get(url)
            .bearer(&self.token)
            .header("accept", "application/json")
    }

    fn fingerprint(&self) -> Vec<u8> {
        format!("{}\0{}", self.url, self.token.reveal()).into_bytes()
    }
}

/// Passes a 200 on, and tells GitHub's passing refusal from its final ones.
fn granted(response: &Response) -> Result<(), Fault> {
    let mut fault = match success(response) {
        Err(fault) => fault,
        Ok(()) => return Ok(()),
    };
    match response.status {
        403 if says_pending(&response.body) => {
            fault.failure = Failure::JobPending;
            fault.detail.push_str(": the job is still pending or delayed");
            Err(fault)
        }
        401 => Err(fault.with_hint(
            "the request token is no longer accepted: it ends with its job, about six hours after the job's start",
        )),
        403 => Err(fault.with_hint(PERMISSION)),
        _ => Err(fault),
    }
}

/// "Can't issue ID_TOKEN for job in 'Pending' state": it goes away within seconds.
fn says_pending(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    text.contains("state") && (text.contains("pending") || text.contains("delayed"))
}

#[cfg(test)]
mod tests;
