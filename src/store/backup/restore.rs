//! Putting a backup in place of what is stored.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use super::{Backup, BackupError, Progress, load};
use crate::config::Database;
use crate::domain::ids::{Epoch, NodeId};
use crate::domain::time::Timestamp;
use crate::folder::{self, DataFolder};
use crate::store::backend::{Db, sqlite};
use crate::store::migrate::{Goal, UNFINISHED};
use crate::store::nodes::{self, BeginEpoch, OtherNode};
use crate::store::{Store, StoreError, tables};

/// The folder beside, in which a file is built.
const BESIDE: &str = "restore.partial";

/// Where and how to restore. The data folder is held, so no server runs on it.
pub struct Restore<'a> {
    /// The database to fill.
    pub settings: &'a Database,
    /// The data folder.
    pub folder: &'a DataFolder,
    /// This node: its own registration, left behind by a crash, is in nobody's way.
    pub node: NodeId,
    /// Put the backup in place of what is there.
    pub replace: bool,
    /// The present time.
    pub now: Timestamp,
    /// Is told what is being done.
    pub progress: Progress,
}

/// What there is before a restore.
struct Found {
    unfinished: bool,
    foreign: bool,
    in_use: bool,
    node: Option<OtherNode>,
}

impl Restore<'_> {
    /// Fills the database; afterwards it has another epoch, which is returned.
    ///
    /// # Errors
    /// See [`BackupError`]. A file that was there is untouched then; a database on a server may be half filled, and refuses to be used
    /// until a restore has finished.
    pub async fn run(&self, backup: &Backup) -> Result<Epoch, BackupError> {
        let path = self.folder.path().join(sqlite::FILE_NAME);
        if !self.settings.url.is_empty() {
            let store = Store::open(self.settings, self.folder.path()).await?;
            refuse_newer(&store, backup)?;
            self.inspect(&store).await?;
            return self.refill_server(&store, backup).await;
        }
        if path.exists() {
            let store = Store::open(self.settings, self.folder.path()).await?;
            self.inspect(&store).await?;
            settle(&store, &path).await?;
        }
        let beside = self.folder.path().join(BESIDE);
        let built = self.build(&beside, backup).await;
        let placed = built.and_then(|epoch| {
            let new = beside.join(sqlite::FILE_NAME);
            put_in_place(&new, &path).map(|()| epoch).map_err(|error| BackupError::Io(path.clone(), error))
        });
        remove(&beside)?;
        placed
    }

    /// Refuses what must not be replaced.
    async fn inspect(&self, store: &Store) -> Result<(), BackupError> {
        let lease = chrono::Duration::from_std(self.settings.node_lease).unwrap_or(chrono::Duration::MAX);
        let alive_since = self.now.checked_sub_signed(lease).unwrap_or(Timestamp::MIN_UTC);
        let node = self.node;
        let found = store.snapshot(move |db| Box::pin(inspect(db, node, alive_since))).await?;
        match found {
            Found { node: Some(node), .. } => Err(BackupError::NodeRuns(node)),
            Found { foreign: true, .. } => Err(BackupError::Foreign),
            Found { in_use, unfinished, .. } if (in_use || unfinished) && !self.replace => Err(BackupError::NotEmpty),
            Found { unfinished: true, .. } => Ok(()),
            // A newer schema is not ours to throw away.
            Found { .. } => Ok(store.schema().await.map(drop)?),
        }
    }

    async fn build(&self, beside: &Path, backup: &Backup) -> Result<Epoch, BackupError> {
        remove(beside)?;
        folder::make_private(beside).map_err(|error| BackupError::Io(beside.to_owned(), error))?;
        let store = Store::open(self.settings, beside).await?;
        refuse_newer(&store, backup)?;
        let epoch = self.fill(&store, backup).await?;
        let found = store.snapshot(|db| Box::pin(tables::integrity(db))).await?;
        if let Some(damage) = found.into_iter().next() {
            return Err(StoreError::Corrupt(damage).into());
        }
        settle(&store, &beside.join(sqlite::FILE_NAME)).await?;
        Ok(epoch)
    }

    async fn refill_server(&self, store: &Store, backup: &Backup) -> Result<Epoch, BackupError> {
        let _alone = alone(store).await?;
        execute(store, &format!("CREATE TABLE IF NOT EXISTS {UNFINISHED} (one SMALLINT NOT NULL PRIMARY KEY)")).await?;
        (self.progress)("removing what is stored");
        store.migrate_to(Goal::Nothing).await?;
        let epoch = self.fill(store, backup).await?;
        execute(store, &format!("DROP TABLE {UNFINISHED}")).await?;
        Ok(epoch)
    }

    /// From an empty database to a restored one of this program's schema.
    async fn fill(&self, store: &Store, backup: &Backup) -> Result<Epoch, BackupError> {
        let version = backup.manifest().schema.iter().max().cloned();
        let version = version.ok_or_else(|| BackupError::Damaged("it names no schema".to_owned()))?;
        store.migrate_to(Goal::Version(version)).await?;
        let (connector, loaded, progress) = (store.connector(), backup.clone(), self.progress.clone());
        let work = store.spawn(async move {
            let mut db = connector.open().await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            load::prepare(&mut db).await?;
            loaded.load_into(&mut db, &progress).await
        });
        work.await.unwrap_or(Err(StoreError::Panicked.into()))?;
        store.migrate_to(Goal::Newest).await?;
        let begin = BeginEpoch { epoch: Epoch::generate(), restored: true };
        Ok(store.transaction(Arc::new(begin), self.settings.read_deadline).await?)
    }
}

