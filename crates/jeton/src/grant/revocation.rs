//! Giving a token back (RFC 7009).
use super::{Authority, Client, refusal};
use crate::http::{Request, checked_url};
use crate::{Context, Error};
use jeton_core::Secret;

/// Revokes a refresh token, where the issuer names an endpoint for it; where it names none, nothing is to be done.
///
/// # Errors
/// As [`Context::fetch_anew`]; RFC 7009 section 2.2 makes an unknown token a success.
pub async fn revoke(
    cx: &Context,
    what: &str,
    authority: &Authority,
    client: &Client,
    token: &Secret,
) -> Result<(), Error> {
    let Some(endpoint) = authority.discovery.optional(cx, "revocation_endpoint").await? else {
        return Ok(());
    };
    let url = checked_url(&endpoint, what)?;
    let credential = client.credential(cx).await?;
    let make = |_| {
        let mut fields = vec![
            ("token", token.reveal().to_owned()),
            ("token_type_hint", "refresh_token".to_owned()),
        ];
        let authorization = credential.apply(&mut fields, &url, cx.clock.now())?;
        let borrowed: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let form = Request::form(url.clone(), &borrowed);
        Ok(authorization
            .iter()
            .fold(form, |form, value| form.secret_header("authorization", value)))
    };
    cx.fetch_anew(what, make, |response| match response.status {
        200 | 204 => Ok(()),
        _ => Err(refusal(response)),
    })
    .await
}
