//! Azure: a workload's federated token, or an access token of a managed identity.
//!
//! | child | holds |
//! |---|---|
//! | `workload_identity` | the token file of AKS, and the client assertion that turns it into an access token |
//! | `managed_identity` | the endpoints of App Service, Azure ML, Cloud Shell and the instance metadata service |
//! | `arc` | the challenge of machines outside Azure |
//!
//! Except for the file, what Azure gives is an access token: made for the resource that the audience names, for that
//! resource to read and for nobody else. It is treated as opaque.
mod arc;
mod managed_identity;
mod workload_identity;

pub use workload_identity::{ClientAssertion, client_assertion};

use super::{Presence, Source, projected};
use crate::answer::{self, Received, Shape};
use crate::http::{Fault, Response};
use crate::{Context, Env, Error};
use futures_util::future::BoxFuture;
use jeton_core::{Class, Json, Secret, Token, TokenRequest, UnixTime, redact};

const NAME: &str = "azure";
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
/// The audience of tokens that Entra exchanges.
const EXCHANGE_AUDIENCE: &str = "api://AzureADTokenExchange";
/// What the chassis of every virtual machine in Azure says; the vendor's name alone is any Hyper-V's.
const CHASSIS: (&str, &str) = (
    "/sys/class/dmi/id/chassis_asset_tag",
    "7783-7084-3265-9085-8269-3286-77",
);
/// The agent of a machine outside Azure that Azure manages.
const ARC_AGENT: &str = "/opt/azcmagent/bin/himds";

/// The source `azure`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Azure;

/// Where the identity is. The order is the vendor's own table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    WorkloadIdentity,
    ServiceFabric,
    AppService,
    Arc,
    MachineLearning,
    CloudShell,
    Instance,
}

impl Place {
    /// The place, and what says so. Neither `AZURE_CLIENT_ID` nor the other settings of an identity make a place.
    fn of(env: &Env) -> Option<(Self, String)> {
        let set = |name: &str| env.get(name).is_some();
        let rows: [(Self, &[&str]); 6] = [
            (Self::WorkloadIdentity, &[TOKEN_FILE]),
            (
                Self::ServiceFabric,
                &[
                    "IDENTITY_ENDPOINT",
                    "IDENTITY_HEADER",
                    "IDENTITY_SERVER_THUMBPRINT",
                ],
            ),
            (Self::AppService, &["IDENTITY_ENDPOINT", "IDENTITY_HEADER"]),
            (Self::Arc, &["IDENTITY_ENDPOINT", "IMDS_ENDPOINT"]),
            (Self::MachineLearning, &["MSI_ENDPOINT", "MSI_SECRET"]),
            (Self::CloudShell, &["MSI_ENDPOINT"]),
        ];
        if let Some((place, names)) = rows.iter().find(|(_, names)| names.iter().all(|name| set(name))) {
            let verb = if names.len() == 1 { "is" } else { "are" };
            return Some((*place, format!("{} {verb} set", names.join(" and "))));
        }
        if env.well_known(ARC_AGENT).is_file() {
            return Some((Self::Arc, format!("{ARC_AGENT} exists")));
        }
        if set(managed_identity::IMDS_OVERRIDE) {
            return Some((
                Self::Instance,
                format!("{} is set", managed_identity::IMDS_OVERRIDE),
            ));
        }
        let (path, mark) = CHASSIS;
        let tag = std::fs::read_to_string(env.well_known(path)).ok()?;
        (tag.trim() == mark).then(|| (Self::Instance, format!("{path} says Azure")))
    }
}

impl Source for Azure {
    fn name(&self) -> &str {
        NAME
    }

    fn presence(&self, cx: &Context, request: &TokenRequest) -> Presence {
        let Some((place, reason)) = Place::of(&cx.env) else {
            return Presence::absent(format!(
                "{TOKEN_FILE}, IDENTITY_ENDPOINT and MSI_ENDPOINT are not set, and {} does not say Azure",
                CHASSIS.0
            ));
        };
        match place {
            Place::WorkloadIdentity => workload_identity::presence(cx, request, reason),
            Place::ServiceFabric => Presence::broken(reason, SERVICE_FABRIC),
            _ => Presence::ready(reason, fingerprint(&cx.env)),
        }
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(fetch(cx, request))
    }

