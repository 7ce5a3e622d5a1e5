//! Names of members that are met all the time: they are written once, here, and need no memory of their own in each
//! token. A name that is not listed works the same and costs an allocation.
use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use core::fmt;
use core::ops::Deref;
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// The name of a member.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Cow<'static, str>);

impl Name {
    /// The name, unescaped.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Name {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

macro_rules! listed {
    ($text:expr, $($name:literal)*) => {
        match $text {
            $($name => Cow::Borrowed($name),)*
            other => Cow::Owned(other.to_owned()),
        }
    };
}

/// Headers and registered claims (RFC 7515, RFC 7519, RFC 9068, OpenID Connect Core), and what GitHub, GitLab and
/// Kubernetes put into every token.
fn name(text: &str) -> Cow<'static, str> {
    listed!(text,
        "alg" "typ" "kid" "cty" "x5t"
        "iss" "sub" "aud" "exp" "nbf" "iat" "jti" "azp" "nonce" "scope" "client_id" "auth_time" "email" "email_verified"
        "actor" "actor_id" "base_ref" "check_run_id" "enterprise" "enterprise_id" "environment" "environment_node_id"
        "event_name" "head_ref" "job_workflow_ref" "job_workflow_sha" "ref" "ref_protected" "ref_type" "repository"
        "repository_id" "repository_owner" "repository_owner_id" "repository_visibility" "run_attempt" "run_id"
        "run_number" "runner_environment" "sha" "workflow" "workflow_ref" "workflow_sha"
        "namespace_id" "namespace_path" "project_id" "project_path" "user_id" "user_login" "user_email" "pipeline_id"
        "pipeline_source" "job_id" "runner_id" "ci_config_ref_uri" "ci_config_sha" "project_visibility" "ref_path"
        "environment_protected" "deployment_tier" "kubernetes.io"
    )
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AsName)
    }
}

struct AsName;

impl Visitor<'_> for AsName {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E>(self, text: &str) -> Result<Name, E> {
        Ok(Name(name(text)))
    }
}
