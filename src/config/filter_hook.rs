//! `[filter_hook]`: see `default.toml` for units and defaults.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::units::duration;

/// A program of the operator's that is asked about each post before it is stored.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterHook {
    /// Where it is asked; empty: there is none.
    pub url: String,
    /// Time it has to answer.
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
    /// What holds when it does not answer.
    pub fail: FailRule,
    /// What questions are signed with; empty: they are not.
    pub secret: HookSecret,
    /// Questions under way at the same time.
    pub max_in_flight: usize,
    /// Failures in a row after which it is left alone.
    pub failures_max: u32,
    /// How long it is left alone.
    #[serde(deserialize_with = "duration")]
    pub pause: Duration,
}

/// What holds for a text when the hook does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailRule {
    /// It is posted.
    Open,
    /// It is not posted, and may be tried again.
    Closed,
}

/// A secret that is shown nowhere (I12).
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct HookSecret(String);

impl HookSecret {
    /// The secret itself, for signing only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HookSecret")
    }
}
