//! `[resume]`: see `default.toml` for units and defaults.

use serde::Deserialize;

/// Catch-up after an absence (I6, I7).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// Changes in one page of catch-up.
    pub page_rows: usize,
    /// Missed changes of one room above which the client is told to start the room afresh.
    pub max_changes: usize,
    /// Pages of catch-up that one session reads at the same time.
    pub pages_in_flight: usize,
    /// Pages of catch-up that this node reads at the same time.
    pub node_pages_in_flight: usize,
}
