//! Opens connections for the pools and throws old ones away.

use std::path::PathBuf;
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use diesel::ConnectionError;

use super::{Db, mysql, sqlite};
use crate::config::Database;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Questions.
    Reader,
    /// Transactions.
    Writer,
}

/// Where the database is.
#[derive(Clone)]
enum Place {
    File { path: PathBuf, cache_bytes: u64 },
    Server { url: String, session_timeout: Duration },
}

/// Opens connections of one role.
#[derive(Clone)]
pub struct Connector {
    place: Place,
    role: Role,
    lock_wait: Duration,
}

impl Connector {
    /// For the database the settings name; a file lies in `folder`.
    #[must_use]
    pub fn new(settings: &Database, folder: &std::path::Path, role: Role) -> Self {
        let place = if settings.url.is_empty() {
            Place::File { path: folder.join(sqlite::FILE_NAME), cache_bytes: settings.sqlite_cache.bytes() }
        } else {
            Place::Server { url: settings.url.expose().to_owned(), session_timeout: settings.session_timeout }
        };
        Self { place, role, lock_wait: settings.lock_wait }
    }

    /// For the same database in another role.
    #[must_use]
    pub fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// SQLite has one writer, whatever the settings say of MySQL.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self.place, Place::File { .. })
    }

    /// The database's file; `None` if it is on a server.
    #[must_use]
    pub fn file(&self) -> Option<&std::path::Path> {
        match &self.place {
            Place::File { path, .. } => Some(path),
            Place::Server { .. } => None,
        }
    }

    /// Opens one connection.
    ///
    /// # Errors
    /// When there is no database to be reached.
    pub async fn open(&self) -> Result<Db, ConnectionError> {
        match &self.place {
            Place::File { path, cache_bytes } => sqlite::open(path, self.role, *cache_bytes, self.lock_wait).map(Db::Sqlite),
            Place::Server { url, session_timeout } => {
                mysql::open(url, self.role, self.lock_wait, *session_timeout).await.map(Db::Mysql)
            }
        }
    }
}

impl Manager for Connector {
    type Type = Db;
    type Error = ConnectionError;

    async fn create(&self) -> Result<Db, ConnectionError> {
        self.open().await
    }

    /// A session the server is about to end for idleness is not handed out: its first statement would fail. That is cheaper than
    /// asking the server before each use.
    async fn recycle(&self, _: &mut Db, metrics: &Metrics) -> RecycleResult<ConnectionError> {
        match &self.place {
            Place::Server { session_timeout, .. } if metrics.last_used() > *session_timeout / 2 => {
                Err(RecycleError::message("idle for too long"))
            }
            _ => Ok(()),
        }
    }
}
