//! Role bindings: who may give whom what, and take it away.
use crate::answer::Answer;
use crate::binding::{self, BY_CALLER, Bound};
use crate::call::{Access, Call};
use crate::fields::{Fields, LONGEST_NAME, LONGEST_TEXT};
use crate::listing::Wanted;
use crate::permission::visible;
use crate::problem::Problem;
use crate::store::{StoreError, Tx};
use http::StatusCode;
use jeton_core::access::{
    Binding, GrantRefusal, Granter, Object, Permission, Placement, Role, Scope, decide, may_grant, may_revoke,
};
use jeton_core::redact;
use sqlx::AssertSqlSafe;

const ORDERS: &[&str] = &["id", "role", "scope", "created_at"];
const PLACES: &[(Scope, &str)] = &[
    (
        Scope::Project,
        "(m.project_id = t.project_id OR m.project_id = (SELECT g.project_id FROM agents g WHERE g.id = t.agent_id))",
    ),
    (Scope::Agent, "m.agent_id = t.agent_id"),
    (Scope::Credential, "m.credential_id = t.credential_id"),
];

/// What a request says.
struct Asked {
    role: Role,
    scope: Scope,
    principal: Option<(String, String)>,
    trust_policy: Option<String>,
    project: Option<String>,
    agent: Option<String>,
    credential: Option<String>,
    session: Option<String>,
}

fn asked(mut fields: Fields) -> Result<Asked, Problem> {
    let role = fields.required("role", LONGEST_NAME)?;
    let role =
        Role::named(&role).ok_or_else(|| Problem::invalid("role", "is no role; GET /roles names them"))?;
    let scope = fields.required("scope", LONGEST_NAME)?;
    let scope = Scope::named(&scope)
        .ok_or_else(|| Problem::invalid("scope", "must be global, project, agent, session or credential"))?;
    let principal = match fields.take("principal") {
        None => None,
        Some(value) => {
            let mut inner = Fields::of(value, "principal")?;
            let principal = (
                inner.required("issuer", LONGEST_TEXT)?,
                inner.required("subject", LONGEST_TEXT)?,
            );
            inner.end()?;
            Some(principal)
        }
    };
    let asked = Asked {
        role,
        scope,
        principal,
        trust_policy: fields.text("trust_policy", LONGEST_NAME)?,
        project: fields.text("project_id", LONGEST_NAME)?,
        agent: fields.text("agent_id", LONGEST_NAME)?,
        credential: fields.text("credential_id", LONGEST_NAME)?,
        session: fields.text("session_id", LONGEST_NAME)?,
    };
    fields.end()?;
    asked.whose()?;
    Ok(asked)
}

impl Asked {
    /// It is somebody's, or it attaches a credential.
    fn whose(&self) -> Result<(), Problem> {
        let attaches = self.scope == Scope::Credential && self.role == Role::CredentialViewer;
        match (&self.principal, &self.trust_policy) {
            (Some(_), Some(_)) => Err(Problem::invalid("trust_policy", "goes without principal")),
            (None, None) if !attaches => Err(Problem::invalid(
                "principal",
                "is missing; only a credential's attachment (scope credential, role credential:viewer) goes without",
            )),
            (Some(_), None) | (None, Some(_))
                if self.scope == Scope::Credential
                    && self.project.as_ref().or(self.agent.as_ref()).is_some() =>
            {
                Err(Problem::invalid(
                    "principal",
                    "does not go with project_id or agent_id: a credential is attached for nobody in particular",
                ))
            }
            _ => Ok(()),
        }
    }

    fn is_attachment(&self) -> bool {
        self.principal.is_none() && self.trust_policy.is_none()
    }

    /// Every place that it names: what the giver's bindings are looked for on.
    fn object(&self, agent_project: Option<&str>) -> Object {
        Object {
            project: self.project.clone().or_else(|| agent_project.map(str::to_owned)),
            agent: self.agent.clone(),
            session: self.session.clone(),
            credential: self.credential.clone(),
        }
    }
}

