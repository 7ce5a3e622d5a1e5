//! An issuer's metadata (OpenID Connect Discovery 1.0, RFC 8414): fetched when a field of it is needed, retried, held
//! against the issuer's name byte for byte, kept within the bounds of its `Cache-Control`. A failure is never kept: the
//! next call asks again. Callers that come while it is being fetched share the answer, or the error.
use crate::cache::{Disk, Key};
use crate::fetch::success;
use crate::flight::{Call, Flight};
use crate::http::{DISCOVERY_BODY_CAP, Fault, Request, Response, checked_url};
use crate::keys::Freshness;
use crate::{Context, Error, answer};
use arc_swap::ArcSwapOption;
use futures_util::future::FutureExt;
use jeton_core::{Class, Failure, Json, Moment, UnixTime, json, redact};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// The way to one issuer's metadata. Cheap to clone; all clones share what is kept.
#[derive(Clone)]
pub struct Discovery(Arc<Inner>);

struct Inner {
    issuer: String,
    disk: Option<Disk>,
    kept: ArcSwapOption<Kept>,
    flight: Flight<Arc<Json>>,
}

struct Kept {
    document: Arc<Json>,
    freshness: Freshness,
}

/// A status that says that there is nothing at this place, so that the next one is asked.
const NOT_HERE: [u16; 4] = [400, 404, 405, 410];
/// The kind of document in cache keys.
const KIND: &str = "discovery-1";

impl Discovery {
    /// The metadata of this issuer; nothing is asked yet.
    #[must_use]
    pub fn new(issuer: impl Into<String>) -> Self {
        Self::kept_on(None, issuer)
    }

    /// The same, kept on disk too unless the issuer forbids it: other processes need not ask again.
    #[must_use]
    pub fn kept_on(disk: Option<Disk>, issuer: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            issuer: issuer.into(),
            disk,
            kept: ArcSwapOption::empty(),
            flight: Flight::default(),
        }))
    }

    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The whole document: kept, or fetched by one call for all who wait. While the issuer cannot be reached, what
    /// was fetched within a day is used on.
    ///
    /// # Errors
    /// `Class::Trust` when the document is another issuer's, and whatever the fetch fails with.
    pub async fn document(&self, cx: &Context) -> Result<Arc<Json>, Error> {
        let inner = &self.0;
        let now = cx.clock.now();
        let kept = inner.kept.load_full();
        if let Some(kept) = kept.as_ref().filter(|kept| kept.freshness.is_fresh(now)) {
            return Ok(Arc::clone(&kept.document));
        }
        if let Some(document) = inner.kept_on_disk(now) {
            return Ok(document);
        }
        let call: Call<_> = inner.flight.join(Duration::ZERO, || {
            let (this, cx) = (self.clone(), cx.clone());
            async move { this.0.fetch(&cx).await }.boxed()
        });
        match (call.await, kept) {
            (Err(error), Some(kept)) if error.is_transient() && kept.freshness.is_usable(now) => {
                let warning = format!("{error}; what was known of it before is used on");
                cx.observer.warning(&warning);
                Ok(Arc::clone(&kept.document))
            }
            (answer, _) => answer,
        }
    }

    /// A field that has to be there, as a text.
    ///
    /// # Errors
    /// As [`Discovery::document`]; `Class::Protocol` when it is not there.
    pub async fn required(&self, cx: &Context, name: &str) -> Result<String, Error> {
        self.optional(cx, name).await?.ok_or_else(|| {
            let message = format!("discovery of {}: the document names no {name}", self.0.issuer);
            Error::new(Class::Protocol, message)
                .with_hint("the issuer does not offer this; configure the endpoint, or use another grant")
        })
    }

    /// A field that may be missing, as a text.
    ///
    /// # Errors
    /// As [`Discovery::document`].
    pub async fn optional(&self, cx: &Context, name: &str) -> Result<Option<String>, Error> {
        let document = self.document(cx).await?;
        let text = document.get(name).and_then(Json::as_str);
        Ok(text.filter(|text| !text.is_empty()).map(str::to_owned))
    }

    /// A field that is a list of texts; empty when it is missing.
    ///
    /// # Errors
    /// As [`Discovery::document`].
    pub async fn list(&self, cx: &Context, name: &str) -> Result<Vec<String>, Error> {
        let document = self.document(cx).await?;
        let list = document.get(name).and_then(Json::as_array).unwrap_or_default();
        Ok(list.iter().filter_map(Json::as_str).map(str::to_owned).collect())
    }

    /// A field that is the address of something public, such as `jwks_uri`: a request to it never leads to a private
    /// address, unless the issuer itself is there.
    ///
    /// # Errors
    /// As [`Discovery::required`]; `Class::Trust` when it is no place to ask.
    pub async fn public(&self, cx: &Context, name: &str) -> Result<Request, Error> {
        let what = format!("discovery of {}", self.0.issuer);
        let text = self.required(cx, name).await?;
        let url =
            checked_url(&text, name).map_err(|error| Error::new(Class::Trust, format!("{what}: {error}")))?;
        Ok(Request::get(url).guarded_by(&checked_url(&self.0.issuer, &what)?))
    }
}

