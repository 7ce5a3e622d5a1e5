//! The browser flow: authorization code with PKCE on a loopback port (RFC 6749 section 4.1, RFC 7636, RFC 8252).
use super::{Ask, Authority, Client, Granted, random, random_id};
use crate::http::checked_url;
use crate::{Context, Error};
use jeton_core::oauth::{Verifier, grant_type, scope_parameter};
use jeton_core::redact;
use jeton_core::{Class, Json, TokenRequest};
use std::net::Ipv4Addr;
use tokio::net::TcpListener;
use url::Url;

mod callback;
mod page;

/// A browser login that waits for its callback.
pub struct Login<'a> {
    what: &'a str,
    authority: &'a Authority,
    client: &'a Client,
    listener: TcpListener,
    redirect_uri: String,
    state: String,
    nonce: String,
    verifier: Verifier,
    url: Url,
    issuer_names_itself: bool,
}

/// What a browser login brought: the grant, and the nonce its ID token must carry.
pub struct LoggedIn {
    /// The token endpoint's answer.
    pub granted: Granted,
    /// What the ID token's `nonce` must be.
    pub nonce: String,
}

impl<'a> Login<'a> {
    /// Opens a port on 127.0.0.1 and makes the URL that a person has to visit.
    ///
    /// # Errors
    /// What discovery fails with; `Class::Trust` when the issuer says that it does not do S256.
    pub async fn start(
        cx: &Context,
        what: &'a str,
        authority: &'a Authority,
        client: &'a Client,
        request: &TokenRequest,
    ) -> Result<Self, Error> {
        let mut url = checked_url(&authority.endpoint(cx, "authorization_endpoint").await?, what)?;
        requires_s256(cx, what, authority).await?;
        let document = authority.discovery.document(cx).await?;
        let names_itself = document.get("authorization_response_iss_parameter_supported");
        let issuer_names_itself = names_itself.and_then(Json::as_bool) == Some(true);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(|e| Error::new(Class::Other, format!("{what}: no port on 127.0.0.1: {e}")))?;
        let port = listener
            .local_addr()
            .map_err(|e| Error::new(Class::Other, format!("{what}: {e}")))?
            .port();
        let redirect_uri = format!("http://127.0.0.1:{port}/callback");
        let (state, nonce, verifier) = (random_id()?, random_id()?, Verifier::new(random()?));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &client.id)
            .append_pair("redirect_uri", &redirect_uri)
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &verifier.challenge())
            .append_pair("code_challenge_method", "S256");
        if !request.scopes.is_empty() {
            url.query_pairs_mut()
                .append_pair("scope", &scope_parameter(&request.scopes));
        }
        for resource in &request.resource {
            url.query_pairs_mut().append_pair("resource", resource);
        }
        for audience in &request.audience {
            url.query_pairs_mut().append_pair("audience", audience);
        }
        // OpenID Connect Core section 11: offline access needs consent, and is ignored without it.
        if request.scopes.iter().any(|s| s == "offline_access") {
            url.query_pairs_mut().append_pair("prompt", "consent");
        }
        Ok(Self {
            what,
            authority,
            client,
            listener,
            redirect_uri,
            state,
            nonce,
            verifier,
            url,
            issuer_names_itself,
        })
    }

    /// The URL to visit.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Waits for the browser to come back and redeems the code. Dropping the future closes the port.
    ///
    /// # Errors
    /// `Class::Timeout` when nobody came in time, `Class::Refused` when the server or the person said no,
    /// `Class::Trust` when a callback named another issuer.
    pub async fn finish(self, cx: &Context) -> Result<LoggedIn, Error> {
        Ok(self.finish_with(cx, async |_| Ok(())).await?.0)
    }

    /// The same with a check of what was granted, before the person is told that all is well.
    ///
    /// # Errors
    /// As [`Login::finish`], and whatever `check` fails with.
    pub async fn finish_with<T>(
        self,
        cx: &Context,
        check: impl AsyncFnOnce(&LoggedIn) -> Result<T, Error>,
    ) -> Result<(LoggedIn, T), Error> {
        let expected = callback::Expected {
            state: &self.state,
            issuer: &self.authority.issuer,
            issuer_names_itself: self.issuer_names_itself,
        };
        let waiting = callback::wait(&self.listener, expected, self.what);
        let callback = cx.bounded(self.what, waiting).await?;
        let redeemed = match callback.code() {
            Ok(code) => self.checked(cx, code, check).await,
            Err(said) => Err(said),
        };
        callback
            .answer(redeemed.as_ref().err().map(ToString::to_string))
            .await;
        redeemed
    }

    async fn checked<T>(
        &self,
        cx: &Context,
        code: &str,
        check: impl AsyncFnOnce(&LoggedIn) -> Result<T, Error>,
    ) -> Result<(LoggedIn, T), Error> {
        let done = LoggedIn {
            granted: self.redeem(cx, code).await?,
            nonce: self.nonce.clone(),
        };
        let checked = check(&done).await?;
        Ok((done, checked))
    }

    async fn redeem(&self, cx: &Context, code: &str) -> Result<Granted, Error> {
        let token_endpoint = self.authority.token_endpoint(cx).await?;
        let fields = vec![
            ("grant_type", grant_type::AUTHORIZATION_CODE.to_owned()),
            ("code", code.to_owned()),
            ("redirect_uri", self.redirect_uri.clone()),
            ("code_verifier", self.verifier.secret().reveal().to_owned()),
        ];
        // A code is single-use (RFC 6749 section 4.1.2): never sent twice.
        Ask {
            what: self.what,
            endpoint: &token_endpoint,
            client: self.client,
            fields,
            repeatable: false,
        }
        .send(cx)
        .await
    }
}

/// An issuer that lists its challenge methods must list S256; one that lists none is tried (RFC 8414 section 2).
async fn requires_s256(cx: &Context, what: &str, authority: &Authority) -> Result<(), Error> {
    let methods = authority
        .discovery
        .list(cx, "code_challenge_methods_supported")
        .await?;
    if methods.is_empty() || methods.iter().any(|m| m == "S256") {
        return Ok(());
    }
    let methods = redact::foreign(&methods.join(" "), &[]);
    Err(Error::new(
        Class::Trust,
        format!("{what}: the issuer does PKCE by {methods} only, not by S256"),
    ))
}
