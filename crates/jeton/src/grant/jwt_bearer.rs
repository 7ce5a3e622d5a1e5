//! A token for an assertion (RFC 7523 section 2.1).
use super::client_credentials::target_fields;
use super::{Ask, Authority, Client, Granted};
use crate::{Context, Error};
use jeton_core::oauth::grant_type;
use jeton_core::{Secret, TokenRequest};

/// Asks for a token with `assertion` as the proof.
///
/// # Errors
/// As [`Ask::send`].
pub async fn ask(
    cx: &Context,
    what: &str,
    authority: &Authority,
    client: &Client,
    assertion: &Secret,
    request: &TokenRequest,
) -> Result<Granted, Error> {
    let endpoint = authority.token_endpoint(cx).await?;
    let mut fields = vec![
        ("grant_type", grant_type::JWT_BEARER.to_owned()),
        ("assertion", assertion.reveal().to_owned()),
    ];
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
