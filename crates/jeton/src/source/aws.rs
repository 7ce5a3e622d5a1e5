//! AWS: a web identity token that is there already, else one that STS signs about the role that runs this program.
//!
//! | child | holds |
//! |---|---|
//! | `credentials` | the access key and the order of the places it comes from |
//! | `web_identity` | the token file of EKS and its role |
//! | `container` | the container credentials endpoint (ECS, EKS Pod Identity) |
//! | `imds` | the metadata service of EC2, version 2 |
//! | `sts` | `AssumeRoleWithWebIdentity`, `GetWebIdentityToken`, the endpoint, what errors mean |
//! | `signature` | Signature Version 4 |
mod container;
mod credentials;
mod imds;
mod signature;
mod sts;
mod web_identity;

pub use credentials::{Credentials, resolve as resolve_credentials};
pub use sts::assume_role_with_web_identity;
pub use web_identity::WebIdentity;

use super::{Presence, Source, projected};
use crate::answer::{self, Received};
use crate::{Context, Env, Error};
use credentials::Place;
use futures_util::future::BoxFuture;
use jeton_core::{Class, Token, TokenRequest, UnixTime};

const NAME: &str = "aws";
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
/// What identifies a Nitro instance without asking the network.
const INSTANCE_ID: &str = "/sys/class/dmi/id/board_asset_tag";

/// The source `aws`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Aws;

impl Source for Aws {
    fn name(&self) -> &str {
        NAME
    }

    fn presence(&self, cx: &Context, request: &TokenRequest) -> Presence {
        let file = match web_identity::file(&cx.env).map(|file| projected::look(&file)) {
            Some(Err(broken)) => return broken,
            Some(Ok(token)) => token,
            None => None,
        };
        if let Some(token) = file.as_ref().filter(|token| projected::fits(token, request)) {
            return Presence::ready(
                format!("{TOKEN_FILE} is set, and its token fits"),
                projected::fingerprint_whole(token),
            );
        }
        let Some(place) = Place::first(&cx.env) else {
            return Presence::absent(
                "no AWS_… variable names credentials, and neither /sys/class/dmi/id nor /sys/hypervisor says Amazon EC2",
            );
        };
        if let Some(missing) = missing(&cx.env, &place) {
            return Presence::broken(
                format!("{}, but {missing} is not set", place.reason()),
                format!("set {missing} too"),
            );
        }
        let token = file
            .map(|token| projected::fingerprint(&token))
            .unwrap_or_default();
        Presence::ready(place.reason(), fingerprint(&cx.env, &token))
    }

    fn fetch<'a>(
        &'a self,
        cx: &'a Context,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(fetch(cx, request))
    }

    fn default_audience(&self, cx: &Context) -> Option<String> {
        let token = web_identity::file(&cx.env)?.read_now().ok()?;
        projected::audiences(&token).into_iter().next()
    }
}

async fn fetch(cx: &Context, request: &TokenRequest) -> Result<Token, Error> {
    if let Some(file) = web_identity::file(&cx.env) {
        let token = file.read().await?;
        if projected::fits(&token, request) {
            return projected::token(cx, NAME, &token, request);
        }
    }
    if request.audience.is_empty() {
        return Err(
            Error::new(Class::Config, "aws: no audience").with_hint("say whom the token is for: --audience")
        );
    }
    // The region first: it costs nothing when a variable names it, and its absence is the likelier mistake.
    let region = credentials::region(cx).await?;
    let credentials = resolve_credentials(cx).await?;
    sts::get_web_identity_token(cx, &region, &credentials, request, |token, response| {
        answer::token(cx, NAME, request, token, Received::over(response))
    })
    .await
}

/// The variable that `place` needs and that is not there.
fn missing(env: &Env, place: &Place) -> Option<&'static str> {
    let needed: &[&'static str] = match place {
        Place::Variables => &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
        Place::WebIdentity => &["AWS_ROLE_ARN"],
        Place::Container(_) | Place::Instance(_) => &[],
    };
    needed.iter().copied().find(|name| env.get(name).is_none())
}

/// What proves the identity: the key's name, the role, the endpoint, the instance, and the file's subject.
fn fingerprint(env: &Env, file: &[u8]) -> Vec<u8> {
    let names = [
        "AWS_ACCESS_KEY_ID",
        "AWS_ROLE_ARN",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    ];
    let agent = env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    let agent = agent.and_then(|path| super::file::TokenFile::named(path).read_now().ok());
    let agent = agent
        .map(|token| projected::fingerprint(&token))
        .unwrap_or_default();
    let instance = std::fs::read(env.well_known(INSTANCE_ID)).unwrap_or_default();
    let values = names
        .iter()
        .map(|name| env.get(name).unwrap_or_default().as_bytes());
    projected::joined(values.chain([file, &agent, &instance]))
}

/// An RFC 3339 time of an AWS answer.
fn time(text: &str) -> Option<UnixTime> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(UnixTime::from_seconds(time.as_second()))
}

#[cfg(test)]
mod tests;
