//! The store as callers hold it: pools, threads, deadlines, one transaction at a time per writer.
//!
//! *Invariants.* A transaction runs to its end even if nobody waits for it any more. A connection whose state is not known (panic,
//! deadline, failed rollback) is closed and not given back. When a deadline passes, the answer says whether the commit had begun:
//! not begun, it never will.
//!
//! *Must not know*: what an operation does; when to run one again (persistence decides).

use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use deadpool::Runtime as PoolRuntime;
use deadpool::managed::{Object, Pool, PoolError, TimeoutType};
use diesel::ConnectionError;
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};

use super::backend::{Connector, Db, Role, mysql};
use super::checkpoints;
use super::error::StoreError;
use super::operation::{Operation, Reply};
use crate::config::Database;

/// Why the store did not open.
#[derive(Debug, Error)]
pub enum OpenError {
    /// No database there, or it refuses us. The text holds no password.
    #[error("cannot open the database: {0}")]
    Connect(String),
    /// The file is no database, or what is in it is broken.
    #[error("the database is damaged: {0} (put a backup in its place: hubbub restore --replace)")]
    Damaged(String),
    /// The server may lose acknowledged messages in a power cut (I2).
    #[error("the database is not durable: {0} (to start all the same, set database.allow_weak_durability)")]
    WeakDurability(&'static str),
    /// The machine gives no threads.
    #[error("cannot start the store's threads: {0}")]
    Threads(std::io::Error),
    /// The database was migrated by a newer version of this program.
    #[error(
        "the database has schema {found}, this program knows up to {known}: use the newer version of Hubbub that migrated it"
    )]
    SchemaNewer {
        /// The newest migration in the database.
        found: String,
        /// The newest one of this program.
        known: String,
    },
    /// A restore broke off: what is there is part of a backup.
    #[error("a restore of this database did not finish: run `hubbub restore` again, with --replace")]
    RestoreUnfinished,
    /// A migration failed.
    #[error("cannot migrate the database: {0}")]
    Migration(String),
}

/// The store. Clones share it; when the last one goes, its connections close.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    readers: Pool<Connector>,
    writers: Pool<Connector>,
    read_deadline: Duration,
    connector: Connector,
    /// Some until dropped. Not dropped in place: a runtime must not end inside another one's task.
    runtime: Option<Runtime>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Store {
    /// Opens the database the settings name, in `folder` if it is a file. Does not migrate; see [`Store::migrate`].
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(settings: &Database, folder: &Path) -> Result<Self, OpenError> {
        let connector = Connector::new(settings, folder, Role::Writer);
        let writers = if connector.is_file() { 1 } else { settings.writers };
        let threads = threads(settings, connector.is_file(), writers);
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("hubbub-store")
            .enable_all()
            .build()
            .map_err(OpenError::Threads)?;
        let inner = Inner {
            readers: pool(Connector::new(settings, folder, Role::Reader), settings.readers, settings),
            writers: pool(connector.clone(), writers, settings),
            read_deadline: settings.read_deadline,
            connector,
            runtime: Some(runtime),
        };
        let store = Self { inner: Arc::new(inner) };
        store.check(settings).await?;
        if store.is_file() {
            drop(store.spawn(look_after_the_log(Arc::downgrade(&store.inner))));
        }
        Ok(store)
    }

    /// False if the database is a file and the file is not there: opening would make it.
    #[must_use]
    pub fn exists(settings: &Database, folder: &Path) -> bool {
        Connector::new(settings, folder, Role::Reader).file().is_none_or(Path::exists)
    }

    /// Answers a question. `ask` gets a connection for reading; what it asks in several statements is not one snapshot. If its connection turns
    /// out to be gone, it is asked from the start once more, on a new one and within the same deadline.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when no connection becomes free, [`StoreError::Unavailable`] past the deadline, or what `ask` returns.
    pub async fn read<T, F>(&self, ask: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Db) -> Reply<'a, T> + Clone + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let work = async move { put(&inner.readers, ask).await };
        let deadline = self.inner.read_deadline;
        let answer = self.spawn(async move {
            tokio::time::timeout(deadline, work)
                .await
                .unwrap_or_else(|_| Err(StoreError::Unavailable("read deadline".to_owned())))
        });
        // A blocked thread cannot time itself out; whoever waits for it can.
        match tokio::time::timeout(deadline.saturating_mul(2), answer).await {
            Ok(answer) => answer.unwrap_or(Err(StoreError::Panicked)),
            Err(_) => Err(StoreError::Unavailable("read deadline".to_owned())),
        }
    }

    /// Runs `operation` once in a transaction and commits, all of it `within` a time. Does not run it again by itself.
    ///
    /// # Errors
    /// See [`StoreError`]; only after [`StoreError::OutcomeUnknown`] may it have been stored.
    pub async fn transaction<O: Operation>(&self, operation: Arc<O>, within: Duration) -> Result<O::Output, StoreError> {
        let phase = Arc::new(Phase::default());
        let (inner, running) = (Arc::clone(&self.inner), Arc::clone(&phase));
        let work = self.spawn(async move {
            let attempt = attempt(&inner.writers, &*operation, &running);
            match tokio::time::timeout(within, attempt).await {
                Ok(result) => result,
                Err(_) => Err(running.give_up("deadline")),
            }
        });
        match tokio::time::timeout(within, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) if phase.may_have_committed() => Err(StoreError::OutcomeUnknown("panic".to_owned())),
            Ok(Err(_)) => Err(StoreError::Panicked),
            Err(_) => Err(phase.give_up("deadline")),
        }
    }

    /// True if the database is a file: then there is one writer, and one persistence actor is enough.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.inner.connector.is_file()
    }

    /// How many transactions can run at the same time.
    #[must_use]
    pub fn writers(&self) -> usize {
        self.inner.writers.status().max_size
    }

    /// Closes the connections once those in use are given back; everything after is [`StoreError::Unavailable`].
    pub fn close(&self) {
        self.inner.readers.close();
        self.inner.writers.close();
    }

    pub(super) fn connector(&self) -> Connector {
        self.inner.connector.clone()
    }

    /// Runs on the store's threads, to its end, whoever waits.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = Result<T, tokio::task::JoinError>> {
        let handle = self.inner.runtime.as_ref().map(|runtime| runtime.spawn(work));
        async move {
            match handle {
                Some(handle) => handle.await,
                // Only `Drop` takes the runtime, and then nobody holds the store.
                None => std::future::pending().await,
            }
        }
    }

    async fn check(&self, settings: &Database) -> Result<(), OpenError> {
        let (connector, limit, weak_allowed) = (self.connector(), settings.connect_timeout, settings.allow_weak_durability);
        let checked = self.spawn(async move {
            let mut db = tokio::time::timeout(limit, connector.open())
                .await
                .map_err(|_| OpenError::Connect("no answer in time".to_owned()))?
                .map_err(|error| opening(&error))?;
            if let Db::Mysql(connection) = &mut db {
                let weakness = mysql::weakness(connection).await.map_err(|error| OpenError::Connect(error.to_string()))?;
                match weakness {
                    Some(weakness) if weak_allowed => {
                        tracing::warn!(weakness, "acknowledged messages may be lost in a power cut")
                    }
                    Some(weakness) => return Err(OpenError::WeakDurability(weakness)),
                    None => {}
                }
            }
            Ok(())
        });
        checked.await.unwrap_or_else(|error| Err(OpenError::Connect(error.to_string())))
    }
}

