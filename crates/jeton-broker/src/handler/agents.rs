//! Agents of a project.
use crate::answer::{Answer, time};
use crate::call::{Access, Call};
use crate::fields::{LONGEST_NAME, LONGEST_TEXT};
use crate::id;
use crate::listing::Wanted;
use crate::permission::visible;
use crate::problem::Problem;
use crate::store::{Row, StoreError};
use http::StatusCode;
use jeton_core::access::{Permission, Scope};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

const COLUMNS: &str = "t.id, t.project_id, t.name, t.description, t.created_at, t.updated_at";
const ORDERS: &[&str] = &["id", "name", "created_at", "updated_at"];
const PLACES: &[(Scope, &str)] = &[
    (Scope::Project, "m.project_id = t.project_id"),
    (Scope::Agent, "m.agent_id = t.id"),
];

fn shown(row: &Row) -> Result<Value, Problem> {
    Ok(json!({
        "kind": "Agent",
        "id": row.text(0)?,
        "project_id": row.text(1)?,
        "name": row.text(2)?,
        "description": row.text(3)?,
        "created_at": time(row.time(4)?),
        "updated_at": time(row.time(5)?),
    }))
}

pub(crate) async fn create(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let mut fields = call.fields()?;
    let given = fields.text("id", LONGEST_NAME)?.map(id::given).transpose()?;
    let name = fields.required("name", LONGEST_NAME)?;
    let description = fields.text("description", LONGEST_TEXT)?.unwrap_or_default();
    fields.end()?;
    let agent = given.map_or_else(|| call.broker.fresh_id(), Ok)?;
    let (project, now) = (call.parameter("project"), call.broker.now());
    let mut tx = call.broker.store.begin().await?;
    let sql = "INSERT INTO agents (id, project_id, name, description, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $5)";
    let args = vec![
        (&agent).into(),
        project.into(),
        name.into(),
        description.into(),
        now.into(),
    ];
    match tx.execute(sql, args).await {
        Err(StoreError::Missing) => return Err(Problem::not_found()),
        other => other?,
    };
    let record = call.record("agent.create", "allow", &access.principal);
    let record = record.with("project", project).with("agent", agent.as_str());
    call.note(&mut tx, record).await?;
    let sql = AssertSqlSafe(format!("SELECT {COLUMNS} FROM agents t WHERE t.id = $1"));
    let row = tx.row(sql, vec![(&agent).into()]).await?;
    tx.commit().await?;
    let row = row.ok_or_else(Problem::not_found)?;
    Ok(Answer::json(StatusCode::CREATED, &shown(&row)?))
}

/// The agents that he may see; where he sees neither the project nor an agent in it, there is no such project.
pub(crate) async fn list(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let wanted = Wanted::read(call, ORDERS)?;
    let who = &access.principal;
    let visible = visible(&call.broker, Permission::new("agent", "list"), PLACES);
    let whose = format!("t.project_id = $4 AND {visible}");
    let mut args = vec![
        who.issuer.as_str().into(),
        who.subject.as_str().into(),
        (&who.trust_policy).into(),
        call.parameter("project").into(),
    ];
    let any = AssertSqlSafe(format!("SELECT COUNT(*) FROM agents t WHERE {whose}"));
    let any = call
        .broker
        .store
        .row(any, args.clone())
        .await?
        .map_or(Ok(0), |row| row.int(0))?;
    if any == 0 {
        sees_project(call, access).await?;
    }
    let filter = format!("{whose} AND ($5 IS NULL OR LOWER(t.name) LIKE $5 ESCAPE '\\')");
    args.push(wanted.like().into());
    let count = AssertSqlSafe(format!("SELECT COUNT(*) FROM agents t WHERE {filter}"));
    let total = call.broker.store.row(count, args.clone()).await?;
    args.extend([wanted.size.into(), wanted.offset().into()]);
    let sql = AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM agents t WHERE {filter} {} LIMIT $6 OFFSET $7",
        wanted.order
    ));
    let rows = call.broker.store.rows(sql, args).await?;
    let items = rows.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
    Ok(wanted.answer("AgentList", total.map_or(Ok(0), |row| row.int(0))?, &items))
}

/// Whether he may see the project in the path.
///
/// # Errors
/// 404.
pub(crate) async fn sees_project(call: &Call, access: &Access) -> Result<(), Problem> {
    let project = call.parameter("project");
    let object = jeton_core::access::Object::project(project);
    let read = Permission::new("project", "read");
    let who = access.principal.clone();
    crate::permission::check(&call.broker, &call.live, who, read, object, &http::Method::GET).await?;
    let sql = "SELECT id FROM projects WHERE id = $1";
    let row = call.broker.store.row(sql, vec![project.into()]).await?;
    row.map(drop).ok_or_else(Problem::not_found)
}

pub(crate) async fn read(call: &Call, _: &Access) -> Result<Answer, Problem> {
    let sql = AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM agents t WHERE t.id = $1 AND t.project_id = $2"
    ));
    let args = vec![call.parameter("agent").into(), call.parameter("project").into()];
    let row = call.broker.store.row(sql, args).await?;
    Ok(Answer::ok(&shown(&row.ok_or_else(Problem::not_found)?)?))
}

pub(crate) async fn update(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let mut fields = call.fields()?;
    let name = fields.change("name", LONGEST_NAME)?;
    let description = fields.change("description", LONGEST_TEXT)?;
    fields.end()?;
    if name.as_ref().is_some_and(|name| name.trim().is_empty()) {
        return Err(Problem::invalid("name", "is empty"));
    }
    let (project, agent) = (call.parameter("project"), call.parameter("agent"));
    let mut tx = call.broker.store.begin().await?;
    let sql = "UPDATE agents SET name = COALESCE($3, name), description = COALESCE($4, description), \
               updated_at = $5 WHERE id = $1 AND project_id = $2";
    let args = vec![
        agent.into(),
        project.into(),
        name.into(),
        description.into(),
        call.broker.now().into(),
    ];
    if tx.execute(sql, args).await? == 0 {
        return Err(Problem::not_found());
    }
    let record = call.record("agent.update", "allow", &access.principal);
    let record = record.with("agent", agent).with("rule", access.rule.as_str());
    call.note(&mut tx, record).await?;
    tx.commit().await?;
    read(call, access).await
}

pub(crate) async fn delete(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let (project, agent) = (call.parameter("project"), call.parameter("agent"));
    let mut tx = call.broker.store.begin().await?;
    let sql = "DELETE FROM agents WHERE id = $1 AND project_id = $2";
    if tx.execute(sql, vec![agent.into(), project.into()]).await? == 0 {
        return Err(Problem::not_found());
    }
    let record = call.record("agent.delete", "allow", &access.principal);
    let record = record.with("agent", agent).with("rule", access.rule.as_str());
    call.note(&mut tx, record).await?;
    tx.commit().await?;
    Ok(Answer::empty())
}
