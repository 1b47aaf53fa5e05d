//! The two databases behind one connection type.
//!
//! Queries are written once, in diesel, and run on whichever is there through `each!`; the few statements that differ `match` on
//! [`Db`] inside the store. Neighbours: `sqlite` and `mysql` open connections and know their sessions' settings; `access` pools them.
//!
//! *Must not know*: tables.

mod connector;
pub mod mysql;
pub mod sqlite;

use diesel_async::{AsyncMysqlConnection, SimpleAsyncConnection};

use super::error::StoreError;

pub use connector::{Connector, Role};

/// One connection.
pub enum Db {
    /// A file.
    Sqlite(sqlite::Connection),
    /// A server: MySQL or MariaDB.
    Mysql(AsyncMysqlConnection),
}

/// Runs one expression on whichever connection is there: `each!(db, |c| query.load(c).await)`.
macro_rules! each {
    ($db:expr, |$connection:ident| $body:expr) => {
        match $db {
            $crate::store::backend::Db::Sqlite($connection) => $body,
            $crate::store::backend::Db::Mysql($connection) => $body,
        }
    };
}

/// Loads the rows of a table of what is a person's own that changed in (from, to] of their stream, by revision:
/// `changed_rows!(db, drafts: DraftRow, user, (from, to), limit)`. The table has `user` and `stream_revision`.
macro_rules! changed_rows {
    ($db:expr, $table:ident: $row:ty, $user:expr, $span:expr, $limit:expr) => {{
        let (from, to): ($crate::domain::order::Revision, $crate::domain::order::Revision) = $span;
        let query = $table::table
            .filter($table::user.eq($crate::store::columns::Id::from($user)))
            .filter($table::stream_revision.gt($crate::store::columns::int(from.0)))
            .filter($table::stream_revision.le($crate::store::columns::int(to.0)))
            .order($table::stream_revision)
            .limit($limit)
            .select($table::all_columns);
        let rows: Result<Vec<$row>, diesel::result::Error> = each!($db, |c| query.load(c).await);
        rows
    }};
}

/// Executes an insert of many rows. diesel's query for it does not compile on the asynchronous wrapper around SQLite (its DEFAULT
/// keyword), so there it runs on the wrapped connection.
///
/// The row type needs `#[diesel(treat_none_as_default_value = false)]`: else diesel opens a transaction of its own on SQLite.
macro_rules! batch {
    ($db:expr, $query:expr) => {
        match $db {
            $crate::store::backend::Db::Sqlite(connection) => {
                let query = $query;
                connection.spawn_blocking(move |inner| diesel::RunQueryDsl::execute(query, inner)).await
            }
            $crate::store::backend::Db::Mysql(connection) => diesel_async::RunQueryDsl::execute($query, connection).await,
        }
    };
}

impl Db {
    /// Opens a transaction that may write.
    ///
    /// # Errors
    /// [`StoreError::Contention`] when another process holds SQLite's write lock.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        match self {
            // Taking the write lock at once is what locks the counter rows on SQLite: there is one writer.
            Self::Sqlite(connection) => Ok(connection.batch_execute("BEGIN IMMEDIATE").await?),
            // Writers' sessions have autocommit off: the first statement begins, which saves a round trip.
            Self::Mysql(_) => Ok(()),
        }
    }

    /// Commits. After an error that does not come from a lock the outcome is unknown.
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`], [`StoreError::Contention`].
    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        match each!(self, |c| c.batch_execute("COMMIT").await).map_err(StoreError::from) {
            Ok(()) => Ok(()),
            Err(error @ StoreError::Contention(_)) => Err(error),
            Err(error) => Err(StoreError::OutcomeUnknown(error.to_string())),
        }
    }

    /// Rolls back.
    ///
    /// # Errors
    /// Any: the connection must not be used again then.
    pub(super) async fn rollback(&mut self) -> Result<(), StoreError> {
        Ok(each!(self, |c| c.batch_execute("ROLLBACK").await)?)
    }
}
