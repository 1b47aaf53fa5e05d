//! What the server sends by itself.

use super::item::{Item, Room, User};
use super::own::{Draft, Notification, Preferences, RoomPreferences, ThreadPreferences};
use super::profile::Profile;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::{MemberState, Role};
use crate::domain::order::{Revision, Seq};
use crate::domain::reading;
use crate::domain::relation::{self, Refetch};
use crate::domain::{message, stream};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// A push: one object with one key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Push {
    /// Revisions of a room, live or missed.
    Changes(Changes),
    /// Revisions of the person's own stream, live or missed.
    UserChanges(UserChanges),
    /// Who is online.
    Presence(Presence),
    /// Somebody types.
    Typing(Typing),
    /// Somebody has read or received a room further than before.
    Receipts(Receipts),
    /// The access token ends soon: `renew`.
    TokenExpiring(TokenExpiring),
    /// The server will close this socket: reconnect after the time given.
    Reconnect(Reconnect),
    /// A room is not received any more: membership ended, or the room was deleted.
    Unsubscribed(Unsubscribed),
}

/// The revisions (from, to] of a room with every row that changed in them; `to` is the new cursor. Where `to` is not above the cursor,
/// there is nothing new; where `from` is above it, something was missed: subscribe again with the cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Changes {
    /// Which room.
    #[schema(value_type = String, format = Uuid)]
    pub room: RoomId,
    /// The revision before the first one covered.
    #[schema(value_type = u64)]
    pub from: Revision,
    /// The last one covered.
    #[schema(value_type = u64)]
    pub to: Revision,
    /// The rows as they are now, by revision.
    pub items: Vec<Item>,
}

impl From<&message::Changes> for Changes {
    fn from(changes: &message::Changes) -> Self {
        Self { room: changes.room, from: changes.from, to: changes.to, items: changes.items.iter().map(Item::from).collect() }
    }
}

/// The revisions (from, to] of the person's own stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserChanges {
    /// The revision before the first one covered.
    #[schema(value_type = u64)]
    pub from: Revision,
    /// The last one covered; the new user cursor.
    #[schema(value_type = u64)]
    pub to: Revision,
    /// What is mine, as it is now, by revision.
    pub items: Vec<UserItem>,
}

impl From<&stream::UserChanges> for UserChanges {
    fn from(changes: &stream::UserChanges) -> Self {
        Self { from: changes.from, to: changes.to, items: changes.items.iter().map(UserItem::from).collect() }
    }
}

/// One thing that is mine: an upsert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserItem {
    /// My standing in a room; keyed by the room.
    Membership(Box<Membership>),
    /// My profile.
    Profile(Box<Profile>),
    /// Whom I block or mute; keyed by the other person.
    Relation(Relation),
    /// Up to where I have read a room; keyed by the room.
    ReadMark(ReadMark),
    /// What I prefer of a room; keyed by the room.
    RoomPreferences(RoomPreferences),
    /// What I prefer of a thread; keyed by room and thread.
    ThreadPreferences(ThreadPreferences),
    /// What I prefer altogether.
    Preferences(Preferences),
    /// What I have begun to write; keyed by room and thread.
    Draft(Draft),
    /// Of what I was notified; keyed by room and message.
    Notification(Notification),
}

impl From<&stream::StreamItem> for UserItem {
    fn from(item: &stream::StreamItem) -> Self {
        match item {
            stream::StreamItem::Membership(membership) => Self::Membership(Box::new((&**membership).into())),
            stream::StreamItem::Profile(own) => Self::Profile(Box::new((&**own).into())),
            stream::StreamItem::ReadMark(mark) => Self::ReadMark(mark.into()),
            stream::StreamItem::RoomPreferences(of) => Self::RoomPreferences(of.into()),
            stream::StreamItem::ThreadPreferences(of) => Self::ThreadPreferences(of.into()),
            stream::StreamItem::Preferences(of) => Self::Preferences((&**of).into()),
            stream::StreamItem::Draft(draft) => Self::Draft(draft.into()),
            stream::StreamItem::Notification(of) => Self::Notification(of.into()),
            stream::StreamItem::Relation { relation, refetch } => {
                let (rooms, every_room) = match refetch {
                    Some(Refetch::Rooms(rooms)) => (rooms.clone(), false),
                    Some(Refetch::Every) => (Vec::new(), true),
                    None => (Vec::new(), false),
                };
                Self::Relation(Relation { rooms, every_room, ..relation.into() })
            }
        }
    }
}

