//! Projects.
use crate::answer::{Answer, time};
use crate::binding::{BY_CALLER, Bound};
use crate::call::{Access, Call};
use crate::fields::{LONGEST_NAME, LONGEST_TEXT};
use crate::id;
use crate::listing::Wanted;
use crate::permission::visible;
use crate::problem::Problem;
use crate::store::Row;
use http::StatusCode;
use jeton_core::access::{Permission, Role, Scope};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

const COLUMNS: &str = "t.id, t.name, t.description, t.created_at, t.updated_at";
const ORDERS: &[&str] = &["id", "name", "created_at", "updated_at"];
const PLACES: &[(Scope, &str)] = &[(Scope::Project, "m.project_id = t.id")];

fn shown(row: &Row) -> Result<Value, Problem> {
    Ok(json!({
        "kind": "Project",
        "id": row.text(0)?,
        "name": row.text(1)?,
        "description": row.text(2)?,
        "created_at": time(row.time(3)?),
        "updated_at": time(row.time(4)?),
    }))
}

pub(crate) async fn create(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let mut fields = call.fields()?;
    let given = fields.text("id", LONGEST_NAME)?.map(id::given).transpose()?;
    let name = fields.required("name", LONGEST_NAME)?;
    let description = fields.text("description", LONGEST_TEXT)?.unwrap_or_default();
    fields.end()?;
    let project = given.map_or_else(|| call.broker.fresh_id(), Ok)?;
    let (now, who) = (call.broker.now(), &access.principal);
    let mut tx = call.broker.store.begin().await?;
    let sql =
        "INSERT INTO projects (id, name, description, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)";
    tx.execute(
        sql,
        vec![(&project).into(), name.into(), description.into(), now.into()],
    )
    .await?;
    let owner = Bound {
        id: call.broker.fresh_id()?,
        role: Role::ProjectOwner,
        scope: Scope::Project,
        principal: Some((who.issuer.clone(), who.subject.clone())),
        trust_policy: None,
        project: Some(project.clone()),
        agent: None,
        credential: None,
        session: None,
        origin: BY_CALLER,
        created: now,
    };
    owner.insert(&mut tx, &call.live.keyring).await?;
    let record = call
        .record("project.create", "allow", who)
        .with("project", project.as_str());
    call.note(&mut tx, record).await?;
    let sql = AssertSqlSafe(format!("SELECT {COLUMNS} FROM projects t WHERE t.id = $1"));
    let row = tx.row(sql, vec![(&project).into()]).await?;
    tx.commit().await?;
    let row = row.ok_or_else(Problem::not_found)?;
    Ok(Answer::json(StatusCode::CREATED, &shown(&row)?))
}

pub(crate) async fn list(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let wanted = Wanted::read(call, ORDERS)?;
    let who = &access.principal;
    let visible = visible(&call.broker, Permission::new("project", "list"), PLACES);
    let filter = format!(
        "{visible} AND ($4 IS NULL OR LOWER(t.name) LIKE $4 ESCAPE '\\' OR LOWER(t.description) LIKE $4 ESCAPE '\\')"
    );
    let mut args = vec![
        who.issuer.as_str().into(),
        who.subject.as_str().into(),
        (&who.trust_policy).into(),
        wanted.like().into(),
    ];
    let count = AssertSqlSafe(format!("SELECT COUNT(*) FROM projects t WHERE {filter}"));
    let total = call.broker.store.row(count, args.clone()).await?;
    args.extend([wanted.size.into(), wanted.offset().into()]);
    let sql = AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM projects t WHERE {filter} {} LIMIT $5 OFFSET $6",
        wanted.order
    ));
    let rows = call.broker.store.rows(sql, args).await?;
    let items = rows.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
    Ok(wanted.answer("ProjectList", total.map_or(Ok(0), |row| row.int(0))?, &items))
}

pub(crate) async fn read(call: &Call, _: &Access) -> Result<Answer, Problem> {
    let sql = AssertSqlSafe(format!("SELECT {COLUMNS} FROM projects t WHERE t.id = $1"));
    let row = call
        .broker
        .store
        .row(sql, vec![call.parameter("project").into()])
        .await?;
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
    let project = call.parameter("project");
    let mut tx = call.broker.store.begin().await?;
    let sql = "UPDATE projects SET name = COALESCE($2, name), description = COALESCE($3, description), \
               updated_at = $4 WHERE id = $1";
    let args = vec![
        project.into(),
        name.into(),
        description.into(),
        call.broker.now().into(),
    ];
    if tx.execute(sql, args).await? == 0 {
        return Err(Problem::not_found());
    }
    let record = call.record("project.update", "allow", &access.principal);
    let record = record.with("project", project).with("rule", access.rule.as_str());
    call.note(&mut tx, record).await?;
    tx.commit().await?;
    read(call, access).await
}

pub(crate) async fn delete(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let project = call.parameter("project");
    let mut tx = call.broker.store.begin().await?;
    // Agents and bindings go with it.
    if tx
        .execute("DELETE FROM projects WHERE id = $1", vec![project.into()])
        .await?
        == 0
    {
        return Err(Problem::not_found());
    }
    let record = call.record("project.delete", "allow", &access.principal);
    let record = record.with("project", project).with("rule", access.rule.as_str());
    call.note(&mut tx, record).await?;
    tx.commit().await?;
    Ok(Answer::empty())
}
