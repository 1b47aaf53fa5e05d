//! How many files this process may open: each connection is one.
//!
//! Systems start services with a soft limit of 1024 for the sake of old programs, and a hard limit far above it. Hubbub takes what the
//! hard limit allows. If that is too little for what its settings promise, it says so and lets in only as many as fit (I4): connections that
//! took the last files would take them from the database, and everybody's posts would fail.

use crate::config::{Config, Server};

/// What the server has open besides connections: the lock of the data folder, the listener and its thread's poll, two event loops (four files
/// each: the poll twice, its waker, the wake-up by signals) and the two ends of those signals are fourteen. As many again are for what comes
/// and goes: a folder that is synced, a host name that is looked up.
const OTHERS: usize = 32;

/// A worker thread's event loop; one more for a connection that changes hands, and one to spare.
const PER_THREAD: usize = 6;

/// SQLite has its file and the log beside it open once per connection, and the log's index once for all.
const PER_DATABASE_CONNECTION: usize = 3;

/// When there are too few files, one in so many is for plain HTTP: a WebSocket begins as such, and lasts longer.
const HTTP_ONE_IN: usize = 9;

/// Takes as many as it may; if that is too few, says so and lowers the numbers of connections.
pub(super) fn prepare(config: &mut Config) {
    let allowed = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(allowed) => usize::try_from(allowed).unwrap_or(usize::MAX),
        Err(error) => {
            tracing::warn!(%error, "cannot find out how many files may be open");
            return;
        }
    };
    let own = open_now() + own(config);
    let server = &mut config.server;
    let wanted = own.saturating_add(server.max_connections).saturating_add(server.max_http_connections);
    if allowed >= wanted {
        return;
    }
    let (sockets, http) = fitting(server, allowed.saturating_sub(own));
    if sockets < server.max_connections {
        tracing::warn!(allowed, wanted, own, "{}", advice(sockets, http));
    } else {
        tracing::info!(allowed, wanted, own, http, "open files are too few for server.max_http_connections: further ones wait");
    }
    (server.max_connections, server.max_http_connections) = (sockets, http);
}

/// The standard streams, and whatever else this process was started with.
fn open_now() -> usize {
    std::fs::read_dir("/dev/fd").map_or(0, Iterator::count)
}

/// What the server opens that is no connection of a client.
fn own(config: &Config) -> usize {
    let database = config.database.readers.saturating_add(config.database.writers);
    OTHERS + PER_THREAD * config.server.worker_threads() + PER_DATABASE_CONNECTION.saturating_mul(database)
}

/// How many WebSockets and how many connections of plain HTTP there are files for. At least one, and one for each worker thread, as the
/// server's own are amply counted.
fn fitting(server: &Server, left: usize) -> (usize, usize) {
    let threads = server.worker_threads();
    let beside_the_sockets = left.saturating_sub(server.max_connections);
    let http = server.max_http_connections.min(beside_the_sockets.max(left / HTTP_ONE_IN));
    let http = (http / threads).max(1) * threads;
    (server.max_connections.min(left.saturating_sub(http)).max(1), http)
}

fn advice(sockets: usize, http: usize) -> String {
    format!(
        "the hard limit of open files is too low for server.max_connections: beyond {sockets} WebSockets new ones are refused, \
         beyond {http} connections of plain HTTP new ones wait. Raise it (LimitNOFILE= in a systemd unit, --ulimit nofile= in a \
         container, else /etc/security/limits.conf) or lower the setting"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_needs_for_itself_follows_its_threads_and_the_database() {
        let mut config = Config::default();
        (config.server.workers, config.database.readers, config.database.writers) = (4, 8, 2);
        assert_eq!(own(&config), 32 + 4 * 6 + 10 * 3);
        assert!(open_now() >= 3, "the standard streams");
    }

    #[test]
    fn sockets_come_first_and_plain_http_keeps_its_part() {
        let mut server = Config::default().server;
        (server.workers, server.max_connections, server.max_http_connections) = (2, 1000, 1000);
        let fitting_in = |server: &Server| [1999, 1500, 1125, 900, 9, 0].map(|left| fitting(server, left));
        assert_eq!(fitting_in(&server), [(1000, 998), (1000, 500), (1000, 124), (800, 100), (7, 2), (1, 2)]);
        server.max_http_connections = 50;
        assert_eq!(fitting_in(&server), [(1000, 50), (1000, 50), (1000, 50), (850, 50), (7, 2), (1, 2)]);
    }

    #[test]
    fn the_advice_says_how_many_fit() {
        let advice = advice(500, 60);
        assert!(advice.contains("beyond 500 WebSockets") && advice.contains("beyond 60 connections"), "{advice}");
        assert!(advice.contains("LimitNOFILE"), "{advice}");
    }
}