impl From<&stream::Membership> for Membership {
    fn from(membership: &stream::Membership) -> Self {
        let stream::Membership { member, room, people } = membership;
        Self {
            revision: member.stream_revision,
            state: member.state,
            role: member.role,
            visible_from_seq: member.visible_from_seq.max(Seq(1)),
            by: member.by,
            silenced_until: member.silenced_until,
            room: room.into(),
            people: people.iter().map(User::from).collect(),
        }
    }
}

/// Up to where I have read a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReadMark {
    /// The revision of my stream at which this last changed.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// The room.
    #[schema(value_type = String, format = Uuid)]
    pub room: RoomId,
    /// The last message I have read; zero: none.
    #[schema(value_type = u64)]
    pub seq: Seq,
}

impl From<&reading::ReadMark> for ReadMark {
    fn from(mark: &reading::ReadMark) -> Self {
        Self { revision: mark.revision, room: mark.room, seq: mark.seq }
    }
}

/// How I stand to another person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Relation {
    /// The revision of my stream at which this last changed.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// The other person.
    #[schema(value_type = String, format = Uuid)]
    pub user: UserId,
    /// I block them.
    pub blocked: bool,
    /// I mute them.
    pub muted: bool,
    /// `blocked` has changed: fetch these rooms again. Only in `user_changes`.
    #[schema(value_type = Vec<String>)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rooms: Vec<RoomId>,
    /// The same, where it is more rooms than are listed: fetch all I am in.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub every_room: bool,
}

impl From<&relation::Relation> for Relation {
    fn from(relation: &relation::Relation) -> Self {
        let relation::Relation { other, blocked, muted, revision, .. } = *relation;
        Self { revision, user: other, blocked, muted, rooms: Vec::new(), every_room: false }
    }
}

/// My standing in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Membership {
    /// The revision of my stream at which this last changed.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// `invited`, `joined`, `left` or `banned`.
    #[schema(value_type = String)]
    pub state: MemberState,
    /// My role.
    #[schema(value_type = String)]
    pub role: Role,
    /// The first message I may read.
    #[schema(value_type = u64)]
    pub visible_from_seq: Seq,
    /// Who invited, kicked or banned me.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// Until when I may not post there, if a moderator has silenced me; one that has passed means nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silenced_until: Option<DateTime<Utc>>,
    /// The room as it was when this was read.
    pub room: Room,
    /// The other people of a direct or group room.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<User>,
}

/// Who is online, of the people watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Presence {
    /// Those whose state changed, or all that were just watched.
    pub users: Vec<UserPresence>,
}

/// One person's presence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserPresence {
    /// Who.
    #[schema(value_type = String, format = Uuid)]
    pub user: UserId,
    /// The best of all their devices.
    pub state: PresenceState,
    /// When they were last active, to the minute; absent for those who hide it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_active: Option<DateTime<Utc>>,
}

/// How present somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PresenceState {
    /// On no device, or invisible.
    Offline,
    /// Connected, not in use.
    Away,
    /// At a device.
    Online,
}

/// Somebody types in a room that is received. It ends by itself, and with their next message there.
#[derive(Debug, Serialize)]
pub struct Typing {
    /// Where.
    pub room: RoomId,
    /// Who.
    pub user: UserId,
    /// In which thread; absent: in none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<Seq>,
    /// For so many milliseconds, unless it comes again.
    pub for_ms: u64,
}

/// How far people have read a room that is received.
#[derive(Debug, Serialize)]
pub struct Receipts {
    /// Which room.
    pub room: RoomId,
    /// One for each person of whom there is news.
    pub receipts: Vec<Receipt>,
}

/// How far somebody has read a room. It only rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Receipt {
    /// Who.
    #[schema(value_type = String, format = Uuid)]
    pub user: UserId,
    /// The last message they have read; zero: none.
    #[schema(value_type = u64)]
    pub read: Seq,
    /// The last one a device of theirs has received; never below `read`.
    #[schema(value_type = u64)]
    pub delivered: Seq,
}

impl Receipt {
    /// A person's mark as others see it.
    #[must_use]
    pub const fn new(user: UserId, mark: &reading::ReadMark) -> Self {
        Self { user, read: mark.seq, delivered: mark.delivered }
    }
}

/// The access token ends soon.
#[derive(Debug, Serialize)]
pub struct TokenExpiring {
    /// When.
    pub expires_at: DateTime<Utc>,
}

/// The server will close this socket.
#[derive(Debug, Serialize)]
pub struct Reconnect {
    /// Connect again after this many milliseconds.
    pub after_ms: u64,
}

/// A room is not received any more.
#[derive(Debug, Serialize)]
pub struct Unsubscribed {
    /// Which.
    pub room: RoomId,
    /// A code of the fault table: `not_member`, `banned`, `not_found`, …
    pub code: &'static str,
}
