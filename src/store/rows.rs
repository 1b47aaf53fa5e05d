//! Rows as the tables hold them, and their way to and from the domain. Fields stand in the order of the columns: a query selects
//! `all_columns`, because diesel's `as_select` fixes the database.

use chrono::NaiveDateTime;
use diesel::{AsChangeset, Insertable, Queryable};

use super::columns::{Code, Id, at, int, number, revision, room_key, seq};
use super::error::StoreError;
use super::schema::{members, messages, notices, rooms};
use crate::domain::member::Member;
use crate::domain::message::{Message, Notice};
use crate::domain::room::{Room, SlowMode};

/// A row of `rooms`.
#[derive(Clone, Debug, Queryable, Insertable, AsChangeset)]
#[diesel(table_name = rooms, treat_none_as_default_value = false)]
pub struct RoomRow {
    pub id: Id,
    pub kind: i16,
    pub name: String,
    pub name_key: String,
    pub topic: String,
    pub history: i16,
    pub archived: bool,
    pub deleted: bool,
    /// Only set when the room is made: an update leaves it alone.
    pub pair_key: Option<Vec<u8>>,
    pub created_by: Id,
    pub created_at: NaiveDateTime,
    pub last_seq: i64,
    pub head: i64,
    pub policy_revision: i64,
    pub settings_revision: i64,
    pub last_created_at: NaiveDateTime,
    pub member_count: i64,
    pub slow_mode: i64,
    pub posting: i16,
    pub blocked: bool,
    pub filters_revision: i64,
}

impl From<&Room> for RoomRow {
    fn from(room: &Room) -> Self {
        Self {
            id: room.id.into(),
            kind: room.kind.code(),
            name: room.name.clone(),
            name_key: room_key(&room.name),
            topic: room.topic.clone(),
            history: room.history.code(),
            archived: room.archived,
            deleted: room.deleted,
            pair_key: None,
            created_by: room.created_by.into(),
            created_at: at(room.created_at),
            last_seq: int(room.last_seq.0),
            head: int(room.head.0),
            policy_revision: int(room.policy_revision.0),
            settings_revision: int(room.settings_revision.0),
            last_created_at: at(room.last_created_at),
            member_count: int(room.member_count),
            slow_mode: int(room.slow_mode.seconds()),
            posting: room.posting.code(),
            blocked: room.blocked,
            filters_revision: int(room.filters_revision.0),
        }
    }
}

impl TryFrom<RoomRow> for Room {
    type Error = StoreError;

    fn try_from(row: RoomRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            kind: Code::from_code(row.kind)?,
            name: row.name,
            topic: row.topic,
            history: Code::from_code(row.history)?,
            archived: row.archived,
            deleted: row.deleted,
            created_by: row.created_by.into(),
            created_at: row.created_at.and_utc(),
            last_seq: seq(row.last_seq)?,
            head: revision(row.head)?,
            policy_revision: revision(row.policy_revision)?,
            settings_revision: revision(row.settings_revision)?,
            last_created_at: row.last_created_at.and_utc(),
            member_count: number(row.member_count)?,
            slow_mode: slow_mode(row.slow_mode)?,
            posting: Code::from_code(row.posting)?,
            blocked: row.blocked,
            filters_revision: revision(row.filters_revision)?,
        })
    }
}

/// The pause of a room's slow mode.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn slow_mode(seconds: i64) -> Result<SlowMode, StoreError> {
    SlowMode::parse(number(seconds)?).map_err(|_| StoreError::Corrupt(format!("{seconds} s is no slow mode")))
}

/// A row of `members`.
#[derive(Clone, Debug, Queryable, Insertable, AsChangeset)]
#[diesel(table_name = members, primary_key(room, user), treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct MemberRow {
    pub room: Id,
    pub user: Id,
    pub state: i16,
    pub role: i16,
    pub visible_from_seq: i64,
    pub joined_revision: i64,
    pub revision: i64,
    pub stream_revision: i64,
    pub by_user: Option<Id>,
    pub reason: Option<String>,
    pub changed_at: NaiveDateTime,
    pub silenced_until: Option<NaiveDateTime>,
    /// Only an append sets it: an update leaves it alone.
    #[diesel(skip_update)]
    pub last_post_at: Option<NaiveDateTime>,
}

impl From<&Member> for MemberRow {
    fn from(member: &Member) -> Self {
        Self {
            room: member.room.into(),
            user: member.user.into(),
            state: member.state.code(),
            role: member.role.code(),
            visible_from_seq: int(member.visible_from_seq.0),
            joined_revision: int(member.joined_revision.0),
            revision: int(member.revision.0),
            stream_revision: int(member.stream_revision.0),
            by_user: member.by.map(Id::from),
            reason: member.reason.clone(),
            changed_at: at(member.changed_at),
            silenced_until: member.silenced_until.map(at),
            last_post_at: None,
        }
    }
}

impl TryFrom<MemberRow> for Member {
    type Error = StoreError;

