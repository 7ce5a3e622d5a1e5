//! A transaction of SQLite, begun and ended by us.
//!
//! SQLite ends a transaction by itself when the disk is full. sqlx's own transaction does not know of that: its rollback
//! fails, and the connection is of no use to anybody from then on. Here a rollback that has nothing to roll back is no
//! failure.
use super::StoreError;
use sqlx::pool::PoolConnection;
use sqlx::{Executor, Sqlite, SqliteConnection, SqlitePool};

/// An open transaction. Dropped without a commit, it is rolled back before anybody else gets the connection.
pub(super) struct Alone {
    connection: Option<PoolConnection<Sqlite>>,
}

impl Alone {
    pub(super) async fn begin(pool: &SqlitePool, how: &'static str) -> Result<Self, StoreError> {
        let mut alone = Self::of(pool).await?;
        alone.connection()?.execute(how).await?;
        Ok(alone)
    }

    /// A connection on which one is about to be begun: ours before, so that whoever gives up waiting leaves no open
    /// transaction behind.
    pub(super) async fn of(pool: &SqlitePool) -> Result<Self, StoreError> {
        Ok(Self {
            connection: Some(pool.acquire().await?),
        })
    }

    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        let gone = || StoreError::Failed("the transaction is over".into());
        self.connection.as_deref_mut().ok_or_else(gone)
    }

    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        // When this fails, dropping rolls back.
        self.connection()?.execute("COMMIT").await?;
        self.done();
        Ok(())
    }

    /// It was committed.
    pub(super) fn done(mut self) {
        drop(self.connection.take());
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                // That there is nothing to roll back any more is what SQLite says after a full disk.
                let _ = connection.execute("ROLLBACK").await;
            })),
            // Without a runtime the connection cannot go back; closed, it is rolled back.
            Err(_) => drop(connection.detach()),
        }
    }
}
