//! A database of a test's own, on the engine that `HUBBUB_TEST_DATABASE` names.

use super::test_database::TestDatabase;
use diesel_async::{AsyncConnection, AsyncMysqlConnection, SimpleAsyncConnection};
use uuid::Uuid;

/// Dropped with the test.
pub enum Database {
    /// A file in the server's data folder, which goes with the folder.
    Sqlite,
    /// A database on the server under test.
    Mysql { server: String, name: String },
}

impl Database {
    /// An empty one.
    pub fn create() -> Self {
        let TestDatabase::Mysql(server) = TestDatabase::named() else { return Self::Sqlite };
        let name = format!("hubbub_swarm_{}", Uuid::new_v4().simple());
        run(&server, &format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"));
        Self::Mysql { server, name }
    }

    /// The setting `database.url`, if it is not the default.
    pub fn url(&self) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Mysql { server, name } => Some(format!("{server}/{name}")),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Self::Mysql { server, name } = self {
            run(server, &format!("DROP DATABASE IF EXISTS {name}"));
        }
    }
}

fn run(server: &str, statement: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection =
            AsyncMysqlConnection::establish(&format!("{server}/mysql")).await.expect("the database server answers");
        connection.batch_execute(statement).await.expect("the statement runs");
    });
}
