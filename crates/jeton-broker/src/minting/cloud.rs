//! Exchanges: a cloud trusts the broker as an issuer, and gives short-lived credentials for a token of ours. Nothing is
//! stored but which role.
//!
//! | provider | `secret` | gives |
//! |---|---|---|
//! | `aws` | `role`, `audience`?, `region`?, `session_name`? | an access key: `token` is the document of `credential_process` |
//! | `gcp` | `audience` (the provider's full name), `service_account`?, `scopes`? | an access token |
//! | `azure` | `tenant` (or `tenant_id`), `client_id`, `scope`? | an access token |
//! | `vault` | `role`?, `mount`?, `audience`? | a client token |
//! | `oidc` | `audience`, and with a `url` also `scope`? | a token of ours, or what a token endpoint (RFC 8693) gives for it |
use super::{Minted, member, optional, scopes};
use jeton::grant::Granted;
use jeton::grant::exchange::Exchange;
use jeton::grant::preset::gcp::{Gcp, IAM_CREDENTIALS, STS};
use jeton::grant::preset::{Target, named};
use jeton::grant::{Authority, Client};
use jeton::source::aws::{WebIdentity, assume_role_with_web_identity};
use jeton::{Class, Context, Error};
use jeton_core::json::Json;
use jeton_core::oauth::scope_parameter;
use jeton_core::{Secret, TokenRequest};
use std::collections::BTreeMap;

/// The audience that AWS wants in a web identity token when nobody says otherwise.
const AWS_AUDIENCE: &str = "sts.amazonaws.com";

/// What Azure's own tools ask for when nobody says: its management API.
const AZURE_SCOPE: &str = "https://management.azure.com/.default";

/// What the role session is called in AWS' own record when nobody says otherwise.
const SESSION_NAME: &str = "jeton-broker";

/// Whether this provider's credentials are exchanges.
#[must_use]
pub fn is_exchange(provider: &str) -> bool {
    matches!(provider, "aws" | "gcp" | "azure" | "vault" | "oidc")
}

/// A place that gives something for a token of ours.
pub struct Exchanged<'a> {
    /// `aws`, `gcp`, `azure`, `vault` or `oidc`.
    pub provider: &'a str,
    /// The role, the audience and so on.
    pub secret: &'a Json,
    /// Where it is, when not at its usual place.
    pub url: Option<&'a str>,
}

impl Exchanged<'_> {
    /// Checks what can be checked without asking anybody.
    ///
    /// # Errors
    /// `Class::Config`, naming the member.
    pub fn check(&self) -> Result<(), Error> {
        self.audience()?;
        match self.provider {
            "aws" => member(self.secret, "role").map(drop),
            "azure" | "vault" => self.target().map(drop),
            _ => Ok(()),
        }
    }

    /// The audience that our token must have.
    ///
    /// # Errors
    /// `Class::Config`, when nobody says.
    pub fn audience(&self) -> Result<String, Error> {
        if self.provider == "gcp" {
            return Ok(self.gcp()?.audience());
        }
        match (optional(self.secret, "audience"), self.provider) {
            (Some(audience), _) => Ok(audience),
            (None, "aws") => Ok(AWS_AUDIENCE.to_owned()),
            (None, "azure" | "vault") => self.target()?.audience("secret"),
            (None, _) => member(self.secret, "audience"),
        }
    }

    /// Exchanges a token of ours.
    ///
    /// # Errors
    /// `Class::Refused` when the other side does not trust it, and every class of the wire.
    pub async fn mint(&self, cx: &Context, ours: &Secret) -> Result<Minted, Error> {
        match (self.provider, self.url) {
            ("aws", _) => self.assume_role(cx, ours).await,
            ("gcp", _) => Ok(minted(self.gcp()?.exchange(cx, "gcp", ours).await?)),
            ("azure" | "vault", _) => Ok(minted(self.target()?.exchange(cx, self.provider, ours).await?)),
            (_, Some(endpoint)) => self.exchange(cx, endpoint, ours).await,
            (_, None) => {
                let claims = jeton_core::decode(ours.reveal()).ok();
                let ends = claims.and_then(|claims| claims.peek().expires_at());
                Ok(Minted::new(ours.clone(), ends))
            }
        }
    }

    fn gcp(&self) -> Result<Gcp, Error> {
        let at = |usual: &str| self.url.unwrap_or(usual).trim_end_matches('/').to_owned();
        let provider =
            optional(self.secret, "provider").map_or_else(|| member(self.secret, "audience"), Ok)?;
        Ok(Gcp {
            sts: at(STS),
            iam_credentials: at(IAM_CREDENTIALS),
            provider,
            service_account: optional(self.secret, "service_account"),
            scopes: scopes(self.secret),
        })
    }

    fn target(&self) -> Result<Target, Error> {
        let unknown = || Error::new(Class::Config, "provider: has no exchange");
        let preset = named(self.provider).ok_or_else(unknown)?;
        let mut values = BTreeMap::new();
        for (name, value) in self.secret.as_object().unwrap_or_default() {
            if let Some(text) = value.as_str() {
                values.insert(name.as_str().to_owned(), text.to_owned());
            }
        }
        let scopes = scopes(self.secret);
        if !scopes.is_empty() {
            values.insert("scope".to_owned(), scope_parameter(&scopes));
        }
        if self.provider == "azure" {
            let tenant = values.get("tenant_id").cloned();
            tenant.map(|tenant| values.entry("tenant".to_owned()).or_insert(tenant));
            let scope = values.entry("scope".to_owned());
            scope.or_insert_with(|| AZURE_SCOPE.to_owned());
        }
        Target::new(preset, self.url, values, "secret")
    }

    async fn assume_role(&self, cx: &Context, ours: &Secret) -> Result<Minted, Error> {
        let mut cx = cx.clone();
        if let Some(endpoint) = self.url {
            cx.env = cx.env.with("AWS_ENDPOINT_URL_STS", endpoint);
        }
        let identity = WebIdentity {
            role_arn: member(self.secret, "role")?,
            session_name: optional(self.secret, "session_name").unwrap_or_else(|| SESSION_NAME.to_owned()),
            token: ours.clone(),
        };
        let region = optional(self.secret, "region");
        let credentials = assume_role_with_web_identity(&cx, region.as_deref(), &identity).await?;
        let mut minted = Minted::new(credentials.process_document(), credentials.expires_at);
        minted.parts = vec![
            ("access_key_id", Secret::new(credentials.access_key_id)),
            ("secret_access_key", credentials.secret_access_key),
        ];
        minted
            .parts
            .extend(credentials.session_token.map(|token| ("session_token", token)));
        Ok(minted)
    }

    async fn exchange(&self, cx: &Context, endpoint: &str, ours: &Secret) -> Result<Minted, Error> {
        let mut authority = Authority::new(endpoint);
        authority.token_endpoint = Some(endpoint.to_owned());
        let client = Client::public(optional(self.secret, "client_id").unwrap_or_default());
        let request = TokenRequest {
            audience: optional(self.secret, "target").into_iter().collect(),
            scopes: scopes(self.secret),
            ..TokenRequest::default()
        };
        let exchange = Exchange::default();
        let granted = exchange
            .ask(cx, "oidc", &authority, &client, ours, &request)
            .await?;
        Ok(minted(granted))
    }
}

fn minted(granted: Granted) -> Minted {
    let ends = granted
        .answer
        .expires_in
        .map(|span| granted.received.wall.plus(span));
    Minted::new(granted.answer.access_token, ends)
}