/// Why a connection could not be opened.
fn opening(error: &ConnectionError) -> OpenError {
    let damage = match error {
        ConnectionError::CouldntSetupConfiguration(diesel::result::Error::DatabaseError(kind, text)) => {
            let error = StoreError::from(diesel::result::Error::DatabaseError(*kind, Box::new(text.message().to_owned())));
            matches!(error, StoreError::Corrupt(_)).then(|| text.message().to_owned())
        }
        _ => None,
    };
    damage.map_or_else(|| OpenError::Connect(connection_failure(error)), OpenError::Damaged)
}

/// A thread runs SQLite's calls where they stand, so all connections together must leave one free for timers.
fn threads(settings: &Database, is_file: bool, writers: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let wanted = if settings.threads == 0 { cores.max(4) } else { settings.threads };
    if is_file { wanted.max(settings.readers + writers + 1) } else { wanted }
}

fn pool(connector: Connector, size: usize, settings: &Database) -> Pool<Connector> {
    Pool::builder(connector)
        .max_size(size.max(1))
        .wait_timeout(Some(settings.acquire_timeout))
        .create_timeout(Some(settings.connect_timeout))
        .runtime(PoolRuntime::Tokio1)
        .build()
        .expect("a runtime is named, which is all the builder asks for with timeouts")
}

/// Puts a question; once more if its connection had ended, as those do that lie idle when the database is restarted.
async fn put<T, F>(readers: &Pool<Connector>, ask: F) -> Result<T, StoreError>
where
    F: for<'a> FnOnce(&'a mut Db) -> Reply<'a, T> + Clone,
{
    let mut lease = Lease::take(readers).await?;
    let mut answer = ask.clone()(lease.db()?).await;
    if let Err(error) = &answer
        && error.asks_for_another_connection()
    {
        tracing::debug!(%error, "a connection for reading was gone");
        lease.renew(readers).await?;
        answer = ask(lease.db()?).await;
    }
    lease.settle(readers, answer.as_ref().err());
    answer
}

