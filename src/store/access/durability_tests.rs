//! A MySQL that may forget what it acknowledged is refused (I2). On a private MariaDB, as its settings hold for everybody on it.

use std::path::Path;
use std::process::{Command, Stdio};

use diesel_async::{AsyncConnection, AsyncMysqlConnection, SimpleAsyncConnection};
use tempfile::TempDir;

use super::*;
use crate::config::Config;
use crate::store::testing::test_database::left_out_on_sqlite;

/// A server with options; stopped when dropped.
struct Private {
    folder: TempDir,
    url: String,
}

fn script(what: &str, folder: &Path, options: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/mariadb");
    let said = folder.join("said");
    let mut command = Command::new(script);
    command.arg(what).arg(folder).env("HUBBUB_MARIADB_OPTIONS", options).stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.stderr(std::fs::File::create(&said).unwrap()).status().unwrap();
    assert!(status.success(), "scripts/mariadb {what}: {}", std::fs::read_to_string(said).unwrap());
}

impl Private {
    fn start(options: &str) -> Self {
        // Not where TMPDIR says: the path of a socket must be short.
        let folder = tempfile::Builder::new().prefix("hubbub-durability").tempdir_in("/tmp").unwrap();
        script("start", folder.path(), options);
        let port = std::fs::read_to_string(folder.path().join("port")).unwrap();
        Self { url: format!("mysql://root@127.0.0.1:{}/mysql", port.trim()), folder }
    }

    async fn execute(&self, sql: &str) {
        let mut connection = AsyncMysqlConnection::establish(&self.url).await.unwrap();
        connection.batch_execute(sql).await.unwrap();
    }

    /// What a store says that is to work on it; nothing if it does.
    async fn refusal(&self, allow_weak: bool) -> Option<OpenError> {
        let mut settings = Config::default().database;
        settings.url = self.url.parse().unwrap();
        settings.allow_weak_durability = allow_weak;
        let opened = Store::open(&settings, self.folder.path()).await;
        opened.map(|store| store.close()).err()
    }

    /// It is refused as weak, and the refusal names this setting.
    async fn is_weak_by(&self, setting: &str) {
        let refusal = self.refusal(false).await.expect("a server that may lose messages is refused");
        assert!(matches!(refusal, OpenError::WeakDurability(_)), "{refusal:?}");
        let text = refusal.to_string();
        assert!(text.contains(setting) && text.contains("allow_weak_durability"), "{text}");
        assert!(self.refusal(true).await.is_none(), "whoever says so may have it all the same");
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        script("stop", self.folder.path(), "");
    }
}

#[tokio::test]
async fn a_server_that_may_lose_what_it_acknowledged_is_refused_with_what_to_set() {
    if left_out_on_sqlite("its setting is this program's own: `sessions_have_the_settings_the_promises_need`") {
        return;
    }
    let server = Private::start("--log-bin --server-id=1 --innodb-flush-log-at-trx-commit=2 --sync-binlog=0");
    server.is_weak_by("innodb_flush_log_at_trx_commit is not 1").await;
    server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1").await;
    server.is_weak_by("sync_binlog is not 1").await;
    server.execute("SET GLOBAL sync_binlog = 1").await;
    assert!(server.refusal(false).await.is_none(), "it is durable now");
}
