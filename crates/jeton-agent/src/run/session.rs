//! A session of the broker: opened with what it resolves to, renewed while the program runs, ended with it.
use super::api::below;
use super::bearer::Minted;
use super::provider::{Provider, Wanted};
use jeton::http::{Fault, Request, Response, Url};
use jeton::{Context, Error, Jeton, Secret, TokenRequest, UnixTime, answer};
use jeton_core::{Class, Failure, Json, redact};
use serde_json::json;

/// The path of sessions.
const SESSIONS: &str = "sessions";

/// For whom a session is opened.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// The project's id.
    pub project: String,
    /// The agent's id.
    pub agent: String,
    /// The user it is for.
    pub user: Option<String>,
    /// The providers that are wanted; none named: all that resolve.
    pub providers: Vec<String>,
}

/// An open session: where it is, and who may renew it.
pub struct Session {
    base: Url,
    id: String,
    identity: Option<Identity>,
    user: Option<String>,
}

/// The identity that opens sessions.
#[derive(Clone)]
pub struct Identity {
    /// Where its tokens come from.
    pub jeton: Jeton,
    /// Which token the broker wants.
    pub request: TokenRequest,
}

impl Identity {
    async fn token(&self) -> Result<Secret, Error> {
        Ok(self.jeton.token(&self.request).await?.value)
    }
}

/// What a session was opened with.
#[derive(Default)]
pub struct Contents {
    /// Its own token, where it was answered.
    pub token: Option<Minted>,
    /// What it may read.
    pub credentials: Vec<Wanted>,
    /// What it was not granted, and why.
    pub unavailable: Vec<(String, String)>,
}

impl Session {
    /// A session that is open already.
    #[must_use]
    pub const fn known(base: Url, id: String, identity: Option<Identity>, user: Option<String>) -> Self {
        Self {
            base,
            id,
            identity,
            user,
        }
    }

