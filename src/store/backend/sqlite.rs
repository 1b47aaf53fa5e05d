//! SQLite: one file, one writer, readers beside it.

use std::error::Error;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use diesel::{Connection as _, ConnectionError, ConnectionResult};
use diesel_async::sync_connection_wrapper::{SpawnBlocking, SyncConnectionWrapper};
use futures_util::future::BoxFuture;

use super::Role;
use crate::folder;

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
    make_private(file).map_err(|error| ConnectionError::BadConnection(format!("{path}: {error}")))?;
    let mut connection = SqliteConnection::establish(path)?;
    let setup = session(role, cache_bytes, lock_wait);
    connection.batch_execute(&setup).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(Connection::with_runtime(connection, Inline))
}

/// Makes the file, for its owner only, if there is none; SQLite gives its log and its index the same mode. One that is there is not even opened:
/// closing it would end the locks that other connections of this process hold on it (POSIX).
fn make_private(file: &Path) -> io::Result<()> {
    match folder::private(File::options().write(true).create_new(true)).open(file) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn a_new_database_is_its_owners_only_and_one_that_is_there_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE_NAME);
        let open = || open(&file, Role::Writer, 1 << 20, Duration::from_secs(1)).unwrap();
        let modes = || {
            let entries = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap());
            let mode = |entry: fs::DirEntry| entry.metadata().unwrap().permissions().mode() & 0o777;
            entries.map(mode).collect::<Vec<_>>()
        };
        let mut connection = open();
        connection.spawn_blocking(|c| c.batch_execute("CREATE TABLE t (x BLOB)")).await.unwrap();
        assert_eq!(modes(), [0o600; 3], "the file, its log and the index of that");
        drop(connection);
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        drop(open());
        assert_eq!(modes(), [0o640]);
    }
}
