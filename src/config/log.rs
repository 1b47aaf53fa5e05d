//! `[log]`: see `default.toml` for units and defaults.

use serde::Deserialize;

/// What is logged, and in which form.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `"text"` for people, `"json"` for machines.
    pub format: Format,
    /// What is logged: a level (error, warn, info, debug, trace) or directives such as
    /// `"info,hubbub::room=debug"`.
    pub filter: String,
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
