//! What is said, what happened, and the one thing both are: a change of a room.

use super::emoji::Emoji;
use super::fault::Fault;
use super::ids::{ClientId, RoomId, UserId};
use super::member::Member;
use super::order::{Revision, Seq};
use super::report::Suspicion;
use super::room::Room;
use super::text::{MessageText, Reason};
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
    /// What it has besides its text; most posts have nothing.
    pub details: Option<Box<Details>>,
    /// The message whose text it is to have; copied before it is stored.
    pub forward: Option<Forward>,
    /// What was found out about it before its room was asked; a repeat is answered all the same (I3).
    pub verdict: Result<(), Fault>,
    /// Somebody may have to be notified of it; its room says so.
    pub notifies: bool,
    /// Moderators are to hear of it if it is stored; its room says so.
    pub suspicion: Option<Box<Suspicion>>,
}

/// A post as somebody writes it.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// What to say; nothing when a message is forwarded.
    pub text: Option<String>,
    /// In the thread of this message.
    pub thread: Option<Seq>,
    /// Quoting this message.
    pub quote: Option<Seq>,
    /// Forwarding this one.
    pub forward: Option<Forward>,
}

impl Post {
    /// Checks what somebody has written against the limit `max_bytes`.
    ///
    /// # Errors
    /// [`Fault::BadRequest`] for a text beside a forwarded message, and for neither; those of [`MessageText::parse`].
    pub fn compose(author: UserId, client_id: ClientId, written: Written, max_bytes: usize) -> Result<Self, Fault> {
        let Written { text, thread, quote, forward } = written;
        let text = match (text, forward) {
            (Some(text), None) => MessageText::parse(text, max_bytes)?,
            // Copied later.
            (None, Some(_)) => MessageText::stored(String::new()),
            _ => return Err(Fault::BadRequest),
        };
        let details = Details { thread, quote, ..Details::default() };
        let details = (details != Details::default()).then(|| Box::new(details));
        Ok(Self { details, forward, ..Self::plain(author, client_id, text) })
    }

    /// A text and nothing else.
    #[must_use]
    pub fn plain(author: UserId, client_id: ClientId, text: MessageText) -> Self {
        let (details, forward, verdict) = (None, None, Ok(()));
        Self { author, client_id, text, details, forward, verdict, notifies: false, suspicion: None }
    }
}

/// What a message may have besides its text, from the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The first message of the thread it is said in.
    pub thread: Option<Seq>,
    /// The message of the same room it quotes. Only the number is kept: the quoted text is shown as it is, or is gone.
    pub quote: Option<Seq>,
    /// Where a forwarded text comes from.
    pub origin: Option<Origin>,
    /// Whom it mentions.
    pub mentions: Mentions,
}

/// A message whose text is to be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Its room.
    pub room: RoomId,
    /// Its number there.
    pub seq: Seq,
}

/// The message a forwarded text was copied from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its room.
    pub room: RoomId,
    /// Its number there.
    pub seq: Seq,
    /// Who said it first: of a text forwarded twice, the first one.
    pub author: UserId,
}

/// Whom a message mentions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// People, each once.
    pub users: Vec<UserId>,
    /// Everybody in the room: `@room`.
    pub room: bool,
    /// Everybody in the room who is online: `@online`.
    pub online: bool,
}

impl Mentions {
    /// Nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && !self.room && !self.online
    }

    /// Of the people named those alone who are members.
    #[must_use]
    pub fn among(&self, is_member: impl Fn(UserId) -> bool) -> Self {
        Self { users: self.users.iter().copied().filter(|user| is_member(*user)).collect(), ..*self }
    }
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
    /// Everything else; most messages have nothing else.
    pub more: Option<Box<More>>,
}

/// What a message has besides its text and what has become of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct More {
    /// From the beginning, save that an edit may mention others.
    pub details: Details,
    /// When its text last changed.
    pub edited_at: Option<Timestamp>,
    /// When and by whom it was deleted: its text is gone, its number stays.
    pub deleted: Option<Mark>,
    /// When and by whom it was pinned.
    pub pinned: Option<Mark>,
    /// The thread it is the first of.
    pub replies: Option<Thread>,
    /// The oldest first.
    pub reactions: Vec<Reaction>,
}

/// Something done to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: UserId,
}

/// A thread, as its first message shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Messages behind the first that are not deleted.
    pub count: u64,
    /// The newest message that was said in it, deleted or not.
    pub last: Seq,
}

/// One person's emoji under a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// What.
    pub emoji: Emoji,
    /// Whose.
    pub user: UserId,
}

