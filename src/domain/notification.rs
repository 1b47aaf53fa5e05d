//! What somebody is to be told of: a neutral fact about a message, without its text.

use serde::{Deserialize, Serialize};

use super::ids::{RoomId, UserId};
use super::order::{Revision, Seq};
use super::preference::{Following, Notify, QuietHours};
use super::room::RoomKind;
use super::time::Timestamp;
use super::time_zone::TimeZone;

/// Why somebody is told of a message: the first of these that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationKind {
    /// It was said in a direct or group room.
    Direct,
    /// It mentions them by name.
    Mention,
    /// It mentions everybody in the room.
    RoomMention,
    /// It mentions who is online, and they were.
    OnlineMention,
    /// It has a word they want to be told of.
    Keyword,
    /// It was said in a thread they follow.
    Thread,
    /// They want to be told of everything in the room.
    All,
}

/// A notification; keyed by room and message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The message's room.
    pub room: RoomId,
    /// The message.
    pub seq: Seq,
    /// Why.
    pub kind: NotificationKind,
    /// Who wrote it.
    pub author: UserId,
    /// It came in the person's quiet hours: shown, without disturbing them.
    pub quiet: bool,
    /// The message was deleted since.
    pub gone: bool,
    /// When they were notified.
    pub created_at: Timestamp,
    /// The revision of the person's own stream at which this last changed.
    pub revision: Revision,
}

/// What counts of a message, for everybody.
#[derive(Clone, Copy, Debug)]
pub struct Fact {
    /// Its number.
    pub seq: Seq,
    /// Who wrote it.
    pub author: UserId,
    /// What kind of room it was said in.
    pub room: RoomKind,
    /// It was said in a thread.
    pub in_thread: bool,
    /// It mentions everybody in the room.
    pub mentions_room: bool,
    /// It mentions who is online.
    pub mentions_online: bool,
}

/// What counts for one person.
#[derive(Clone, Copy, Debug)]
pub struct Person {
    /// Who.
    pub user: UserId,
    /// They are in the room, and the message is not older than what they may read there.
    pub sees: bool,
    /// They block its author, or whoever said a forwarded text first.
    pub blocks: bool,
    /// They mute its author.
    pub mutes: bool,
    /// The room is muted until then.
    pub room_muted_until: Option<Timestamp>,
    /// The thread is muted until then.
    pub thread_muted_until: Option<Timestamp>,
    /// Of what they want to be told in the room.
    pub in_room: Notify,
    /// Of what they want to be told in general.
    pub in_general: Notify,
    /// Up to where they have read the room.
    pub read: Seq,
    /// When they do not want to be disturbed.
    pub quiet: Option<QuietHours>,
    /// Where their day begins.
    pub time_zone: Option<TimeZone>,
    /// The message mentions them by name.
    pub mentioned: bool,
    /// They are shown as online.
    pub online: bool,
    /// It has a word they want to be told of.
    pub keyword: bool,
    /// They have said something in the thread, or begun it.
    pub takes_part: bool,
    /// Whether they follow the thread.
    pub following: Following,
}

impl Person {
    /// Somebody who sees everything and prefers nothing.
    #[must_use]
    pub const fn plain(user: UserId) -> Self {
        Self {
            user,
            sees: true,
            blocks: false,
            mutes: false,
            room_muted_until: None,
            thread_muted_until: None,
            in_room: Notify::Default,
            in_general: Notify::Default,
            read: Seq::ZERO,
            quiet: None,
            time_zone: None,
            mentioned: false,
            online: false,
            keyword: false,
            takes_part: false,
            following: Following::Default,
        }
    }
}
