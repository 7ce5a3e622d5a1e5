//! The schema, step by step. A step that was once released is never changed; the next one changes what it made.
use super::{Store, StoreError, Tx, change};
use jeton_core::UnixTime;

/// A step.
pub struct Migration {
    /// Its place in the order.
    pub version: i64,
    /// What it is for.
    pub name: &'static str,
    /// Its statements.
    pub statements: &'static [&'static str],
    /// Those that have another text for SQLite…
    pub sqlite: &'static [&'static str],
    /// …and for PostgreSQL.
    pub postgres: &'static [&'static str],
}

/// Every step, in order.
pub const ALL: &[Migration] = &[
    Migration {
        version: 1,
        name: "projects, agents, credentials, bindings, audit",
        statements: &[
            "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
            "CREATE TABLE projects (id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, \
         created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL)",
            "CREATE TABLE agents (id TEXT PRIMARY KEY, \
         project_id TEXT NOT NULL REFERENCES projects(id) ON DELETE CASCADE, name TEXT NOT NULL, \
         description TEXT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL)",
            "CREATE INDEX agents_by_project ON agents (project_id, id)",
            // `secret` is what a keyring sealed with the id as associated data.
            "CREATE TABLE credentials (id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, \
         provider TEXT NOT NULL, url TEXT NOT NULL, email TEXT NOT NULL, labels TEXT NOT NULL, \
         annotations TEXT NOT NULL, secret TEXT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL)",
            // A binding dies with its object. Without issuer, subject and policy it is an attachment. `mac` is over all the
            // rest, so that a row that was written past the broker gives nothing to anybody.
            "CREATE TABLE role_bindings (id TEXT PRIMARY KEY, role TEXT NOT NULL, scope TEXT NOT NULL, issuer TEXT, \
         subject TEXT, trust_policy TEXT, project_id TEXT REFERENCES projects(id) ON DELETE CASCADE, \
         agent_id TEXT REFERENCES agents(id) ON DELETE CASCADE, \
         credential_id TEXT REFERENCES credentials(id) ON DELETE CASCADE, session_id TEXT, \
         origin TEXT NOT NULL, mac TEXT NOT NULL, created_at BIGINT NOT NULL)",
            "CREATE INDEX role_bindings_by_principal ON role_bindings (subject, issuer)",
            "CREATE INDEX role_bindings_by_policy ON role_bindings (trust_policy)",
            "CREATE INDEX role_bindings_by_project ON role_bindings (project_id)",
            "CREATE INDEX role_bindings_by_agent ON role_bindings (agent_id)",
            "CREATE INDEX role_bindings_by_credential ON role_bindings (credential_id)",
            "CREATE INDEX role_bindings_by_session ON role_bindings (session_id)",
            "CREATE TABLE audit (seq BIGINT PRIMARY KEY, at BIGINT NOT NULL, record TEXT NOT NULL, \
         hash TEXT NOT NULL)",
            "CREATE TABLE audit_head (id BIGINT PRIMARY KEY, seq BIGINT NOT NULL, hash TEXT NOT NULL, \
         mac TEXT NOT NULL)",
            "CREATE TABLE used_tokens (digest TEXT PRIMARY KEY, expires_at BIGINT NOT NULL)",
            "CREATE INDEX used_tokens_by_end ON used_tokens (expires_at)",
        ],
        sqlite: &[],
        postgres: &[],
    },
    Migration {
        version: 2,
        name: "sessions, trust policies",
        statements: &[
            // `mac` is over what never changes of a session: a row that was written past the broker opens nothing.
            "CREATE TABLE sessions (id TEXT PRIMARY KEY, \
             project_id TEXT NOT NULL REFERENCES projects(id) ON DELETE CASCADE, \
             agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE, user_name TEXT, users TEXT NOT NULL, \
             opener_issuer TEXT NOT NULL, opener_subject TEXT NOT NULL, created_at BIGINT NOT NULL, \
             lease_until BIGINT NOT NULL, ended_at BIGINT, mac TEXT NOT NULL)",
            "CREATE INDEX sessions_by_project ON sessions (project_id)",
            "CREATE INDEX sessions_by_agent ON sessions (agent_id)",
            "CREATE INDEX sessions_by_lease ON sessions (ended_at, lease_until)",
            // Without its binding a grant is none.
            "CREATE TABLE session_grants (session_id TEXT NOT NULL REFERENCES sessions(id) ON DELETE CASCADE, \
             user_name TEXT NOT NULL, provider TEXT NOT NULL, \
             credential_id TEXT NOT NULL REFERENCES credentials(id) ON DELETE CASCADE, \
             binding_id TEXT NOT NULL REFERENCES role_bindings(id) ON DELETE CASCADE, mac TEXT NOT NULL, \
             PRIMARY KEY (session_id, user_name, provider))",
            "CREATE INDEX session_grants_by_binding ON session_grants (binding_id)",
            "CREATE INDEX session_grants_by_credential ON session_grants (credential_id)",
            "CREATE TABLE trust_policies (name TEXT PRIMARY KEY, issuer TEXT NOT NULL, body TEXT NOT NULL, \
             mac TEXT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL)",
            "CREATE INDEX trust_policies_by_issuer ON trust_policies (issuer, name)",
        ],
        sqlite: &[],
        postgres: &[],
    },
    Migration {
        version: 3,
        name: "what replicas share: limits, and what was made on demand",
        statements: &[
            // In microseconds: these are counted by the database's clock.
            "CREATE TABLE rate_windows (name TEXT PRIMARY KEY, used_until BIGINT NOT NULL, asked_at BIGINT NOT NULL, \
             step BIGINT NOT NULL, granted BIGINT NOT NULL)",
            // Who makes something from a secret that each use changes, until when nobody else does, and what came of it.
            "CREATE TABLE mintings (credential_id TEXT PRIMARY KEY REFERENCES credentials(id) ON DELETE CASCADE, \
             holder TEXT NOT NULL, lease_until BIGINT NOT NULL, made_from TEXT NOT NULL, sealed TEXT NOT NULL)",
        ],
        sqlite: &[],
        postgres: &[],
    },
    Migration {
        version: 4,
        name: "changes",
        statements: &[],
        sqlite: change::SQLITE,
        postgres: change::POSTGRES,
    },
];