    fn try_from(row: MemberRow) -> Result<Self, StoreError> {
        Ok(Self {
            room: row.room.into(),
            user: row.user.into(),
            state: Code::from_code(row.state)?,
            role: Code::from_code(row.role)?,
            visible_from_seq: seq(row.visible_from_seq)?,
            joined_revision: revision(row.joined_revision)?,
            revision: revision(row.revision)?,
            stream_revision: revision(row.stream_revision)?,
            by: row.by_user.map(Into::into),
            reason: row.reason,
            changed_at: row.changed_at.and_utc(),
            silenced_until: row.silenced_until.map(|until| until.and_utc()),
        })
    }
}

/// A row of `messages`, as it is when it is new and has nothing but a text.
#[derive(Clone, Debug, Queryable, Insertable)]
#[diesel(table_name = messages, treat_none_as_default_value = false)]
pub struct MessageRow {
    pub room: Id,
    pub seq: i64,
    pub revision: i64,
    pub author: Id,
    pub client_id: Id,
    pub body_hash: Id,
    pub body: String,
    pub created_at: NaiveDateTime,
}

/// What it has besides from the beginning.
#[derive(Clone, Debug, Queryable, Insertable)]
#[diesel(table_name = messages, treat_none_as_default_value = false)]
pub struct DetailsRow {
    pub thread: Option<i64>,
    pub quote: Option<i64>,
    pub origin_room: Option<Id>,
    pub origin_seq: Option<i64>,
    pub origin_author: Option<Id>,
    pub mentions: Option<Vec<u8>>,
}

/// What has become of it.
#[derive(Clone, Debug, Queryable)]
pub struct LaterRow {
    pub edited_at: Option<NaiveDateTime>,
    pub deleted_at: Option<NaiveDateTime>,
    pub deleted_by: Option<Id>,
    pub pinned_at: Option<NaiveDateTime>,
    pub pinned_by: Option<Id>,
    pub reply_count: i64,
    pub last_reply: Option<i64>,
    pub reaction_count: i64,
}

/// The columns of a message, all of them.
pub type WholeMessageRow = (MessageRow, DetailsRow, LaterRow);

/// The columns of a [`WholeMessageRow`].
pub const WHOLE_MESSAGE: WholeMessage = (
    (
        messages::room,
        messages::seq,
        messages::revision,
        messages::author,
        messages::client_id,
        messages::body_hash,
        messages::body,
        messages::created_at,
    ),
    (messages::thread, messages::quote, messages::origin_room, messages::origin_seq, messages::origin_author, messages::mentions),
    (
        messages::edited_at,
        messages::deleted_at,
        messages::deleted_by,
        messages::pinned_at,
        messages::pinned_by,
        messages::reply_count,
        messages::last_reply,
        messages::reaction_count,
    ),
);

type WholeMessage = (
    (
        messages::room,
        messages::seq,
        messages::revision,
        messages::author,
        messages::client_id,
        messages::body_hash,
        messages::body,
        messages::created_at,
    ),
    (messages::thread, messages::quote, messages::origin_room, messages::origin_seq, messages::origin_author, messages::mentions),
    (
        messages::edited_at,
        messages::deleted_at,
        messages::deleted_by,
        messages::pinned_at,
        messages::pinned_by,
        messages::reply_count,
        messages::last_reply,
        messages::reaction_count,
    ),
);

impl TryFrom<MessageRow> for Message {
    type Error = StoreError;

    fn try_from(row: MessageRow) -> Result<Self, StoreError> {
        Ok(Self {
            room: row.room.into(),
            seq: seq(row.seq)?,
            revision: revision(row.revision)?,
            author: row.author.into(),
            client_id: row.client_id.into(),
            text: row.body,
            created_at: row.created_at.and_utc(),
            more: None,
        })
    }
}

/// A row of `notices`.
#[derive(Clone, Debug, Queryable, Insertable)]
#[diesel(table_name = notices, treat_none_as_default_value = false)]
pub struct NoticeRow {
    pub room: Id,
    pub revision: i64,
    pub after_seq: i64,
    pub kind: i16,
    pub actor: Id,
    pub subject: Option<Id>,
    pub text: Option<String>,
    pub created_at: NaiveDateTime,
}

impl From<&Notice> for NoticeRow {
    fn from(notice: &Notice) -> Self {
        Self {
            room: notice.room.into(),
            revision: int(notice.revision.0),
            after_seq: int(notice.after_seq.0),
            kind: notice.kind.code(),
            actor: notice.actor.into(),
            subject: notice.subject.map(Id::from),
            text: notice.text.clone(),
            created_at: at(notice.created_at),
        }
    }
}

impl TryFrom<NoticeRow> for Notice {
    type Error = StoreError;

    fn try_from(row: NoticeRow) -> Result<Self, StoreError> {
        Ok(Self {
            room: row.room.into(),
            revision: revision(row.revision)?,
            after_seq: seq(row.after_seq)?,
            kind: Code::from_code(row.kind)?,
            actor: row.actor.into(),
            subject: row.subject.map(Into::into),
            text: row.text,
            created_at: row.created_at.and_utc(),
        })
    }
}
