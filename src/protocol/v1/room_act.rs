//! What the acts about a room and its people carry. REST takes the same in path and body.

use crate::domain::fault::Fault;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::Role;
use crate::domain::order::Seq;
use crate::domain::room::{HistoryRule, RoomKind, RoomSettings, SlowMode};
use crate::domain::text::{RoomName, Topic};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! about_a_room {
    ($($name:ident $word:literal,)*) => {$(
        #[doc = concat!("`", $word, "`.")]
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Which room.
            pub room: RoomId,
        }
    )*};
}

macro_rules! about_somebody {
    ($($name:ident $word:literal,)*) => {$(
        #[doc = concat!("`", $word, "`.")]
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// In which room.
            pub room: RoomId,
            /// Whom.
            pub user: UserId,
        }
    )*};
}

about_a_room! {
    Join "join",
    Leave "leave",
    Decline "decline",
}

macro_rules! done_to_somebody {
    ($($name:ident $word:literal,)*) => {$(
        #[doc = concat!("`", $word, "`.")]
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// In which room.
            pub room: RoomId,
            /// Whom.
            pub user: UserId,
            /// Why, for the audit log.
            #[serde(default)]
            pub reason: Option<String>,
        }
    )*};
}

about_somebody! {
    Invite "invite",
}

done_to_somebody! {
    Uninvite "uninvite",
    Unban "unban",
    Unsilence "unsilence",
    Transfer "transfer",
}

/// `delete_room`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteRoom {
    /// Which room.
    pub room: RoomId,
    /// Why, for the audit log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `kick`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kick {
    /// From which room.
    pub room: RoomId,
    /// Whom.
    pub user: UserId,
    /// Why, shown in the timeline.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `ban`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ban {
    /// From which room.
    pub room: RoomId,
    /// Whom.
    pub user: UserId,
    /// Why, shown to moderators.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `silence`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// In which room.
    pub room: RoomId,
    /// Whom.
    pub user: UserId,
    /// Until when: an instant, so that a repeat changes nothing.
    pub until: DateTime<Utc>,
    /// Why, shown in the timeline.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `set_role`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    /// In which room.
    pub room: RoomId,
    /// Whose.
    pub user: UserId,
    /// `member` or `moderator`.
    pub role: Role,
    /// Why, for the audit log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `change_room`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRoom {
    /// Which room.
    pub room: RoomId,
    /// What shall be otherwise.
    pub settings: ChangedRoom,
}

/// New settings; what is absent stays.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangedRoom {
    /// The name. Owners only, like all but the topic and slow mode.
    #[serde(default)]
    pub name: Option<String>,
    /// The topic line. Moderators, too.
    #[serde(default)]
    pub topic: Option<String>,
    /// `public` or `private`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub kind: Option<RoomKind>,
    /// What later members may read of the past.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub history: Option<HistoryRule>,
    /// Closed for posts, or open again.
    #[serde(default)]
    pub archived: Option<bool>,
    /// Seconds between two posts of a member below moderator, at most six hours; 0: as they like. Moderators, too.
    #[serde(default)]
    pub slow_mode_s: Option<u64>,
    /// The least role that may post: `member`, `moderator` or `owner`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub posting: Option<Role>,
}

impl TryFrom<ChangedRoom> for RoomSettings {
    type Error = Fault;

    fn try_from(new: ChangedRoom) -> Result<Self, Fault> {
        let ChangedRoom { name, topic, kind, history, archived, slow_mode_s, posting } = new;
        Ok(Self {
            name: name.as_deref().map(RoomName::parse).transpose()?,
            topic: topic.as_deref().map(Topic::parse).transpose()?,
            kind,
            history,
            archived,
            slow_mode: slow_mode_s.map(SlowMode::parse).transpose()?,
            posting,
        })
    }
}

/// `typing`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typing {
    /// In which room.
    pub room: RoomId,
    /// In which thread; absent: in none.
    #[serde(default)]
    pub thread: Option<Seq>,
}
