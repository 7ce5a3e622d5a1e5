//! Credentials, at the root and under a project: there a credential has to be bound to the project.
use super::agents::sees_project;
use crate::answer::{Answer, time};
use crate::audit::NotWritten;
use crate::binding::{BY_CALLER, Bound};
use crate::call::{Access, Call};
use crate::credential::{BOUND, COLUMNS, Credential};
use crate::fields::{Fields, LONGEST_NAME, LONGEST_TEXT};
use crate::id;
use crate::listing::Wanted;
use crate::metrics::Counter;
use crate::minting::cloud::is_exchange;
use crate::permission::{self, visible};
use crate::principal::Principal;
use crate::problem::Problem;
use crate::provider::{self, Provider, Stored};
use crate::remembered::Release;
use crate::shapes::{AMBIENT_BASE_PATH, with_older_names};
use http::StatusCode;
use jeton_core::Json;
use jeton_core::access::{GrantRefusal, Granter, Object, Permission, Placement, Role, Scope, may_grant};
use serde_json::{Map, Value};
use sqlx::AssertSqlSafe;

const ORDERS: &[&str] = &["id", "name", "provider", "created_at", "updated_at"];
const PLACES: &[(Scope, &str)] = &[(Scope::Credential, "m.credential_id = t.id")];

/// Whether a credential of this id was there once.
const GONE: &str = "SELECT value FROM meta WHERE name = $1";

/// How the id of a credential is remembered that others trusted by name: whoever trusts `credential:ID` in a cloud must
/// not come to trust the next one that is called so.
fn gone(id: &str) -> String {
    format!("gone-credential:{id}")
}

/// The project in the path, if there is one.
fn project(call: &Call) -> Option<&str> {
    Some(call.parameter("project")).filter(|project| !project.is_empty())
}

/// `secret`, or `token` as an older API calls it.
fn secret(fields: &mut Fields) -> Result<Option<Json>, Problem> {
    match (fields.take("secret"), fields.take("token")) {
        (Some(_), Some(_)) => Err(Problem::invalid(
            "token",
            "is another name of secret, which is there too",
        )),
        (secret, token) => Ok(secret.or(token)),
    }
}

fn named(name: &str) -> Result<Provider, Problem> {
    Provider::named(name).ok_or_else(|| {
        let known: Vec<&str> = provider::ROWS.iter().map(|row| row.name).collect();
        Problem::invalid("provider", &format!("must be one of {}", known.join(", ")))
    })
}

fn sealed(call: &Call, credential: &str, stored: &Stored) -> Result<String, Problem> {
    let sealed = call.live.keyring.seal(credential, &stored.to_sealed());
    sealed.map_err(|why| Problem::internal(why.to_string()))
}

pub(crate) async fn create(call: &Call, access: &Access) -> Result<Answer, Problem> {
    if project(call).is_some() {
        may_attach(call, access).await?;
    }
    let mut fields = call.fields()?;
    let given = fields.text("id", LONGEST_NAME)?.map(id::given).transpose()?;
    let name = fields.required("name", LONGEST_NAME)?;
    let description = fields.text("description", LONGEST_TEXT)?.unwrap_or_default();
    let provider = named(&fields.required("provider", LONGEST_NAME)?)?;
    let url = fields.text("url", LONGEST_TEXT)?.unwrap_or_default();
    let email = fields.text("email", LONGEST_NAME)?.unwrap_or_default();
    let labels = fields.labels("labels")?;
    let annotations = fields.labels("annotations")?;
    let secret = secret(&mut fields)?.ok_or_else(|| Problem::invalid("secret", "is missing"))?;
    fields.end()?;
    let stored = Stored::check(provider, secret)?;
    let credential = given.map_or_else(|| call.broker.fresh_id(), Ok)?;
    let none = || Json::Object(Vec::new());
    let now = call.broker.now();
    let args = vec![
        (&credential).into(),
        name.into(),
        description.into(),
        provider.name().into(),
        url.into(),
        email.into(),
        labels.unwrap_or_else(none).to_text().into(),
        annotations.unwrap_or_else(none).to_text().into(),
        sealed(call, &credential, &stored)?.into(),
        now.into(),
    ];
    let mut tx = call.broker.store.begin().await?;
    if tx.row(GONE, vec![gone(&credential).into()]).await?.is_some() {
        return Err(Problem::conflict(
            "this id was another credential's, which somebody may still trust",
        ));
    }
    let sql = "INSERT INTO credentials (id, name, description, provider, url, email, labels, annotations, secret, \
               created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)";
    tx.execute(sql, args).await?;
    for bound in bindings(call, access, &credential)? {
        bound.insert(&mut tx, &call.live.keyring).await?;
    }
    let record = call
        .record("credential.create", "allow", &access.principal)
        .with("credential", credential.as_str())
        .with("provider", provider.name())
        .with("project", project(call));
    call.note(&mut tx, record).await?;
    tx.commit().await?;
    let made = Credential::find(&call.broker.store, &credential, None).await?;
    let made = made.ok_or_else(Problem::not_found)?;
    Ok(Answer::json(StatusCode::CREATED, &made.json()))
}

