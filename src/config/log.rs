//! `[log]`: see `default.toml` for units and defaults.

use std::time::Duration;

use serde::Deserialize;

use super::units::duration;

/// What is logged, and in which form.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `"text"` for people, `"json"` for machines.
    pub format: Format,
    /// What is logged: a level (error, warn, info, debug, trace) or directives such as
    /// `"info,hubbub::room=debug"`.
    pub filter: String,
    /// A commit or read that takes longer is logged as slow.
    #[serde(deserialize_with = "duration")]
    pub slow_after: Duration,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A readable line.
    Text,
    /// A JSON object per line.
    Json,
}