impl Inner {
    /// Asks each place until one has a document.
    async fn fetch(&self, cx: &Context) -> Result<Arc<Json>, Error> {
        let what = format!("discovery of {}", self.issuer);
        let issuer = checked_url(&self.issuer, &what)?;
        let mut last = None;
        for place in places(&issuer) {
            match self
                .fetch_from(cx, &what, Request::get(place).guarded_by(&issuer))
                .await
            {
                Err(error) if error.status().is_some_and(|s| NOT_HERE.contains(&s)) => {
                    last.get_or_insert(error);
                }
                other => return other,
            }
        }
        let error = last.unwrap_or_else(|| Error::new(Class::NotFound, what));
        Err(error.with_hint("is this the issuer's URL? It is the `iss` of its tokens, to the letter"))
    }

    async fn fetch_from(&self, cx: &Context, what: &str, request: Request) -> Result<Arc<Json>, Error> {
        let mut request = request.header("accept", "application/json");
        request.body_cap = DISCOVERY_BODY_CAP;
        let read = |response: &Response| {
            success(response)?;
            let document = own_document(&self.issuer, answer::json(response)?)?;
            Ok((Arc::new(document), Freshness::of(response)))
        };
        let (document, freshness) = cx.fetch(what, &request, read).await?;
        self.keep(&document, freshness);
        if let Some(disk) = self.disk.as_ref().filter(|_| freshness.may_store) {
            let body = stored(&document, &freshness).to_text();
            if let Err(why) = disk.write_document(&self.key(), body.as_bytes()) {
                disk.warn(cx.observer.as_ref(), &why);
            }
        }
        Ok(document)
    }

    fn keep(&self, document: &Arc<Json>, freshness: Freshness) {
        let document = Arc::clone(document);
        self.kept.store(Some(Arc::new(Kept { document, freshness })));
    }

    fn key(&self) -> Key {
        Key::of_document(KIND, &self.issuer)
    }

    /// What another process fetched, while it is fresh; checked as if it had just come.
    fn kept_on_disk(&self, now: Moment) -> Option<Arc<Json>> {
        let body = self.disk.as_ref()?.read_document(&self.key())?;
        let (document, freshness) = restored(json::parse(&body).ok()?)?;
        if !freshness.is_fresh(now) {
            return None;
        }
        let document = Arc::new(own_document(&self.issuer, document).ok()?);
        self.keep(&document, freshness);
        Some(document)
    }
}

/// Where the document may be, the usual place first: appended (OpenID Connect Discovery section 4), then put between
/// host and path (RFC 8414 sections 3 and 5).
fn places(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/').to_owned();
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url
    };
    let mut places = vec![
        at(format!("{path}/.well-known/openid-configuration")),
        at(format!("/.well-known/oauth-authorization-server{path}")),
    ];
    if !path.is_empty() {
        places.push(at(format!("/.well-known/openid-configuration{path}")));
    }
    places
}

/// The document with what is known of its age.
fn stored(document: &Json, freshness: &Freshness) -> Json {
    let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Json::object([
        ("wall_ms", Json::from(freshness.fetched.wall.millis())),
        ("uptime_ms", Json::from(millis(freshness.fetched.uptime))),
        ("life_ms", Json::from(millis(freshness.life))),
        ("document", document.clone()),
    ])
}

fn restored(mut stored: Json) -> Option<(Json, Freshness)> {
    let span = |name| Some(Duration::from_millis(stored.get(name)?.as_u64()?));
    let freshness = Freshness {
        fetched: Moment {
            wall: UnixTime::from_millis(stored.get("wall_ms")?.as_i64()?),
            uptime: span("uptime_ms")?,
        },
        life: span("life_ms")?,
        may_store: true,
    };
    Some((stored.take("document")?, freshness))
}

/// Takes a document, if it is this issuer's.
pub(crate) fn own_document(issuer: &str, document: Json) -> Result<Json, Fault> {
    let wrong = |what: String| {
        Err(Fault::new(Failure::IssuerMismatch, what)
            .with_hint("write the issuer exactly as its own document does, slash for slash"))
    };
    match document.get("issuer").and_then(Json::as_str) {
        Some(found) if found == issuer => Ok(document),
        Some(other) => {
            let other = redact::foreign(other, &[]);
            wrong(format!("the document is of another issuer, {other}"))
        }
        None => wrong("the document names no issuer".to_owned()),
    }
}

#[cfg(test)]
mod tests;
