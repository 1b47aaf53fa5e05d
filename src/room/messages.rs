//! What a room and the directory accept.

use actix::Message;
use tokio::time::Instant;

use crate::delivery::handle::RelayHandle;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{RoomId, UserId};
use crate::domain::message::{MessageChange, Post};
use crate::domain::order::{Revision, Seq};
use crate::domain::reading::ReadMark;
use crate::domain::room::RoomChange;
use crate::domain::user::Actor;
use crate::moderation::filters::Judgement;
use crate::persistence::owed::Owed;
use crate::policy::Sight;
use crate::store::rooms::{Changed, CreateGroup, CreateRoom};

use super::state::order::Committed;
use super::state::posting::{Answers, Posted};

/// What an attached relay's session has to know of the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Everything after this revision will be delivered to the relay.
    pub head: Revision,
    /// The newest revision that is known to be stored, by which a cursor is judged; not below `head`.
    pub newest: Revision,
    /// What the person sees.
    pub sight: Sight,
}

/// The answer to a post to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectPosted {
    /// The room of the two.
    pub room: RoomId,
    /// The message.
    pub posted: Posted,
}

/// A message that may come to a room that cannot take it.
pub(super) trait Refusable: Message<Result = ()> + Send + 'static {
    /// Answers without having done anything.
    fn refuse(self, refusal: Refusal);
}

/// Posts of one session, in order. From a session or REST; always answered.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(super) struct PostGroup {
    pub(super) posts: Vec<Post>,
    /// What the filter hook says of each; empty where there is none.
    pub(super) judged: Vec<Judgement>,
    /// When the sender must have an answer.
    pub(super) deadline: Instant,
    /// How often it was decided under a policy that had changed.
    pub(super) stale: u32,
    pub(super) owed: Owed<Answers>,
}

impl Refusable for PostGroup {
    fn refuse(self, refusal: Refusal) {
        let answers = super::state::posting::all_refused(refusal, self.posts.len());
        self.owed.settle(Ok(answers));
    }
}

/// A change of the room, its membership or one of its messages. From a session or REST; always answered.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(super) struct Change {
    pub(super) actor: Actor,
    pub(super) what: What,
    pub(super) owed: Owed<Changed>,
}

/// What is to be changed.
#[derive(Debug)]
pub(super) enum What {
    Room(RoomChange),
    Message(Seq, MessageChange),
}

impl Refusable for Change {
    fn refuse(self, refusal: Refusal) {
        self.owed.settle(Err(refusal));
    }
}

/// A session of that relay wants the room. From the session; always answered.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(super) struct Attach {
    pub(super) user: UserId,
    /// Up to where they say they have seen the room.
    pub(super) cursor: Option<Revision>,
    pub(super) relay: RelayHandle,
    pub(super) attachment: u64,
    pub(super) owed: Owed<Attached>,
}

impl Refusable for Attach {
    fn refuse(self, refusal: Refusal) {
        self.owed.settle(Err(refusal));
    }
}

/// Somebody types. From a session or REST; always answered.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(super) struct Types {
    pub(super) user: UserId,
    pub(super) thread: Option<Seq>,
    pub(super) owed: Owed<()>,
}

impl Refusable for Types {
    fn refuse(self, refusal: Refusal) {
        self.owed.settle(Err(refusal));
    }
}

/// Somebody has read or received the room further than before. From the reader; may be lost.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(super) struct MarkRaised {
    pub(super) user: UserId,
    pub(super) mark: ReadMark,
}

/// Nobody on that relay wants the room any more. From the relay or a session; may be lost, the relay says it again.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(super) struct Detach {
    pub(super) relay: RelayHandle,
    pub(super) attachment: u64,
}

/// That relay has nothing after `after`. From the relay; may be lost, the relay asks again.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(super) struct SendAgain {
    pub(super) relay: RelayHandle,
    pub(super) after: Revision,
}

/// Something was committed in this room by others than the room. May be lost, the head tells.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(super) struct CommittedElsewhere(pub(super) Committed);

/// The store has this head. From the directory; may be lost, it comes again.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(super) struct HeadSeen(pub(super) Revision);

/// Tell the relays how far they should be. From the directory; may be lost, it comes again as long as some relay has to be told.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(super) struct CompareRelays;

/// For the directory: start the room if it sleeps, and give it this.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(super) struct Wake<M: Refusable> {
    pub(super) room: RoomId,
    pub(super) message: M,
}

/// For the directory: make a room. From REST; always answered.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(super) struct Create {
    pub(super) what: Creation,
    pub(super) owed: Owed<Changed>,
}

/// What to make.
#[derive(Debug)]
pub(super) enum Creation {
    Room(CreateRoom),
    Group(CreateGroup),
}

/// For the directory: post to a person. From a session or REST; always answered.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(super) struct PostDirect {
    pub(super) other: UserId,
    pub(super) post: Post,
    pub(super) judged: Vec<Judgement>,
    pub(super) deadline: Instant,
    pub(super) owed: Owed<DirectPosted>,
}

/// What an answer that never came means: the one who owed it ended. Those of this module never do.
pub(super) fn or_unknown<T>(answer: Result<Result<T, Refusal>, crate::supervision::reply::Dropped>) -> Result<T, Refusal> {
    answer.unwrap_or_else(|_| Err(Fault::OutcomeUnknown.into()))
}
