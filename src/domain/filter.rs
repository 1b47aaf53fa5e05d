//! What may not be said: words and links, in one room or everywhere. How they are matched stands in [`crate::moderation`].

use super::ids::{FilterId, RoomId, UserId};
use super::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a filter looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterKind {
    /// A word, or several in a row.
    Word,
    /// Links to a host and what is below it, or to a path there.
    Link,
}

/// What follows when it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterAction {
    /// It is posted, and moderators hear of it.
    Report,
    /// It is not posted.
    Refuse,
}

/// What is looked for and what follows. The pattern is one that can match: whoever makes the rule checks it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FilterRule {
    /// Word or link.
    pub kind: FilterKind,
    /// The word, or the host with or without a path, as typed.
    pub pattern: String,
    /// What follows.
    pub action: FilterAction,
}

impl FilterRule {
    /// The longest pattern, in characters.
    pub const MAX_CHARS: usize = 100;
}

/// A filter as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Which.
    pub id: FilterId,
    /// In which room it holds; `None`: in every room.
    pub room: Option<RoomId>,
    /// What it does.
    pub rule: FilterRule,
    /// Who made it.
    pub created_by: UserId,
    /// When.
    pub created_at: Timestamp,
}
