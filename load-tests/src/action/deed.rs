//! What a bot does besides posting, and what the server calls it (docs/PROTOCOL.md §3). A repeat of any of these does nothing more (§10), so one
//! without an answer is simply sent again.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// With what bots react.
pub const EMOJI: [&str; 3] = ["👍", "🎂", "🎉"];

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deed {
    /// The author gives a message its `edit`-th other text.
    Edit {
        seq: u64,
        edit: u32,
        text: String,
    },
    Delete {
        seq: u64,
    },
    /// A reaction, by its place in [`EMOJI`], comes or goes.
    React {
        seq: u64,
        emoji: usize,
        on: bool,
    },
    Pin {
        seq: u64,
        on: bool,
    },
    Read {
        seq: u64,
    },
    Typing,
    Block {
        user: Uuid,
        on: bool,
    },
    Leave,
    Join,
    Kick {
        user: Uuid,
    },
}

impl Deed {
    /// Its name in figures.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Edit { .. } => "edit",
            Self::Delete { .. } => "delete",
            Self::React { .. } => "react",
            Self::Pin { .. } => "pin",
            Self::Read { .. } => "read",
            Self::Typing => "typing",
            Self::Block { .. } => "block",
            Self::Leave => "leave",
            Self::Join => "join",
            Self::Kick { .. } => "kick",
        }
    }

    /// The command and its body, in `room`.
    pub fn command(&self, room: Uuid) -> (&'static str, Value) {
        let of = |on, yes, no| if on { yes } else { no };
        match self {
            Self::Edit { seq, text, .. } => ("edit", json!({ "room": room, "seq": seq, "text": text })),
            Self::Delete { seq } => ("delete", json!({ "room": room, "seq": seq })),
            Self::React { seq, emoji, on } => {
                let emoji = EMOJI.get(*emoji).copied().unwrap_or_default();
                (of(*on, "react", "unreact"), json!({ "room": room, "seq": seq, "emoji": emoji }))
            }
            Self::Pin { seq, on } => (of(*on, "pin", "unpin"), json!({ "room": room, "seq": seq })),
            Self::Read { seq } => ("read", json!({ "room": room, "seq": seq })),
            Self::Typing => ("typing", json!({ "room": room })),
            Self::Block { user, on } => (of(*on, "block", "unblock"), json!({ "user": user })),
            Self::Leave => ("leave", json!({ "room": room })),
            Self::Join => ("join", json!({ "room": room })),
            Self::Kick { user } => ("kick", json!({ "room": room, "user": user })),
        }
    }

    /// Reports of what was read are answered when they are written, some seconds later, and wait for nothing else.
    pub fn is_report(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::Typing)
    }
}
