//! `issuer:URL`: a development issuer such as `jeton issuer`, which signs what it is asked to sign.
use crate::answer::{self, Received};
use crate::http::{Request, checked_url};
use crate::source::{Presence, Source};
use crate::{Context, Error, Token, TokenRequest, fetch};
use futures_util::future::BoxFuture;
use jeton_core::json::Json;
use jeton_core::{Class, Secret};
use url::Url;

/// An issuer that mints tokens for claims.
pub struct DevelopmentIssuer {
    spec: String,
    issuer: String,
    endpoint: Url,
}

impl DevelopmentIssuer {
    /// The issuer at `url`; its path stays part of it.
    ///
    /// # Errors
    /// [`Class::Config`] for a URL that is neither https nor this machine's.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let issuer = url.trim_end_matches('/');
        let mut endpoint = checked_url(issuer, "the URL after `issuer:`")?;
        if endpoint.query().is_some() || endpoint.fragment().is_some() {
            return Err(Error::new(
                Class::Config,
                "the URL after `issuer:` has a query or a fragment",
            ));
        }
        if let Ok(mut path) = endpoint.path_segments_mut() {
            path.pop_if_empty().push("token");
        }
        Ok(Self {
            spec: format!("issuer:{issuer}"),
            issuer: issuer.to_owned(),
            endpoint,
        })
    }

    /// What is asked for: the claims that make the token fit; the issuer adds those of a workflow's token.
    fn claims(&self, request: &TokenRequest) -> String {
        let mut claims = Json::object([("iss", Json::from(self.issuer.as_str()))]);
        match request.audience.as_slice() {
            [] => {}
            [audience] => claims.set("aud", audience.as_str()),
            several => claims.set(
                "aud",
                Json::Array(several.iter().map(|a| Json::from(a.as_str())).collect()),
            ),
        }
        claims.to_text()
    }
}

impl Source for DevelopmentIssuer {
    fn name(&self) -> &str {
        &self.spec
    }

    fn presence(&self, _cx: &Context, _request: &TokenRequest) -> Presence {
        Presence::ready("the issuer was named", self.issuer.as_str())
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let sent = Request::json(self.endpoint.clone(), self.claims(request));
            cx.fetch(&self.spec, &sent, |response| {
                fetch::success(response)?;
                let value: Secret = match response.body.trim_ascii_start().first() {
                    Some(b'{') => answer::secret_member(&answer::json(response)?, "token")?,
                    _ => Secret::new(answer::text(response)?),
                };
                answer::token(cx, &self.spec, request, &value, Received::over(response))
            })
            .await
        })
    }
}
