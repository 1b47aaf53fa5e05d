//! `[moderation]`: see `default.toml` for units and defaults.

use std::time::Duration;

use serde::Deserialize;

use super::units::{duration, duration_or_off};

/// The audit log, reports, filters.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moderation {
    /// How long entries of the audit log are kept; `None`: for ever.
    #[serde(deserialize_with = "duration_or_off")]
    pub audit_keep: Option<Duration>,
    /// How long a report is kept after it was handled; `None`: for ever.
    #[serde(deserialize_with = "duration_or_off")]
    pub reports_keep: Option<Duration>,
    /// How often the store is asked whether another process changed the filters of all rooms.
    #[serde(deserialize_with = "duration")]
    pub filters_check: Duration,
}
