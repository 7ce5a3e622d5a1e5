//! An issuer's metadata, asked for when a field of it is needed (OpenID Connect Discovery 1.0, RFC 8414).
//!
//! The document's `issuer` must be the one that was asked, byte for byte; anything else is refused at once. A good
//! document is kept in memory within the bounds of its `Cache-Control`; a failure is never remembered. Callers that
//! come while it is being fetched share the answer, or the error.
use crate::http::{DISCOVERY_BODY_CAP, Fault, Request, Response, checked_url};
use crate::together::Together;
use crate::{Context, Error, answer};
use jeton_core::{Class, Failure, Json, Moment, redact};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::Url;

/// What is kept at least and at most, whatever `Cache-Control` says.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3600);
/// What is kept when nothing is said.
const UNSAID: Duration = Duration::from_secs(300);

/// One issuer's metadata.
pub struct Discovery {
    issuer: String,
    kept: Mutex<Option<Kept>>,
    flight: Together<Arc<Json>, Error>,
}

struct Kept {
    document: Arc<Json>,
    fetched: Moment,
    life: Duration,
}

impl Discovery {
    /// The metadata of this issuer; nothing is asked yet.
    #[must_use]
    pub fn new(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            kept: Mutex::default(),
            flight: Together::default(),
        }
    }

    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The whole document.
    ///
    /// # Errors
    /// What the fetch failed with; `Class::Trust` when the document is another issuer's.
    pub async fn document(&self, cx: &Context) -> Result<Arc<Json>, Error> {
        if let Some(document) = self.kept(cx.clock.now()) {
            return Ok(document);
        }
        self.flight.run(self.fetch(cx)).await
    }

    /// A field that has to be there, as a text.
    ///
    /// # Errors
    /// As [`Discovery::document`]; `Class::Protocol` when it is not there.
    pub async fn required(&self, cx: &Context, name: &str) -> Result<String, Error> {
        self.optional(cx, name).await?.ok_or_else(|| {
            Error::new(
                Class::Protocol,
                format!("discovery of {}: the document names no {name}", self.issuer),
            )
            .with_hint("the issuer does not offer this; configure the endpoint, or use another grant")
        })
    }

    /// A field that may be missing, as a text.
    ///
    /// # Errors
    /// As [`Discovery::document`].
    pub async fn optional(&self, cx: &Context, name: &str) -> Result<Option<String>, Error> {
        let document = self.document(cx).await?;
        Ok(document
            .get(name)
            .and_then(Json::as_str)
            .filter(|text| !text.is_empty())
            .map(ToOwned::to_owned))
    }

    /// A field that is a list of texts; empty when it is missing.
    ///
    /// # Errors
    /// As [`Discovery::document`].
    pub async fn list(&self, cx: &Context, name: &str) -> Result<Vec<String>, Error> {
        let document = self.document(cx).await?;
        let list = document.get(name).and_then(Json::as_array).unwrap_or_default();
        Ok(list
            .iter()
            .filter_map(Json::as_str)
            .map(ToOwned::to_owned)
            .collect())
    }

    fn kept(&self, now: Moment) -> Option<Arc<Json>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref()
            .filter(|k| now.since(k.fetched) < k.life)
            .map(|k| Arc::clone(&k.document))
    }

    /// OpenID Connect's place first; RFC 8414's where there is none.
    async fn fetch(&self, cx: &Context) -> Result<Arc<Json>, Error> {
        let what = format!("discovery of {}", self.issuer);
        let issuer = checked_url(&self.issuer, &what)?;
        let first = self.ask(cx, &what, &issuer, openid_location(&self.issuer)).await;
        match first {
            Err(e) if e.status() == Some(404) => {
                let second = self.ask(cx, &what, &issuer, oauth_location(&issuer)).await;
                second.map_err(|second| if second.status() == Some(404) { e } else { second })
            }
            other => other,
        }
    }

    async fn ask(
        &self,
        cx: &Context,
        what: &str,
        issuer: &Url,
        location: String,
    ) -> Result<Arc<Json>, Error> {
        let mut request = Request::get(checked_url(&location, what)?).guarded_by(issuer);
        request.body_cap = DISCOVERY_BODY_CAP;
        let request = request.header("accept", "application/json");
        let (document, life) = cx.fetch(what, &request, |response| self.read(response)).await?;
        let document = Arc::new(document);
        let kept = Kept {
            document: Arc::clone(&document),
            fetched: cx.clock.now(),
            life,
        };
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(document)
    }

    fn read(&self, response: &Response) -> Result<(Json, Duration), Fault> {
        answer::success(response)?;
        let document = answer::json(response)?;
        match document.get("issuer").and_then(Json::as_str) {
            Some(issuer) if issuer == self.issuer => Ok((document, life_of(response))),
            Some(other) => {
                let other = redact::foreign(other, &[]);
                Err(Fault::new(
                    Failure::IssuerMismatch,
                    format!("the document is of another issuer, {other}"),
                )
                .with_hint("write the issuer exactly as its own document does, slash for slash"))
            }
            None => Err(Fault::new(
                Failure::IssuerMismatch,
                "the document names no issuer",
            )),
        }
    }
}

/// OpenID Connect Discovery section 4: appended, after a slash at the end is taken off.
fn openid_location(issuer: &str) -> String {
    format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    )
}

/// RFC 8414 section 3.1: put between the host and the path.
fn oauth_location(issuer: &Url) -> String {
    let path = issuer.path().trim_end_matches('/');
    let mut url = issuer.clone();
    url.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
    url.to_string()
}

/// How long an answer may be kept: `max-age`, within bounds; `no-store` and `no-cache` mean as short as can be.
pub(crate) fn life_of(response: &Response) -> Duration {
    let fields = response
        .headers
        .get_all("cache-control")
        .iter()
        .filter_map(|v| v.to_str().ok());
    let directives: Vec<String> = fields
        .flat_map(|v| v.split(','))
        .map(|d| d.trim().to_ascii_lowercase())
        .collect();
    if directives.iter().any(|d| d == "no-store" || d == "no-cache") {
        return SHORTEST;
    }
    let seconds = directives
        .iter()
        .find_map(|d| d.strip_prefix("max-age=")?.trim_matches('"').parse().ok());
    seconds
        .map_or(UNSAID, Duration::from_secs)
        .clamp(SHORTEST, LONGEST)
}
