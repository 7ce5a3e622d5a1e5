//! Vercel: a variable in builds and after `vercel env pull`; on a developer's machine a dead one can be replaced.
//!
//! In a function the token comes with each request, as the header field `x-vercel-oidc-token`: the function's own code
//! has it, this library has not.
use super::candidate::{Candidate, placed};
use super::{Caching, Presence, Source};
use crate::answer::{self, Received};
use crate::http::Request;
use crate::{Context, Env, Error, Token, TokenRequest};
use futures_util::future::BoxFuture;
use http::Method;
use jeton_core::json::{self, Json};
use jeton_core::{Class, Secret};
use std::io::Read;
use std::path::{Path, PathBuf};
use url::Url;

const NAME: &str = "vercel";
const VARIABLE: &str = "VERCEL_OIDC_TOKEN";
/// The header field of a function's request, for messages.
const HEADER: &str = "x-vercel-oidc-token";
const API: &str = "https://api.vercel.com";
/// The largest file of the Vercel CLI that is read, in bytes.
const FILE_CAP: u64 = 64 * 1024;

/// The source `vercel`.
#[derive(Clone, Debug, Default)]
pub struct Vercel {
    /// Where Vercel's API is, when not at its own place.
    api: Option<Url>,
}

impl Vercel {
    /// With Vercel's own API.
    #[must_use]
    pub const fn new() -> Self {
        Self { api: None }
    }

    /// With an API elsewhere, for tests.
    #[must_use]
    pub const fn with_api(api: Url) -> Self {
        Self { api: Some(api) }
    }

    /// A token in place of a dead one, as the Vercel CLI's own library gets it.
    async fn renewed(&self, cx: &Context, request: &TokenRequest, login: &Login) -> Result<Token, Error> {
        let sent = self.request(login)?;
        cx.fetch(NAME, &sent, |response| {
            answer::success(response)?;
            let body = answer::json(response)?;
            let value = answer::secret_member(&body, "token")?;
            answer::token(cx, NAME, request, &value, Received::over(response))
        })
        .await
    }

    fn request(&self, login: &Login) -> Result<Request, Error> {
        let unreadable = |_| Error::new(Class::Other, "the URL of Vercel's API cannot be read");
        let mut url = self
            .api
            .clone()
            .map_or_else(|| Url::parse(API).map_err(unreadable), Ok)?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty()
                .extend(["v1", "projects", &login.project, "token"]);
        }
        url.query_pairs_mut().append_pair("source", "vercel-oidc-refresh");
        if let Some(team) = &login.team {
            url.query_pairs_mut().append_pair("teamId", team);
        }
        let request = Request::new(Method::POST, url).header("content-length", "0");
        Ok(request.bearer(&login.token))
    }
}

impl Source for Vercel {
    fn name(&self) -> &str {
        NAME
    }

    fn presence(&self, cx: &Context, _request: &TokenRequest) -> Presence {
        match cx.env.get(VARIABLE) {
            Some(_) => Presence::ready(format!("{VARIABLE} is set"), VARIABLE),
            None if cx.env.is_true("VERCEL") => Presence::from_error(&missing()),
            None => Presence::absent(format!("{VARIABLE} is not set")),
        }
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let value = cx.env.get(VARIABLE).ok_or_else(missing)?;
            let found = Candidate::variable(VARIABLE, value);
            let ends = found.claims().and_then(|claims| claims.expires_at());
            if ends.is_some_and(|ends| ends <= cx.clock.now().wall)
                && let Some(login) = Login::of(&cx.env)
            {
                return self.renewed(cx, request, &login).await;
            }
            placed(cx, NAME, &found.value?, request).map_err(|error| match error.hint() {
                Some(_) => error,
                None => error.with_hint("`vercel env pull` writes a fresh token"),
            })
        })
    }

    fn caching(&self) -> Caching {
        Caching::Reread
    }

    fn default_audience(&self, cx: &Context) -> Option<String> {
        let found = Candidate::variable(VARIABLE, cx.env.get(VARIABLE)?);
        found.claims()?.audience().next().map(str::to_owned)
    }
}

fn missing() -> Error {
    Error::new(Class::Config, format!("{VARIABLE} is not set")).with_hint(format!(
        "switch on OIDC federation in the project's settings; in a function, take the token from each request's \
         {HEADER} field and hand it on (`env:`, `file:`, `stdin:`)"
    ))
}

/// The login of the Vercel CLI and the project that the working folder is linked to.
struct Login {
    token: Secret,
    project: String,
    team: Option<String>,
}

impl Login {
    fn of(env: &Env) -> Option<Self> {
        let auth = document(&data_folder(env)?.join("com.vercel.cli/auth.json"))?;
        let (project, team) = project(env)?;
        let token = Secret::new(auth.get("token")?.as_str()?);
        Some(Self { token, project, team })
    }
}

/// The project: from the variables that Vercel's tools read, else from the link file that `vercel link` wrote.
fn project(env: &Env) -> Option<(String, Option<String>)> {
    if let Some(project) = env.get("VERCEL_PROJECT_ID") {
        return Some((project.to_owned(), env.get("VERCEL_ORG_ID").map(str::to_owned)));
    }
    let link = document(&Path::new(env.get("PWD")?).join(".vercel/project.json"))?;
    let text = |name| link.get(name).and_then(Json::as_str).map(str::to_owned);
    Some((text("projectId")?, text("orgId")))
}

/// Where the Vercel CLI keeps its login.
fn data_folder(env: &Env) -> Option<PathBuf> {
    if let Some(folder) = env.get("XDG_DATA_HOME") {
        return Some(folder.into());
    }
    let below = if cfg!(target_os = "macos") {
        "Library/Application Support"
    } else {
        ".local/share"
    };
    Some(env.home()?.join(below))
}

fn document(path: &Path) -> Option<Json> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(FILE_CAP).read_to_end(&mut bytes).ok()?;
    json::parse(&bytes).ok()
}

#[cfg(test)]
mod tests;
