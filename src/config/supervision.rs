//! `[supervision]`: see `default.toml` for units and defaults.

use std::time::Duration;

use serde::Deserialize;

use super::units::duration;

/// How often a child is restarted, and how soon (I8).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supervision {
    /// Restarts of one child within the next setting before its supervisor gives up and asks its own.
    pub max_restarts: u32,
    /// Window in which restarts are counted.
    #[serde(deserialize_with = "duration")]
    pub within: Duration,
    /// Pause before the first restart; it doubles with each further one, until the child has run for twice the longest pause.
    #[serde(deserialize_with = "duration")]
    pub backoff_first: Duration,
    /// Longest pause before a restart.
    #[serde(deserialize_with = "duration")]
    pub backoff_max: Duration,
}
