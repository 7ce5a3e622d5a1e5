//! Sessions as they are kept. Whether one is alive is asked of the database each time, so that an end holds at once on
//! every replica.
//!
//! What never changes of a session stands under a code that takes the keyring, and so does each grant: a row that was
//! written past the broker opens nothing.
use crate::keyring::Keyring;
use crate::store::{Arg, Row, Store, StoreError, Tx};
use jeton_core::UnixTime;
use jeton_core::json::{self, Json};

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// The project it is in.
    pub project: String,
    /// The agent it is of.
    pub agent: String,
    /// Its user, when it has one.
    pub user: Option<String>,
    /// Its users, when it is shared.
    pub users: Vec<String>,
    /// Who opened it: issuer and subject.
    pub opener: (String, String),
    /// When it was opened.
    pub created_at: UnixTime,
    /// When it is over unless it is renewed.
    pub lease_until: UnixTime,
    /// When it was ended.
    pub ended_at: Option<UnixTime>,
}

/// A credential that a session may read, by the binding that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The user, in a shared session.
    pub user: Option<String>,
    /// The provider; `mcp/NAME` for an MCP server's.
    pub provider: String,
    /// The credential.
    pub credential: String,
    /// The binding: without it there is no grant.
    pub binding: String,
}

impl Session {
    /// Whether it goes on.
    #[must_use]
    pub fn is_alive(&self, now: UnixTime) -> bool {
        self.ended_at.is_none() && now < self.lease_until
    }

    /// Whether this user was vouched for when it was opened.
    #[must_use]
    pub fn has_user(&self, user: &str) -> bool {
        self.user.as_deref() == Some(user) || self.users.iter().any(|known| known == user)
    }

    /// Whether several users share it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.user.is_none()
    }

    /// What its code is made over.
    fn message(&self) -> String {
        let texts = [
            &self.id,
            &self.project,
            &self.agent,
            &self.opener.0,
            &self.opener.1,
        ];
        let mut all: Vec<Json> = texts.map(Json::from).to_vec();
        all.push(Json::from(self.user.as_deref()));
        all.push(Json::from(&self.users[..]));
        all.push(Json::from(self.created_at.millis()));
        Json::Array(all).to_text()
    }

    /// From a row; `None` when it was not written by a broker with this keyring.
    fn read(row: &Row, keyring: &Keyring) -> Result<Option<Self>, StoreError> {
        let users = json::parse(row.text(4)?.as_bytes()).ok();
        let users = users.as_ref().and_then(Json::as_array).unwrap_or_default();
        let session = Self {
            id: row.text(0)?,
            project: row.text(1)?,
            agent: row.text(2)?,
            user: row.maybe(3)?,
            users: users.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            opener: (row.text(5)?, row.text(6)?),
            created_at: row.time(7)?,
            lease_until: row.time(8)?,
            ended_at: row.maybe_int(9)?.map(UnixTime::from_millis),
        };
        let genuine = keyring.is_coded(&session.message(), &row.text(10)?);
        Ok(genuine.then_some(session))
    }

    /// Writes it down.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when project or agent are gone.
    pub async fn insert(&self, tx: &mut Tx, keyring: &Keyring) -> Result<(), StoreError> {
        let sql = "INSERT INTO sessions (id, project_id, agent_id, user_name, users, opener_issuer, opener_subject, \
                   created_at, lease_until, ended_at, mac) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, $10)";
        let args: Vec<Arg> = vec![
            (&self.id).into(),
            (&self.project).into(),
            (&self.agent).into(),
            (&self.user).into(),
            Json::from(&self.users[..]).to_text().into(),
            (&self.opener.0).into(),
            (&self.opener.1).into(),
            self.created_at.into(),
            self.lease_until.into(),
            keyring.code(&self.message()).into(),
        ];
        tx.execute(sql, args).await.map(drop)
    }
}

/// The session of this id, alive or not.
///
/// # Errors
/// [`StoreError`].
pub async fn find(store: &Store, keyring: &Keyring, id: &str) -> Result<Option<Session>, StoreError> {
    let sql = "SELECT id, project_id, agent_id, user_name, users, opener_issuer, opener_subject, created_at, \
               lease_until, ended_at, mac FROM sessions WHERE id = $1";
    let row = store.row(sql, vec![id.into()]).await?;
    row.map_or(Ok(None), |row| Session::read(&row, keyring))
}

/// Puts a session's end off; `false` when it is over.
///
/// # Errors
/// [`StoreError`].
pub async fn renew(store: &Store, id: &str, now: UnixTime) -> Result<bool, StoreError> {
    let sql = "UPDATE sessions SET lease_until = $1 WHERE id = $2 AND ended_at IS NULL AND lease_until > $3";
    let args = vec![super::lease_end(now).into(), id.into(), now.into()];
    Ok(store.execute(sql, args).await? == 1)
}

