//! How many files this process may open: each connection is one.
//!
//! Systems start services with a soft limit of 1024 for the sake of old programs, and a hard limit far above it. Hubbub takes what the
//! hard limit allows, and says so if that is too little for what its settings promise (I4).

use crate::config::Config;

/// Files that are neither a client's nor the database's: the log, the listener, timers and wakers of the threads.
const OTHERS: usize = 64;

/// Takes as many as it may, and warns if that is too few.
pub(super) fn prepare(config: &Config) {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(allowed) => {
            let wanted = wanted(config);
            if allowed < wanted {
                tracing::warn!(allowed, wanted, "{}", advice(config, allowed));
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

fn advice(config: &Config, allowed: u64) -> String {
    let fits = allowed.saturating_sub(reserve(config) as u64);
    format!(
        "the hard limit of open files is too low for server.max_connections: beyond about {fits} connections new ones will fail. \
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
        let advice = advice(&config, 594);
        assert!(advice.contains("about 500 connections") && advice.contains("LimitNOFILE"), "{advice}");
    }
}
