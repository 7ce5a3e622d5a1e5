//! A token for a token (RFC 8693).
use super::client_credentials::target_fields;
use super::{Ask, Authority, Client, Granted};
use crate::{Context, Error};
use jeton_core::oauth::{grant_type, token_type};
use jeton_core::{Class, Secret, TokenRequest};

/// What is exchanged for what.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The token type of the token that is given.
    pub subject_token_type: String,
    /// The token type that is wanted; what the server likes when not said, then an access token is expected.
    pub requested_token_type: Option<String>,
    /// Who acts for the subject, with its token type (RFC 8693 section 1.1).
    pub actor: Option<(Secret, String)>,
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            subject_token_type: token_type::JWT.to_owned(),
            requested_token_type: None,
            actor: None,
        }
    }
}

impl Exchange {
    /// Exchanges `subject`.
    ///
    /// # Errors
    /// As [`Ask::send`]; `Class::Protocol` when another type of token was issued, `Class::Refused` when a scope that
    /// was asked for was withheld.
    pub async fn ask(
        &self,
        cx: &Context,
        what: &str,
        authority: &Authority,
        client: &Client,
        subject: &Secret,
        request: &TokenRequest,
    ) -> Result<Granted, Error> {
        let endpoint = authority.token_endpoint(cx).await?;
        let fields = self.fields(subject, request);
        let granted = Ask {
            what,
            endpoint: &endpoint,
            client,
            fields,
            repeatable: true,
        }
        .send(cx)
        .await?;
        let wanted = self
            .requested_token_type
            .as_deref()
            .unwrap_or(token_type::ACCESS_TOKEN);
        granted
            .answer
            .issued(wanted)
            .map_err(|e| Error::new(Class::Protocol, format!("{what}: the exchange's {}", e.0)))?;
        Ok(granted)
    }

    fn fields(&self, subject: &Secret, request: &TokenRequest) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("grant_type", grant_type::TOKEN_EXCHANGE.to_owned()),
            ("subject_token", subject.reveal().to_owned()),
            ("subject_token_type", self.subject_token_type.clone()),
        ];
        if let Some(wanted) = &self.requested_token_type {
            fields.push(("requested_token_type", wanted.clone()));
        }
        if let Some((token, kind)) = &self.actor {
            fields.push(("actor_token", token.reveal().to_owned()));
            fields.push(("actor_token_type", kind.clone()));
        }
        fields.extend(target_fields(request));
        fields
    }
}