/// The version of the newest step.
#[must_use]
pub fn newest() -> i64 {
    ALL.last().map_or(0, |step| step.version)
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL, \
                     applied_at BIGINT NOT NULL)";

/// Takes the steps that were not taken yet, all of them or none, while every other process waits; their names.
///
/// # Errors
/// The database failed, or it is newer than this program.
pub async fn run(store: &Store, now: UnixTime) -> Result<Vec<&'static str>, StoreError> {
    let mut tx = store.begin().await?;
    tx.lock("migration").await?;
    tx.execute(TABLE, vec![]).await?;
    let found = version(&mut tx).await?;
    if found > newest() {
        return Err(StoreError::Failed(format!(
            "its schema is of version {found}, and this program knows {} at most: a newer program has been here",
            newest()
        )));
    }
    let mut taken = Vec::new();
    for step in ALL.iter().filter(|step| step.version > found) {
        let other = if store.is_postgres() {
            step.postgres
        } else {
            step.sqlite
        };
        for statement in step.statements.iter().chain(other) {
            tx.execute(*statement, vec![]).await?;
        }
        let sql = "INSERT INTO schema_migrations (version, name, applied_at) VALUES ($1, $2, $3)";
        tx.execute(sql, vec![step.version.into(), step.name.into(), now.into()])
            .await?;
        taken.push(step.name);
    }
    tx.commit().await?;
    Ok(taken)
}

async fn version(tx: &mut Tx) -> Result<i64, StoreError> {
    let row = tx
        .row("SELECT COALESCE(MAX(version), 0) FROM schema_migrations", vec![])
        .await?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// The version that is there; 0 where nothing is.
///
/// # Errors
/// [`StoreError`].
pub async fn found(store: &Store) -> Result<i64, StoreError> {
    let mut tx = store.begin().await?;
    tx.execute(TABLE, vec![]).await?;
    version(&mut tx).await
}
