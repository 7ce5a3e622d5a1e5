//! A row, whichever database it came from. Columns are counted from 0, in the order of the statement.
use super::StoreError;
use jeton_core::UnixTime;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

/// A row.
pub enum Row {
    /// Of SQLite.
    Sqlite(SqliteRow),
    /// Of PostgreSQL.
    Postgres(PgRow),
}

impl Row {
    /// A text that may be `NULL`.
    ///
    /// # Errors
    /// It is no text.
    pub fn maybe(&self, column: usize) -> Result<Option<String>, StoreError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    /// A text.
    ///
    /// # Errors
    /// It is no text, or `NULL`.
    pub fn text(&self, column: usize) -> Result<String, StoreError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    /// A number.
    ///
    /// # Errors
    /// It is none.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    /// A number that may be `NULL`.
    ///
    /// # Errors
    /// It is none.
    pub fn maybe_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    /// A time.
    ///
    /// # Errors
    /// It is none.
    pub fn time(&self, column: usize) -> Result<UnixTime, StoreError> {
        self.int(column).map(UnixTime::from_millis)
    }
}
