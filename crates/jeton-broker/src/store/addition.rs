//! Records that are added to the chain: many at once, in few round trips, because everybody who wants something
//! released waits for them.
use super::alone::Alone;
use super::{Open, Pools, Store, StoreError, Tx, change};
use sqlx::postgres::PgRow;
use sqlx::{Executor, Postgres, Row as _, SqlSafeStr, Sqlite};
use std::fmt::Write;
use std::sync::LazyLock;

/// The end of the chain as a transaction finds it that has the chain to itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The newest record's number and hash, if there is one.
    pub head: Option<(i64, String)>,
    /// The state of what is decided on: see [`change`].
    pub state: (i64, i64),
}

/// Records behind the end, and the code of the new one.
#[derive(Debug)]
pub struct Addition {
    /// Never empty.
    pub records: Vec<Linked>,
    /// The code over the newest.
    pub mac: String,
}

/// A record in its place in the chain.
#[derive(Debug)]
pub struct Linked {
    /// Its number.
    pub seq: i64,
    /// When it was made, in milliseconds.
    pub at: i64,
    /// Its text.
    pub record: String,
    /// Its hash.
    pub hash: String,
}

/// How many rows one statement of SQLite adds: a batch is made of these, so that few statements are kept prepared.
const ROWS: [usize; 5] = [256, 64, 16, 4, 1];
/// Parameters of a row.
const PARAMETERS: usize = 4;

/// The statements of [`ROWS`], without and with the new end and the commit behind them: one way to the database's
/// thread and back.
static ADDING: LazyLock<[(String, String); ROWS.len()]> = LazyLock::new(|| ROWS.map(adding));

fn adding(rows: usize) -> (String, String) {
    let mut sql = String::from("INSERT INTO audit (seq, at, record, hash) VALUES ");
    for row in 0..rows {
        let first = row * PARAMETERS;
        let comma = if row == 0 { "" } else { ", " };
        // Writing to a text cannot fail.
        let _ = write!(
            sql,
            "{comma}(${}, ${}, ${}, ${})",
            first + 1,
            first + 2,
            first + 3,
            first + 4
        );
    }
    let end = rows * PARAMETERS;
    let last = format!(
        "{sql}; INSERT INTO audit_head (id, seq, hash, mac) VALUES (1, ${}, ${}, ${}) ON CONFLICT (id) DO UPDATE \
         SET seq = excluded.seq, hash = excluded.hash, mac = excluded.mac; COMMIT",
        end - 3,
        end,
        end + 1
    );
    (sql, last)
}

impl Store {
    /// Begins a transaction that adds records: it has the chain to itself, and sees everything that was committed before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_chain(&self) -> Result<(Tx, End), StoreError> {
        let end = format!(
            "SELECT (SELECT seq FROM audit_head WHERE id = 1), (SELECT hash FROM audit_head WHERE id = 1), {}",
            change::STATE
        );
        match &self.0 {
            Pools::Sqlite { write, .. } => {
                let mut alone = Alone::of(write).await?;
                let sql = sqlx::AssertSqlSafe(format!("BEGIN IMMEDIATE; {end}")).into_sql_str();
                let rows = alone.connection()?.fetch_all(sqlx::query::<Sqlite>(sql)).await?;
                let row = rows.first().ok_or_else(no_end)?;
                let head = row.try_get::<Option<i64>, _>(0)?.zip(row.try_get(1)?);
                let state = (row.try_get(2)?, row.try_get(3)?);
                Ok((Tx(Open::Sqlite(alone)), End { head, state }))
            }
            Pools::Postgres(pool) => {
                // Two statements, so that the second sees what was committed while the first waited.
                let begin = "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('audit', 8420))";
                let mut tx = pool.begin_with(begin).await?;
                let sql = sqlx::AssertSqlSafe(end).into_sql_str();
                let row: PgRow = tx.fetch_one(sqlx::query::<Postgres>(sql)).await?;
                let head = row.try_get::<Option<i64>, _>(0)?.zip(row.try_get(1)?);
                let state = (row.try_get(2)?, row.try_get(3)?);
                Ok((Tx(Open::Postgres(tx)), End { head, state }))
            }
        }
    }
}

