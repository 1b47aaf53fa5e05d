//! `[room]`: see `default.toml` for units and defaults.

use std::time::Duration;

use serde::Deserialize;

use super::units::{ByteSize, duration};

/// One room actor: mailbox, sleep, tail.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Room {
    /// Messages waiting for one room; beyond it the answer is busy.
    pub mailbox: usize,
    /// Time without subscription or work after which a room is put to sleep.
    #[serde(deserialize_with = "duration")]
    pub idle_after: Duration,
    /// Recent events kept in memory per room.
    pub tail_max_events: usize,
    /// Bytes of recent events kept in memory per room.
    pub tail_max_bytes: ByteSize,
    /// How often an awake room compares its head with the store.
    #[serde(deserialize_with = "duration")]
    pub head_check_interval: Duration,
    /// How long a typing sign holds without being renewed.
    #[serde(deserialize_with = "duration")]
    pub typing_expires: Duration,
}
