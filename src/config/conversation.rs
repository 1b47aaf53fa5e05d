//! `[conversation]`: see `default.toml` for units and defaults.

use std::time::Duration;

use serde::Deserialize;

use super::units::duration_or_off;
use crate::domain::member::Role;

/// Messages that change, and what belongs to them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversation {
    /// How long after posting a member may edit their own message; `None`: for ever.
    #[serde(deserialize_with = "duration_or_off")]
    pub edit_within: Option<Duration>,
    /// The same for moderators and owners.
    #[serde(deserialize_with = "duration_or_off")]
    pub edit_within_moderator: Option<Duration>,
    /// How long after posting a member may delete their own message.
    #[serde(deserialize_with = "duration_or_off")]
    pub delete_within: Option<Duration>,
    /// Least role that mentions everybody in named rooms.
    pub mention_all_role: Role,
    /// People that one message mentions.
    pub mentions_per_message: usize,
    /// Reactions of all people to one message.
    pub reactions_per_message: usize,
    /// Different emoji under one message.
    pub emoji_per_message: usize,
    /// Pinned messages of one room.
    pub pins_per_room: usize,
    /// Earlier texts of an edited message that are kept, the newest ones.
    pub edits_kept: usize,
}