pub(crate) async fn create(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let asked = asked(call.fields()?)?;
    let mut tx = call.broker.store.begin().await?;
    let agent_project = project_of(&mut tx, asked.agent.as_deref()).await?;
    let object = asked.object(agent_project.as_deref());
    let bindings = his(call, &mut tx, access, &object).await?;
    let granted = check(&asked, agent_project.as_deref(), &bindings);
    if let Err(problem) = granted {
        drop(tx);
        note_refusal(call, access, &asked).await?;
        return Err(problem);
    }
    let bound = Bound {
        id: call.broker.fresh_id()?,
        role: asked.role,
        scope: asked.scope,
        principal: asked.principal,
        trust_policy: asked.trust_policy,
        project: asked.project,
        agent: asked.agent,
        credential: asked.credential,
        session: asked.session,
        origin: BY_CALLER,
        created: call.broker.now(),
    };
    match bound.insert(&mut tx, &call.live.keyring).await {
        // Only an admin gets here for what is not there: he may know.
        Err(StoreError::Missing) => {
            return Err(Problem::invalid(place(bound.scope), "there is no such object"));
        }
        other => other?,
    }
    let record = call.record("role_binding.create", "allow", &access.principal);
    call.note(&mut tx, record.with("binding", bound.json())).await?;
    tx.commit().await?;
    Ok(Answer::json(StatusCode::CREATED, &bound.json()))
}

const fn place(scope: Scope) -> &'static str {
    match scope {
        Scope::Global => "scope",
        Scope::Project => "project_id",
        Scope::Agent => "agent_id",
        Scope::Session => "session_id",
        Scope::Credential => "credential_id",
    }
}

async fn his(call: &Call, tx: &mut Tx, access: &Access, object: &Object) -> Result<Vec<Binding>, Problem> {
    if call.broker.insecure {
        return crate::permission::bindings(&call.broker, &call.live, &access.principal, object).await;
    }
    Ok(binding::of_in(tx, &call.live.keyring, &access.principal, object).await?)
}

fn check(asked: &Asked, agent_project: Option<&str>, bindings: &[Binding]) -> Result<(), Problem> {
    let is_admin = bindings
        .iter()
        .any(|b| b.role == Role::PlatformAdmin && b.scope == Scope::Global);
    // An agent that he may not see is not there, and what is not there he may not touch: one answer for both.
    if let (Some(agent), false) = (&asked.agent, is_admin) {
        let seen = agent_project.is_some_and(|project| {
            let object = Object::agent(project, agent.as_str());
            decide(bindings, Permission::new("agent", "read"), &object).is_allow()
        });
        if !seen {
            return Err(Problem::forbidden("a role that allows this is needed there"));
        }
    }
    if asked.is_attachment() && asked.project.is_none() && asked.agent.is_none() && !is_admin {
        return Err(Problem::forbidden(
            "attaching a credential everywhere takes platform:admin",
        ));
    }
    let placement = Placement {
        role: asked.role,
        scope: asked.scope,
        project: asked.project.as_deref(),
        agent: asked.agent.as_deref(),
        agent_project,
        session: asked.session.as_deref(),
        credential: asked.credential.as_deref(),
    };
    may_grant(Granter { bindings }, &placement).map_err(refusal)
}

fn refusal(refusal: GrantRefusal) -> Problem {
    match refusal {
        GrantRefusal::Forbidden(why) => Problem::forbidden(why),
        GrantRefusal::Invalid(text) => {
            let (field, why) = text.split_once(": ").unwrap_or(("scope", text));
            Problem::invalid(field, why)
        }
    }
}

async fn note_refusal(call: &Call, access: &Access, asked: &Asked) -> Result<(), Problem> {
    let record = call
        .record("role_binding.create", "deny", &access.principal)
        .with("role", asked.role.name())
        .with("scope", asked.scope.name());
    Ok(call.broker.audit.write(record).await?)
}

/// The project that an agent lies in.
async fn project_of(tx: &mut Tx, agent: Option<&str>) -> Result<Option<String>, Problem> {
    let Some(agent) = agent else { return Ok(None) };
    let sql = "SELECT project_id FROM agents WHERE id = $1";
    let row = tx.row(sql, vec![agent.into()]).await?;
    Ok(row.map(|row| row.text(0)).transpose()?)
}

/// What he may see: the bindings of what he may list bindings on, and his own.
fn seen(call: &Call) -> String {
    let visible = visible(&call.broker, Permission::new("role_binding", "list"), PLACES);
    format!("((t.issuer = $1 AND t.subject = $2) OR t.trust_policy = $3 OR {visible})")
}

