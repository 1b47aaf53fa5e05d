//! What people prefer: of whom they take direct messages, when and of what they want to be told.

use serde::{Deserialize, Serialize};

/// Who may write to somebody with whom they have no direct room yet, or put them into a new group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectRule {
    /// Everybody.
    #[default]
    Everyone,
    /// Who has joined a room that the person has joined too.
    SharedRooms,
    /// Nobody.
    Nobody,
}
