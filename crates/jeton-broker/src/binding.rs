//! Role bindings as they are stored: a role, somewhere, for a principal, a trust policy, or nobody (an attachment).
use crate::keyring::Keyring;
use crate::principal::Principal;
use crate::store::{Arg, Row, Store, StoreError, Tx};
use jeton_core::access::{Binding, Object, Role, Scope};
use jeton_core::{Json, UnixTime};
use serde_json::{Value, json};

/// Who made a binding: a caller, over the API.
pub const BY_CALLER: &str = "api";
/// Who made a binding: the configuration's `[[admins]]`.
pub const BY_CONFIG: &str = "config";
/// Who made a binding: a session, which takes it away at its end.
pub const BY_SESSION: &str = "session";

/// Who made a binding: a trust policy, whose tokens carry its roles.
pub const BY_POLICY: &str = "policy";

/// A row of `role_bindings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Its id.
    pub id: String,
    /// The role.
    pub role: Role,
    /// How far it reaches.
    pub scope: Scope,
    /// The issuer and the subject of the principal.
    pub principal: Option<(String, String)>,
    /// The trust policy whose tokens have the role.
    pub trust_policy: Option<String>,
    /// The project.
    pub project: Option<String>,
    /// The agent.
    pub agent: Option<String>,
    /// The credential.
    pub credential: Option<String>,
    /// The session.
    pub session: Option<String>,
    /// Who made it: [`BY_CALLER`], [`BY_CONFIG`], [`BY_SESSION`] or [`BY_POLICY`].
    pub origin: &'static str,
    /// When.
    pub created: UnixTime,
}

/// The columns, in the order in which [`Bound::read`] takes them, of a table called `b`.
pub const COLUMNS: &str = "b.id, b.role, b.scope, b.issuer, b.subject, b.trust_policy, b.project_id, b.agent_id, \
                           b.credential_id, b.session_id, b.origin, b.created_at, b.mac";

impl Bound {
    /// From a row of [`COLUMNS`]; `None` when it was not written by a broker with this keyring: such a row gives nothing
    /// to anybody.
    ///
    /// # Errors
    /// The row is not of these columns.
    pub fn read(row: &Row, keyring: &Keyring) -> Result<Option<Self>, StoreError> {
        let (role, scope) = (row.text(1)?, row.text(2)?);
        let origin = row.text(10)?;
        let (Some(role), Some(scope)) = (Role::named(&role), Scope::named(&scope)) else {
            return Ok(None);
        };
        let origin = [BY_CALLER, BY_CONFIG, BY_SESSION, BY_POLICY]
            .into_iter()
            .find(|known| *known == origin);
        let Some(origin) = origin else { return Ok(None) };
        let bound = Self {
            id: row.text(0)?,
            role,
            scope,
            principal: row.maybe(3)?.zip(row.maybe(4)?),
            trust_policy: row.maybe(5)?,
            project: row.maybe(6)?,
            agent: row.maybe(7)?,
            credential: row.maybe(8)?,
            session: row.maybe(9)?,
            origin,
            created: row.time(11)?,
        };
        let genuine = keyring.is_coded(&bound.message(), &row.text(12)?);
        Ok(genuine.then_some(bound))
    }

    /// What the code of a row is made over: every field, so that none can be changed past the broker.
    #[must_use]
    pub fn message(&self) -> String {
        let (issuer, subject) = self.principal.clone().unzip();
        let optional = |text: Option<String>| text.map_or(Json::Null, Json::String);
        Json::Array(vec![
            Json::String(self.id.clone()),
            Json::from(self.role.name()),
            Json::from(self.scope.name()),
            optional(issuer),
            optional(subject),
            optional(self.trust_policy.clone()),
            optional(self.project.clone()),
            optional(self.agent.clone()),
            optional(self.credential.clone()),
            optional(self.session.clone()),
            Json::from(self.origin),
            Json::Integer(i128::from(self.created.millis())),
        ])
        .to_text()
    }

    /// As the core decides over it.
    #[must_use]
    pub fn binding(&self) -> Binding {
        Binding {
            id: self.id.clone(),
            role: self.role,
            scope: self.scope,
            project: self.project.clone(),
            agent: self.agent.clone(),
            session: self.session.clone(),
            credential: self.credential.clone(),
        }
    }

    /// Whether it attaches a credential and gives nobody anything.
    #[must_use]
    pub const fn is_attachment(&self) -> bool {
        self.principal.is_none() && self.trust_policy.is_none()
    }

    /// As it is answered.
    #[must_use]
    pub fn json(&self) -> Value {
        let principal = self
            .principal
            .as_ref()
            .map(|(issuer, subject)| json!({"issuer": issuer, "subject": subject}));
        json!({
            "kind": "RoleBinding",
            "id": self.id,
            "role": self.role.name(),
            "scope": self.scope.name(),
            "principal": principal,
            "trust_policy": self.trust_policy,
            "project_id": self.project,
            "agent_id": self.agent,
            "credential_id": self.credential,
            "session_id": self.session,
            "created_at": crate::answer::time(self.created),
        })
    }

