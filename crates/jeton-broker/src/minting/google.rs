//! An access token for a refresh token (RFC 6749 section 6), as Google's web-server flow leaves one with its client.
//!
//! The refresh token never leaves the broker. Where the server rotates it, the new one is kept before the access
//! token is handed out.
use super::{Minted, member, scopes};
use jeton::http::{Fault, Request, Response};
use jeton::{Context, Error, answer};
use jeton_core::json::Json;
use jeton_core::oauth::{TokenAnswer, grant_type, scope_parameter};
use jeton_core::{Failure, Secret};
use url::Url;

/// Google's token endpoint.
pub const TOKEN_ENDPOINT: &str = "https://oauth2.googleapis.com/token";

/// An OAuth client with a refresh token.
pub struct OAuthClient {
    id: String,
    secret: Secret,
    refresh_token: Secret,
    scopes: Vec<String>,
}

impl OAuthClient {
    /// Reads `{"client_id","client_secret","refresh_token","scopes"?}`.
    ///
    /// # Errors
    /// `Class::Config`, naming the member.
    pub fn read(secret: &Json) -> Result<Self, Error> {
        Ok(Self {
            id: member(secret, "client_id")?,
            secret: member(secret, "client_secret")?.into(),
            refresh_token: member(secret, "refresh_token")?.into(),
            scopes: scopes(secret),
        })
    }

    /// Asks for an access token.
    ///
    /// # Errors
    /// What the fetch loop fails with; `invalid_grant` says that the refresh token is dead.
    pub async fn mint(&self, cx: &Context, endpoint: &Url) -> Result<Minted, Error> {
        let scope = scope_parameter(&self.scopes);
        let mut fields = vec![
            ("grant_type", grant_type::REFRESH_TOKEN),
            ("client_id", &self.id),
            ("client_secret", self.secret.reveal()),
            ("refresh_token", self.refresh_token.reveal()),
        ];
        if !scope.is_empty() {
            fields.push(("scope", &scope));
        }
        let mut request = Request::form(endpoint.clone(), &fields).header("accept", "application/json");
        // Where refresh tokens rotate, an answer that was lost has used this one up.
        request.repeatable = false;
        let (answer, now) = cx.fetch("google: refresh", &request, read).await?;
        let mut minted = Minted::new(
            answer.access_token,
            answer.expires_in.map(|span| now.wall.plus(span)),
        );
        let granted = answer.scopes.unwrap_or_else(|| self.scopes.clone());
        minted
            .parts
            .push(("scopes", Secret::new(scope_parameter(&granted))));
        minted.rotated = answer.refresh_token.filter(|new| *new != self.refresh_token);
        Ok(minted)
    }
}

fn read(response: &Response) -> Result<(TokenAnswer, jeton_core::Moment), Fault> {
    if response.status != 200 {
        return Err(answer::oauth_fault(response));
    }
    let body: Json = answer::json(response)?;
    let answer = TokenAnswer::read(&body)
        .map_err(|why| Fault::new(Failure::Unexpected, format!("the answer's {}", why.0)))?;
    Ok((answer, response.received))
}
