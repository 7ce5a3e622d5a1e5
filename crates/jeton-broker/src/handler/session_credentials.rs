//! What a session may read: through the paths of older clients, in their shapes, and whom of a shared session it is for.
use super::credentials::released;
use super::sessions::alive;
use crate::answer::Answer;
use crate::call::{Access, Call};
use crate::credential::Credential;
use crate::permission;
use crate::problem::Problem;
use crate::session::record::{self, Granted, Session};
use crate::shapes::shape;
use http::Method;
use jeton_core::access::{Object, Permission};
use jeton_core::json::{self, Json};
use serde_json::Value;

/// How a request names its user; the query says it as well.
const USER_FIELD: &str = "x-runner-current-user";
const USER_PARAMETER: &str = "user";
/// What MCP servers' credentials are called in a path.
const MCP: &str = "mcp";

/// The user that a request names, in whichever way.
fn named_user(call: &Call) -> Result<Option<String>, Problem> {
    let mut fields = call.headers.get_all(USER_FIELD).iter();
    let field = fields.next().map(|value| value.to_str().map(str::to_owned));
    let field = field
        .transpose()
        .map_err(|_| Problem::invalid("X-Runner-Current-User", "is no text"))?;
    if fields.next().is_some() {
        return Err(Problem::invalid("X-Runner-Current-User", "is there twice"));
    }
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    match (given(field), given(call.query(USER_PARAMETER)?)) {
        (Some(field), Some(query)) if field != query => Err(Problem::invalid(
            "user",
            "is not the one that X-Runner-Current-User names",
        )),
        (field, query) => Ok(field.or(query)),
    }
}

/// For whom a session's token asks: nobody in particular where it has one user, else the one who is named.
///
/// # Errors
/// 404 for a user who was not vouched for; 400 when a shared session's request names nobody.
fn user(session: &Session, named: Option<String>) -> Result<Option<String>, Problem> {
    match named {
        Some(user) if !session.has_user(&user) => Err(Problem::not_found()),
        None if session.is_shared() => Err(Problem::invalid("user", "is missing: the session is shared")),
        named => Ok(named.filter(|_| session.is_shared())),
    }
}

/// Whether a session's token may read this credential for the user that the request names. Other callers are none of
/// its business: their bindings were looked at.
///
/// # Errors
/// 404, 400.
pub(crate) async fn check(call: &Call, access: &Access, credential: &str) -> Result<(), Problem> {
    let Some(id) = &access.principal.session else {
        return Ok(());
    };
    let (store, keyring, now) = (&call.broker.store, &call.live.keyring, call.broker.now());
    let session = record::find(store, keyring, id)
        .await?
        .ok_or_else(Problem::not_found)?;
    let user = user(&session, named_user(call)?)?;
    let granted = record::grants(store, keyring, id, now).await?;
    let is_his = |granted: &Granted| granted.credential == credential && granted.user == user;
    if granted.iter().any(is_his) {
        Ok(())
    } else {
        Err(Problem::not_found())
    }
}

/// `…/agentic-sessions/{session}/credentials/{provider}`.
pub(crate) async fn read(call: &Call, access: &Access) -> Result<Answer, Problem> {
    answer(call, access, call.parameter("provider").to_owned()).await
}

/// `…/agentic-sessions/{session}/credentials/mcp/{name}`.
pub(crate) async fn read_mcp(call: &Call, access: &Access) -> Result<Answer, Problem> {
    answer(call, access, format!("{MCP}/{}", call.parameter("name"))).await
}

async fn answer(call: &Call, access: &Access, provider: String) -> Result<Answer, Problem> {
    let session = alive(call).await?;
    if session.project != call.parameter("project") {
        return Err(Problem::not_found());
    }
    let asker = asker(call, access, &session).await?;
    let (store, keyring, now) = (&call.broker.store, &call.live.keyring, call.broker.now());
    let granted = record::grants(store, keyring, &session.id, now).await?;
    let named = named_user(call)?;
    let user = match &asker {
        Asker::Session => user(&session, named)?,
        // Whether the session is shared is none of a stranger's business.
        Asker::Other => user(&session, named).map_err(|_| Problem::not_found())?,
        Asker::User(own) => {
            if named.is_some_and(|named| named != *own) {
                return Err(Problem::not_found());
            }
            Some(own.clone()).filter(|_| session.is_shared())
        }
    };
    let is_it = |granted: &&Granted| granted.provider == provider && granted.user == user;
    let granted = granted.iter().find(is_it).ok_or_else(Problem::not_found)?;
    let mut access = access.clone();
    access.object = Object::credential(granted.credential.as_str());
    access.rule = format!("session {} ({})", session.id, granted.binding);
    if matches!(asker, Asker::Other) {
        let fetch = Permission::new("credential", "fetch_token");
        let (who, object) = (access.principal.clone(), access.object.clone());
        access = permission::check(&call.broker, &call.live, who, fetch, object, &Method::GET).await?;
    }
    let found = Credential::find(store, &granted.credential, None).await?;
    let found = found.ok_or_else(Problem::not_found)?;
    let body = released(call, &access, &found, None).await?;
    let body = document(&body)?;
    Ok(Answer::ok(&shape(found.provider.name(), body)))
}

/// A token answer as a document of the core.
pub(super) fn document(body: &Value) -> Result<Json, Problem> {
    json::parse(body.to_string().as_bytes()).map_err(|error| Problem::internal(error.to_string()))
}

/// As whom somebody asks.
enum Asker {
    /// The session's own token.
    Session,
    /// One of its users, with a token of his own.
    User(String),
    /// Anybody else: his own roles decide.
    Other,
}

async fn asker(call: &Call, access: &Access, session: &Session) -> Result<Asker, Problem> {
    let who = &access.principal;
    if let Some(own) = &who.session {
        return if *own == session.id {
            Ok(Asker::Session)
        } else {
            Err(Problem::not_found())
        };
    }
    if !session.has_user(&who.subject) {
        return Ok(Asker::Other);
    }
    // A name says nothing without the issuer that knows it: the opener's own, or one whose user of this name is at
    // home in the project.
    if who.issuer == session.opener.0 {
        return Ok(Asker::User(who.subject.clone()));
    }
    let object = Object::session(
        session.project.as_str(),
        session.agent.as_str(),
        session.id.as_str(),
    );
    let read = Permission::new("session", "read");
    let known = permission::check(&call.broker, &call.live, who.clone(), read, object, &Method::GET).await;
    match known {
        Ok(_) => Ok(Asker::User(who.subject.clone())),
        Err(problem) if problem.status().is_server_error() => Err(problem),
        Err(_) => Ok(Asker::Other),
    }
}
