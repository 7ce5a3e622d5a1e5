//! A new access token for a refresh token (RFC 6749 section 6).
//!
//! A refresh token may be single-use: the request is sent once and never repeated blindly, since the server may have
//! rotated although no answer came (RFC 9700 section 4.14.2). Who calls this holds the session's lease and writes the
//! rotated token down before he uses the access token.
use super::{Ask, Authority, Client, Granted};
use crate::{Context, Error};
use jeton_core::oauth::{grant_type, scope_parameter};
use jeton_core::{Secret, TokenRequest};

/// Asks for a new token.
///
/// # Errors
/// As [`Ask::send`]; an error whose [`Error::oauth`] is `invalid_grant` says that the refresh token is dead.
pub async fn ask(
    cx: &Context,
    what: &str,
    authority: &Authority,
    client: &Client,
    refresh_token: &Secret,
    request: &TokenRequest,
) -> Result<Granted, Error> {
    let endpoint = authority.token_endpoint(cx).await?;
    let mut fields = vec![
        ("grant_type", grant_type::REFRESH_TOKEN.to_owned()),
        ("refresh_token", refresh_token.reveal().to_owned()),
    ];
    if !request.scopes.is_empty() {
        fields.push(("scope", scope_parameter(&request.scopes)));
    }
    fields.extend(request.resource.iter().map(|r| ("resource", r.clone())));
    fields.extend(request.audience.iter().map(|a| ("audience", a.clone())));
    Ask {
        what,
        endpoint: &endpoint,
        client,
        fields,
        repeatable: false,
    }
    .send(cx)
    .await
}