fn refuse_newer(store: &Store, backup: &Backup) -> Result<(), BackupError> {
    let known = store.known_schema()?;
    match backup.manifest().schema.iter().filter(|version| !known.contains(version)).max() {
        Some(found) => Err(BackupError::SchemaNewer { found: found.clone(), known: known.last().cloned().unwrap_or_default() }),
        None => Ok(()),
    }
}

async fn inspect(db: &mut Db, own: NodeId, alive_since: Timestamp) -> Result<Found, StoreError> {
    #[derive(QueryableByName)]
    struct Used {
        #[diesel(sql_type = BigInt)]
        used: i64,
    }

    let names = tables::names(db).await?;
    let there = |name: &str| names.iter().any(|table| table == name);
    let unfinished = there(UNFINISHED);
    let foreign = !names.is_empty() && !unfinished && !there("__diesel_schema_migrations");
    let mut in_use = false;
    for table in ["users", "rooms"].into_iter().filter(|name| there(name) && !foreign) {
        let query = diesel::sql_query(format!("SELECT COUNT(*) AS used FROM (SELECT 1 AS one FROM {table} LIMIT 1) some"));
        let found: Used = each!(db, |c| query.get_result(c).await)?;
        in_use |= found.used > 0;
    }
    let node = if there("nodes") && !foreign { nodes::alive(db, own, alive_since).await? } else { None };
    Ok(Found { unfinished, foreign, in_use, node })
}

/// Nobody else restores into this server's database until the connection is dropped.
async fn alone(store: &Store) -> Result<Db, BackupError> {
    #[derive(QueryableByName)]
    struct Taken {
        #[diesel(sql_type = BigInt)]
        taken: i64,
    }

    let connector = store.connector();
    let work = store.spawn(async move {
        let mut db = connector.open().await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let Db::Mysql(c) = &mut db else { return Ok(Some(db)) };
        c.batch_execute("SET SESSION wait_timeout = 86400, autocommit = 1").await?;
        // Names of locks are the server's, not the database's.
        let query = "SELECT CAST(GET_LOCK(CONCAT('hubbub_restore_', LEFT(SHA2(DATABASE(), 256), 32)), 0) AS SIGNED) AS taken";
        let taken: Taken = diesel::sql_query(query).get_result(c).await?;
        Ok::<_, StoreError>((taken.taken == 1).then_some(db))
    });
    let taken = work.await.unwrap_or(Err(StoreError::Panicked))?;
    taken.ok_or(BackupError::InUse("another restore is under way"))
}

pub(super) async fn execute(store: &Store, statement: &str) -> Result<(), BackupError> {
    let (connector, statement) = (store.connector(), statement.to_owned());
    let work = store.spawn(async move {
        let mut db = connector.open().await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok::<_, StoreError>(each!(&mut db, |c| c.batch_execute(&statement).await)?)
    });
    Ok(work.await.unwrap_or(Err(StoreError::Panicked))?)
}

/// Brings everything from the write-ahead log into the file and closes it, so that the file alone is the database. A log that is left
/// beside would be applied to whatever file has the name next.
async fn settle(store: &Store, file: &Path) -> Result<(), BackupError> {
    #[derive(QueryableByName)]
    struct Checkpoint {
        #[diesel(sql_type = BigInt)]
        busy: i64,
    }

    let connector = store.connector();
    let work = store.spawn(async move {
        let db = connector.open().await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let Db::Sqlite(mut c) = db else { return Ok(false) };
        let done: Checkpoint = diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result(&mut c).await?;
        Ok::<_, StoreError>(done.busy != 0)
    });
    let busy = work.await.unwrap_or(Err(StoreError::Panicked))?;
    store.close();
    let log = PathBuf::from(format!("{}-wal", file.display()));
    if busy || fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Err(BackupError::InUse("it reads the database; wait for it, or stop it"));
    }
    Ok(())
}

fn put_in_place(new: &Path, path: &Path) -> io::Result<()> {
    File::open(new)?.sync_all()?;
    fs::rename(new, path)?;
    folder::sync(path.parent().unwrap_or(Path::new(".")))
}

fn remove(folder: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BackupError::Io(folder.to_owned(), error)),
        _ => Ok(()),
    }
}