    fn default_audience(&self, cx: &Context) -> Option<String> {
        cx.env.get(TOKEN_FILE).map(|_| EXCHANGE_AUDIENCE.to_owned())
    }
}

const SERVICE_FABRIC: &str = "Service Fabric's endpoint has a certificate that only a thumbprint vouches for, which is not \
                              supported: give the service a federated token file, or name another source";

async fn fetch(cx: &Context, request: &TokenRequest) -> Result<Token, Error> {
    let place = Place::of(&cx.env).map(|(place, _)| place);
    if place == Some(Place::WorkloadIdentity) {
        return workload_identity::fetch(cx, request).await;
    }
    let resource = resource(request)?;
    match place {
        Some(Place::ServiceFabric) => {
            Err(Error::new(Class::Config, "azure: Service Fabric is not supported").with_hint(SERVICE_FABRIC))
        }
        Some(Place::Arc) => arc::fetch(cx, &resource, request).await,
        place => managed_identity::fetch(cx, place, &resource, request).await,
    }
}

/// The resource that the audience names: Entra's version 1 says `resource`, version 2 says `resource/.default`.
fn resource(request: &TokenRequest) -> Result<String, Error> {
    match request.audience.as_slice() {
        [audience] => Ok(audience.strip_suffix("/.default").unwrap_or(audience).to_owned()),
        _ => Err(Error::new(
            Class::Config,
            "azure: a managed identity's token is for exactly one resource",
        )
        .with_hint("say which: --audience https://vault.azure.net, once")),
    }
}

/// Reads an access token out of an answer of Azure's, which writes times as numbers and as texts.
fn access_token(cx: &Context, response: &Response, wanted: &TokenRequest) -> Result<Token, Fault> {
    let json = answer::json(response)?;
    let token = answer::secret_member(&json, "access_token")?;
    warn_of_another_audience(cx, &token, wanted);
    let received = Received::over(response)
        .shape(Shape::Opaque)
        .expires_at(seconds(json.get("expires_on")).map(UnixTime::from_seconds))
        .expires_in(answer::expires_in(json.get("expires_in")));
    answer::token(cx, NAME, wanted, &token, received)
}

/// A number, or a text that is one.
fn seconds(member: Option<&Json>) -> Option<i64> {
    let value = member?;
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// An access token is its resource's to read, and Entra writes one resource in several ways (with a slash at its end, as
/// an application's id), so that another `aud` is worth a word but is no proof of anything.
fn warn_of_another_audience(cx: &Context, token: &Secret, wanted: &TokenRequest) {
    let has = projected::audiences(token);
    let bare = |text: &str| {
        text.trim_end_matches("/.default")
            .trim_end_matches('/')
            .to_owned()
    };
    let fits = wanted
        .audience
        .iter()
        .all(|wanted| has.iter().any(|has| bare(has) == bare(wanted)));
    if !has.is_empty() && !fits {
        let has = redact::foreign(&has.join(", "), &[]);
        cx.observer.warning(&format!(
            "azure: the access token's own audience is written {has}"
        ));
    }
}

/// What proves the identity: the endpoint, its secret, and which identity is asked for.
fn fingerprint(env: &Env) -> Vec<u8> {
    let names = [
        "IDENTITY_ENDPOINT",
        "IDENTITY_HEADER",
        "MSI_ENDPOINT",
        "MSI_SECRET",
        managed_identity::IMDS_OVERRIDE,
        "AZURE_CLIENT_ID",
        "AZURE_TENANT_ID",
        "AZURE_AUTHORITY_HOST",
    ];
    projected::joined(
        names
            .iter()
            .map(|name| env.get(name).unwrap_or_default().as_bytes()),
    )
}

#[cfg(test)]
mod tests;
