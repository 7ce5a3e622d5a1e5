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
        // Ours before it is begun: whoever gives up waiting leaves no open transaction behind.
        let mut alone = Self {
            connection: Some(pool.acquire().await?),
        };
        alone.connection()?.execute(how).await?;
        Ok(alone)
    }

    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        let gone = || StoreError::Failed("the transaction is over".into());
        self.connection.as_deref_mut().ok_or_else(gone)
    }

    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        // When this fails, dropping rolls back.
        self.connection()?.execute("COMMIT").await?;
        drop(self.connection.take());
        Ok(())
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
