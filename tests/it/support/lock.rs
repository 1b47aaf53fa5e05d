//! Another program that holds the database's write lock.

use super::database::Database;
use super::server::Server;
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use diesel_async::{AsyncConnection, AsyncMysqlConnection, SimpleAsyncConnection};

/// As long as it is held no post can be stored; reading goes on.
pub enum Lock {
    Sqlite(SqliteConnection),
    Mysql(AsyncMysqlConnection),
}

impl Lock {
    pub async fn take(server: &Server) -> Self {
        match &server.database {
            Database::Sqlite => {
                let path = server.folder.path().join("hubbub.sqlite");
                let mut connection =
                    SqliteConnection::establish(path.to_str().expect("a readable path")).expect("the file opens");
                connection.batch_execute("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE").expect("the lock is free in time");
                Self::Sqlite(connection)
            }
            Database::Mysql { .. } => {
                let mut connection = AsyncMysqlConnection::establish(&server.database.url()).await.expect("the server answers");
                connection.batch_execute("BEGIN; SELECT id FROM rooms FOR UPDATE").await.expect("the rows are free in time");
                Self::Mysql(connection)
            }
        }
    }

    pub async fn release(self) {
        match self {
            Self::Sqlite(mut connection) => connection.batch_execute("ROLLBACK").expect("the lock is given back"),
            Self::Mysql(mut connection) => connection.batch_execute("ROLLBACK").await.expect("the locks are given back"),
        }
    }
}