    /// Opens one.
    ///
    /// # Errors
    /// The identity's, and the broker's.
    pub async fn open(
        cx: &Context,
        base: Url,
        identity: Identity,
        opening: &Opening,
    ) -> Result<(Self, Contents), Error> {
        let user = opening.user.clone();
        let mut body = json!({ "project": opening.project, "agent": opening.agent });
        if let Some(user) = &user {
            body["user"] = json!(user);
        }
        if !opening.providers.is_empty() {
            body["providers"] = json!(opening.providers);
        }
        let token = identity.token().await?;
        let mut request = Request::json(below(&base, &[SESSIONS])?, body.to_string()).bearer(&token);
        // A session that was opened twice would live on without us.
        request.repeatable = false;
        let (id, contents) = cx
            .fetch("session", &request, |response| {
                let json = whole(response)?;
                let id = json.get("id").and_then(Json::as_str).unwrap_or_default();
                if id.is_empty() {
                    return Err(response.fault(Failure::Unexpected, "the answer has no \"id\""));
                }
                Ok((id.to_owned(), contents(&json, user.as_deref())))
            })
            .await?;
        Ok((Self::known(base, id, Some(identity), user), contents))
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it may read, by its own word.
    ///
    /// # Errors
    /// The broker's.
    pub async fn contents(&self, cx: &Context, bearer: &Secret) -> Result<Contents, Error> {
        let request = Request::get(below(&self.base, &[SESSIONS, &self.id])?).bearer(bearer);
        let user = self.user.as_deref();
        cx.fetch("session", &request, |response| {
            Ok(contents(&whole(response)?, user))
        })
        .await
    }

    /// Its own token: renewed with itself while it lives, else by the identity that opened it.
    ///
    /// # Errors
    /// The broker's; `Class::NotFound` when there is neither.
    pub async fn token(&self, cx: &Context, alive: Option<&Secret>) -> Result<Minted, Error> {
        let mut refused = None;
        if let Some(alive) = alive {
            match self.renewed(cx, alive).await {
                Err(e) if e.kind() == Class::Refused => refused = Some(e),
                other => return other,
            }
        }
        let identity = match &self.identity {
            Some(identity) => identity.token().await,
            None => Err(Error::new(
                Class::NotFound,
                "there is no token of the session, and no identity to get one",
            )),
        };
        match (identity, refused) {
            (Ok(identity), _) => self.renewed(cx, &identity).await,
            // That there is no identity to try says less than that the session was refused.
            (Err(_), Some(refused)) => Err(refused),
            (Err(e), None) => Err(e),
        }
    }

    async fn renewed(&self, cx: &Context, bearer: &Secret) -> Result<Minted, Error> {
        let url = below(&self.base, &[SESSIONS, &self.id, "token"])?;
        let request = Request::json(url, "{}".to_owned()).bearer(bearer);
        cx.fetch("session token", &request, |response| {
            let json = whole(response)?;
            answer::secret_member(&json, "token")?;
            minted(&json).ok_or_else(|| response.fault(Failure::Unexpected, "the answer has no token in it"))
        })
        .await
    }

    /// Ends it: its token and its grants are dead then.
    ///
    /// # Errors
    /// The broker's. That it has ended already is none.
    pub async fn end(&self, cx: &Context, own: Option<Secret>) -> Result<(), Error> {
        let bearer = match &self.identity {
            Some(identity) => identity.token().await.ok(),
            None => None,
        };
        let bearer = bearer
            .or(own)
            .ok_or_else(|| Error::new(Class::NotFound, "there is no token to end the session with"))?;
        let url = below(&self.base, &[SESSIONS, &self.id])?;
        let request = Request::new(http::Method::DELETE, url).bearer(&bearer);
        cx.fetch("session", &request, |response| match response.status {
            404 | 410 => Ok(()),
            _ => success(response),
        })
        .await
    }
}

/// Any success.
fn success(response: &Response) -> Result<(), Fault> {
    match response.status {
        200..=202 | 204 => Ok(()),
        _ => answer::success(response),
    }
}

fn whole(response: &Response) -> Result<Json, Fault> {
    success(response)?;
    answer::json(response)
}

fn minted(json: &Json) -> Option<Minted> {
    let value = json.get("token")?.as_str().filter(|text| !text.is_empty())?;
    let ends = json.get("expires_at").and_then(Json::as_str);
    let ends = ends.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    Some(Minted {
        value: Secret::new(value),
        ends: ends.map(|at| UnixTime::from_seconds(at.as_second())),
    })
}

/// What an answer says of a session, as far as it is for `user`.
fn contents(json: &Json, user: Option<&str>) -> Contents {
    let list = |name: &str| json.get(name).and_then(Json::as_array).unwrap_or_default();
    let text = |item: &Json, name: &str| item.get(name).and_then(Json::as_str).map(str::to_owned);
    let mut found = Contents {
        token: minted(json),
        ..Contents::default()
    };
    for item in list("credentials") {
        let provider = text(item, "provider").unwrap_or_default();
        let of = text(item, "user");
        if of.is_some() && user.is_some() && of.as_deref() != user {
            continue;
        }
        if of.is_some() && user.is_none() {
            let why = "it is one user's of a shared session: say whose with --user".to_owned();
            found.unavailable.push((redact::foreign(&provider, &[]), why));
            continue;
        }
        match Provider::named(&provider) {
            Some(known) => found.credentials.push(Wanted {
                id: text(item, "id").or_else(|| text(item, "credential_id")),
                name: text(item, "name").filter(|_| known == Provider::Mcp),
                ..Wanted::new(known)
            }),
            None => found.unavailable.push((
                redact::foreign(&provider, &[]),
                "this provider is not known here".to_owned(),
            )),
        }
    }
    for item in list("unavailable") {
        let provider = text(item, "provider").unwrap_or_default();
        let reason = text(item, "reason").unwrap_or_default();
        let of = text(item, "user");
        if of.is_some() && of.as_deref() != user {
            continue;
        }
        found
            .unavailable
            .push((redact::foreign(&provider, &[]), redact::foreign(&reason, &[])));
    }
    found
}