/// Who makes a credential owns it; under a project it is bound there at once.
fn bindings(call: &Call, access: &Access, credential: &str) -> Result<Vec<Bound>, Problem> {
    let who = &access.principal;
    let owner = Bound {
        id: call.broker.fresh_id()?,
        role: Role::CredentialOwner,
        scope: Scope::Credential,
        principal: Some((who.issuer.clone(), who.subject.clone())),
        trust_policy: None,
        project: None,
        agent: None,
        credential: Some(credential.to_owned()),
        session: None,
        origin: BY_CALLER,
        created: call.broker.now(),
    };
    let mut all = vec![owner];
    if let Some(project) = project(call) {
        all.push(Bound {
            id: call.broker.fresh_id()?,
            role: Role::CredentialViewer,
            principal: None,
            project: Some(project.to_owned()),
            ..all[0].clone()
        });
    }
    Ok(all)
}

/// Who makes a credential in a project attaches it there: that takes `project:editor`.
async fn may_attach(call: &Call, access: &Access) -> Result<(), Problem> {
    sees_project(call, access).await?;
    let object = Object::project(call.parameter("project"));
    let mut bindings = permission::bindings(&call.broker, &call.live, &access.principal, &object).await?;
    // He will own it.
    bindings.push(jeton_core::access::Binding {
        id: String::new(),
        role: Role::CredentialOwner,
        scope: Scope::Credential,
        project: None,
        agent: None,
        session: None,
        credential: Some(String::new()),
    });
    let placement = Placement {
        role: Role::CredentialViewer,
        scope: Scope::Credential,
        project: project(call),
        agent: None,
        agent_project: None,
        session: None,
        credential: Some(""),
    };
    may_grant(Granter { bindings: &bindings }, &placement).map_err(|refusal| match refusal {
        GrantRefusal::Invalid(why) | GrantRefusal::Forbidden(why) => Problem::forbidden(why),
    })
}

pub(crate) async fn list(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let wanted = Wanted::read(call, ORDERS)?;
    if project(call).is_some() {
        sees_project(call, access).await?;
    }
    let who = &access.principal;
    let visible = visible(&call.broker, Permission::new("credential", "list"), PLACES);
    let bound = BOUND.replace("$2", "$4");
    let filter = format!(
        "{visible} AND {bound} AND ($5 IS NULL OR LOWER(t.name) LIKE $5 ESCAPE '\\' \
         OR LOWER(t.description) LIKE $5 ESCAPE '\\' OR t.provider LIKE $5 ESCAPE '\\')"
    );
    let mut args = vec![
        who.issuer.as_str().into(),
        who.subject.as_str().into(),
        (&who.trust_policy).into(),
        project(call).into(),
        wanted.like().into(),
    ];
    let count = AssertSqlSafe(format!("SELECT COUNT(*) FROM credentials t WHERE {filter}"));
    let total = call.broker.store.row(count, args.clone()).await?;
    args.extend([wanted.size.into(), wanted.offset().into()]);
    let sql = AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM credentials t WHERE {filter} {} LIMIT $6 OFFSET $7",
        wanted.order
    ));
    let rows = call.broker.store.rows(sql, args).await?;
    let items = rows
        .iter()
        .map(|row| Ok(Credential::read(row)?.json()))
        .collect::<Result<Vec<_>, Problem>>()?;
    Ok(wanted.answer("CredentialList", total.map_or(Ok(0), |row| row.int(0))?, &items))
}

async fn find(call: &Call) -> Result<Credential, Problem> {
    let found = Credential::find(&call.broker.store, call.parameter("credential"), project(call)).await?;
    found.ok_or_else(Problem::not_found)
}

pub(crate) async fn read(call: &Call, _: &Access) -> Result<Answer, Problem> {
    Ok(Answer::ok(&find(call).await?.json()))
}

pub(crate) async fn update(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let found = find(call).await?;
    let mut fields = call.fields()?;
    let name = fields.change("name", LONGEST_NAME)?;
    let description = fields.change("description", LONGEST_TEXT)?;
    let url = fields.change("url", LONGEST_TEXT)?;
    let email = fields.change("email", LONGEST_NAME)?;
    let labels = fields.labels("labels")?.map(|labels| labels.to_text());
    let annotations = fields
        .labels("annotations")?
        .map(|annotations| annotations.to_text());
    let provider = fields.text("provider", LONGEST_NAME)?;
    let secret = secret(&mut fields)?;
    fields.end()?;
    if name.as_ref().is_some_and(|name| name.trim().is_empty()) {
        return Err(Problem::invalid("name", "is empty"));
    }
    if provider.is_some_and(|provider| provider != found.provider.name()) {
        return Err(Problem::invalid(
            "provider",
            "cannot be changed; make another credential",
        ));
    }
    let stored = secret
        .map(|secret| Stored::check(found.provider, secret))
        .transpose()?;
    let is_rotated = stored.is_some();
    let sealed = stored
        .map(|stored| sealed(call, &found.id, &stored))
        .transpose()?;
    let mut tx = call.broker.store.begin().await?;
    let sql = "UPDATE credentials SET name = COALESCE($2, name), description = COALESCE($3, description), \
               url = COALESCE($4, url), email = COALESCE($5, email), labels = COALESCE($6, labels), \
               annotations = COALESCE($7, annotations), secret = COALESCE($8, secret), updated_at = $9 WHERE id = $1";
    let args = vec![
        (&found.id).into(),
        name.into(),
        description.into(),
        url.into(),
        email.into(),
        labels.into(),
        annotations.into(),
        sealed.into(),
        call.broker.now().into(),
    ];
    if tx.execute(sql, args).await? == 0 {
        return Err(Problem::not_found());
    }
    let record = call
        .record("credential.update", "allow", &access.principal)
        .with("credential", found.id.as_str())
        .with("secret_changed", is_rotated)
        .with("rule", access.rule.as_str());
    call.note(&mut tx, record).await?;
    tx.commit().await?;
    read(call, access).await
}

