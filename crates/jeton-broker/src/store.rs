//! Where everything is kept: SQLite beside the process, or PostgreSQL for any number of them.
//!
//! There is one schema and one SQL text for both. Columns are `TEXT` or `BIGINT`; parameters are written `$1`; times
//! are milliseconds. What differs is in this file: pools, transactions, locks, and what an error means.
//!
//! Nothing here is cached. What is remembered elsewhere ([`crate::remembered`]) counts only for a release whose record is
//! written while [`change`] says that it still holds, so that a revocation holds everywhere at once.
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Connection, Executor, Postgres, SqlSafeStr, Sqlite, Transaction};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

mod addition;
mod alone;
mod arg;
pub mod change;
mod error;
pub mod migration;
mod row;

pub use addition::{Addition, End, Linked};
use alone::Alone;
pub use arg::Arg;
pub use error::StoreError;
pub use row::Row;

/// How long a statement may wait for another writer.
const BUSY: Duration = Duration::from_secs(5);
/// How long a request may wait for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// How many connections read from SQLite at once; each is a thread.
const SQLITE_READERS: u32 = 4;
/// How many connections one process holds to PostgreSQL.
const POSTGRES_CONNECTIONS: u32 = 16;
/// How long a connection may have been idle before it is asked whether it is still there.
const UNSURE: Duration = Duration::from_secs(1);
/// The longest a statement may run on PostgreSQL.
const STATEMENT_TIMEOUT: &str = "10000";

/// Which database, from `database` in `broker.toml`.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// A file.
    Sqlite(PathBuf),
    /// A URL of PostgreSQL; it may hold a password.
    Postgres(String),
}

impl Database {
    /// Reads `sqlite:PATH` or `postgres://…`; a relative path is taken from `folder`.
    ///
    /// # Errors
    /// What is wrong with it, without its password.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, &'static str> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.starts_with(':') {
                return Err("names no file; write sqlite:PATH");
            }
            return Ok(Self::Sqlite(folder.join(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return match PgConnectOptions::from_str(text) {
                Ok(_) => Ok(Self::Postgres(text.to_owned())),
                Err(_) => Err("is no URL of PostgreSQL"),
            };
        }
        Err("is neither sqlite:PATH nor postgres://…")
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(_) => f.write_str("postgres://[redacted]"),
        }
    }
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store(Pools);

#[derive(Clone)]
enum Pools {
    Sqlite { read: SqlitePool, write: SqlitePool },
    Postgres(PgPool),
}

/// A transaction that may write; what was not committed never was.
pub struct Tx(Open);

enum Open {
    Sqlite(Alone),
    Postgres(Transaction<'static, Postgres>),
}

/// Runs one statement on something that executes, for either database.
macro_rules! run {
    ($kind:ty, $on:expr, $sql:expr, $args:expr, $how:ident) => {{
        let mut query = sqlx::query::<$kind>($sql);
        for arg in $args {
            query = match arg {
                Arg::Text(text) => query.bind(text),
                Arg::Int(number) => query.bind(number),
            };
        }
        $on.$how(query).await.map_err(StoreError::from)
    }};
}

impl Store {
    /// Opens it. A file of SQLite is made when it is not there; the schema is for [`migration::run`].
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        match database {
            Database::Sqlite(path) => Self::sqlite(path).await,
            Database::Postgres(url) => Self::postgres(url),
        }
    }