pub(crate) async fn list(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let wanted = Wanted::read(call, ORDERS)?;
    let who = &access.principal;
    let filter = format!(
        "{} AND ($4 IS NULL OR t.role LIKE $4 ESCAPE '\\' OR LOWER(COALESCE(t.subject, '')) LIKE $4 ESCAPE '\\' \
         OR LOWER(COALESCE(t.project_id, '')) LIKE $4 ESCAPE '\\' OR LOWER(COALESCE(t.agent_id, '')) LIKE $4 ESCAPE '\\' \
         OR LOWER(COALESCE(t.credential_id, '')) LIKE $4 ESCAPE '\\')",
        seen(call)
    );
    let mut args = vec![
        who.issuer.as_str().into(),
        who.subject.as_str().into(),
        (&who.trust_policy).into(),
        wanted.like().into(),
    ];
    let count = AssertSqlSafe(format!("SELECT COUNT(*) FROM role_bindings t WHERE {filter}"));
    let total = call.broker.store.row(count, args.clone()).await?;
    args.extend([wanted.size.into(), wanted.offset().into()]);
    let columns = binding::COLUMNS.replace("b.", "t.");
    let sql = AssertSqlSafe(format!(
        "SELECT {columns} FROM role_bindings t WHERE {filter} {} LIMIT $5 OFFSET $6",
        wanted.order
    ));
    let mut items = Vec::new();
    for row in call.broker.store.rows(sql, args).await? {
        items.extend(Bound::read(&row, &call.live.keyring)?.map(|bound| bound.json()));
    }
    Ok(wanted.answer("RoleBindingList", total.map_or(Ok(0), |row| row.int(0))?, &items))
}

/// The binding in the path, if he may see it.
async fn find(call: &Call, access: &Access, tx: &mut Tx) -> Result<Bound, Problem> {
    let who = &access.principal;
    let columns = binding::COLUMNS.replace("b.", "t.");
    let sql = AssertSqlSafe(format!(
        "SELECT {columns} FROM role_bindings t WHERE t.id = $4 AND {}",
        seen(call)
    ));
    let args = vec![
        who.issuer.as_str().into(),
        who.subject.as_str().into(),
        (&who.trust_policy).into(),
        call.parameter("binding").into(),
    ];
    let row = tx.row(sql, args).await?.ok_or_else(Problem::not_found)?;
    Bound::read(&row, &call.live.keyring)?.ok_or_else(Problem::not_found)
}

pub(crate) async fn read(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let mut tx = call.broker.store.begin().await?;
    let bound = find(call, access, &mut tx).await?;
    Ok(Answer::ok(&bound.json()))
}

pub(crate) async fn delete(call: &Call, access: &Access) -> Result<Answer, Problem> {
    let mut tx = call.broker.store.begin().await?;
    let bound = find(call, access, &mut tx).await?;
    let agent_project = project_of(&mut tx, bound.agent.as_deref()).await?;
    let object = Object {
        project: bound.project.clone().or_else(|| agent_project.clone()),
        agent: bound.agent.clone(),
        session: bound.session.clone(),
        credential: bound.credential.clone(),
    };
    let bindings = his(call, &mut tx, access, &object).await?;
    may_revoke(
        Granter { bindings: &bindings },
        &bound.binding(),
        agent_project.as_deref(),
    )
    .map_err(refusal)?;
    keep_an_owner(&mut tx, &bound).await?;
    tx.execute(
        "DELETE FROM role_bindings WHERE id = $1",
        vec![(&bound.id).into()],
    )
    .await?;
    let record = call.record("role_binding.delete", "allow", &access.principal);
    call.note(&mut tx, record.with("binding", bound.json())).await?;
    tx.commit().await?;
    Ok(Answer::empty())
}

/// An object's last owner stays. Two owners who remove each other at once are looked at one after the other.
async fn keep_an_owner(tx: &mut Tx, bound: &Bound) -> Result<(), Problem> {
    let owns = matches!(
        bound.role,
        Role::ProjectOwner | Role::CredentialOwner | Role::PlatformAdmin
    );
    if !owns || bound.is_attachment() {
        return Ok(());
    }
    tx.lock(&format!("owners {}", redact::foreign(bound.role.name(), &[])))
        .await?;
    let sql = "SELECT COUNT(*) FROM role_bindings WHERE role = $1 AND scope = $2 AND id <> $3 \
               AND (subject IS NOT NULL OR trust_policy IS NOT NULL) AND COALESCE(project_id, '') = COALESCE($4, '') \
               AND COALESCE(credential_id, '') = COALESCE($5, '')";
    let args = vec![
        bound.role.name().into(),
        bound.scope.name().into(),
        (&bound.id).into(),
        (&bound.project).into(),
        (&bound.credential).into(),
    ];
    let others = tx.row(sql, args).await?.map_or(Ok(0), |row| row.int(0))?;
    if others == 0 {
        return Err(Problem::conflict("cannot delete the last owner binding"));
    }
    Ok(())
}