pub(crate) async fn delete(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let found = find(call).await?;
    let mut tx = call.broker.store.begin().await?;
    let sql = "DELETE FROM credentials WHERE id = $1";
    if tx.execute(sql, vec![(&found.id).into()]).await? == 0 {
        return Err(Problem::not_found());
    }
    if is_exchange(found.provider.name()) {
        let sql = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        let args = vec![gone(&found.id).into(), time(call.broker.now()).into()];
        tx.execute(sql, args).await?;
    }
    let record = call
        .record("credential.delete", "allow", &access.principal)
        .with("credential", found.id.as_str())
        .with("rule", access.rule.as_str());
    call.note(&mut tx, record).await?;
    tx.commit().await?;
    Ok(Answer::empty())
}

pub(crate) async fn token(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let found = find(call).await?;
    super::session_credentials::check(call, access, &found.id).await?;
    let answer = handed_out(call, access, &found, None).await?;
    let release = Release {
        credential: found,
        rule: access.rule.clone(),
    };
    let remembered = &call.broker.remembered;
    remembered.keep_release(call.epoch, &access.principal, project(call), release);
    Ok(answer)
}

/// The same from what is remembered of it, if anything is and it still holds when the record is written. Everything
/// else, and every refusal, is for [`token`].
pub(crate) async fn token_again(call: &Call, who: &Principal) -> Option<Answer> {
    let remembered = &call.broker.remembered;
    let known = remembered.release(call.epoch, who, call.parameter("credential"), project(call))?;
    let access = Access {
        principal: who.clone(),
        object: Object::default(),
        bindings: Vec::new(),
        rule: known.rule.clone(),
    };
    let answer = handed_out(call, &access, &known.credential, Some(call.epoch)).await;
    answer.ok()
}

async fn handed_out(
    call: &Call,
    access: &Access,
    found: &Credential,
    epoch: Option<u64>,
) -> Result<Answer, Problem> {
    let body = released(call, access, found, epoch).await?;
    if call.live.config.base_path != AMBIENT_BASE_PATH {
        return Ok(Answer::ok(&body));
    }
    let body = super::session_credentials::document(&body)?;
    Ok(Answer::ok(&with_older_names(found.provider.name(), body)))
}

/// Why nothing was released.
pub(crate) enum NotReleased {
    /// What was decided on was remembered, and has changed meanwhile.
    Stale,
    /// Everything else.
    Problem(Problem),
}

impl From<Problem> for NotReleased {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<NotWritten> for NotReleased {
    fn from(why: NotWritten) -> Self {
        match why {
            NotWritten::Stale => Self::Stale,
            NotWritten::Store(error) => Self::Problem(error.into()),
        }
    }
}

impl From<NotReleased> for Problem {
    fn from(why: NotReleased) -> Self {
        match why {
            NotReleased::Stale => Self::unavailable("what was decided on has changed"),
            NotReleased::Problem(problem) => problem,
        }
    }
}

/// What a credential releases, after its record is written; `epoch` is that of what was decided on, if it was
/// remembered.
///
/// # Errors
/// [`Problem`]: then nothing is released.
pub(crate) async fn released(
    call: &Call,
    access: &Access,
    found: &Credential,
    epoch: Option<u64>,
) -> Result<Value, NotReleased> {
    let released = provider::release(&call.broker, &call.live, found, found.open(&call.live)?).await?;
    let mut body = Map::new();
    body.insert("credential_id".into(), found.id.as_str().into());
    body.insert("provider".into(), found.provider.name().into());
    body.insert("token".into(), released.token.reveal().into());
    if let Some(end) = released.expires_at {
        body.insert("expires_at".into(), time(end).into());
    }
    body.extend(released.more);
    let record = call
        .record("credential.token", "allow", &access.principal)
        .with("credential", found.id.as_str())
        .with("provider", found.provider.name())
        .with("project", project(call))
        .with("rule", access.rule.as_str())
        .issued(released.token.reveal());
    call.broker.audit.write_if(record, epoch).await?;
    call.broker
        .metrics
        .count(Counter::Releases, found.provider.name());
    Ok(Value::Object(body))
}
