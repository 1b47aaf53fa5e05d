//! Brings the database to the schema of this program; a newer one is refused.

use diesel::QueryableByName;
use diesel::migration::{Migration, MigrationSource};
use diesel_async::{AsyncMigrationHarness, AsyncMysqlConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::access::{OpenError, Store};
use super::backend::Db;
use super::error::StoreError;
use super::tables;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const MYSQL: EmbeddedMigrations = embed_migrations!("migrations/mysql");

/// What [`Store::migrate`] did: the names of the migrations it ran, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrated(pub Vec<String>);

/// A table that is there while a restore fills the database: until it is gone, nobody else may use what is there.
pub(super) const UNFINISHED: &str = "restore_unfinished";

/// How far to migrate.
#[derive(Clone, Debug)]
pub(super) enum Goal {
    /// To the schema of this program.
    Newest,
    /// To the schema whose newest migration this is: that of a backup.
    Version(String),
    /// Back to an empty database.
    Nothing,
}

impl Store {
    /// Runs the migrations that are missing. Two processes that start at once do not run one twice.
    ///
    /// # Errors
    /// [`OpenError::SchemaNewer`], [`OpenError::RestoreUnfinished`], [`OpenError::Migration`], [`OpenError::Connect`].
    pub async fn migrate(&self) -> Result<Migrated, OpenError> {
        self.schema().await?;
        self.migrate_to(Goal::Newest).await
    }

    /// The migrations that are missing, oldest first; nothing is changed.
    ///
    /// # Errors
    /// Those of [`Store::migrate`].
    pub async fn pending(&self) -> Result<Vec<String>, OpenError> {
        let applied = self.schema().await?;
        Ok(self.known_schema()?.into_iter().filter(|version| !applied.contains(version)).collect())
    }

    /// The migrations this program knows, oldest first.
    pub(super) fn known_schema(&self) -> Result<Vec<String>, OpenError> {
        if self.is_file() { known::<diesel::sqlite::Sqlite>(&SQLITE) } else { known::<diesel::mysql::Mysql>(&MYSQL) }
    }

    /// The migrations the database has had, oldest first.
    pub(super) async fn schema(&self) -> Result<Vec<String>, OpenError> {
        let known = self.known_schema()?;
        let applied = self.snapshot(move |db| Box::pin(async move { Ok(schema_of(db, &known).await) }));
        applied.await.map_err(unreadable)?
    }

    /// Migrates without asking whether a restore is under way.
    pub(super) async fn migrate_to(&self, goal: Goal) -> Result<Migrated, OpenError> {
        let connector = self.connector();
        let work = self.spawn(async move {
            match connector.open().await.map_err(|error| OpenError::Connect(error.to_string()))? {
                Db::Sqlite(mut connection) => {
                    let done = connection.spawn_blocking(move |inner| Ok(migrate(inner, SQLITE, &goal))).await;
                    done.unwrap_or_else(|error| Err(OpenError::Migration(error.to_string())))
                }
                Db::Mysql(mut connection) => {
                    lock(&mut connection).await?;
                    migrate(&mut AsyncMigrationHarness::new(connection), MYSQL, &goal)
                }
            }
        });
        work.await.unwrap_or_else(|error| Err(OpenError::Migration(error.to_string())))
    }
}

/// The migrations that the state which `db` reads has had, oldest first; refused if one of them is not `known`.
///
/// # Errors
/// [`OpenError::SchemaNewer`], [`OpenError::RestoreUnfinished`], [`OpenError::Migration`], [`OpenError::Damaged`].
pub(super) async fn schema_of(db: &mut Db, known: &[String]) -> Result<Vec<String>, OpenError> {
    let applied = applied(db).await.map_err(unreadable)??;
    refuse_newer(&applied, known)?;
    Ok(applied)
}

fn unreadable(error: StoreError) -> OpenError {
    match error {
        StoreError::Corrupt(damage) => OpenError::Damaged(damage),
        other => OpenError::Migration(other.to_string()),
    }
}

/// Read without diesel's harness, which would make its table.
async fn applied(db: &mut Db) -> Result<Result<Vec<String>, OpenError>, StoreError> {
    #[derive(QueryableByName)]
    struct Applied {
        #[diesel(sql_type = diesel::sql_types::Text)]
        version: String,
    }

    let tables = tables::names(db).await?;
    if tables.iter().any(|table| table == UNFINISHED) {
        return Ok(Err(OpenError::RestoreUnfinished));
    }
    if !tables.iter().any(|table| table == "__diesel_schema_migrations") {
        return Ok(Ok(Vec::new()));
    }
    let query = diesel::sql_query("SELECT version FROM __diesel_schema_migrations ORDER BY version");
    let rows: Vec<Applied> = each!(db, |c| query.load(c).await)?;
    Ok(Ok(rows.into_iter().map(|row| row.version).collect()))
}

fn known<DB: diesel::backend::Backend>(source: &EmbeddedMigrations) -> Result<Vec<String>, OpenError>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let known: Vec<Box<dyn Migration<DB>>> = source.migrations().map_err(failed)?;
    let mut known: Vec<String> = known.iter().map(|migration| migration.name().version().to_string()).collect();
    known.sort_unstable();
    Ok(known)
}

/// Refuses a schema with a migration that this program does not know.
pub(super) fn refuse_newer(applied: &[String], known: &[String]) -> Result<(), OpenError> {
    match applied.iter().filter(|version| !known.contains(version)).max() {
        Some(found) => Err(OpenError::SchemaNewer { found: found.clone(), known: known.last().cloned().unwrap_or_default() }),
        None => Ok(()),
    }
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> OpenError {
    OpenError::Migration(error.to_string())
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

fn migrate<DB, C>(harness: &mut C, source: EmbeddedMigrations, goal: &Goal) -> Result<Migrated, OpenError>
where
    DB: diesel::backend::Backend,
    C: MigrationHarness<DB>,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let applied: Vec<String> = harness.applied_migrations().map_err(failed)?.iter().map(ToString::to_string).collect();
    refuse_newer(&applied, &known::<DB>(&source)?)?;
    let ran = match goal {
        Goal::Newest => harness.run_pending_migrations(source).map_err(failed)?,
        Goal::Nothing => harness.revert_all_migrations(source).map_err(failed)?,
        Goal::Version(last) => {
            let missing = harness.pending_migrations(source).map_err(failed)?;
            let wanted = missing.iter().filter(|migration| migration.name().version().to_string() <= *last);
            wanted.map(|migration| harness.run_migration(&**migration)).collect::<Result<_, _>>().map_err(failed)?
        }
    };
    Ok(Migrated(ran.iter().map(ToString::to_string).collect()))
}
