//! The client's own token (RFC 6749 section 4.4).
use super::{Ask, Authority, Client, Granted};
use crate::{Context, Error};
use jeton_core::TokenRequest;
use jeton_core::oauth::{grant_type, scope_parameter};

/// Asks for the client's own token.
///
/// # Errors
/// As [`Ask::send`].
pub async fn ask(
    cx: &Context,
    what: &str,
    authority: &Authority,
    client: &Client,
    request: &TokenRequest,
) -> Result<Granted, Error> {
    let endpoint = authority.token_endpoint(cx).await?;
    let mut fields = vec![("grant_type", grant_type::CLIENT_CREDENTIALS.to_owned())];
    fields.extend(target_fields(request));
    Ask {
        what,
        endpoint: &endpoint,
        client,
        fields,
        repeatable: true,
    }
    .send(cx)
    .await
}

/// `scope`, `resource` (RFC 8707) and `audience` (RFC 8693, and what Auth0 and others take elsewhere too).
pub(crate) fn target_fields(request: &TokenRequest) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    if !request.scopes.is_empty() {
        fields.push(("scope", scope_parameter(&request.scopes)));
    }
    fields.extend(request.resource.iter().map(|r| ("resource", r.clone())));
    fields.extend(request.audience.iter().map(|a| ("audience", a.clone())));
    fields
}
