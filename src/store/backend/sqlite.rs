//! SQLite: one file, one writer, readers beside it.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use diesel::{Connection as _, ConnectionError, ConnectionResult};
use diesel_async::sync_connection_wrapper::{SpawnBlocking, SyncConnectionWrapper};
use futures_util::future::BoxFuture;

use super::Role;

/// A connection whose statements run on the calling thread.
pub type Connection = SyncConnectionWrapper<SqliteConnection, Inline>;

/// The file's name in the data folder.
pub const FILE_NAME: &str = "hubbub.sqlite";

/// Once a checkpoint has emptied it, the write-ahead log is cut back to this many bytes.
const JOURNAL_SIZE_LIMIT: u64 = 64 * 1024 * 1024;

/// Pages in the write-ahead log after which a commit brings them into the database file itself. Far beyond what `checkpoints` lets gather beside
/// the commits: for programs that do not run it, and should it fail.
const CHECKPOINT_PAGES: u32 = 16_000;

/// Runs the blocking call where it stands: the store's threads are there to block, and handing each statement to another thread
/// costs more than most statements.
pub struct Inline;

impl SpawnBlocking for Inline {
    fn spawn_blocking<'a, R>(
        &mut self,
        task: impl FnOnce() -> R + Send + 'static,
    ) -> BoxFuture<'a, Result<R, Box<dyn Error + Send + Sync + 'static>>>
    where
        R: Send + 'static,
    {
        Box::pin(async move { Ok(task()) })
    }

    fn get_runtime() -> Self {
        Self
    }
}

/// Opens the database `file` for `role`.
///
/// # Errors
/// When the file cannot be opened or is no database.
pub fn open(file: &Path, role: Role, cache_bytes: u64, lock_wait: Duration) -> ConnectionResult<Connection> {
    let path = file.to_str().ok_or_else(|| ConnectionError::InvalidConnectionUrl("the path is not UTF-8".to_owned()))?;
    let mut connection = SqliteConnection::establish(path)?;
    let setup = session(role, cache_bytes, lock_wait);
    connection.batch_execute(&setup).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(Connection::with_runtime(connection, Inline))
}

/// `synchronous = FULL` makes each commit survive power loss (I2). The busy timeout comes first: switching to WAL takes a lock.
fn session(role: Role, cache_bytes: u64, lock_wait: Duration) -> String {
    let wait = lock_wait.as_millis();
    let cache = cache_bytes / 1024;
    let query_only = match role {
        Role::Reader => "ON",
        Role::Writer => "OFF",
    };
    format!(
        "PRAGMA busy_timeout = {wait};
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
         PRAGMA foreign_keys = ON;
         PRAGMA journal_size_limit = {JOURNAL_SIZE_LIMIT};
         PRAGMA cache_size = -{cache};
         PRAGMA temp_store = MEMORY;
         PRAGMA query_only = {query_only};"
    )
}
