//! The state of everything that an answer may rest on which is remembered: two numbers that are never the same again
//! once a binding, a credential, an agent, a project or a trust policy was changed or taken away, by whomever.
//!
//! The database keeps them itself: triggers see what another replica, a command or a hand at the console does. What
//! only adds cannot make anything wrong that was allowed before, but for trust policies, of which the first that fits
//! decides. Sessions are not here: what they may read is always asked.
use super::{Store, StoreError};

/// Reads the two numbers: how many, and their sum.
pub(super) const STATE: &str =
    "(SELECT COUNT(*) FROM changes), (SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) FROM changes)";

/// SQLite has one writer at a time: one row that is counted up.
pub(super) const SQLITE: &[&str] = &[
    "CREATE TABLE changes (n BIGINT NOT NULL)",
    "INSERT INTO changes (n) VALUES (0)",
    "CREATE TRIGGER role_bindings_changed AFTER UPDATE ON role_bindings WHEN OLD.session_id IS NULL \
     BEGIN UPDATE changes SET n = n + 1; END",
    "CREATE TRIGGER role_bindings_removed AFTER DELETE ON role_bindings WHEN OLD.session_id IS NULL \
     BEGIN UPDATE changes SET n = n + 1; END",
    "CREATE TRIGGER credentials_changed AFTER UPDATE ON credentials BEGIN UPDATE changes SET n = n + 1; END",
    "CREATE TRIGGER credentials_removed AFTER DELETE ON credentials BEGIN UPDATE changes SET n = n + 1; END",
    "CREATE TRIGGER projects_removed AFTER DELETE ON projects BEGIN UPDATE changes SET n = n + 1; END",
    "CREATE TRIGGER agents_changed AFTER UPDATE OF project_id ON agents BEGIN UPDATE changes SET n = n + 1; END",
    "CREATE TRIGGER agents_removed AFTER DELETE ON agents BEGIN UPDATE changes SET n = n + 1; END",
    "CREATE TRIGGER trust_policies_added AFTER INSERT ON trust_policies BEGIN UPDATE changes SET n = n + 1; END",
    "CREATE TRIGGER trust_policies_changed AFTER UPDATE ON trust_policies BEGIN UPDATE changes SET n = n + 1; END",
    "CREATE TRIGGER trust_policies_removed AFTER DELETE ON trust_policies BEGIN UPDATE changes SET n = n + 1; END",
];

/// On PostgreSQL a row that all count up would be a lock for all; each transaction leaves its own number instead.
pub(super) const POSTGRES: &[&str] = &[
    "CREATE TABLE changes (n BIGINT PRIMARY KEY, at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp())",
    "CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $note$ BEGIN \
     INSERT INTO changes (n) VALUES (txid_current()) ON CONFLICT DO NOTHING; RETURN NULL; END $note$",
    "CREATE TRIGGER role_bindings_changed AFTER UPDATE OR DELETE ON role_bindings FOR EACH ROW \
     WHEN (OLD.session_id IS NULL) EXECUTE FUNCTION note_change()",
    "CREATE TRIGGER credentials_changed AFTER UPDATE OR DELETE ON credentials FOR EACH ROW \
     EXECUTE FUNCTION note_change()",
    "CREATE TRIGGER projects_changed AFTER DELETE ON projects FOR EACH ROW EXECUTE FUNCTION note_change()",
    "CREATE TRIGGER agents_changed AFTER UPDATE OF project_id OR DELETE ON agents FOR EACH ROW \
     EXECUTE FUNCTION note_change()",
    "CREATE TRIGGER trust_policies_changed AFTER INSERT OR UPDATE OR DELETE ON trust_policies FOR EACH ROW \
     EXECUTE FUNCTION note_change()",
];

/// Takes away numbers that every replica has seen for long: none rests on a state that is older than
/// [`crate::audit::SEEN_TIME`]. The newest stays, so that no state comes back.
///
/// # Errors
/// [`StoreError`].
pub async fn sweep(store: &Store) -> Result<(), StoreError> {
    if !store.is_postgres() {
        return Ok(());
    }
    let sql = "DELETE FROM changes WHERE at < clock_timestamp() - INTERVAL '1 hour' \
               AND n < (SELECT MAX(n) FROM changes)";
    store.execute(sql, vec![]).await.map(drop)
}
