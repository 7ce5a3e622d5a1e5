//! The EC2 instance metadata service, version 2: a session token first, then everything with it.
//!
//! Amazon EC2 User Guide, "Use the Instance Metadata Service". Version 1, which any confused deputy can ask, is never
//! spoken.
use super::credentials::{self, Credentials};
use crate::answer;
use crate::http::{Fault, Request, Response, Route, checked_metadata_url};
use crate::{Context, Env, Error};
use ::http::Method;
use jeton_core::{Class, Secret};
use std::time::Duration;
use url::Url;

const ENDPOINT: &str = "http://169.254.169.254/";
const ENDPOINT_V6: &str = "http://[fd00:ec2::254]/";
/// Six hours, the most there is: the session is ours alone and ends with the process.
const SESSION_SECONDS: &str = "21600";
/// A neighbour that does not answer at once is not there (the SDKs' own times).
const CONNECT: Duration = Duration::from_secs(1);
const ATTEMPT: Duration = Duration::from_secs(2);
const ROLES: &str = "latest/meta-data/iam/security-credentials/";
const REGION: &str = "latest/meta-data/placement/region";

/// What says that this machine is an EC2 instance, without asking the network.
pub(super) fn evidence(env: &Env) -> Option<String> {
    if env.is_true("AWS_EC2_METADATA_DISABLED") {
        return None;
    }
    if env.get("AWS_EC2_METADATA_SERVICE_ENDPOINT").is_some() {
        return Some("AWS_EC2_METADATA_SERVICE_ENDPOINT is set".into());
    }
    let mark = |path: &'static str, is_amazon: fn(&str) -> bool| {
        let text = std::fs::read_to_string(env.well_known(path)).ok()?;
        is_amazon(text.trim()).then(|| format!("{path} says Amazon EC2"))
    };
    mark("/sys/class/dmi/id/sys_vendor", |text| text == "Amazon EC2")
        .or_else(|| mark("/sys/class/dmi/id/bios_vendor", |text| text == "Amazon EC2"))
        .or_else(|| mark("/sys/hypervisor/uuid", |text| text.starts_with("ec2")))
}

/// A session with the service.
pub(super) struct Imds {
    cx: Context,
    base: Url,
    session: Secret,
}

impl Imds {
    /// Opens a session.
    pub(super) async fn open(cx: &Context) -> Result<Self, Error> {
        let mut cx = cx.clone();
        cx.policy.attempt_timeout = cx.policy.attempt_timeout.min(ATTEMPT);
        if evidence(&cx.env).is_none() {
            // Nothing says that it is here: this is a probe, and a probe is not repeated.
            cx.policy.max_attempts = 1;
        }
        let base = base(&cx.env)?;
        let session = session(&cx, &base).await?;
        Ok(Self { cx, base, session })
    }

    /// The credentials of the instance's role.
    pub(super) async fn credentials(&mut self) -> Result<Credentials, Error> {
        let list = self
            .get("aws: instance role", ROLES, text)
            .await
            .map_err(|error| match error.status() {
                Some(404) => Error::new(Class::NotFound, "aws: the instance has no role").with_hint(
                    "attach an instance profile to the instance, or pass credentials in variables",
                ),
                _ => error,
            })?;
        let role = list.lines().next().unwrap_or_default().trim().to_owned();
        if role.is_empty()
            || !role
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+=,.@-_".contains(&b))
        {
            return Err(Error::new(
                Class::Protocol,
                "aws: the metadata service named no role",
            ));
        }
        self.get(
            "aws: instance credentials",
            &format!("{ROLES}{role}"),
            credentials::read,
        )
        .await
    }

    /// The region that the instance runs in.
    pub(super) async fn region(&mut self) -> Result<String, Error> {
        self.get("aws: instance region", REGION, text).await
    }

    /// One document. A 401 means that the session ended: it is renewed once.
    async fn get<T>(
        &mut self,
        what: &str,
        path: &str,
        read: impl Fn(&Response) -> Result<T, Fault> + Copy,
    ) -> Result<T, Error> {
        match self.get_once(what, path, read).await {
            Err(error) if error.status() == Some(401) => {
                self.session = session(&self.cx, &self.base).await?;
                self.get_once(what, path, read).await
            }
            result => result,
        }
    }

    async fn get_once<T>(
        &self,
        what: &str,
        path: &str,
        read: impl Fn(&Response) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        let request =
            near(Method::GET, &self.base, path)?.secret_header("x-aws-ec2-metadata-token", &self.session);
        self.cx.fetch(what, &request, read).await
    }
}

fn base(env: &Env) -> Result<Url, Error> {
    const NAME: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    let v6 = env
        .get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")
        .is_some_and(|m| m.eq_ignore_ascii_case("ipv6"));
    let usual = if v6 { ENDPOINT_V6 } else { ENDPOINT };
    let text = env.get(NAME).unwrap_or(usual);
    checked_metadata_url(&format!("{}/", text.trim_end_matches('/')), NAME)
}

async fn session(cx: &Context, base: &Url) -> Result<Secret, Error> {
    let mut request = near(Method::PUT, base, "latest/api/token")?
        .header("x-aws-ec2-metadata-token-ttl-seconds", SESSION_SECONDS);
    request.body = Some(bytes::Bytes::new());
    let opened = cx
        .fetch("aws: metadata session", &request, text)
        .await
        .map(Secret::new);
    opened.map_err(|error| match (error.status(), error.kind()) {
        (Some(403), _) => error.with_hint("the instance metadata service is switched off for this instance"),
        (None, Class::Unavailable | Class::Timeout) => error.with_hint(
            "in a container the answer needs one hop more: raise the instance's metadata hop limit to 2, or set \
             AWS_EC2_METADATA_DISABLED=true if this is no EC2 instance",
        ),
        _ => error,
    })
}

fn near(method: Method, base: &Url, path: &str) -> Result<Request, Error> {
    let url = base
        .join(path)
        .map_err(|_| Error::new(Class::Config, "aws: no metadata URL"))?;
    let mut request = Request::new(method, url);
    request.route = Route::Direct;
    request.connect_timeout = Some(CONNECT);
    request.credential = true;
    Ok(request)
}

/// A short text that is not empty.
fn text(response: &Response) -> Result<String, Fault> {
    answer::success(response)?;
    Ok(answer::text(response)?.trim().to_owned())
}
