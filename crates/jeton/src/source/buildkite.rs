//! Buildkite: the agent's own API gives a job's tokens, to whoever holds the job's agent token.
//!
//! Asked over HTTP as `buildkite-agent oidc request-token` does, so that no agent binary and no Job API socket is
//! needed in the container.
use super::{Presence, Source, audience};
use crate::answer::{self, Received};
use crate::http::{Fault, Request, Response, checked_url};
use crate::{Context, Env, Error, Token, TokenRequest, fetch};
use futures_util::future::BoxFuture;
use jeton_core::json::Json;
use jeton_core::{Class, Secret};
use std::time::Duration;
use url::Url;

const NAME: &str = "buildkite";
const TOKEN: &str = "BUILDKITE_AGENT_ACCESS_TOKEN";
const JOB: &str = "BUILDKITE_JOB_ID";
const ENDPOINT: &str = "BUILDKITE_AGENT_ENDPOINT";
/// Where agents talk to when nobody says otherwise.
const DEFAULT_ENDPOINT: &str = "https://agent.buildkite.com/v3";
/// Tokens live five minutes by themselves; who needs nearly that long asks for more …
const OWN_LIFE: Duration = Duration::from_secs(4 * 60);
/// … by this much more than is needed, for the way here.
const SPARE_LIFE: Duration = Duration::from_secs(60);

/// The source `buildkite`.
#[derive(Clone, Copy, Debug)]
pub struct Buildkite;

impl Source for Buildkite {
    fn name(&self) -> &str {
        NAME
    }

    fn presence(&self, cx: &Context, request: &TokenRequest) -> Presence {
        let Some(sign) = sign(&cx.env) else {
            return Presence::absent("BUILDKITE is not `true`");
        };
        match Job::of(&cx.env).and_then(|job| audience::one(NAME, request).map(|_| job)) {
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
            let sent = Job::of(&cx.env)?.request(audience::one(NAME, request)?, request.min_validity);
            cx.fetch(NAME, &sent, |response| {
                granted(response)?;
                let body = answer::json(response)?;
                let value = answer::secret_member(&body, "token")?;
                answer::token(cx, NAME, request, &value, Received::over(response))
            })
            .await
        })
    }

    fn default_audience(&self, cx: &Context) -> Option<String> {
        let organisation = cx.env.get("BUILDKITE_ORGANIZATION_SLUG")?;
        Some(format!("https://buildkite.com/{organisation}"))
    }
}

fn sign(env: &Env) -> Option<&'static str> {
    if env.is_true("BUILDKITE") {
        return Some("BUILDKITE=true");
    }
    env.get(TOKEN).map(|_| "BUILDKITE_AGENT_ACCESS_TOKEN is set")
}

struct Job {
    url: Url,
    token: Secret,
}

impl Job {
    fn of(env: &Env) -> Result<Self, Error> {
        let missing = |name: &str| {
            Error::new(Class::Config, format!("{name} is not set")).with_hint(format!(
                "hand {name} into the container or the process: Buildkite's docker plugin does so \
                    with `propagate-environment: true`"
            ))
        };
        let token = env.get(TOKEN).ok_or_else(|| missing(TOKEN))?;
        let job = env.get(JOB).ok_or_else(|| missing(JOB))?;
        let mut url = checked_url(env.get(ENDPOINT).unwrap_or(DEFAULT_ENDPOINT), ENDPOINT)?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["jobs", job, "oidc", "tokens"]);
        }
        let token = Secret::new(token);
        Ok(Self { url, token })
    }

    fn request(&self, audience: Option<&str>, min_validity: Duration) -> Request {
        let mut wanted = Json::object::<String>([]);
        if let Some(audience) = audience {
            wanted.set("audience", audience);
        }
        if min_validity > OWN_LIFE {
            wanted.set("lifetime", (min_validity + SPARE_LIFE).as_secs());
        }
        let token = Secret::new(format!("Token {}", self.token.reveal()));
        Request::json(self.url.clone(), wanted.to_text()).secret_header("authorization", &token)
    }
}

/// Passes on a 200, and the 201 that the agent's API answers a creation with.
fn granted(response: &Response) -> Result<(), Fault> {
    if response.status == 201 {
        return Ok(());
    }
    fetch::success(response).map_err(|fault| match response.status {
        401 => fault.with_hint("the agent's token is not that of a running job"),
        400 | 422 => fault.with_hint("Buildkite does not take this audience or lifetime"),
        _ => fault,
    })
}

#[cfg(test)]
mod tests;