fn no_end() -> StoreError {
    StoreError::Failed("the chain has no end".into())
}

impl Tx {
    /// Adds records as a part of what else it does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add(&mut self, addition: Addition) -> Result<(), StoreError> {
        let last = addition.records.last().ok_or_else(no_end)?;
        let end = vec![last.seq.into(), last.hash.as_str().into(), addition.mac.into()];
        for linked in addition.records {
            let sql = "INSERT INTO audit (seq, at, record, hash) VALUES ($1, $2, $3, $4)";
            let args = vec![
                linked.seq.into(),
                linked.at.into(),
                linked.record.into(),
                linked.hash.into(),
            ];
            self.execute(sql, args).await?;
        }
        let sql = "INSERT INTO audit_head (id, seq, hash, mac) VALUES (1, $1, $2, $3) \
                   ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, mac = excluded.mac";
        self.execute(sql, end).await.map(drop)
    }

    /// Adds records and makes everything so.
    ///
    /// # Errors
    /// [`StoreError`]: nothing of it happened, or nobody can tell because the connection went away meanwhile.
    pub async fn add_and_commit(self, addition: Addition) -> Result<(), StoreError> {
        match self.0 {
            Open::Sqlite(alone) => sqlite(alone, addition).await,
            Open::Postgres(mut tx) => {
                let last = addition.records.last().ok_or_else(no_end)?;
                let (seq, hash) = (last.seq, last.hash.clone());
                let (mut numbers, mut times) = (Vec::new(), Vec::new());
                let (mut texts, mut hashes) = (Vec::new(), Vec::new());
                for linked in addition.records {
                    numbers.push(linked.seq);
                    times.push(linked.at);
                    texts.push(linked.record);
                    hashes.push(linked.hash);
                }
                let sql = "WITH added AS (INSERT INTO audit (seq, at, record, hash) SELECT r.seq, r.at, r.record, r.hash \
                           FROM UNNEST($1::bigint[], $2::bigint[], $3::text[], $4::text[]) AS r (seq, at, record, hash)) \
                           INSERT INTO audit_head (id, seq, hash, mac) VALUES (1, $5, $6, $7) ON CONFLICT (id) \
                           DO UPDATE SET seq = excluded.seq, hash = excluded.hash, mac = excluded.mac";
                let query = sqlx::query::<Postgres>(sql)
                    .bind(numbers)
                    .bind(times)
                    .bind(texts)
                    .bind(hashes)
                    .bind(seq)
                    .bind(hash)
                    .bind(addition.mac);
                tx.execute(query).await?;
                Ok(tx.commit().await?)
            }
        }
    }
}

async fn sqlite(mut alone: Alone, addition: Addition) -> Result<(), StoreError> {
    let mut records = addition.records.into_iter();
    let mut mac = Some(addition.mac);
    while records.len() > 0 {
        let fits = |rows: &usize| *rows <= records.len();
        let size = ROWS.iter().position(fits).ok_or_else(no_end)?;
        let is_last = ROWS[size] == records.len();
        let (sql, last) = &ADDING[size];
        let sql = sqlx::AssertSqlSafe(if is_last { last.as_str() } else { sql.as_str() }).into_sql_str();
        let mut query = sqlx::query::<Sqlite>(sql);
        for linked in records.by_ref().take(ROWS[size]) {
            query = query
                .bind(linked.seq)
                .bind(linked.at)
                .bind(linked.record)
                .bind(linked.hash);
        }
        if is_last {
            query = query.bind(mac.take());
        }
        alone.connection()?.execute(query).await?;
    }
    alone.done();
    Ok(())
}
