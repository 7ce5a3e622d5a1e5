//! Exchange targets of a profile: a row of the preset table, or a cloud with a file of its own.
use crate::config::Profile;
use crate::grant::Granted;
use crate::grant::exchange::Exchange;
use crate::grant::preset::gcp::{Gcp, IAM_CREDENTIALS, STS};
use crate::grant::preset::{ENDPOINTS, Target, VARIABLES, named};
use crate::source::aws::{self, WebIdentity};
use crate::{Context, Error};
use jeton_core::oauth::{TokenAnswer, scope_parameter};
use jeton_core::{Class, Secret, TokenRequest};
use std::collections::BTreeMap;

/// A target that takes an identity token and gives something else for it.
pub(super) enum Exchanged {
    Row(Target),
    Gcp(Gcp),
    Aws { role: String, endpoint: Option<String> },
}

/// The audience that AWS wants in a web identity token when nobody says otherwise.
const AWS_AUDIENCE: &str = "sts.amazonaws.com";

impl Exchanged {
    pub(super) fn new(profile: &Profile, cx: &Context, what: &str) -> Result<Self, Error> {
        let name = profile.preset.as_deref().unwrap_or_default();
        let endpoint = profile
            .endpoint
            .as_ref()
            .map(|url| url.as_str().trim_end_matches('/').to_owned());
        let missing = |key: &str| {
            Error::new(
                Class::Config,
                format!("{what}: the preset \"{name}\" needs `{key}`"),
            )
            .with_hint(format!("set `{key} = \"…\"` in the profile"))
        };
        match name {
            "aws" => Ok(Self::Aws {
                role: profile.role.clone().ok_or_else(|| missing("role"))?,
                endpoint,
            }),
            "gcp" => Ok(Self::Gcp(Gcp {
                sts: endpoint.clone().unwrap_or_else(|| STS.to_owned()),
                iam_credentials: endpoint.unwrap_or_else(|| IAM_CREDENTIALS.to_owned()),
                provider: profile
                    .options
                    .get("provider")
                    .cloned()
                    .ok_or_else(|| missing("provider"))?,
                service_account: profile.options.get("service_account").cloned(),
                scopes: profile.scopes.clone(),
            })),
            name => {
                let preset = named(name)
                    .ok_or_else(|| Error::new(Class::Config, format!("{what}: no preset \"{name}\"")))?;
                let said = ENDPOINTS.iter().filter(|(preset, _)| *preset == name);
                let said = said.filter_map(|(_, variable)| cx.env.get(variable)).next();
                let endpoint = endpoint.or(said.map(ToOwned::to_owned));
                Ok(Self::Row(Target::new(
                    preset,
                    endpoint.as_deref(),
                    values(profile, cx),
                    what,
                )?))
            }
        }
    }

    /// What the input must be: the profile's wish, else the audience that the target wants.
    pub(super) async fn input_request(
        &self,
        cx: &Context,
        what: &str,
        wanted: &TokenRequest,
    ) -> Result<TokenRequest, Error> {
        if !wanted.audience.is_empty() {
            return Ok(wanted.clone());
        }
        let audience = match self {
            Self::Row(target) => target.input_audience(cx, what).await?,
            Self::Gcp(gcp) => gcp.audience(),
            Self::Aws { .. } => AWS_AUDIENCE.to_owned(),
        };
        Ok(TokenRequest {
            audience: vec![audience],
            ..wanted.clone()
        })
    }

    /// What `request` says goes before what the profile says.
    pub(super) async fn ask(
        &self,
        cx: &Context,
        what: &str,
        token: &Secret,
        request: &TokenRequest,
    ) -> Result<Granted, Error> {
        match self {
            Self::Row(target) => {
                let mut target = target.clone();
                target.values.extend(asked(&request.scopes, &request.audience));
                target.exchange(cx, what, token).await
            }
            Self::Gcp(gcp) => {
                let scopes = request.scopes.clone();
                Gcp {
                    scopes,
                    ..gcp.clone()
                }
                .exchange(cx, what, token)
                .await
            }
            Self::Aws { role, endpoint } => assume_role(cx, role, endpoint.as_deref(), token).await,
        }
    }

    /// Gives a result back before its time, where the target takes it.
    pub(super) async fn revoke(&self, cx: &Context, what: &str, token: &Secret) -> Result<(), Error> {
        match self {
            Self::Row(target) => target.revoke(cx, what, token).await,
            Self::Gcp(_) | Self::Aws { .. } => Ok(()),
        }
    }
}

/// A role's credentials, as the document that AWS' own tools read from a `credential_process`.
async fn assume_role(
    cx: &Context,
    role: &str,
    endpoint: Option<&str>,
    token: &Secret,
) -> Result<Granted, Error> {
    let mut cx = cx.clone();
    if let Some(endpoint) = endpoint {
        cx.env = cx.env.with("AWS_ENDPOINT_URL_STS", endpoint);
    }
    let session_name = cx.env.get("AWS_ROLE_SESSION_NAME").unwrap_or("jeton").to_owned();
    let identity = WebIdentity {
        role_arn: role.to_owned(),
        session_name,
        token: token.clone(),
    };
    let region = cx
        .env
        .get("AWS_REGION")
        .or_else(|| cx.env.get("AWS_DEFAULT_REGION"));
    let credentials = aws::assume_role_with_web_identity(&cx, region, &identity).await?;
    let now = cx.clock.now();
    Ok(Granted {
        answer: TokenAnswer {
            access_token: credentials.process_document(),
            token_type: "AWS4-HMAC-SHA256".to_owned(),
            expires_in: credentials.expires_at.map(|end| end.since(now.wall)),
            scopes: None,
            refresh_token: None,
            id_token: None,
            issued_token_type: None,
        },
        date: None,
        received: now,
    })
}

/// What a row's templates may name: the profile's keys, and what the platforms' own tools read from variables.
fn values(profile: &Profile, cx: &Context) -> BTreeMap<String, String> {
    let mut values = profile.options.clone();
    for (preset, key, variable) in VARIABLES {
        if let Some(value) = cx
            .env
            .get(variable)
            .filter(|_| profile.preset.as_deref() == Some(preset))
        {
            values.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    for (key, value) in [("client_id", &profile.client_id), ("role", &profile.role)] {
        if let Some(value) = value {
            values.insert(key.to_owned(), value.clone());
        }
    }
    values.extend(asked(&profile.scopes, &profile.audience));
    values
}

/// What a call may say too.
fn asked(scopes: &[String], audience: &[String]) -> impl Iterator<Item = (String, String)> {
    let scope = (!scopes.is_empty()).then(|| ("scope".to_owned(), scope_parameter(scopes)));
    let audience = audience
        .first()
        .map(|first| ("audience".to_owned(), first.clone()));
    scope.into_iter().chain(audience)
}

/// The exchange of a profile without a preset (RFC 8693).
pub(super) fn exchange_of(profile: &Profile) -> Exchange {
    let mut exchange = Exchange::default();
    if let Some(kind) = profile.options.get("subject_token_type") {
        exchange.subject_token_type = urn(kind);
    }
    exchange.requested_token_type = profile.options.get("requested_token_type").map(|kind| urn(kind));
    exchange
}

/// A token type by its last word or its whole name.
pub(super) fn urn(kind: &str) -> String {
    if kind.contains(':') {
        kind.to_owned()
    } else {
        format!("urn:ietf:params:oauth:token-type:{kind}")
    }
}
