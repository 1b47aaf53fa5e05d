//! `[database]`: see `default.toml` for units and defaults.

use std::time::Duration;

use serde::Deserialize;

use super::units::{ByteSize, DatabaseUrl, duration};
use crate::domain::fault::Fault;

/// The store: which database, how many connections, how large a batch grows, how long a write may take (I2, I4, I9).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Empty: SQLite in the data folder. Else `mysql://user:password@host:port/name` for MySQL 8 or MariaDB 10.11
    /// and newer.
    pub url: DatabaseUrl,
    /// Threads that run SQL. 0: one per core, at least 4.
    pub threads: usize,
    /// Connections for reading.
    pub readers: usize,
    /// Persistence actors, each with one connection for writing. SQLite always has one.
    pub writers: usize,
    /// Time to open a connection to the database.
    #[serde(deserialize_with = "duration")]
    pub connect_timeout: Duration,
    /// Time a read waits for a free connection before it answers busy.
    #[serde(deserialize_with = "duration")]
    pub acquire_timeout: Duration,
    /// Time a whole read may take before it is given up as unavailable.
    #[serde(deserialize_with = "duration")]
    pub read_deadline: Duration,
    /// Messages in one transaction.
    pub batch_max_messages: usize,
    /// Bytes of message text in one transaction.
    pub batch_max_bytes: ByteSize,
    /// Writes waiting per persistence actor; beyond it the answer is busy.
    pub queue_max: usize,
    /// Bytes waiting per persistence actor; beyond it the answer is busy.
    pub queue_max_bytes: ByteSize,
    /// What a busy answer tells the sender to wait before it tries again.
    #[serde(deserialize_with = "duration")]
    pub busy_retry_after: Duration,
    /// What an answer about something that is away tells the sender to wait, from half to one and a half of it at random.
    #[serde(deserialize_with = "duration")]
    pub away_retry_after: Duration,
    /// Time from a write's arrival to its answer; then it is unavailable, or its outcome unknown.
    #[serde(deserialize_with = "duration")]
    pub commit_deadline: Duration,
    /// Time a write waits for a row lock (MySQL) or the write lock (SQLite) before it is rolled back and tried
    /// again.
    #[serde(deserialize_with = "duration")]
    pub lock_wait: Duration,
    /// Idle time after which MySQL drops a writer's connection, so that a vanished node's locks go with it.
    /// Whole seconds.
    #[serde(deserialize_with = "duration")]
    pub session_timeout: Duration,
    /// First pause before a failed batch is run again; it doubles up to the next setting.
    #[serde(deserialize_with = "duration")]
    pub retry_first: Duration,
    /// Longest pause before a failed batch is run again.
    #[serde(deserialize_with = "duration")]
    pub retry_max: Duration,
    /// Page cache per SQLite connection.
    pub sqlite_cache: ByteSize,
    /// How often this node renews its registration in the store.
    #[serde(deserialize_with = "duration")]
    pub node_heartbeat: Duration,
    /// Age of the last heartbeat after which a node counts as gone and another may start.
    #[serde(deserialize_with = "duration")]
    pub node_lease: Duration,
    /// How long the answers of commands with an operation id (Idempotency-Key) are kept.
    #[serde(deserialize_with = "duration")]
    pub operation_ttl: Duration,
    /// true: start although the database may lose acknowledged messages in a power cut (MySQL
    /// innodb_flush_log_at_trx_commit, sync_binlog).
    pub allow_weak_durability: bool,
}

impl Database {
    /// When to come back after a fault that may pass. After something that is needed was away not the same for all who were refused at
    /// once, so that they do not come back at once.
    #[must_use]
    pub fn come_back_after(&self, fault: Fault) -> Duration {
        match fault {
            Fault::Busy => self.busy_retry_after,
            _ => self.away_retry_after.mul_f64(rand::random_range(0.5..1.5)),
        }
    }
}
