//! What is said, what happened, and the one thing both are: a change of a room.

use super::ids::{ClientId, RoomId, UserId};
use super::member::Member;
use super::order::{Revision, Seq};
use super::room::Room;
use super::text::MessageText;
use super::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A message before it has a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Who says it.
    pub author: UserId,
    /// The sender's own name for it; a repeat of it has no second effect (I3).
    pub client_id: ClientId,
    /// What is said.
    pub text: MessageText,
}

/// A message as stored: the newest state of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// In which room.
    pub room: RoomId,
    /// Its name for ever, and its place.
    pub seq: Seq,
    /// The room's revision at which it last changed.
    pub revision: Revision,
    /// Who said it.
    pub author: UserId,
    /// The sender's own name for it.
    pub client_id: ClientId,
    /// What was said.
    pub text: String,
    /// The store's time; never earlier than the message before it (I1).
    pub created_at: Timestamp,
}

/// What a timeline line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// The room was made.
    Created,
    /// Somebody came in.
    Joined,
    /// Somebody went.
    Left,
    /// Somebody was invited.
    Invited,
    /// An invitation was declined or taken back.
    InvitationEnded,
    /// Somebody was put out.
    Kicked,
    /// Somebody was put out for good.
    Banned,
    /// A ban was lifted.
    Unbanned,
    /// A role was given.
    RoleChanged,
    /// The room has another owner.
    Transferred,
    /// The name changed; `text` is the new one.
    Renamed,
    /// The topic changed; `text` is the new one.
    TopicChanged,
    /// Public or private, or the history rule, changed.
    AccessChanged,
    /// Closed for posts.
    Archived,
    /// Open again.
    Unarchived,
    /// Somebody was silenced; their row says until when.
    Silenced,
    /// A silence was ended before its time.
    Unsilenced,
    /// The pause between two posts of a member changed; `text` is its length in seconds.
    SlowModeChanged,
    /// The least role that may post changed; `text` is it.
    PostingChanged,
}

/// A line of the timeline that is not a message: it has a revision and a place, but no `seq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// In which room.
    pub room: RoomId,
    /// The revision it was committed under; with `after_seq` its place.
    pub revision: Revision,
    /// It stands after this message.
    pub after_seq: Seq,
    /// What happened.
    pub kind: NoticeKind,
    /// Who did it.
    pub actor: UserId,
    /// To whom, where there is somebody.
    pub subject: Option<UserId>,
    /// New name, topic, role or reason, where there is one.
    pub text: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

/// One changed row of a room. Every item is an upsert, so receiving it twice does no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A message, new or changed.
    Message(Message),
    /// A person's standing.
    Member(Member),
    /// A timeline line.
    Notice(Notice),
    /// The room's settings.
    Room(Box<Room>),
}

impl Item {
    /// The revision this row has now.
    #[must_use]
    pub fn revision(&self) -> Revision {
        match self {
            Self::Message(message) => message.revision,
            Self::Member(member) => member.revision,
            Self::Notice(notice) => notice.revision,
            Self::Room(room) => room.settings_revision,
        }
    }
}

/// Consecutive revisions of a room, (from, to], with the newest state of every row that changed in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Which room.
    pub room: RoomId,
    /// The revision before the first one covered.
    pub from: Revision,
    /// The last revision covered.
    pub to: Revision,
    /// The rows, by revision.
    pub items: Vec<Item>,
}
