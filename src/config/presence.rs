//! `[presence]`: see `default.toml` for units and defaults.

use std::time::Duration;

use serde::Deserialize;

use super::units::duration;

/// Who is online, and how often that is told and written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presence {
    /// Time without activity after which a person counts as away.
    #[serde(deserialize_with = "duration")]
    pub away_after: Duration,
    /// Time after the last device left before a person counts as offline, so that a reconnect is not seen.
    #[serde(deserialize_with = "duration")]
    pub offline_after: Duration,
    /// Shortest time between two changes of one person that watchers are told of.
    #[serde(deserialize_with = "duration")]
    pub coalesce: Duration,
    /// Shortest time between two writes of a person's last-active time.
    #[serde(deserialize_with = "duration")]
    pub last_active_flush: Duration,
    /// Time in which every session's watches are checked once more against the rooms people share. The end of a membership, room or
    /// account is felt at once.
    #[serde(deserialize_with = "duration")]
    pub recheck_after: Duration,
    /// Messages waiting for the presence tracker.
    pub mailbox: usize,
}
