//! MySQL and MariaDB: sessions and the check of the server's durability.

use std::time::Duration;

use diesel::sql_types::BigInt;
use diesel::{ConnectionError, ConnectionResult, QueryResult, QueryableByName};
use diesel_async::{AsyncConnection, AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection};

use super::Role;

/// Opens a session for `role` on the server at `url`.
///
/// # Errors
/// When the server cannot be reached or refuses the session's settings.
pub async fn open(
    url: &str,
    role: Role,
    lock_wait: Duration,
    session_timeout: Duration,
) -> ConnectionResult<AsyncMysqlConnection> {
    let mut connection = AsyncMysqlConnection::establish(&to_the_named_server(url)).await?;
    let setup = session(role, lock_wait, session_timeout);
    connection.batch_execute(&setup).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// The driver, left alone, asks a server on loopback for its socket's path and goes on there. Through a tunnel or a proxy that path belongs to
/// another machine, and here perhaps to another database: the address that was given is the one that is meant.
fn to_the_named_server(url: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    if url.contains("prefer_socket=") { url.to_owned() } else { format!("{url}{separator}prefer_socket=false") }
}

/// A reader lives by the server's idle time; a writer's is short, so that the locks of a vanished node go with it (I9).
fn session(role: Role, lock_wait: Duration, session_timeout: Duration) -> String {
    let common = "SET NAMES utf8mb4 COLLATE utf8mb4_bin;
         SET SESSION time_zone = '+00:00';
         SET SESSION lc_messages = 'en_US';
         SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_ZERO_DATE,NO_ZERO_IN_DATE';
         SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;";
    match role {
        Role::Reader => common.to_owned(),
        Role::Writer => {
            let (wait, idle) = (lock_wait.as_secs().max(1), session_timeout.as_secs().max(1));
            format!(
                "{common}
                 SET SESSION innodb_lock_wait_timeout = {wait};
                 SET SESSION wait_timeout = {idle};
                 SET SESSION autocommit = 0;"
            )
        }
    }
}

/// What decides whether a commit is on the disk when it returns.
#[derive(Clone, Copy, Debug, QueryableByName)]
struct Durability {
    #[diesel(sql_type = BigInt)]
    flush: i64,
    #[diesel(sql_type = BigInt)]
    log_bin: i64,
    #[diesel(sql_type = BigInt)]
    sync_binlog: i64,
}

/// Whether an acknowledged commit survives power loss on this server (I2); if not, what to set.
///
/// # Errors
/// When the server cannot be asked.
pub async fn weakness(connection: &mut AsyncMysqlConnection) -> QueryResult<Option<&'static str>> {
    let found: Durability = diesel::sql_query(
        "SELECT CAST(@@innodb_flush_log_at_trx_commit AS SIGNED) AS flush, CAST(@@log_bin AS SIGNED) AS log_bin, \
         CAST(@@sync_binlog AS SIGNED) AS sync_binlog",
    )
    .get_result(connection)
    .await?;
    Ok(found.weakness())
}

impl Durability {
    /// What of it must be set otherwise.
    const fn weakness(self) -> Option<&'static str> {
        if self.flush != 1 {
            Some("innodb_flush_log_at_trx_commit is not 1")
        } else if self.log_bin != 0 && self.sync_binlog != 1 {
            Some("the binary log is on and sync_binlog is not 1")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_durable_only_if_each_commit_is_synced_in_every_log_it_has() {
        let (flush_weak, binlog_weak) =
            (Some("innodb_flush_log_at_trx_commit is not 1"), Some("the binary log is on and sync_binlog is not 1"));
        let cases = [
            // flush, log_bin, sync_binlog
            ((1, 0, 0), None),
            ((1, 0, 1), None),
            ((1, 1, 1), None),
            ((1, 1, 0), binlog_weak),
            ((1, 1, 1000), binlog_weak),
            ((0, 0, 1), flush_weak),
            ((2, 0, 0), flush_weak),
            ((2, 1, 1), flush_weak),
            // MariaDB's group flush: stronger in nothing that is promised here, and not tested.
            ((3, 0, 1), flush_weak),
            ((0, 1, 0), flush_weak),
        ];
        for ((flush, log_bin, sync_binlog), expected) in cases {
            let found = Durability { flush, log_bin, sync_binlog };
            assert_eq!(found.weakness(), expected, "{found:?}");
        }
    }

    #[test]
    fn a_server_on_loopback_is_not_left_for_the_socket_it_names() {
        assert_eq!(
            to_the_named_server("mysql://root@127.0.0.1:3307/hubbub"),
            "mysql://root@127.0.0.1:3307/hubbub?prefer_socket=false"
        );
        assert_eq!(to_the_named_server("mysql://h/db?require_ssl=true"), "mysql://h/db?require_ssl=true&prefer_socket=false");
        assert_eq!(to_the_named_server("mysql://h/db?prefer_socket=true"), "mysql://h/db?prefer_socket=true");
    }
}
