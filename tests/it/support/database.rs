//! A database of a test's own, on the engine that `HUBBUB_TEST_DATABASE` names.

use super::test_database::TestDatabase;
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use diesel_async::{AsyncConnection, AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection};
use std::path::Path;
use uuid::Uuid;

/// How often the list of connections is asked for.
const LISTINGS: usize = 50;

/// A database that nobody else uses; dropped with the test.
pub enum Database {
    /// A file in the server's data folder, which goes with the folder.
    Sqlite,
    /// A database on the server under test.
    Mysql { server: String, name: String },
}

impl Database {
    /// Makes an empty database.
    pub async fn create() -> Self {
        let TestDatabase::Mysql(server) = TestDatabase::named() else { return Self::Sqlite };
        let name = format!("hubbub_test_{}", Uuid::new_v4().simple());
        run(&server, &format!("CREATE DATABASE {name} CHARACTER SET utf8mb4")).await;
        Self::Mysql { server, name }
    }

    /// Runs a statement that no operation of the server would; the file of SQLite lies in `folder`.
    pub async fn tamper(&self, folder: &Path, sql: &str) {
        match self {
            Self::Sqlite => {
                let path = folder.join("hubbub.sqlite");
                let mut connection = SqliteConnection::establish(path.to_str().expect("a path")).expect("the file opens");
                connection.batch_execute(sql).expect("the statement runs");
            }
            Self::Mysql { server, name } => run(server, &format!("USE {name}; {sql}")).await,
        }
    }

    /// How many rows a table has.
    pub async fn rows(&self, folder: &Path, table: &str) -> i64 {
        #[derive(diesel::QueryableByName)]
        struct Rows {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            n: i64,
        }

        match self {
            Self::Sqlite => {
                let path = folder.join("hubbub.sqlite");
                let mut connection = SqliteConnection::establish(path.to_str().expect("a path")).expect("the file opens");
                let query = diesel::sql_query(format!("SELECT COUNT(*) AS n FROM {table}"));
                diesel::RunQueryDsl::get_result::<Rows>(query, &mut connection).expect("the table is there").n
            }
            Self::Mysql { server, name } => {
                let mut connection =
                    AsyncMysqlConnection::establish(&format!("{server}/{name}")).await.expect("the server answers");
                let query = diesel::sql_query(format!("SELECT COUNT(*) AS n FROM {table}"));
                query.get_result::<Rows>(&mut connection).await.expect("the table is there").n
            }
        }
    }

    /// Ends every connection to it, in whatever it is doing; how many. Of a file nobody can end any.
    pub async fn kill_connections(&self) -> usize {
        #[derive(diesel::QueryableByName)]
        struct Process {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            id: i64,
        }

        let Self::Mysql { server, name } = self else { return 0 };
        let mut connection = AsyncMysqlConnection::establish(&format!("{server}/mysql")).await.expect("the server answers");
        let query = format!("SELECT CAST(id AS SIGNED) AS id FROM information_schema.processlist WHERE db = '{name}'");
        // MySQL cannot list a statement that holds bytes which are no text, and a moment later there is another one.
        let mut found = Err(diesel::result::Error::NotFound);
        for _ in 0..LISTINGS {
            found = diesel::sql_query(&query).load::<Process>(&mut connection).await;
            if found.is_ok() {
                break;
            }
        }
        let found = found.expect("a list");
        let mut killed = 0;
        for Process { id } in found {
            // It may have gone by itself.
            killed += usize::from(connection.batch_execute(&format!("KILL {id}")).await.is_ok());
        }
        killed
    }

    pub fn is_file(&self) -> bool {
        matches!(self, Self::Sqlite)
    }

    /// The `database.url` setting.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite => String::new(),
            Self::Mysql { server, name } => format!("{server}/{name}"),
        }
    }
}

impl Database {
    /// Runs statements past the server, which should not run meanwhile. `folder` is its data folder.
    pub async fn execute(&self, folder: &Path, sql: &str) {
        match self {
            Self::Sqlite => {
                let path = folder.join("hubbub.sqlite");
                let mut connection =
                    SqliteConnection::establish(path.to_str().expect("a readable path")).expect("the file opens");
                connection.batch_execute(sql).expect("the statements run");
            }
            Self::Mysql { .. } => {
                let mut connection = AsyncMysqlConnection::establish(&self.url()).await.expect("the server answers");
                SimpleAsyncConnection::batch_execute(&mut connection, sql).await.expect("the statements run");
            }
        }
    }

    /// What a query counts as `number`, past the server, which may run. `folder` is its data folder.
    pub async fn count(&self, folder: &Path, sql: &str) -> usize {
        #[derive(diesel::QueryableByName)]
        struct Counted {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            number: i64,
        }

        let query = diesel::sql_query(sql);
        let counted: Counted = match self {
            Self::Sqlite => {
                let path = folder.join("hubbub.sqlite");
                let mut connection = SqliteConnection::establish(path.to_str().expect("a path")).expect("the file opens");
                connection.batch_execute("PRAGMA busy_timeout = 5000").expect("an option");
                diesel::RunQueryDsl::get_result(query, &mut connection).expect("a number")
            }
            Self::Mysql { .. } => {
                let mut connection = AsyncMysqlConnection::establish(&self.url()).await.expect("the server answers");
                RunQueryDsl::get_result(query, &mut connection).await.expect("a number")
            }
        };
        usize::try_from(counted.number).expect("a count")
    }
}

async fn run(server: &str, sql: &str) {
    let mut connection =
        AsyncMysqlConnection::establish(&format!("{server}/mysql")).await.expect("the test database server answers");
    connection.batch_execute(sql).await.expect("the statement runs");
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Self::Mysql { server, name } = self {
            let (server, sql) = (server.clone(), format!("DROP DATABASE IF EXISTS {name}"));
            // A runtime of its own: the test's may be gone already.
            let dropping = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(run(&server, &sql));
            });
            if dropping.join().is_err() {
                eprintln!("test database {name} was left behind");
            }
        }
    }
}
