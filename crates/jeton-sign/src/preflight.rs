//! Before a build is wasted: whether an instance would take an identity, and whether its services answer. Nothing of it
//! leaves a trace in any log.
use crate::fulcio::{self, parsed};
use crate::identity::Identity;
use crate::services::{LogVersion, Services, below};
use crate::{rekor, timestamp};
use jeton::fetch::success;
use jeton::http::Request;
use jeton::{Class, Context, Error, Token};
use jeton_core::{Claims, redact};
use serde::Deserialize;
use sigstore_types::SignatureBytes;

/// What a certificate authority says of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It takes identities of this issuer, and this one has what they need.
    Accepted,
    /// It does not say whom it takes.
    Unknown,
    /// It would refuse.
    Refused {
        /// Why.
        why: String,
        /// What to do about it.
        mend: String,
    },
}

/// The issuers that a certificate authority takes (Fulcio's `/api/v2/configuration`).
#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    issuers: Vec<Accepted>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    issuer_url: Option<String>,
    wildcard_issuer_url: Option<String>,
    #[serde(default)]
    audience: String,
    #[serde(default)]
    challenge_claim: String,
}

/// Statuses that say that there is no such page.
const NO_SUCH_PAGE: [u16; 3] = [404, 405, 501];

/// Asks the certificate authority whom it takes, and holds a token against that.
///
/// # Errors
/// As [`Context::fetch`]; `Class::Token` for a token without an identity.
pub async fn acceptance(cx: &Context, services: &Services, token: &Token) -> Result<Acceptance, Error> {
    let request = Request::get(below(&services.fulcio, "api/v2/configuration")?);
    let said = cx.fetch(fulcio::WHAT, &request, |response| {
        if NO_SUCH_PAGE.contains(&response.status) {
            return Ok(None);
        }
        success(response)?;
        parsed::<Configuration>(response).map(Some)
    });
    let identity = Identity::of(token)?;
    let claims = crate::identity::claims(token)?;
    Ok(match said.await? {
        None => Acceptance::Unknown,
        Some(said) => said.judge(&identity, &claims),
    })
}

impl Configuration {
    fn judge(&self, identity: &Identity, claims: &Claims) -> Acceptance {
        let refused = |why: String, mend: &str| Acceptance::Refused {
            why,
            mend: mend.to_owned(),
        };
        let issuer = redact::foreign(&identity.issuer, &[]);
        let Some(accepted) = self.issuers.iter().find(|accepted| accepted.is(&identity.issuer)) else {
            let why = format!("it takes no identities of {issuer}");
            return refused(
                why,
                "sign with an identity of an issuer that it lists, or have this one added",
            );
        };
        if !accepted.audience.is_empty() && !claims.audience().any(|audience| audience == accepted.audience) {
            let wanted = redact::foreign(&accepted.audience, &[]);
            let why = format!("it wants tokens for the audience {wanted}");
            return refused(why, "name it with --audience");
        }
        if accepted.challenge_claim == "email" && Some(identity.name.as_str()) != claims.text("email") {
            let why = "it wants an address that the issuer has verified, and the token has none".to_owned();
            return refused(
                why,
                "ask for the scope `email`, and verify the address at the issuer",
            );
        }
        Acceptance::Accepted
    }
}

impl Accepted {
    fn is(&self, issuer: &str) -> bool {
        let wildcard = |pattern: &String| covers(pattern, issuer);
        self.issuer_url.as_deref() == Some(issuer) || self.wildcard_issuer_url.as_ref().is_some_and(wildcard)
    }
}

/// Whether a pattern of Fulcio's covers an issuer: a star is one or more of letters, digits, `-` and `_`.
fn covers(pattern: &str, issuer: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == issuer,
        Some((start, rest)) => issuer.strip_prefix(start).is_some_and(|issuer| {
            let run = issuer
                .bytes()
                .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
            (1..=run.count()).any(|length| covers(rest, &issuer[length..]))
        }),
    }
}

/// Asks the log how it is.
///
/// # Errors
/// As [`Context::fetch`].
pub async fn log_answers(cx: &Context, services: &Services) -> Result<(), Error> {
    let path = match services.log_version {
        LogVersion::V1 => "api/v1/log",
        LogVersion::V2 => "api/v2/checkpoint",
    };
    let request = Request::get(below(&services.rekor, path)?);
    cx.fetch(rekor::WHAT, &request, |response| match response.status {
        status if NO_SUCH_PAGE.contains(&status) => Ok(()),
        _ => success(response),
    })
    .await
}

/// Has the timestamp authority stamp something that means nothing.
///
/// # Errors
/// As [`Context::fetch`]; `Class::NotFound` when there is none.
pub async fn authority_stamps(cx: &Context, services: &Services) -> Result<(), Error> {
    let authority = services.timestamp.as_ref();
    let authority =
        authority.ok_or_else(|| Error::new(Class::NotFound, "no timestamp authority was named"))?;
    let nothing = SignatureBytes::from_bytes(b"nothing was signed");
    timestamp::stamp(cx, authority, &nothing).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_label_and_the_pattern_covers_the_whole_issuer() {
        let pattern = "https://oidc.eks.*.amazonaws.com/id/*";
        let rows = [
            (pattern, "https://oidc.eks.eu-1.amazonaws.com/id/ABC", true),
            (pattern, "https://oidc.eks..amazonaws.com/id/ABC", false),
            (
                pattern,
                "https://oidc.eks.a.evil.com/x.amazonaws.com/id/ABC",
                false,
            ),
            (pattern, "https://oidc.eks.a.amazonaws.com/id/ABC/x", false),
            (pattern, "https://oidc.eks.a.amazonaws.com/id/", false),
            ("https://a", "https://a", true),
            ("https://a", "https://ab", false),
        ];
        for (pattern, issuer, expected) in rows {
            assert_eq!(covers(pattern, issuer), expected, "{pattern} {issuer}");
        }
    }
}
