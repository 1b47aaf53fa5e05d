//! A store of its own for each test: a file in a temporary folder, or a database on the server in `HUBBUB_TEST_DATABASE`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel_async::{AsyncConnection, AsyncMysqlConnection, SimpleAsyncConnection};
use tempfile::TempDir;

use super::{Operation, Store, StoreError};
use crate::config::{Config, Database};

/// How long a test waits for anything of the database.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A migrated store that goes away with the value.
pub struct TestStore {
    /// The store.
    pub store: Store,
    /// The settings it was opened with.
    pub settings: Database,
    /// Where it lies if it is a file.
    pub folder: TempDir,
    server: Option<(String, String)>,
}

impl TestStore {
    /// A new, empty, migrated one.
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// The same with other settings.
    pub async fn open_with(change: impl FnOnce(&mut Database)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Config::default().database;
        let server = match std::env::var("HUBBUB_TEST_DATABASE") {
            Ok(url) if url.starts_with("mysql://") => Some(create_database(&url).await),
            _ => None,
        };
        if let Some((base, name)) = &server {
            settings.url = format!("{base}/{name}").parse().unwrap();
            settings.allow_weak_durability = true;
        }
        change(&mut settings);
        let store = Store::open(&settings, folder.path()).await.unwrap();
        store.migrate().await.unwrap();
        Self { store, settings, folder, server }
    }

    /// Runs an operation as persistence does: again while it may help.
    pub async fn run<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        run(&self.store, operation).await
    }
}

/// Runs an operation on `store` as persistence does: again while it may help.
pub async fn run<O: Operation>(store: &Store, operation: O) -> Result<O::Output, StoreError> {
    let operation = Arc::new(operation);
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        match store.transaction(Arc::clone(&operation), PATIENCE).await {
            Err(error) if error.is_transient() && tokio::time::Instant::now() < end => tokio::task::yield_now().await,
            result => return result,
        }
    }
}

impl Drop for TestStore {
    fn drop(&mut self) {
        let Some((base, name)) = self.server.take() else { return };
        self.store.close();
        // On a thread of its own: a test's runtime may be gone or current-thread.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = AsyncMysqlConnection::establish(&base).await.unwrap();
                connection.batch_execute(&format!("DROP DATABASE IF EXISTS {name}")).await.unwrap();
            });
        });
        drop(dropped.join());
    }
}

/// Returns the server's URL without a database, and the new database's name.
async fn create_database(url: &str) -> (String, String) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let base = url.trim_end_matches('/').to_owned();
    let name = format!("hubbub_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut connection = AsyncMysqlConnection::establish(&base).await.unwrap();
    let create = format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
    connection.batch_execute(&create).await.unwrap();
    (base, name)
}
