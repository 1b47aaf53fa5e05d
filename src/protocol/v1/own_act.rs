//! What the acts about what is one's own carry: how one stands to others, up to where one has read, what one prefers and has begun to write.

use super::own::Until;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::order::Seq;
use crate::domain::preference::{Following, Notify};
use serde::Deserialize;

macro_rules! about_a_person {
    ($($name:ident $word:literal,)*) => {$(
        #[doc = concat!("`", $word, "`.")]
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Whom.
            pub user: UserId,
        }
    )*};
}

about_a_person!(Block "block", Unblock "unblock", Mute "mute", Unmute "unmute",);

/// `read`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// Which room.
    pub room: RoomId,
    /// Up to this message.
    pub seq: Seq,
}

/// `read_all`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadAll {}

/// `delivered`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivered {
    /// Which room.
    pub room: RoomId,
    /// Up to this message.
    pub seq: Seq,
}

/// `set_room_preferences`: all of them; what is absent is as it was in the beginning.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRoomPreferences {
    /// Which room.
    pub room: RoomId,
    /// Mute it until then.
    #[serde(default)]
    pub muted_until: Option<Until>,
    /// Of what to be told.
    #[serde(default)]
    pub notify: Notify,
}

/// `set_thread_preferences`: all of them; what is absent is as it was in the beginning.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetThreadPreferences {
    /// Which room.
    pub room: RoomId,
    /// The thread's first message.
    pub thread: Seq,
    /// Follow it or not.
    #[serde(default)]
    pub following: Following,
    /// Mute it until then.
    #[serde(default)]
    pub muted_until: Option<Until>,
}

/// `set_draft`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetDraft {
    /// Which room.
    pub room: RoomId,
    /// The first message of the thread it is written in; absent: in the room itself.
    #[serde(default)]
    pub thread: Option<Seq>,
    /// As far as it is written; empty: nothing.
    pub text: String,
}
