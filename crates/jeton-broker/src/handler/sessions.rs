//! Sessions: opened, renewed, ended. Who may see none is told that there is none; one that is over is none.
use crate::answer::{Answer, time};
use crate::binding::{self, BY_SESSION, Bound};
use crate::call::{Access, Call};
use crate::permission;
use crate::problem::Problem;
use crate::provider::Provider;
use crate::session::opening::Opening;
use crate::session::record::{self, Granted, Session};
use crate::session::resolution::{Known, Owner, Unavailable};
use crate::session::{TOKEN_LIFE, lease_end, subject_of};
use crate::store::{Arg, Row, StoreError, Tx};
use http::{Method, StatusCode};
use jeton_core::access::{Attachment, Level, Object, Permission, Role, Scope, decide};
use jeton_core::{Json, Secret, UnixTime};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;

/// What is attached to the agent `$1`, the project `$2`, or everywhere.
const ATTACHED: &str = "b.scope = 'credential' AND b.role = 'credential:viewer' AND b.subject IS NULL \
                        AND b.trust_policy IS NULL AND (b.agent_id = $1 OR (b.agent_id IS NULL \
                        AND (b.project_id = $2 OR b.project_id IS NULL)))";

pub(crate) async fn open(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let asked = Opening::read(&call.body, |name| Provider::named(name).is_some())?;
    may_open(call, access, &asked).await?;
    let now = call.broker.now();
    let session = Session {
        id: call.broker.fresh_id()?,
        project: asked.project.clone(),
        agent: asked.agent.clone(),
        user: asked.user.clone().or_else(|| {
            let himself = asked.users.is_empty();
            himself.then(|| access.principal.subject.clone())
        }),
        users: asked.users.clone(),
        opener: (access.principal.issuer.clone(), access.principal.subject.clone()),
        created_at: now,
        lease_until: lease_end(now),
        ended_at: None,
    };
    let mut tx = call.broker.store.begin().await?;
    let known = known(call, &mut tx, &session).await?;
    let (wanted, unavailable) = known.grants(&session.users, asked.providers.as_deref());
    session.insert(&mut tx, &call.live.keyring).await?;
    let mut bindings: BTreeMap<String, String> = BTreeMap::new();
    let mut granted = Vec::new();
    for grant in wanted {
        let binding = match bindings.get(&grant.credential) {
            Some(binding) => binding.clone(),
            None => {
                let binding = bind(call, &mut tx, &session.id, &grant.credential).await?;
                bindings.insert(grant.credential.clone(), binding.clone());
                binding
            }
        };
        let grant = Granted {
            user: grant.user,
            provider: grant.provider,
            credential: grant.credential,
            binding,
        };
        grant.insert(&mut tx, &session.id, &call.live.keyring).await?;
        granted.push(grant);
    }
    let token = sign(call, &session, now)?;
    let record = call
        .record("session.open", "allow", &access.principal)
        .with("session", session.id.as_str())
        .with("project", session.project.as_str())
        .with("agent", session.agent.as_str())
        .with("user", session.user.clone())
        .with(
            "users",
            Some(session.users.clone()).filter(|users| !users.is_empty()),
        )
        .with("credentials", credentials(&granted))
        .issued(token.reveal());
    call.note(&mut tx, record).await?;
    tx.commit().await?;
    let mut body = json!({
        "kind": "Session",
        "id": session.id,
        "project": session.project,
        "agent": session.agent,
        "token": token.reveal(),
        "expires_at": time(now.plus(TOKEN_LIFE)),
        "credentials": credentials(&granted),
        "unavailable": unavailable.iter().map(missing).collect::<Vec<_>>(),
    });
    whose(&session, &mut body);
    Ok(Answer::json(StatusCode::CREATED, &body))
}