impl Message {
    /// It was deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.more.as_ref().is_some_and(|more| more.deleted.is_some())
    }

    /// What it has from the beginning besides its text.
    #[must_use]
    pub fn details(&self) -> Option<&Details> {
        self.more.as_ref().map(|more| &more.details)
    }

    /// About how many bytes it takes to tell, beyond the few every message takes.
    #[must_use]
    pub fn size(&self) -> usize {
        /// An id in text, with its marks.
        const ID: usize = 40;
        let more = self.more.as_deref();
        self.text.len() + more.map_or(0, |more| (more.reactions.len() + more.details.mentions.users.len()) * ID)
    }

    /// Whose words it shows: its author's, and of a forwarded text those of whoever said it first.
    pub fn voices(&self) -> impl Iterator<Item = UserId> {
        let origin = self.details().and_then(|details| details.origin);
        std::iter::once(self.author).chain(origin.map(|origin| origin.author))
    }
}

/// A message of which somebody sees nothing but that it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stub {
    /// Its number.
    pub seq: Seq,
    /// The room's revision at which it last changed.
    pub revision: Revision,
}

/// A message as somebody in particular sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All of it.
    Message(Message),
    /// That it is there: it has the words of somebody they do not see.
    Stub(Stub),
}

impl Shown {
    /// Its number.
    #[must_use]
    pub const fn seq(&self) -> Seq {
        match self {
            Self::Message(message) => message.seq,
            Self::Stub(stub) => stub.seq,
        }
    }

    /// The message, if it is seen.
    #[must_use]
    pub fn message(self) -> Option<Message> {
        match self {
            Self::Message(message) => Some(message),
            Self::Stub(_) => None,
        }
    }
}

/// A reaction that came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReactionChange {
    /// Under which message.
    pub seq: Seq,
    /// The message's revision from here on.
    pub revision: Revision,
    /// What and whose.
    pub reaction: Reaction,
    /// It is there now.
    pub on: bool,
}

/// A thread that has grown or shrunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadChange {
    /// Its first message.
    pub seq: Seq,
    /// That message's revision from here on.
    pub revision: Revision,
    /// The thread as it is now.
    pub thread: Thread,
}

/// What filters and the hook say of a text that is to replace another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// May it be said?
    pub verdict: Result<(), Fault>,
    /// Moderators are to hear of it if it is stored.
    pub suspicion: Option<Suspicion>,
    /// The revision of the room's filters that were asked; once it has another, they are asked again.
    pub filters_revision: Revision,
}

impl Findings {
    /// Nobody was asked yet.
    pub const NOT_YET: Self = Self { verdict: Ok(()), suspicion: None, filters_revision: Revision::ZERO };
}

/// A change of a message that somebody asks for. Decided and carried out inside one transaction; sets a state, so a repeat changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageChange {
    /// Give it another text.
    Edit {
        /// The text.
        text: MessageText,
        /// Whom it mentions.
        mentions: Mentions,
        /// What filters and the hook say of the text.
        findings: Findings,
    },
    /// Delete it.
    Delete {
        /// Why, for the audit log.
        reason: Option<Reason>,
    },
    /// React to it.
    React(Emoji),
    /// Take a reaction of one's own back.
    Unreact(Emoji),
    /// Pin it.
    Pin,
    /// Unpin it.
    Unpin,
}

impl MessageChange {
    /// Give it another text, of which nothing is known yet.
    #[must_use]
    pub fn edit(text: MessageText) -> Self {
        Self::Edit { text, mentions: Mentions::default(), findings: Findings::NOT_YET }
    }
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
    /// A message was pinned; `text` is its number.
    Pinned,
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
    /// A message of which only this is seen.
    Stub(Stub),
    /// A reaction that came or went: of the message only that. Where changes are read later, the message comes with all its reactions.
    Reaction(ReactionChange),
    /// A thread that has grown or shrunk: of its first message only that.
    Thread(ThreadChange),
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
            Self::Stub(stub) => stub.revision,
            Self::Reaction(change) => change.revision,
            Self::Thread(change) => change.revision,
            Self::Member(member) => member.revision,
            Self::Notice(notice) => notice.revision,
            Self::Room(room) => room.settings_revision,
        }
    }

    /// The message it is about: who may not see that one may not see this.
    #[must_use]
    pub fn seq(&self) -> Option<Seq> {
        match self {
            Self::Message(message) => Some(message.seq),
            Self::Stub(stub) => Some(stub.seq),
            Self::Reaction(change) => Some(change.seq),
            Self::Thread(change) => Some(change.seq),
            Self::Member(_) | Self::Notice(_) | Self::Room(_) => None,
        }
    }

    /// Whose doing is in it that not everybody may see: words and reactions.
    #[must_use]
    pub fn people(&self) -> Vec<UserId> {
        match self {
            Self::Message(message) => {
                let reactions = message.more.iter().flat_map(|more| &more.reactions).map(|reaction| reaction.user);
                message.voices().chain(reactions).collect()
            }
            Self::Reaction(change) => vec![change.reaction.user],
            Self::Stub(_) | Self::Thread(_) | Self::Member(_) | Self::Notice(_) | Self::Room(_) => Vec::new(),
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
