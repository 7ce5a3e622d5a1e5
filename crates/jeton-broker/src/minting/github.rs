//! A GitHub App's installation token (GitHub REST API, "Create an installation access token for an app").
//!
//! The app proves itself with a JWT of RS256 that may live ten minutes at most; the token that comes lives an hour.
use super::{Minted, below, member};
use jeton::http::{Fault, Request, Response};
use jeton::{Class, Context, Error, answer};
use jeton_core::json::Json;
use jeton_core::{Algorithm, Failure, Secret, SigningKey, UnixTime};
use std::time::Duration;
use url::Url;

/// Where the API is when the credential names no other.
pub const API: &str = "https://api.github.com";
/// The media type and the version of the API that this was written for.
const MEDIA_TYPE: &str = "application/vnd.github+json";
const API_VERSION: &str = "2022-11-28";
/// How far in the past the app's token begins, as GitHub's manual advises for clocks that differ.
const BACK: Duration = Duration::from_secs(60);
/// How far in the future it ends: with the minute before, nine of the ten minutes that are allowed.
const AHEAD: Duration = Duration::from_secs(8 * 60);

/// An app, at one installation.
pub struct App {
    id: String,
    installation: String,
    key: SigningKey,
}

impl App {
    /// Reads `{"app_id","installation_id","private_key"}`.
    ///
    /// # Errors
    /// `Class::Config`, naming the member.
    pub fn read(secret: &Json) -> Result<Self, Error> {
        let pem = Secret::new(member(secret, "private_key")?);
        let key = SigningKey::from_pem(pem.reveal(), Some(Algorithm::Rs256))
            .map_err(|why| Error::new(Class::Config, format!("secret.private_key: {why}")))?;
        let installation = member(secret, "installation_id")?;
        // It becomes a part of a path.
        if !installation
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            return Err(Error::new(Class::Config, "secret.installation_id: is no id"));
        }
        Ok(Self {
            id: member(secret, "app_id")?,
            installation,
            key,
        })
    }

    /// The app's own token.
    fn proof(&self, now: UnixTime) -> Result<Secret, Error> {
        let claims = Json::object([
            ("iat", Json::from(now.minus(BACK).seconds())),
            ("exp", Json::from(now.plus(AHEAD).seconds())),
            ("iss", Json::from(self.id.as_str())),
        ]);
        let signed = self.key.sign(&claims);
        signed
            .map(Secret::new)
            .map_err(|why| Error::new(Class::Other, format!("github: {why}")))
    }

    /// Asks for a token of the installation.
    ///
    /// # Errors
    /// What the fetch loop fails with; `Class::Protocol` for an answer that is none.
    pub async fn mint(&self, cx: &Context, api: &Url) -> Result<Minted, Error> {
        let url = below(
            api,
            &format!("/app/installations/{}/access_tokens", self.installation),
        )?;
        let make = |_| {
            let request = Request::json(url.clone(), "{}".to_owned())
                .header("accept", MEDIA_TYPE)
                .header("x-github-api-version", API_VERSION)
                .header("user-agent", "jeton");
            Ok(request.bearer(&self.proof(cx.clock.now().wall)?))
        };
        cx.fetch_anew("github: installation token", make, read).await
    }
}

fn read(response: &Response) -> Result<Minted, Fault> {
    if response.status != 201 {
        answer::success(response)?;
    }
    let body = answer::json(response)?;
    let token = answer::secret_member(&body, "token")?;
    let ends = body.get("expires_at").and_then(Json::as_str);
    let ends = ends.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let ends =
        ends.ok_or_else(|| Fault::new(Failure::Unexpected, "the answer's \"expires_at\" is no time"))?;
    Ok(Minted::new(
        token,
        Some(UnixTime::from_millis(ends.as_millisecond())),
    ))
}