/// Who sees the project and may not open sessions in it is told so; everybody else that there is nothing.
async fn may_open(call: &Call, access: &Access, asked: &Opening) -> Result<(), Problem> {
    let object = Object::agent(asked.project.as_str(), asked.agent.as_str());
    let bindings = permission::bindings(&call.broker, &call.live, &access.principal, &object).await?;
    let may = |kind, verb| decide(&bindings, Permission::new(kind, verb), &object).is_allow();
    if !may("session", "create") {
        return Err(if may("project", "read") {
            Problem::forbidden("session:create is needed there")
        } else {
            Problem::not_found()
        });
    }
    let sql = "SELECT id FROM agents WHERE id = $1 AND project_id = $2";
    let args = vec![(&asked.agent).into(), (&asked.project).into()];
    let row = call.broker.store.row(sql, args).await?;
    row.map(drop).ok_or_else(Problem::not_found)
}

async fn known(call: &Call, tx: &mut Tx, session: &Session) -> Result<Known, Problem> {
    let places = || -> Vec<Arg> { vec![(&session.agent).into(), (&session.project).into()] };
    let columns = binding::COLUMNS;
    let sql = AssertSqlSafe(format!(
        "SELECT {columns}, c.provider, c.name FROM role_bindings b JOIN credentials c ON c.id = b.credential_id \
         WHERE {ATTACHED}"
    ));
    let mut known = Known {
        issuer: session.opener.0.clone(),
        ..Known::default()
    };
    for row in tx.rows(sql, places()).await? {
        known.attachments.extend(attachment(call, &row)?);
    }
    // Whose they are matters only where several ask.
    if session.is_shared() {
        let sql = AssertSqlSafe(format!(
            "SELECT {columns} FROM role_bindings b WHERE b.role = 'credential:owner' AND b.scope = 'credential' \
             AND b.credential_id IN (SELECT b.credential_id FROM role_bindings b WHERE {ATTACHED})"
        ));
        for row in tx.rows(sql, places()).await? {
            let bound = Bound::read(&row, &call.live.keyring)?;
            let Some((credential, (issuer, subject))) = bound.and_then(|b| b.credential.zip(b.principal))
            else {
                continue;
            };
            known
                .owners
                .entry(credential)
                .or_default()
                .push(Owner { issuer, subject });
        }
    }
    Ok(known)
}

/// An attachment, out of a row of a binding with its credential's provider and name.
fn attachment(call: &Call, row: &Row) -> Result<Option<Attachment>, StoreError> {
    let Some(bound) = Bound::read(row, &call.live.keyring)? else {
        return Ok(None);
    };
    let (provider, name) = (row.text(13)?, row.text(14)?);
    let level = match (&bound.agent, &bound.project) {
        (Some(_), _) => Level::Agent,
        (None, Some(_)) => Level::Project,
        (None, None) => Level::Global,
    };
    Ok(bound.credential.map(|credential| Attachment {
        binding: bound.id,
        credential,
        provider: if provider == "mcp" {
            format!("mcp/{name}")
        } else {
            provider
        },
        level,
        created: bound.created,
    }))
}

/// Lets the session's own principal read a credential, until its end.
async fn bind(call: &Call, tx: &mut Tx, session: &str, credential: &str) -> Result<String, Problem> {
    let bound = Bound {
        id: call.broker.fresh_id()?,
        role: Role::CredentialTokenReader,
        scope: Scope::Credential,
        principal: Some((call.broker.own.name().to_owned(), subject_of(session))),
        trust_policy: None,
        project: None,
        agent: None,
        credential: Some(credential.to_owned()),
        session: Some(session.to_owned()),
        origin: BY_SESSION,
        created: call.broker.now(),
    };
    bound.insert(tx, &call.live.keyring).await?;
    Ok(bound.id)
}

/// The session's own token.
fn sign(call: &Call, session: &Session, now: UnixTime) -> Result<Secret, Problem> {
    let claims = Json::object([
        ("sub", Json::from(subject_of(&session.id))),
        ("aud", Json::from(call.broker.own.name())),
        ("session_id", Json::from(session.id.as_str())),
        ("project_id", Json::from(session.project.as_str())),
        ("agent_id", Json::from(session.agent.as_str())),
    ]);
    let signed = call.broker.own.sign(claims, now, TOKEN_LIFE);
    signed.map_err(|why| Problem::internal(why.to_string()))
}

fn credentials(granted: &[Granted]) -> Vec<Value> {
    let shown = |granted: &Granted| named(&granted.provider, &granted.user, "id", &granted.credential);
    granted.iter().map(shown).collect()
}

