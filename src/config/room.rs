//! `[room]`: see `default.toml` for units and defaults.

use std::time::Duration;

use serde::Deserialize;

use super::units::duration;

/// One room actor: mailbox, sleep.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Room {
    /// Messages waiting for one room; beyond it the answer is busy.
    pub mailbox: usize,
    /// Time without subscription or work after which a room is put to sleep.
    #[serde(deserialize_with = "duration")]
    pub idle_after: Duration,
    /// How often an awake room compares its head with the store, and with the relays it fed since; also how often the streams of those
    /// who are connected are compared with the store, and the people of deleted rooms looked for.
    #[serde(deserialize_with = "duration")]
    pub head_check_interval: Duration,
    /// At most one `typing` of a person in a room is passed on in this time.
    #[serde(deserialize_with = "duration")]
    pub typing_pause: Duration,
    /// How long a client shows that somebody types, unless it comes again.
    #[serde(deserialize_with = "duration")]
    pub typing_for: Duration,
    /// Members up to which a public or private room shows receipts.
    pub receipts_members_max: usize,
}
