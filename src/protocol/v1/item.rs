//! The things rooms and user streams consist of, as JSON. REST shows the same shapes.

use crate::domain::ids::{ClientId, RoomId, UserId};
use crate::domain::member::{MemberState, Role};
use crate::domain::message::NoticeKind;
use crate::domain::order::{Revision, Seq};
use crate::domain::room::{HistoryRule, RoomKind};
use crate::domain::{member, message, room, user};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// One changed row of a room: an upsert, keyed by `seq`, `user`, `revision` or the room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    /// A message.
    Message(Message),
    /// A person's standing in the room.
    Member(Member),
    /// A timeline line without a `seq`.
    Notice(Notice),
    /// The room's settings.
    Room(Room),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Message {
    /// Its name for ever in its room, and its place.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// The room's revision at which it last changed.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// Who said it.
    #[schema(value_type = String, format = Uuid)]
    pub author: UserId,
    /// The author's own name for it.
    #[schema(value_type = String, format = Uuid)]
    pub client_id: ClientId,
    /// What was said.
    pub text: String,
    /// When it was stored, UTC.
    pub created_at: DateTime<Utc>,
}

/// A person's standing in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Member {
    /// Who.
    #[schema(value_type = String, format = Uuid)]
    pub user: UserId,
    /// `invited`, `joined`, `left` or `banned`.
    #[schema(value_type = String)]
    pub state: MemberState,
    /// `member`, `moderator` or `owner`.
    #[schema(value_type = String)]
    pub role: Role,
    /// The room's revision at which it last changed.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// Until when they may not post, if a moderator has silenced them; one that has passed means nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silenced_until: Option<DateTime<Utc>>,
}

/// A timeline line without a `seq`: it stands after the message `after_seq`, ordered by `revision`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Notice {
    /// Its key and, among lines at one place, its order.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// Its place.
    #[schema(value_type = u64)]
    pub after_seq: Seq,
    /// What happened.
    #[schema(value_type = String)]
    pub kind: NoticeKind,
    /// Who did it.
    #[schema(value_type = String, format = Uuid)]
    pub actor: UserId,
    /// To whom.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<UserId>,
    /// The new name, topic or role, or why somebody was kicked or silenced. Why somebody was banned stands in the list of bans only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// When, UTC.
    pub created_at: DateTime<Utc>,
}

/// A room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Room {
    /// Which.
    #[schema(value_type = String, format = Uuid)]
    pub id: RoomId,
    /// `public`, `private`, `direct` or `group`.
    #[schema(value_type = String)]
    pub kind: RoomKind,
    /// Its name; empty for direct and group rooms.
    pub name: String,
    /// Its topic line.
    pub topic: String,
    /// What of the past new members may read: `all` or `since_joining`.
    #[schema(value_type = String)]
    pub history: HistoryRule,
    /// Closed for posts.
    pub archived: bool,
    /// Seconds between two posts of a member below moderator; 0: as they like.
    pub slow_mode_s: u64,
    /// The least role that may post: `member`, `moderator` or `owner`.
    #[schema(value_type = String)]
    pub posting: Role,
    /// The revision at which these settings last changed.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// Who made it.
    #[schema(value_type = String, format = Uuid)]
    pub created_by: UserId,
    /// When, UTC.
    pub created_at: DateTime<Utc>,
}

/// A person as others see them; the names are empty once the account is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct User {
    /// Who.
    #[schema(value_type = String, format = Uuid)]
    pub id: UserId,
    /// Log-in name.
    pub name: String,
    /// How to show them.
    pub display_name: String,
    /// The account was deleted.
    pub deleted: bool,
}

impl From<&message::Item> for Item {
    fn from(item: &message::Item) -> Self {
        match item {
            message::Item::Message(message) => Self::Message(message.into()),
            message::Item::Member(member) => Self::Member(member.into()),
            message::Item::Notice(notice) => Self::Notice(notice.into()),
            message::Item::Room(room) => Self::Room((&**room).into()),
        }
    }
}

impl From<&message::Message> for Message {
    fn from(message: &message::Message) -> Self {
        Self {
            seq: message.seq,
            revision: message.revision,
            author: message.author,
            client_id: message.client_id,
            text: message.text.clone(),
            created_at: message.created_at,
        }
    }
}

impl From<&member::Member> for Member {
    fn from(member: &member::Member) -> Self {
        Self {
            user: member.user,
            state: member.state,
            role: member.role,
            revision: member.revision,
            silenced_until: member.silenced_until,
        }
    }
}

impl From<&message::Notice> for Notice {
    fn from(notice: &message::Notice) -> Self {
        Self {
            revision: notice.revision,
            after_seq: notice.after_seq,
            kind: notice.kind,
            actor: notice.actor,
            subject: notice.subject,
            text: notice.text.clone(),
            created_at: notice.created_at,
        }
    }
}

impl From<&room::Room> for Room {
    fn from(room: &room::Room) -> Self {
        Self {
            id: room.id,
            kind: room.kind,
            name: room.name.clone(),
            topic: room.topic.clone(),
            history: room.history,
            archived: room.archived,
            slow_mode_s: room.slow_mode.seconds(),
            posting: room.posting,
            revision: room.settings_revision,
            created_by: room.created_by,
            created_at: room.created_at,
        }
    }
}

impl From<&user::User> for User {
    fn from(user: &user::User) -> Self {
        Self { id: user.id, name: user.name.clone(), display_name: user.display_name.clone(), deleted: user.deleted }
    }
}
