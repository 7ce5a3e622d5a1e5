//! CircleCI: two variables with tokens for the organisation, and `circleci run oidc get` for every other audience.
use super::candidate::{Candidate, placed};
use super::command::{find, run};
use super::{Caching, Presence, Source, audience};
use crate::{Context, Env, Error, Token, TokenRequest};
use futures_util::future::BoxFuture;
use jeton_core::json::Json;
use jeton_core::{Class, Secret};

const NAME: &str = "circleci";
/// The tokens that a job has from its start; the second says more, in the same form.
const VARIABLES: [&str; 2] = ["CIRCLE_OIDC_TOKEN_V2", "CIRCLE_OIDC_TOKEN"];
/// In every job; it talks to the job's own agent.
const PROGRAM: &str = "circleci";

/// The source `circleci`.
#[derive(Clone, Copy, Debug)]
pub struct CircleCi;

/// Where the token for a request comes from.
enum Way {
    Variable(Candidate),
    Program(Vec<String>),
}

impl Source for CircleCi {
    fn name(&self) -> &str {
        NAME
    }

    fn presence(&self, cx: &Context, request: &TokenRequest) -> Presence {
        if !cx.env.is_true("CIRCLECI") && candidates(&cx.env).next().is_none() {
            return Presence::absent("CIRCLECI is not `true`");
        }
        let job = cx.env.get("CIRCLE_WORKFLOW_JOB_ID").unwrap_or_default();
        match way(&cx.env, request) {
            Ok(Way::Variable(found)) => Presence::ready(format!("{} is set", found.place), job),
            Ok(Way::Program(_)) => Presence::ready("CIRCLECI=true, and `circleci` can be run", job),
            Err(error) => Presence::from_error(&error),
        }
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            match way(&cx.env, request)? {
                Way::Variable(found) => placed(cx, NAME, &found.value?, request),
                Way::Program(argv) => {
                    let printed = run(cx, &argv).await.map_err(|error| error.about(NAME))?;
                    let secret = Secret::new(printed.reveal().trim());
                    let token = placed(cx, NAME, &secret, request)?;
                    cx.observer.minted(&secret);
                    Ok(token)
                }
            }
        })
    }

    fn caching(&self) -> Caching {
        Caching::Reread
    }

    fn default_audience(&self, cx: &Context) -> Option<String> {
        let found = candidates(&cx.env).next()?;
        found.claims()?.audience().next().map(str::to_owned)
    }
}

fn candidates(env: &Env) -> impl Iterator<Item = Candidate> {
    VARIABLES
        .iter()
        .filter_map(|name| Some(Candidate::variable(name, env.get(name)?)))
}

fn way(env: &Env, request: &TokenRequest) -> Result<Way, Error> {
    let nobody_asks = request.audience.is_empty();
    if let Some(found) = candidates(env).find(|candidate| nobody_asks || candidate.fits(request)) {
        return Ok(Way::Variable(found));
    }
    let Some(audience) = audience::one(NAME, request)? else {
        return Err(Error::new(Class::Config, format!("{} is not set", VARIABLES[0])).with_hint(
            "builds of forks have it only with \"pass secrets to builds from forked pull requests\"; older set-ups \
             need a context in the job",
        ));
    };
    if find(env, PROGRAM).is_none() {
        return Err(Error::new(
            Class::Config,
            "the job's tokens are for another audience, and there is no program `circleci` to ask for one",
        )
        .with_hint(
            "run this in the job itself, where `circleci run oidc get` works, not in a container beside it",
        ));
    }
    let claims = Json::object([("aud", Json::from(audience))]).to_text();
    let argv = [
        PROGRAM,
        "run",
        "oidc",
        "get",
        "--claims",
        &claims,
        "--root-issuer",
    ];
    Ok(Way::Program(argv.map(str::to_owned).to_vec()))
}

#[cfg(test)]
mod tests;