fn missing(unavailable: &Unavailable) -> Value {
    named(
        &unavailable.provider,
        &unavailable.user,
        "reason",
        unavailable.reason,
    )
}

/// A provider, of which MCP servers have names and shared sessions have users.
fn named(provider: &str, user: &Option<String>, member: &str, value: &str) -> Value {
    let (provider, name) = match provider.split_once('/') {
        Some((provider, name)) => (provider, Some(name)),
        None => (provider, None),
    };
    let mut shown = json!({"provider": provider, (member): value});
    for (member, value) in [("name", name), ("user", user.as_deref())] {
        if let Some(value) = value {
            shown[member] = value.into();
        }
    }
    shown
}

/// Whose a session is.
fn whose(session: &Session, body: &mut Value) {
    match &session.user {
        Some(user) => body["user"] = user.as_str().into(),
        None => body["users"] = session.users.clone().into(),
    }
}

/// The session in the path, while it goes on.
pub(super) async fn alive(call: &Call) -> Result<Session, Problem> {
    let found = record::find(&call.broker.store, &call.live.keyring, call.parameter("session")).await?;
    let alive = found.filter(|session| session.is_alive(call.broker.now()));
    alive.ok_or_else(Problem::not_found)
}

/// Whether the caller is the session itself, or who opened it.
pub(super) fn is_its_own(access: &Access, session: &Session) -> bool {
    let who = &access.principal;
    match &who.session {
        Some(own) => *own == session.id,
        None => (&who.issuer, &who.subject) == (&session.opener.0, &session.opener.1),
    }
}

/// The session in the path, for who may do this to it: itself, its opener, and whose role says so.
async fn may(call: &Call, access: &Access, verb: &'static str, method: Method) -> Result<Session, Problem> {
    let session = alive(call).await?;
    if is_its_own(access, &session) {
        return Ok(session);
    }
    let object = Object::session(
        session.project.as_str(),
        session.agent.as_str(),
        session.id.as_str(),
    );
    let wanted = Permission::new("session", verb);
    let who = access.principal.clone();
    permission::check(&call.broker, &call.live, who, wanted, object, &method).await?;
    Ok(session)
}

pub(crate) async fn read(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let session = may(call, access, "read", Method::GET).await?;
    let now = call.broker.now();
    let granted = record::grants(&call.broker.store, &call.live.keyring, &session.id, now).await?;
    let mut body = json!({
        "kind": "Session",
        "id": session.id,
        "project": session.project,
        "agent": session.agent,
        "active": true,
        "created_at": time(session.created_at),
        "lease_until": time(session.lease_until),
        "credentials": credentials(&granted),
    });
    whose(&session, &mut body);
    Ok(Answer::ok(&body))
}

pub(crate) async fn end(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let session = may(call, access, "delete", Method::DELETE).await?;
    let mut tx = call.broker.store.begin().await?;
    if !record::end(&mut tx, &session.id, call.broker.now()).await? {
        return Err(Problem::not_found());
    }
    let record = call.record("session.end", "allow", &access.principal);
    call.note(&mut tx, record.with("session", session.id.as_str()))
        .await?;
    tx.commit().await?;
    Ok(Answer::empty())
}

/// A new token and a longer lease: for the session itself before its token ends, or for who opened it.
pub(crate) async fn renew(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let session = alive(call).await?;
    if !is_its_own(access, &session) {
        may(call, access, "read", Method::GET).await?;
        return Err(Problem::forbidden(
            "a session is renewed by itself or by who opened it",
        ));
    }
    let now = call.broker.now();
    let token = sign(call, &session, now)?;
    let record = call.record("session.token", "allow", &access.principal);
    let record = record.with("session", session.id.as_str()).issued(token.reveal());
    call.broker.audit.write(record).await?;
    if !record::renew(&call.broker.store, &session.id, now).await? {
        return Err(Problem::not_found());
    }
    Ok(Answer::ok(&json!({
        "kind": "SessionToken",
        "id": session.id,
        "token": token.reveal(),
        "expires_at": time(now.plus(TOKEN_LIFE)),
    })))
}