/// One run of one operation: begin, run, commit or roll back.
async fn attempt<O: Operation>(writers: &Pool<Connector>, operation: &O, phase: &Phase) -> Result<O::Output, StoreError> {
    let mut lease = Lease::take(writers).await?;
    let db = lease.db()?;
    let done = match db.begin().await {
        Ok(()) => operation.run(db).await,
        Err(error) => Err(error),
    };
    let result = match done {
        Ok(output) => match phase.begin_commit() {
            true => db.commit().await.map(|()| output),
            false => Err(StoreError::Unavailable("deadline".to_owned())),
        },
        Err(error) => Err(error),
    };
    match &result {
        Ok(_) => lease.settle(writers, None),
        // Explicit, because a lock wait that timed out ends the statement and not the transaction (I9).
        Err(error) => match db.rollback().await {
            Ok(()) => lease.settle(writers, Some(error)),
            Err(_) => lease.settle(writers, Some(&StoreError::Unavailable(String::new()))),
        },
    }
    result
}

/// How far a transaction is, agreed between it and the one who waits for it.
#[derive(Default)]
struct Phase(AtomicU8);

impl Phase {
    const OPEN: u8 = 0;
    const COMMITTING: u8 = 1;
    const GIVEN_UP: u8 = 2;

    /// False if nobody wants it any more: then it must not commit.
    fn begin_commit(&self) -> bool {
        self.0.compare_exchange(Self::OPEN, Self::COMMITTING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Forbids the commit if it has not begun, and says what that means.
    fn give_up(&self, why: &str) -> StoreError {
        match self.0.compare_exchange(Self::OPEN, Self::GIVEN_UP, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) | Err(Self::GIVEN_UP) => StoreError::Unavailable(why.to_owned()),
            Err(_) => StoreError::OutcomeUnknown(why.to_owned()),
        }
    }

    fn may_have_committed(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::COMMITTING
    }
}

/// Keeps SQLite's write-ahead log short for as long as the store is open; holds nothing of it meanwhile, so that its last user closes it.
async fn look_after_the_log(inner: Weak<Inner>) {
    let mut ticks = checkpoints::ticks();
    loop {
        ticks.tick().await;
        let Some(inner) = inner.upgrade().filter(|inner| !inner.readers.is_closed()) else { return };
        let Ok(mut lease) = Lease::take(&inner.readers).await else { continue };
        let Ok(Db::Sqlite(connection)) = lease.db() else { return };
        let looked = connection.spawn_blocking(checkpoints::look).await.map_err(StoreError::from);
        if let Err(error) = &looked {
            tracing::debug!(%error, "a checkpoint failed");
        }
        lease.settle(&inner.readers, looked.as_ref().err());
    }
}

/// A connection in use. Dropped without [`Lease::settle`] (a panic, a deadline), it is closed instead of given back.
struct Lease(Option<Object<Connector>>);

impl Lease {
    async fn take(pool: &Pool<Connector>) -> Result<Self, StoreError> {
        match pool.get().await {
            Ok(object) => Ok(Self(Some(object))),
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(StoreError::Busy),
            Err(PoolError::Backend(error)) => Err(StoreError::Unavailable(connection_failure(&error))),
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        }
    }

    fn db(&mut self) -> Result<&mut Db, StoreError> {
        match &mut self.0 {
            Some(object) => Ok(object),
            None => Err(StoreError::Internal("a connection was used after it was given back".to_owned())),
        }
    }

    /// Opens another connection in place of this one, which has ended, and closes the idle ones: they ended with it. The place in the pool is
    /// kept, so that nobody waits for it twice; an idle connection is not taken, whoever gave it back.
    async fn renew(&mut self, pool: &Pool<Connector>) -> Result<(), StoreError> {
        pool.retain(|_, _| false);
        let limit = pool.timeouts().create.unwrap_or(Duration::MAX);
        *self.db()? = match tokio::time::timeout(limit, pool.manager().open()).await {
            Ok(opened) => opened.map_err(|error| StoreError::Unavailable(connection_failure(&error)))?,
            Err(_) => return Err(StoreError::Unavailable("no new connection in time".to_owned())),
        };
        Ok(())
    }

    /// Gives the connection back, or closes it if `error` leaves its state unknown. If the database went away, the idle ones went
    /// with it: they are closed too, so that not each of them costs somebody an error.
    fn settle(&mut self, pool: &Pool<Connector>, error: Option<&StoreError>) {
        match error {
            Some(error) if error.spoils_connections() => {
                self.discard();
                pool.retain(|_, _| false);
            }
            _ => drop(self.0.take()),
        }
    }

    fn discard(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.discard();
    }
}

/// The kind of failure. An invalid URL is not repeated: it holds a password (I12).
fn connection_failure(error: &ConnectionError) -> String {
    match error {
        ConnectionError::InvalidConnectionUrl(_) => "the URL is not valid".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod connections_tests;
#[cfg(test)]
mod durability_tests;
#[cfg(test)]
mod tests;
