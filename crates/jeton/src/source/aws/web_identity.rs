//! The web identity token that EKS and others put into a file: an identity token already, and a role's key.
use crate::source::file::TokenFile;
use crate::{Env, Error};
use jeton_core::{Class, Secret};

/// What names a session in CloudTrail when `AWS_ROLE_SESSION_NAME` does not.
const SESSION_NAME: &str = "jeton";

/// A token and the role that it opens.
#[derive(Clone, Debug)]
pub struct WebIdentity {
    /// The role (`arn:aws:iam::111122223333:role/deploy`).
    pub role_arn: String,
    /// What the session is called in CloudTrail: 2 to 64 characters of `[\w+=,.@-]`.
    pub session_name: String,
    /// The OpenID Connect token.
    pub token: Secret,
}

impl WebIdentity {
    /// What `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN` and `AWS_ROLE_SESSION_NAME` say, the file read now.
    ///
    /// # Errors
    /// [`Class::Config`] when one of them is missing; a file's own errors.
    pub async fn read(env: &Env) -> Result<Self, Error> {
        let role_arn = env.get("AWS_ROLE_ARN").ok_or_else(|| {
            Error::new(
                Class::Config,
                "aws: AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not",
            )
            .with_hint(
                "set AWS_ROLE_ARN to the role that trusts the token, or ask for the token's own audience",
            )
        })?;
        let file = file(env)
            .ok_or_else(|| Error::new(Class::Config, "aws: AWS_WEB_IDENTITY_TOKEN_FILE is not set"))?;
        Ok(Self {
            role_arn: role_arn.trim().to_owned(),
            session_name: env
                .get("AWS_ROLE_SESSION_NAME")
                .unwrap_or(SESSION_NAME)
                .trim()
                .to_owned(),
            token: file.read().await?,
        })
    }
}

/// The file, where the variable names one. The kubelet replaces it while programs run.
pub(super) fn file(env: &Env) -> Option<TokenFile> {
    let path = env.get(super::TOKEN_FILE)?;
    Some(TokenFile::of_platform(path, super::TOKEN_FILE).replaced())
}
