//! Google Cloud's security token service, and impersonation of a service account after it.
//!
//! Facts: `POST {sts}/v1/token` (RFC 8693) with the workload identity provider's full name as audience; the identity
//! token's own audience is by default the `https:` form of the same name; then, where a service account is named,
//! `POST {iamcredentials}/v1/projects/-/serviceAccounts/SA:generateAccessToken`.
use super::below;
use crate::grant::{Granted, read_granted, refusal};
use crate::http::{Fault, Request, Response};
use crate::{Context, Error, answer};
use jeton_core::oauth::{TokenAnswer, grant_type, token_type};
use jeton_core::{Failure, Json, Secret};
use std::time::Duration;

/// Where the token service is.
pub const STS: &str = "https://sts.googleapis.com";
/// Where impersonation is.
pub const IAM_CREDENTIALS: &str = "https://iamcredentials.googleapis.com";
/// The scope that Google's own tools ask for when nobody says.
pub const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// A workload identity provider, and perhaps a service account behind it.
#[derive(Clone, Debug)]
pub struct Gcp {
    /// The token service.
    pub sts: String,
    /// The impersonation service.
    pub iam_credentials: String,
    /// `//iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/P/providers/R`.
    pub provider: String,
    /// The service account to impersonate.
    pub service_account: Option<String>,
    /// The scopes of the result.
    pub scopes: Vec<String>,
}

impl Gcp {
    /// The audience that the identity token must have.
    #[must_use]
    pub fn audience(&self) -> String {
        match self.provider.strip_prefix("//") {
            Some(rest) => format!("https://{rest}"),
            None => self.provider.clone(),
        }
    }

    /// Exchanges `token` for a Google access token.
    ///
    /// # Errors
    /// As [`Context::fetch`].
    pub async fn exchange(&self, cx: &Context, what: &str, token: &Secret) -> Result<Granted, Error> {
        let scopes = match self.scopes.is_empty() {
            true => CLOUD_PLATFORM.to_owned(),
            false => self.scopes.join(" "),
        };
        // Impersonation needs the platform's scope on the federated token; the result's scopes are asked for after it.
        let federated = if self.service_account.is_some() {
            CLOUD_PLATFORM
        } else {
            &scopes
        };
        let request = Request::form(
            below(&self.sts, "/v1/token", what)?,
            &[
                ("grant_type", grant_type::TOKEN_EXCHANGE),
                ("audience", &self.provider),
                ("scope", federated),
                ("requested_token_type", token_type::ACCESS_TOKEN),
                ("subject_token", token.reveal()),
                ("subject_token_type", token_type::JWT),
            ],
        );
        let granted = cx.fetch(what, &request, read_granted).await?;
        match &self.service_account {
            None => Ok(granted),
            Some(account) => {
                self.impersonate(cx, what, account, &granted.answer.access_token, &scopes)
                    .await
            }
        }
    }

    async fn impersonate(
        &self,
        cx: &Context,
        what: &str,
        account: &str,
        token: &Secret,
        scopes: &str,
    ) -> Result<Granted, Error> {
        let path = format!("/v1/projects/-/serviceAccounts/{account}:generateAccessToken");
        let scope = Json::from(scopes.split(' ').map(Json::from).collect::<Vec<_>>());
        let body = Json::object([("scope", scope)]).to_text();
        let request = Request::json(below(&self.iam_credentials, &path, what)?, body).bearer(token);
        cx.fetch(what, &request, read_impersonated).await
    }
}

fn read_impersonated(response: &Response) -> Result<Granted, Fault> {
    if response.status != 200 {
        return Err(refusal(response));
    }
    let body = answer::json(response)?;
    let access_token = answer::secret_member(&body, "accessToken")?;
    let ends = body
        .get("expireTime")
        .and_then(Json::as_str)
        .and_then(|t| t.parse::<jiff::Timestamp>().ok());
    let ends =
        ends.ok_or_else(|| Fault::new(Failure::Unexpected, "the answer's \"expireTime\" is no time"))?;
    let present = response.date.unwrap_or(response.received.wall).seconds();
    let left = u64::try_from(ends.as_second().saturating_sub(present)).unwrap_or(0);
    let answer = TokenAnswer {
        access_token,
        token_type: "Bearer".to_owned(),
        expires_in: Some(Duration::from_secs(left)),
        scopes: None,
        refresh_token: None,
        id_token: None,
        issued_token_type: None,
    };
    Ok(Granted {
        answer,
        date: response.date,
        received: response.received,
    })
}
