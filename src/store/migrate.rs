//! Brings the database to the schema of this program; a newer one is refused.

use diesel::migration::{Migration, MigrationSource};
use diesel_async::{AsyncMigrationHarness, AsyncMysqlConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::access::{OpenError, Store};
use super::backend::Db;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const MYSQL: EmbeddedMigrations = embed_migrations!("migrations/mysql");

/// What [`Store::migrate`] did: the names of the migrations it ran, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrated(pub Vec<String>);

impl Store {
    /// Runs the migrations that are missing. Two processes that start at once do not run one twice.
    ///
    /// # Errors
    /// [`OpenError::SchemaNewer`], [`OpenError::Migration`], [`OpenError::Connect`].
    pub async fn migrate(&self) -> Result<Migrated, OpenError> {
        let connector = self.connector();
        let work = self.spawn(async move {
            match connector.open().await.map_err(|error| OpenError::Connect(error.to_string()))? {
                Db::Sqlite(mut connection) => {
                    let done = connection.spawn_blocking(|inner| Ok(migrate(inner, SQLITE))).await;
                    done.unwrap_or_else(|error| Err(OpenError::Migration(error.to_string())))
                }
                Db::Mysql(mut connection) => {
                    lock(&mut connection).await?;
                    migrate(&mut AsyncMigrationHarness::new(connection), MYSQL)
                }
            }
        });
        work.await.unwrap_or_else(|error| Err(OpenError::Migration(error.to_string())))
    }
}

/// One process migrates at a time. The lock goes with the session. MySQL commits each table by itself, so there is no transaction
/// to hold it.
async fn lock(connection: &mut AsyncMysqlConnection) -> Result<(), OpenError> {
    let failed = |error: diesel::result::Error| OpenError::Migration(error.to_string());
    diesel::sql_query("SET SESSION wait_timeout = 600, innodb_lock_wait_timeout = 60, autocommit = 1")
        .execute(connection)
        .await
        .map_err(failed)?;
    diesel::sql_query("DO GET_LOCK('hubbub_migrate', 60)").execute(connection).await.map(drop).map_err(failed)
}

fn migrate<DB, C>(harness: &mut C, source: EmbeddedMigrations) -> Result<Migrated, OpenError>
where
    DB: diesel::backend::Backend,
    C: MigrationHarness<DB>,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| OpenError::Migration(error.to_string());
    let known: Vec<Box<dyn Migration<DB>>> = source.migrations().map_err(failed)?;
    let known: Vec<String> = known.iter().map(|migration| migration.name().version().to_string()).collect();
    let applied = harness.applied_migrations().map_err(failed)?;
    if let Some(found) = applied.iter().map(ToString::to_string).filter(|version| !known.contains(version)).max() {
        return Err(OpenError::SchemaNewer { found, known: known.into_iter().max().unwrap_or_default() });
    }
    let ran = harness.run_pending_migrations(source).map_err(failed)?;
    Ok(Migrated(ran.iter().map(ToString::to_string).collect()))
}
