//! What a database's error means to whoever asked. Its own words are for our log only.
use jeton_core::redact;
use thiserror::Error;

/// Why the store did not do something.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StoreError {
    /// There is one with this name already.
    #[error("it is there already")]
    Conflict,
    /// It stands on something that is not there (any more).
    #[error("what it belongs to is not there")]
    Missing,
    /// The database cannot do it now: gone, full, locked, out of connections.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A fault of ours, or of what is stored.
    #[error("the database failed: {0}")]
    Failed(String),
}

/// What SQLite says when it is the machine's fault: busy, locked, read-only, I/O, full, cannot open. The extended
/// codes have these in their lowest byte.
const SQLITE_MACHINE: [u32; 6] = [5, 6, 8, 10, 13, 14];
/// What PostgreSQL says when it is not the statement's fault: by class, connection, resources, intervention, system,
/// and transactions that have to be tried again.
const POSTGRES_MACHINE: [&str; 5] = ["08", "53", "57", "58", "40"];
/// PostgreSQL's "cannot write here": a replica, or one that is not up yet.
const POSTGRES_READ_ONLY: &str = "25006";

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let said = redact::foreign(&error.to_string(), &[]);
        match error {
            sqlx::Error::Database(fault) if fault.is_unique_violation() => Self::Conflict,
            sqlx::Error::Database(fault) if fault.is_foreign_key_violation() => Self::Missing,
            sqlx::Error::Database(fault) => match fault.code() {
                Some(code) if is_machine(&code) => Self::Unavailable(said),
                _ => Self::Failed(said),
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_) => Self::Unavailable(said),
            _ => Self::Failed(said),
        }
    }
}

fn is_machine(code: &str) -> bool {
    if code.len() == 5 {
        return code == POSTGRES_READ_ONLY || POSTGRES_MACHINE.iter().any(|class| code.starts_with(class));
    }
    let number: Option<u32> = code.parse().ok();
    number.is_some_and(|number| SQLITE_MACHINE.contains(&(number & 0xff)))
}
