//! `[notify]`: see `default.toml` for units and defaults.

use std::time::Duration;

use serde::Deserialize;

use super::units::duration;

/// Notifications.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// Notifications of one person that are kept, the newest.
    pub kept_per_user: usize,
    /// How long they are kept.
    #[serde(deserialize_with = "duration")]
    pub keep: Duration,
    /// About so many people are looked at together.
    pub chunk: usize,
    /// How often the queue is looked at without being told.
    #[serde(deserialize_with = "duration")]
    pub check: Duration,
    /// How often the store is asked what people want to be notified of.
    #[serde(deserialize_with = "duration")]
    pub refresh: Duration,
}
