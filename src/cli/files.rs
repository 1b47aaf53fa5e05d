//! How many files this process may open: each connection is one.
//!
//! Systems start services with a soft limit of 1024 for the sake of old programs, and a hard limit far above it. Hubbub takes what the
//! hard limit allows. If that is too little for what its settings promise, it says so and lets in only as many as fit (I4): sockets that took
//! the last files would take them from the database, and everybody's posts would fail.

use crate::config::Config;

/// Files that are neither a client's nor the database's: the log, the listener, timers and wakers of the threads.
const OTHERS: usize = 64;

/// Takes as many as it may; if that is too few, warns and lowers the number of connections.
pub(super) fn prepare(config: &mut Config) {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(allowed) => {
            let wanted = wanted(config);
            if allowed < wanted {
                config.server.max_connections = fitting(config, allowed);
                tracing::warn!(allowed, wanted, "{}", advice(config.server.max_connections));
            }
        }
        Err(error) => tracing::warn!(%error, "cannot find out how many files may be open"),
    }
}

/// What the settings promise.
fn wanted(config: &Config) -> u64 {
    (config.server.max_connections + reserve(config)) as u64
}

/// SQLite has its file and the log beside it open once per connection.
fn reserve(config: &Config) -> usize {
    OTHERS + 3 * (config.database.readers + config.database.writers)
}

/// How many connections there are files for: at least one, as the reserve is an ample guess.
fn fitting(config: &Config, allowed: u64) -> usize {
    usize::try_from(allowed).unwrap_or(usize::MAX).saturating_sub(reserve(config)).max(1)
}

fn advice(fitting: usize) -> String {
    format!(
        "the hard limit of open files is too low for server.max_connections: beyond {fitting} WebSockets new ones are refused. \
         Raise it (LimitNOFILE= in a systemd unit, --ulimit nofile= in a container, else /etc/security/limits.conf) or lower the setting"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_say_how_many_are_needed_and_the_advice_how_many_fit() {
        let mut config = Config::default();
        config.server.max_connections = 1000;
        (config.database.readers, config.database.writers) = (8, 2);
        assert_eq!(wanted(&config), 1000 + 64 + 30);
        assert_eq!([594, 95, 94, 0].map(|allowed| fitting(&config, allowed)), [500, 1, 1, 1]);
        let advice = advice(500);
        assert!(advice.contains("beyond 500 WebSockets") && advice.contains("LimitNOFILE"), "{advice}");
    }
}
