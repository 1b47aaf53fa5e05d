//! Long reads of one consistent state, beside a running server: backup and verification.

use diesel_async::SimpleAsyncConnection;
use futures_util::future::BoxFuture;

use super::access::Store;
use super::backend::{Db, Role};
use super::error::StoreError;

impl Store {
    /// Reads one state of the database, however long it takes, on a connection of its own that cannot write. Writers go on meanwhile;
    /// the database keeps what they replace until the reading ends.
    ///
    /// # Errors
    /// Those of the database, or what `read` returns.
    pub async fn snapshot<T, E, F>(&self, read: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'a> FnOnce(&'a mut Db) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    {
        let connector = self.connector().with_role(Role::Reader);
        let work = self.spawn(async move {
            let mut db = connector.open().await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            begin(&mut db).await?;
            // Nothing to roll back: the connection goes, and the transaction with it.
            read(&mut db).await
        });
        work.await.unwrap_or_else(|_| Err(StoreError::Panicked.into()))
    }
}

async fn begin(db: &mut Db) -> Result<(), StoreError> {
    match db {
        // The state is that of the first read; reading the schema is one.
        Db::Sqlite(c) => c.batch_execute("BEGIN; SELECT 1 FROM sqlite_schema").await?,
        Db::Mysql(c) => {
            c.batch_execute(
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
            )
            .await?;
        }
    }
    Ok(())
}
