//! Codefresh: a request URL and a request token, like GitHub's but for the bare `Authorization` and the answer's member.
use super::{Presence, Source, audience};
use crate::answer::{self, Received};
use crate::http::{Request, checked_url};
use crate::{Context, Env, Error, Token, TokenRequest, fetch};
use futures_util::future::BoxFuture;
use jeton_core::{Class, Secret};
use url::Url;

const NAME: &str = "codefresh";
const REQUEST_URL: &str = "CF_OIDC_REQUEST_URL";
const REQUEST_TOKEN: &str = "CF_OIDC_REQUEST_TOKEN";

/// The source `codefresh`.
#[derive(Clone, Copy, Debug)]
pub struct Codefresh;

impl Source for Codefresh {
    fn name(&self) -> &str {
        NAME
    }

    fn presence(&self, cx: &Context, request: &TokenRequest) -> Presence {
        let known = [REQUEST_URL, REQUEST_TOKEN, "CF_BUILD_ID"];
        let Some(sign) = known.iter().find(|name| cx.env.get(name).is_some()) else {
            return Presence::absent("CF_OIDC_REQUEST_URL is not set");
        };
        match Build::of(&cx.env).and_then(|build| audience::one(NAME, request).map(|_| build)) {
            Ok(build) => Presence::ready(
                format!("{sign} is set"),
                format!("{}\0{}", build.url, build.token.reveal()),
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
            let sent = Build::of(&cx.env)?.request(audience::one(NAME, request)?);
            cx.fetch(NAME, &sent, |response| {
                fetch::success(response)?;
                let body = answer::json(response)?;
                let value = answer::secret_member(&body, "id_token")?;
                answer::token(cx, NAME, request, &value, Received::over(response))
            })
            .await
        })
    }
}

struct Build {
    url: Url,
    token: Secret,
}

impl Build {
    fn of(env: &Env) -> Result<Self, Error> {
        let get = |name: &str| {
            env.get(name).ok_or_else(|| {
                Error::new(Class::Config, format!("{name} is not set"))
                    .with_hint("Codefresh sets it in every step of a build; hand it on to where this runs")
            })
        };
        Ok(Self {
            url: checked_url(get(REQUEST_URL)?, REQUEST_URL)?,
            token: Secret::new(get(REQUEST_TOKEN)?),
        })
    }

    fn request(&self, audience: Option<&str>) -> Request {
        let url = match audience {
            Some(audience) => audience::in_query(self.url.clone(), audience),
            None => self.url.clone(),
        };
        // The token stands there bare, without `Bearer`.
        Request::get(url).secret_header("authorization", &self.token)
    }
}

#[cfg(test)]
mod tests;
