//! Fly.io Machines: the machine's own API, on a unix socket inside it.
use super::{Presence, Source, audience};
use crate::answer::{self, Received};
use crate::http::{Request, Route};
use crate::{Context, Error, Token, TokenRequest, fetch};
use futures_util::future::BoxFuture;
use jeton_core::json::Json;
use jeton_core::{Class, Secret};
use url::Url;

const NAME: &str = "fly";
/// Where every machine has it.
const SOCKET: &str = "/.fly/api";
/// The host is only what the `Host` field says.
const TOKENS: &str = "http://localhost/v1/tokens/oidc";

/// The source `fly`.
#[derive(Clone, Copy, Debug)]
pub struct Fly;

impl Source for Fly {
    fn name(&self) -> &str {
        NAME
    }

    fn presence(&self, cx: &Context, request: &TokenRequest) -> Presence {
        if !cx.env.well_known(SOCKET).exists() {
            return Presence::absent(format!("{SOCKET} does not exist"));
        }
        let machine = cx.env.get("FLY_MACHINE_ID").unwrap_or_default();
        match audience::one(NAME, request) {
            Ok(_) => Presence::ready(format!("{SOCKET} exists"), machine),
            Err(error) => Presence::from_error(&error),
        }
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let sent = sent(cx, audience::one(NAME, request)?)?;
            cx.fetch(NAME, &sent, |response| {
                fetch::success(response)?;
                let value = Secret::new(answer::text(response)?);
                answer::token(cx, NAME, request, &value, Received::over(response))
            })
            .await
        })
    }

    fn default_audience(&self, cx: &Context) -> Option<String> {
        Some(format!("https://fly.io/{}", cx.env.get("FLY_ORG_SLUG")?))
    }
}

fn sent(cx: &Context, audience: Option<&str>) -> Result<Request, Error> {
    let url =
        Url::parse(TOKENS).map_err(|_| Error::new(Class::Other, "the URL of Fly's API cannot be read"))?;
    let socket = cx.env.well_known(SOCKET);
    if !socket.exists() {
        return Err(Error::new(Class::NotFound, format!("{SOCKET} does not exist"))
            .with_hint("this is no Fly Machine, or the socket is not mounted into this container"));
    }
    let mut wanted = Json::object::<String>([]);
    if let Some(audience) = audience {
        wanted.set("aud", audience);
    }
    let mut request = Request::json(url, wanted.to_text());
    request.route = Route::Unix(socket);
    Ok(request)
}

#[cfg(test)]
mod tests;