    async fn sqlite(path: &Path) -> Result<Self, StoreError> {
        make_private(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit that was acknowledged is on the disk.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("secure_delete", "on")
            .busy_timeout(BUSY);
        // SQLite has one writer at a time: they queue here, in the order they came, and not in its busy loop.
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(options.clone())
            .await?;
        let read = SqlitePoolOptions::new()
            .max_connections(SQLITE_READERS)
            .acquire_timeout(ACQUIRE)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(options.pragma("query_only", "on"));
        Ok(Self(Pools::Sqlite { read, write }))
    }

    fn postgres(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)?.options([("statement_timeout", STATEMENT_TIMEOUT)]);
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false)
            .before_acquire(|connection, about| {
                Box::pin(async move {
                    // One that was in use a moment ago is there; asking it costs as much as a statement.
                    if about.idle_for >= UNSURE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options);
        Ok(Self(Pools::Postgres(pool)))
    }

    /// Whether it is PostgreSQL.
    #[must_use]
    pub const fn is_postgres(&self) -> bool {
        matches!(self.0, Pools::Postgres(_))
    }

    /// The rows that a question is answered with.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rows(&self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<Vec<Row>, StoreError> {
        match &self.0 {
            Pools::Sqlite { read, .. } => {
                let rows: Vec<SqliteRow> = run!(Sqlite, read, sql, args, fetch_all)?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Pools::Postgres(pool) => {
                let rows: Vec<PgRow> = run!(Postgres, pool, sql, args, fetch_all)?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn row(&self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<Option<Row>, StoreError> {
        match &self.0 {
            Pools::Sqlite { read, .. } => {
                let row: Option<SqliteRow> = run!(Sqlite, read, sql, args, fetch_optional)?;
                Ok(row.map(Row::Sqlite))
            }
            Pools::Postgres(pool) => {
                let row: Option<PgRow> = run!(Postgres, pool, sql, args, fetch_optional)?;
                Ok(row.map(Row::Postgres))
            }
        }
    }

    /// Begins a transaction that may write. SQLite lets in one at a time; on PostgreSQL take [`Tx::lock`] for what
    /// must not happen twice at once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(Tx(match &self.0 {
            Pools::Sqlite { write, .. } => Open::Sqlite(Alone::begin(write, "BEGIN IMMEDIATE").await?),
            Pools::Postgres(pool) => Open::Postgres(pool.begin().await?),
        }))
    }

    /// Begins a transaction that only reads: everything is as it was at one moment, whatever others write meanwhile, and
    /// nobody waits for it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn snapshot(&self) -> Result<Tx, StoreError> {
        Ok(Tx(match &self.0 {
            Pools::Sqlite { read, .. } => Open::Sqlite(Alone::begin(read, "BEGIN").await?),
            Pools::Postgres(pool) => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Open::Postgres(pool.begin_with(begin).await?)
            }
        }))
    }

    /// Runs one statement by itself; the number of rows that it touched.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn execute(&self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<u64, StoreError> {
        match &self.0 {
            Pools::Sqlite { write, .. } => run!(Sqlite, write, sql, args, execute)
                .map(|done: sqlx::sqlite::SqliteQueryResult| done.rows_affected()),
            Pools::Postgres(pool) => run!(Postgres, pool, sql, args, execute)
                .map(|done: sqlx::postgres::PgQueryResult| done.rows_affected()),
        }
    }

    /// Closes every connection; what is under way ends first.
    pub async fn close(&self) {
        match &self.0 {
            Pools::Sqlite { read, write } => {
                read.close().await;
                write.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    /// The rows that a question is answered with.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rows(&mut self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<Vec<Row>, StoreError> {
        match &mut self.0 {
            Open::Sqlite(tx) => {
                let rows: Vec<SqliteRow> = run!(Sqlite, tx.connection()?, sql, args, fetch_all)?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Open::Postgres(tx) => {
                let rows: Vec<PgRow> = run!(Postgres, (**tx), sql, args, fetch_all)?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn row(&mut self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    /// Runs a statement; the number of rows that it touched.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn execute(&mut self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<u64, StoreError> {
        match &mut self.0 {
            Open::Sqlite(tx) => run!(Sqlite, tx.connection()?, sql, args, execute)
                .map(|done: sqlx::sqlite::SqliteQueryResult| done.rows_affected()),
            Open::Postgres(tx) => run!(Postgres, (**tx), sql, args, execute)
                .map(|done: sqlx::postgres::PgQueryResult| done.rows_affected()),
        }
    }

    /// Waits until no other transaction of any replica holds the lock of this name; it is held until the end. Within
    /// SQLite a transaction is alone anyway.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lock(&mut self, name: &str) -> Result<(), StoreError> {
        if matches!(self.0, Open::Postgres(_)) {
            let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 8420))::text";
            self.rows(sql, vec![name.into()]).await?;
        }
        Ok(())
    }

    /// Makes it so.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing of it happened, or nobody can tell because the connection went away meanwhile.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self.0 {
            Open::Sqlite(tx) => tx.commit().await,
            Open::Postgres(tx) => Ok(tx.commit().await?),
        }
    }
}

/// The file and what SQLite puts beside it (it takes over the rights) are for this user alone.
fn make_private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    let opened = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path);
    opened
        .map(drop)
        .map_err(|error| StoreError::Unavailable(format!("cannot open {}: {error}", path.display())))
}
