//! A running `jeton agent`, or the private one of `jeton exec`: asked over its unix socket, it keeps tokens fresh.
use super::{Caching, Presence, Source};
use crate::answer::{self, Received, Shape, expires_in};
use crate::http::{Request, Response, Route};
use crate::{Context, Env, Error, Token, TokenRequest, duration};
use futures_util::future::BoxFuture;
use jeton_core::json::{self, Json};
use jeton_core::{Class, UnixTime, redact};
use std::path::PathBuf;
use url::Url;

const NAME: &str = "agent";
/// A path, or `unix:` and a path.
const SOCKET: &str = "JETON_AGENT";
/// The host is only what the `Host` field says.
const TOKEN: &str = "http://localhost/v1/token";
/// The answer of a broken source behind the agent, which has tried again enough.
const BEHIND: u16 = 502;

/// The source `agent`.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    profile: Option<String>,
}

impl Agent {
    /// The agent, asked for what it gives by default.
    #[must_use]
    pub const fn ambient() -> Self {
        Self { profile: None }
    }

    /// The agent, asked for a profile.
    pub fn for_profile(profile: impl Into<String>) -> Self {
        let profile = Some(profile.into());
        Self { profile }
    }

    fn request(&self, socket: PathBuf, request: &TokenRequest) -> Result<Request, Error> {
        let mut url =
            Url::parse(TOKEN).map_err(|_| Error::new(Class::Other, "the agent's URL cannot be read"))?;
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(self.profile.iter().map(|profile| ("profile", profile)));
            query.extend_pairs(request.audience.iter().map(|audience| ("audience", audience)));
            query.append_pair("min_validity", &duration::show(request.min_validity));
        }
        let mut sent = Request::get(url).header("accept", "application/json");
        sent.route = Route::Unix(socket);
        Ok(sent)
    }
}

impl Source for Agent {
    fn name(&self) -> &str {
        NAME
    }

    fn presence(&self, cx: &Context, _request: &TokenRequest) -> Presence {
        match socket(&cx.env) {
            Ok(None) => Presence::absent(format!("{SOCKET} is not set")),
            Ok(Some(path)) if path.exists() => Presence::ready(
                format!("{SOCKET} names {}", path.display()),
                path.as_os_str().as_encoded_bytes(),
            ),
            Ok(Some(path)) => Presence::broken(
                format!("{SOCKET} names {}, which does not exist", path.display()),
                "start `jeton agent`, or unset JETON_AGENT",
            ),
            Err(error) => Presence::from_error(&error),
        }
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let socket = socket(&cx.env)?.ok_or_else(|| {
                Error::new(Class::NotFound, format!("{SOCKET} is not set"))
                    .with_hint("start `jeton agent` and set JETON_AGENT to its socket")
            })?;
            let sent = self.request(socket, request)?;
            let answered = cx.fetch(NAME, &sent, |response| {
                if let Some(error) = refusal(response) {
                    return Ok(Err(error));
                }
                answer::success(response)?;
                let body = answer::json(response)?;
                let raw = answer::secret_member(&body, "token")?;
                answer::token(cx, NAME, request, &raw, received(&body, response)).map(Ok)
            });
            answered.await?
        })
    }

    /// The agent keeps them, and drops them when it must; a copy of ours would know nothing of that.
    fn caching(&self) -> Caching {
        Caching::Reread
    }
}

/// The agent's socket, as `JETON_AGENT` names it.
fn socket(env: &Env) -> Result<Option<PathBuf>, Error> {
    let Some(named) = env.get(SOCKET) else {
        return Ok(None);
    };
    let path = PathBuf::from(named.strip_prefix("unix:").unwrap_or(named));
    if path.is_absolute() {
        return Ok(Some(path));
    }
    Err(
        Error::new(Class::Config, format!("{SOCKET} is no absolute path of a socket"))
            .with_hint("write the whole path, or `unix:` and the whole path"),
    )
}

fn received(body: &Json, response: &Response) -> Received {
    let ends = body.get("expires_at").and_then(Json::as_str);
    let ends = ends.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let scopes = body.get("scopes").and_then(Json::as_array);
    let scopes = scopes.map(|all| {
        all.iter()
            .filter_map(|scope| Some(scope.as_str()?.to_owned()))
            .collect()
    });
    Received {
        scopes,
        ..Received::over(response)
            .shape(Shape::Any)
            .expires_in(expires_in(body.get("expires_in")))
            .expires_at(ends.map(|at| UnixTime::from_millis(at.as_millisecond())))
    }
}

/// What the agent says when it or the source behind it cannot: final, since it has tried again already.
fn refusal(response: &Response) -> Option<Error> {
    let class = match response.status {
        404 => Class::NotFound,
        400 => Class::Config,
        BEHIND => Class::Unavailable,
        _ => return None,
    };
    let body = json::parse(&response.body).ok()?;
    let text = |name| {
        body.get(name)
            .and_then(Json::as_str)
            .map(|text| redact::foreign(text, &[]))
    };
    let class = body.get("code").and_then(class_of).unwrap_or(class);
    let message = text("error").unwrap_or_else(|| format!("status {}", response.status));
    let error = Error::new(class, format!("{NAME}: {message}")).with_status(response.status);
    Some(match text("hint") {
        Some(hint) => error.with_hint(hint),
        None => error,
    })
}

/// The class that a code stands for: the word for an exit code of the command line, or its number.
fn class_of(code: &Json) -> Option<Class> {
    if let Some(word) = code.as_str() {
        return Some(match word {
            "config" | "usage" => Class::Config,
            "not-found" => Class::NotFound,
            "refused" => Class::Refused,
            "timeout" => Class::Timeout,
            "unavailable" => Class::Unavailable,
            "throttled" | "rate-limited" => Class::Throttled,
            "protocol" => Class::Protocol,
            "trust" => Class::Trust,
            "token" => Class::Token,
            "other" => Class::Other,
            _ => return None,
        });
    }
    Some(match code.as_i64()? {
        1 => Class::Other,
        2 => Class::Config,
        3 => Class::NotFound,
        4 => Class::Refused,
        5 => Class::Timeout,
        6 => Class::Unavailable,
        7 => Class::Throttled,
        8 => Class::Protocol,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