/// Ends a session: it and everything it was given. `false` when it was over before.
///
/// # Errors
/// [`StoreError`].
pub async fn end(tx: &mut Tx, id: &str, now: UnixTime) -> Result<bool, StoreError> {
    tx.execute("DELETE FROM role_bindings WHERE session_id = $1", vec![id.into()])
        .await?;
    let sql = "UPDATE sessions SET ended_at = $1 WHERE id = $2 AND ended_at IS NULL";
    Ok(tx.execute(sql, vec![now.into(), id.into()]).await? == 1)
}

impl Granted {
    fn message(&self, session: &str) -> String {
        let user = self.user.as_deref().unwrap_or_default();
        let texts = [session, user, &self.provider, &self.credential, &self.binding];
        Json::from(&texts[..]).to_text()
    }

    /// Writes down that a session may read it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert(&self, tx: &mut Tx, session: &str, keyring: &Keyring) -> Result<(), StoreError> {
        let sql = "INSERT INTO session_grants (session_id, user_name, provider, credential_id, binding_id, mac) \
                   VALUES ($1, $2, $3, $4, $5, $6)";
        let args: Vec<Arg> = vec![
            session.into(),
            self.user.as_deref().unwrap_or_default().into(),
            (&self.provider).into(),
            (&self.credential).into(),
            (&self.binding).into(),
            keyring.code(&self.message(session)).into(),
        ];
        tx.execute(sql, args).await.map(drop)
    }
}

/// What a session that is alive may read; nothing of one that is over.
///
/// # Errors
/// [`StoreError`].
pub async fn grants(
    store: &Store,
    keyring: &Keyring,
    id: &str,
    now: UnixTime,
) -> Result<Vec<Granted>, StoreError> {
    let sql = "SELECT g.user_name, g.provider, g.credential_id, g.binding_id, g.mac FROM session_grants g \
               JOIN sessions s ON s.id = g.session_id JOIN role_bindings b ON b.id = g.binding_id \
               WHERE s.id = $1 AND s.ended_at IS NULL AND s.lease_until > $2 ORDER BY g.provider, g.user_name";
    let rows = store.rows(sql, vec![id.into(), now.into()]).await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let granted = Granted {
            user: Some(row.text(0)?).filter(|user| !user.is_empty()),
            provider: row.text(1)?,
            credential: row.text(2)?,
            binding: row.text(3)?,
        };
        if keyring.is_coded(&granted.message(id), &row.text(4)?) {
            all.push(granted);
        }
    }
    Ok(all)
}

/// Takes away what sessions that were not renewed were given; how many they were. That they are over holds before.
///
/// # Errors
/// [`StoreError`].
pub async fn sweep(store: &Store, now: UnixTime) -> Result<usize, StoreError> {
    let sql =
        "SELECT id FROM sessions WHERE ended_at IS NULL AND lease_until <= $1 ORDER BY lease_until LIMIT 500";
    let rows = store.rows(sql, vec![now.into()]).await?;
    for row in &rows {
        let mut tx = store.begin().await?;
        end(&mut tx, &row.text(0)?, now).await?;
        tx.commit().await?;
    }
    // Those whose project or agent is gone went with it, and left their bindings.
    let orphans = "DELETE FROM role_bindings WHERE origin = 'session' \
                   AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.id = role_bindings.session_id)";
    store.execute(orphans, vec![]).await?;
    Ok(rows.len())
}

/// Puts sessions that go on, and their grants, under a code of the newest key; how many.
///
/// # Errors
/// [`StoreError`].
pub async fn recode(store: &Store, keyring: &Keyring) -> Result<u64, StoreError> {
    let newest = format!("v{}:%", keyring.newest());
    let sql = "SELECT id, project_id, agent_id, user_name, users, opener_issuer, opener_subject, created_at, \
               lease_until, ended_at, mac FROM sessions WHERE ended_at IS NULL AND mac NOT LIKE $1";
    let mut changed = 0;
    for row in store.rows(sql, vec![(&newest).into()]).await? {
        let Some(session) = Session::read(&row, keyring)? else {
            continue;
        };
        let sql = "UPDATE sessions SET mac = $1 WHERE id = $2";
        let args = vec![keyring.code(&session.message()).into(), (&session.id).into()];
        changed += store.execute(sql, args).await?;
        for granted in grants(store, keyring, &session.id, UnixTime::from_millis(0)).await? {
            let sql = "UPDATE session_grants SET mac = $1 WHERE session_id = $2 AND user_name = $3 AND provider = $4";
            let args = vec![
                keyring.code(&granted.message(&session.id)).into(),
                (&session.id).into(),
                granted.user.as_deref().unwrap_or_default().into(),
                (&granted.provider).into(),
            ];
            changed += store.execute(sql, args).await?;
        }
    }
    Ok(changed)
}