    fn args(&self, keyring: &Keyring) -> Vec<Arg> {
        let (issuer, subject) = self.principal.clone().unzip();
        vec![
            (&self.id).into(),
            self.role.name().into(),
            self.scope.name().into(),
            issuer.into(),
            subject.into(),
            (&self.trust_policy).into(),
            (&self.project).into(),
            (&self.agent).into(),
            (&self.credential).into(),
            (&self.session).into(),
            self.origin.into(),
            self.created.into(),
            keyring.code(&self.message()).into(),
        ]
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when one that says the same is there; [`StoreError::Missing`] when its object is not.
    pub async fn insert(&self, tx: &mut Tx, keyring: &Keyring) -> Result<(), StoreError> {
        let args = self.args(keyring);
        if tx.row(SAME, args[1..10].to_vec()).await?.is_some() {
            return Err(StoreError::Conflict);
        }
        tx.execute(INSERT, args).await.map(drop)
    }
}

const INSERT: &str = "INSERT INTO role_bindings (id, role, scope, issuer, subject, trust_policy, project_id, agent_id, \
                      credential_id, session_id, origin, created_at, mac) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

const SAME: &str = "SELECT id FROM role_bindings WHERE role = $1 AND scope = $2 AND COALESCE(issuer, '') = COALESCE($3, '') \
                    AND COALESCE(subject, '') = COALESCE($4, '') AND COALESCE(trust_policy, '') = COALESCE($5, '') \
                    AND COALESCE(project_id, '') = COALESCE($6, '') AND COALESCE(agent_id, '') = COALESCE($7, '') \
                    AND COALESCE(credential_id, '') = COALESCE($8, '') AND COALESCE(session_id, '') = COALESCE($9, '')";

/// The bindings of a principal that can be about `object`: those that reach everything, and those on the places it
/// names.
const OF: &str = "((b.issuer = $1 AND b.subject = $2) OR b.trust_policy = $3) AND (b.scope = 'global' \
                  OR (b.scope = 'project' AND b.project_id = $4) OR (b.scope = 'agent' AND b.agent_id = $5) \
                  OR (b.scope = 'credential' AND b.credential_id = $6) \
                  OR (b.scope = 'session' AND b.session_id = $7))";

/// What [`OF`] is asked with.
fn whose(principal: &Principal, object: &Object) -> Vec<Arg> {
    vec![
        principal.issuer.as_str().into(),
        principal.subject.as_str().into(),
        (&principal.trust_policy).into(),
        (&object.project).into(),
        (&object.agent).into(),
        (&object.credential).into(),
        (&object.session).into(),
    ]
}

/// The bindings of a principal that can be about `object`.
///
/// # Errors
/// [`StoreError`].
pub async fn of(
    store: &Store,
    keyring: &Keyring,
    principal: &Principal,
    object: &Object,
) -> Result<Vec<Binding>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM role_bindings b WHERE {OF}"));
    let rows = store.rows(sql, whose(principal, object)).await?;
    genuine(&rows, keyring)
}

/// The same inside a transaction: what it says cannot change until the end.
///
/// # Errors
/// [`StoreError`].
pub async fn of_in(
    tx: &mut Tx,
    keyring: &Keyring,
    principal: &Principal,
    object: &Object,
) -> Result<Vec<Binding>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM role_bindings b WHERE {OF}"));
    let rows = tx.rows(sql, whose(principal, object)).await?;
    genuine(&rows, keyring)
}

fn genuine(rows: &[Row], keyring: &Keyring) -> Result<Vec<Binding>, StoreError> {
    let mut bindings = Vec::with_capacity(rows.len());
    for row in rows {
        bindings.extend(Bound::read(row, keyring)?.map(|bound| bound.binding()));
    }
    Ok(bindings)
}

/// Makes sure that the configuration's admins, and of its earlier admins only they, are `platform:admin`.
///
/// # Errors
/// [`StoreError`].
pub async fn keep_admins(
    store: &Store,
    keyring: &Keyring,
    admins: &[crate::config::Admin],
    now: UnixTime,
    fresh: impl Fn() -> Result<String, StoreError>,
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    tx.lock("admins").await?;
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM role_bindings b WHERE b.origin = 'config'"
    ));
    let rows = tx.rows(sql, vec![]).await?;
    let mut wanted: Vec<_> = admins
        .iter()
        .map(|a| (a.issuer.clone(), a.subject.clone()))
        .collect();
    for row in &rows {
        let known = Bound::read(row, keyring)?.and_then(|bound| bound.principal);
        match known.and_then(|principal| wanted.iter().position(|admin| *admin == principal)) {
            Some(at) => drop(wanted.swap_remove(at)),
            None => {
                let sql = "DELETE FROM role_bindings WHERE id = $1";
                tx.execute(sql, vec![row.text(0)?.into()]).await?;
            }
        }
    }
    for principal in wanted {
        let bound = Bound {
            id: fresh()?,
            role: Role::PlatformAdmin,
            scope: Scope::Global,
            principal: Some(principal),
            trust_policy: None,
            project: None,
            agent: None,
            credential: None,
            session: None,
            origin: BY_CONFIG,
            created: now,
        };
        match bound.insert(&mut tx, keyring).await {
            Ok(()) | Err(StoreError::Conflict) => (),
            Err(error) => return Err(error),
        }
    }
    tx.commit().await
}
