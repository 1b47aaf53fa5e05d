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
    Message(Shown),
    /// A reaction that came or went.
    Reaction(ReactionChange),
    /// A thread that has grown or shrunk.
    Thread(ThreadChange),
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
    /// What was said; empty once deleted.
    pub text: String,
    /// When it was stored, UTC.
    pub created_at: DateTime<Utc>,
    /// The first message of the thread it was said in.
    #[schema(value_type = Option<u64>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<Seq>,
    /// The message of this room it quotes.
    #[schema(value_type = Option<u64>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<Seq>,
    /// Where a forwarded text comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Whom it mentions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mentions: Option<Mentions>,
    /// When its text last changed, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<DateTime<Utc>>,
    /// It was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Mark>,
    /// It is pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Mark>,
    /// The thread it is the first of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replies: Option<Thread>,
    /// By emoji, in the order of their code points.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reactions>,
}

/// A message as you see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Shown {
    /// All of it.
    Message(Box<Message>),
    /// It has the words of somebody you block.
    Stub(Stub),
}

/// A message of which you see only that it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Stub {
    /// Its name for ever in its room, and its place.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// The room's revision at which it last changed.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// Always true.
    pub hidden: bool,
}

/// The message a forwarded text was copied from. Who may not read its room cannot open it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Origin {
    /// Its room.
    #[schema(value_type = String, format = Uuid)]
    pub room: RoomId,
    /// Its number there.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// Who said it first.
    #[schema(value_type = String, format = Uuid)]
    pub author: UserId,
}

/// Whom a message mentions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Mentions {
    /// People.
    #[schema(value_type = Vec<String>)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserId>,
    /// Everybody in the room.
    #[serde(skip_serializing_if = "is_false")]
    pub room: bool,
    /// Everybody in the room who was online.
    #[serde(skip_serializing_if = "is_false")]
    pub online: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Something done to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Mark {
    /// When, UTC.
    pub at: DateTime<Utc>,
    /// By whom.
    #[schema(value_type = String, format = Uuid)]
    pub by: UserId,
}

/// A thread, as its first message shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Thread {
    /// Messages behind the first that are not deleted.
    pub count: u64,
    /// The newest message said in it, deleted or not.
    #[schema(value_type = u64)]
    pub last: Seq,
}

/// Everybody who reacted with one emoji.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reactions {
    /// Which.
    pub emoji: &'static str,
    /// Who, in the order in which they did.
    #[schema(value_type = Vec<String>)]
    pub users: Vec<UserId>,
}

/// A reaction that came or went; the message's revision is this one from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReactionChange {
    /// Under which message.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// The message's revision.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// Which.
    pub emoji: &'static str,
    /// Whose.
    #[schema(value_type = String, format = Uuid)]
    pub user: UserId,
    /// It is there now.
    pub on: bool,
}

/// A thread that has grown or shrunk; its first message's revision is this one from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ThreadChange {
    /// Its first message.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// That message's revision.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// The thread now.
    #[serde(flatten)]
    pub thread: Thread,
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
            message::Item::Message(message) => Self::Message(Shown::Message(Box::new(message.into()))),
            message::Item::Stub(stub) => Self::Message(Shown::Stub(stub.into())),
            message::Item::Reaction(change) => Self::Reaction(change.into()),
            message::Item::Thread(change) => Self::Thread(change.into()),
            message::Item::Member(member) => Self::Member(member.into()),
            message::Item::Notice(notice) => Self::Notice(notice.into()),
            message::Item::Room(room) => Self::Room((&**room).into()),
        }
    }
}

impl From<&message::Message> for Message {
    fn from(message: &message::Message) -> Self {
        let mut shown = Self {
            seq: message.seq,
            revision: message.revision,
            author: message.author,
            client_id: message.client_id,
            text: message.text.clone(),
            created_at: message.created_at,
            thread: None,
            quote: None,
            origin: None,
            mentions: None,
            edited_at: None,
            deleted: None,
            pinned: None,
            replies: None,
            reactions: Vec::new(),
        };
        if let Some(more) = message.more.as_deref() {
            shown.add(more);
        }
        shown
    }
}

impl Message {
    fn add(&mut self, more: &message::More) {
        let message::Details { thread, quote, origin, mentions } = &more.details;
        (self.thread, self.quote) = (*thread, *quote);
        self.origin = origin.map(|origin| Origin { room: origin.room, seq: origin.seq, author: origin.author });
        self.mentions = (!mentions.is_empty()).then(|| Mentions {
            users: mentions.users.clone(),
            room: mentions.room,
            online: mentions.online,
        });
        let mark = |mark: message::Mark| Mark { at: mark.at, by: mark.by };
        self.edited_at = more.edited_at;
        self.deleted = more.deleted.map(mark);
        self.pinned = more.pinned.map(mark);
        self.replies = more.replies.map(Thread::from);
        for reaction in &more.reactions {
            let emoji = reaction.emoji.as_str();
            match self.reactions.iter_mut().find(|known| known.emoji == emoji) {
                Some(known) => known.users.push(reaction.user),
                None => self.reactions.push(Reactions { emoji, users: vec![reaction.user] }),
            }
        }
        self.reactions.sort_by_key(|reactions| reactions.emoji);
    }
}

impl From<&message::Stub> for Stub {
    fn from(stub: &message::Stub) -> Self {
        Self { seq: stub.seq, revision: stub.revision, hidden: true }
    }
}

impl From<&message::Shown> for Shown {
    fn from(shown: &message::Shown) -> Self {
        match shown {
            message::Shown::Message(message) => Self::Message(Box::new(message.into())),
            message::Shown::Stub(stub) => Self::Stub(stub.into()),
        }
    }
}

impl From<message::Thread> for Thread {
    fn from(thread: message::Thread) -> Self {
        Self { count: thread.count, last: thread.last }
    }
}

impl From<&message::ReactionChange> for ReactionChange {
    fn from(change: &message::ReactionChange) -> Self {
        let message::ReactionChange { seq, revision, reaction, on } = change;
        Self { seq: *seq, revision: *revision, emoji: reaction.emoji.as_str(), user: reaction.user, on: *on }
    }
}

impl From<&message::ThreadChange> for ThreadChange {
    fn from(change: &message::ThreadChange) -> Self {
        Self { seq: change.seq, revision: change.revision, thread: change.thread.into() }
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
