//! What signs requests to AWS, and where it comes from.
use super::{WebIdentity, container, imds, sts};
use crate::answer::{self, success};
use crate::http::{Fault, Response};
use crate::{Context, Env, Error};
use jeton_core::{Class, Failure, Json, Secret, UnixTime};

/// An access key, for a while or for good.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The key's name (`AKIA…`, `ASIA…`); no secret.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret,
    /// What goes with a temporary key.
    pub session_token: Option<Secret>,
    /// When it ends, where somebody said so.
    pub expires_at: Option<UnixTime>,
}

impl Credentials {
    /// The document that AWS' own tools read from a `credential_process` (AWS CLI user guide, "Sourcing credentials
    /// with an external process").
    #[must_use]
    pub fn process_document(&self) -> Secret {
        let mut document = Json::object([
            ("Version", Json::from(1_u64)),
            ("AccessKeyId", Json::from(self.access_key_id.as_str())),
            ("SecretAccessKey", Json::from(self.secret_access_key.reveal())),
        ]);
        if let Some(token) = &self.session_token {
            document.set("SessionToken", token.reveal());
        }
        if let Some(end) = self
            .expires_at
            .and_then(|end| jiff::Timestamp::from_second(end.seconds()).ok())
        {
            document.set("Expiration", end.to_string());
        }
        Secret::new(document.to_text())
    }
}

/// The places that credentials come from, in the order in which they are asked. The first that is here answers, and
/// its failure is the failure of all: another place would be another identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `AWS_ACCESS_KEY_ID` and its kin.
    Variables,
    /// `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`.
    WebIdentity,
    /// A container credentials endpoint, by the variable that names it.
    Container(&'static str),
    /// The instance's metadata service, by what says that this is one.
    Instance(String),
}

impl Place {
    /// The first place that is here.
    pub(super) fn first(env: &Env) -> Option<Self> {
        let variables = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        if variables.iter().any(|name| env.get(name).is_some()) {
            return Some(Self::Variables);
        }
        if env.get(super::TOKEN_FILE).is_some() {
            return Some(Self::WebIdentity);
        }
        container::named_by(env)
            .map(Self::Container)
            .or_else(|| imds::evidence(env).map(Self::Instance))
    }

    /// What says that it is here.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Variables => "AWS_ACCESS_KEY_ID is set".into(),
            Self::WebIdentity => format!("{} is set", super::TOKEN_FILE),
            Self::Container(variable) => format!("{variable} is set"),
            Self::Instance(evidence) => evidence.clone(),
        }
    }
}

/// The credentials that the first place that is here gives. Without any, an instance is assumed: only a caller who
/// named this source comes here then.
///
/// # Errors
/// [`Class::Config`] for half a set of variables, and whatever the place fails with.
pub async fn resolve(cx: &Context) -> Result<Credentials, Error> {
    match Place::first(&cx.env) {
        Some(Place::Variables) => variables(&cx.env),
        Some(Place::WebIdentity) => {
            let identity = WebIdentity::read(&cx.env).await?;
            sts::assume_role_with_web_identity(cx, region_set(&cx.env), &identity).await
        }
        Some(Place::Container(_)) => container::fetch(cx).await,
        Some(Place::Instance(_)) => imds::Imds::open(cx).await?.credentials().await,
        None if cx.env.is_true("AWS_EC2_METADATA_DISABLED") => Err(nowhere()),
        None => imds::Imds::open(cx).await?.credentials().await,
    }
}

fn nowhere() -> Error {
    Error::new(
        Class::NotFound,
        "aws: no credentials: no variable names any, and AWS_EC2_METADATA_DISABLED is set",
    )
}

/// The access key of the variables.
fn variables(env: &Env) -> Result<Credentials, Error> {
    let value = |name| {
        env.get(name).ok_or_else(|| {
            Error::new(Class::Config, format!("aws: {name} is not set"))
                .with_hint("set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither")
        })
    };
    Ok(Credentials {
        access_key_id: value("AWS_ACCESS_KEY_ID")?.trim().to_owned(),
        secret_access_key: Secret::new(value("AWS_SECRET_ACCESS_KEY")?.trim()),
        session_token: env
            .get("AWS_SESSION_TOKEN")
            .map(|token| Secret::new(token.trim())),
        expires_at: None,
    })
}

/// The region that a variable names.
pub(super) fn region_set(env: &Env) -> Option<&str> {
    env.get("AWS_REGION")
        .or_else(|| env.get("AWS_DEFAULT_REGION"))
        .map(str::trim)
}

/// The region: the variables', else the instance's own.
///
/// # Errors
/// [`Class::Config`] when nothing names one.
pub(super) async fn region(cx: &Context) -> Result<String, Error> {
    if let Some(region) = region_set(&cx.env) {
        return Ok(region.to_owned());
    }
    if imds::evidence(&cx.env).is_some() {
        return imds::Imds::open(cx).await?.region().await;
    }
    Err(Error::new(
        Class::Config,
        "aws: no region: the global STS endpoint signs no identity tokens",
    )
    .with_hint("set AWS_REGION"))
}

/// Reads the answer of a container's or an instance's endpoint: one shape, with `Token` and not `SessionToken`.
pub(super) fn read(response: &Response) -> Result<Credentials, Fault> {
    success(response)?;
    let json = answer::json(response)?;
    let text = |name: &str| {
        json.get(name)
            .and_then(|value| value.as_str())
            .filter(|text| !text.is_empty())
    };
    if let Some(code) = text("Code").filter(|code| *code != "Success") {
        let code = response.foreign(code);
        return Err(response.fault(Failure::Unexpected, format!("the credentials say Code {code}")));
    }
    Ok(Credentials {
        access_key_id: answer::secret_member(&json, "AccessKeyId")?.reveal().to_owned(),
        secret_access_key: answer::secret_member(&json, "SecretAccessKey")?,
        session_token: text("Token").map(Secret::new),
        expires_at: text("Expiration").and_then(super::time),
    })
}
