//! What other threads hold of a relay.
//!
//! Purpose: send envelopes and signals to one worker thread ([`RelayHandle`]) or signals to all of them ([`Relays`]). Neighbours:
//! rooms deliver and keep what a full relay refused; accounts, the writers of user streams and the presence tracker announce.
//!
//! Two lanes, as losing has two owners, and a place for what may be lost. **Envelopes** enter the actor's bounded mailbox; when it is full the room is told so and sends
//! again from the last revision the relay took. **Signals** come from those who cannot send again, so they enter a lane of their own
//! that is never lost: past its bound the relay closes all its sockets as *restarted*, and everybody resumes and authenticates anew.
//! **Ephemerals** wait beside the mailbox for one message in it, and are lost when there is no place: they have no owner.
//!
//! Invariant: a signal sent is applied, or its thread's sockets close. Must not know: who subscribes, what a room is.

use super::envelope::Envelope;
use super::ephemeral::{Ephemeral, Passing};
use super::relay::Relay;
use super::watches::SeatReport;
use crate::domain::ids::{LoginId, RoomId, SessionId, UserId};
use crate::domain::order::Revision;
use crate::domain::stream::UserChanges;
use crate::protocol::v1::push::UserPresence;
use crate::supervision::mailbox::Mailbox;
use crate::supervision::reply::{Answer, ReplyTo, reply};
use actix::Message;
use actix::dev::SendError;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Which sockets an event about a login concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logins {
    /// All of the person: disabled, deleted, logged out everywhere.
    All,
    /// One: logged out, or its refresh token was stolen.
    One(LoginId),
    /// All but one: the password was changed from that one.
    Except(LoginId),
}

/// Logins that ended: their sockets close at once (I10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub logins: Logins,
}

/// An envelope for everybody on the thread who receives its room. From the room; no answer.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Deliver(pub(super) Arc<Envelope>);

/// Everything of a room up to this head has been handed over: ask again for what has not come. From the room, now and then; no answer.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct HeadIs {
    pub(super) room: RoomId,
    pub(super) head: Revision,
}

/// Which revision of a room was appended last? From a room that restarted.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct LastAppended {
    pub(super) room: RoomId,
    pub(super) reply_to: ReplyTo<Option<Revision>>,
}

/// Who is here? From the presence tracker, after its start and now and then.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Seats {
    pub(super) with_watches: bool,
    pub(super) reply_to: ReplyTo<Vec<SeatReport>>,
}

/// Hand what this thread has counted to the metrics. From whoever shows these.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Publish {
    pub(super) reply_to: ReplyTo<()>,
}

/// What the presence tracker says: it begins and ends watches. It can send again, so this goes through the mailbox.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub enum WatchSignal {
    /// These people look different: whoever watches them is told.
    Changed(Vec<UserPresence>),
    /// A session watches these people from now on, and is told how they look.
    Begun {
        /// Whose session.
        user: UserId,
        /// The session.
        session: SessionId,
        /// Whom, and how they look.
        users: Vec<UserPresence>,
    },
    /// A session watches these people no more.
    Ended {
        /// Whose session.
        user: UserId,
        /// The session.
        session: SessionId,
        /// Whom.
        users: Vec<UserId>,
        /// The last it hears of them; nothing when it asked for the end.
        told: Vec<UserPresence>,
    },
}

/// How far has the stream of each person who is here been sent? From the accounts keeper, now and then.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct StreamsSent {
    pub(super) reply_to: ReplyTo<Vec<(UserId, Revision)>>,
}

/// The heads of these people's streams, for whoever was not told. From the accounts keeper, which says it again; no answer.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct StreamsAre(pub(super) Vec<(UserId, Revision)>);

/// The signal lane is no longer empty. From the handle itself; may be lost when the mailbox is full, as whatever is in there does the same.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct SignalsWait;

/// Ephemerals wait, behind the envelopes sent before them. From the handle itself; lost when the mailbox is full, and they with it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct EphemeralsWait;

/// What must not be lost and cannot be sent again.
#[derive(Clone, Debug)]
pub(super) enum Signal {
    UserHead(UserId, Revision),
    UserChanges(UserId, Arc<UserChanges>),
    Revoke(Revocation),
    RoomGone(RoomId),
}

/// The relay takes nothing more right now; send again from the last revision it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDelivered {
    /// Its mailbox is full: try again shortly.
    #[error("the relay's mailbox is full")]
    Full,
    /// It has ended with its thread: forget it.
    #[error("the relay has ended")]
    Closed,
}

impl<M> From<SendError<M>> for NotDelivered {
    fn from(refused: SendError<M>) -> Self {
        match refused {
            SendError::Full(_) => Self::Full,
            SendError::Closed(_) => Self::Closed,
        }
    }
}

/// The way to one thread's relay. Clones are equal.
#[derive(Clone)]
pub struct RelayHandle {
    number: u32,
    mailbox: Mailbox<Relay>,
    lane: Arc<Lane>,
}

impl RelayHandle {
    pub(super) fn new(number: u32, mailbox: Mailbox<Relay>, lane: Arc<Lane>) -> Self {
        Self { number, mailbox, lane }
    }

    /// Hands an envelope over, without waiting.
    ///
    /// # Errors
    /// [`NotDelivered`]; the relay appends nothing past it before it has come, so that nothing is lost by sending it again later.
    pub fn deliver(&self, envelope: Arc<Envelope>) -> Result<(), NotDelivered> {
        self.mailbox.try_send(Deliver(envelope)).map_err(NotDelivered::from)
    }

    /// Passes something of the moment on; lost where there is no place for it.
    pub fn ephemeral(&self, ephemeral: Arc<Ephemeral>) {
        if self.lane.passing.put(ephemeral) && self.mailbox.try_send(EphemeralsWait).is_err() {
            drop(self.lane.passing.take());
        }
    }

    /// Says how far a room has been handed over, behind all of it, so that the loss of a last envelope is seen too.
    ///
    /// # Errors
    /// [`NotDelivered`]; say it again later.
    pub fn head_is(&self, room: RoomId, head: Revision) -> Result<(), NotDelivered> {
        self.mailbox.try_send(HeadIs { room, head }).map_err(NotDelivered::from)
    }

    /// The last revision of a room that was appended here: `None` if nobody wants the room or nothing came yet. Dropped when the
    /// mailbox is full or the relay restarts: ask again.
    pub fn last_appended(&self, room: RoomId) -> Answer<Option<Revision>> {
        let (reply_to, answer) = reply();
        // Refused, the question is dropped, which is an answer.
        drop(self.mailbox.try_send(LastAppended { room, reply_to }));
        answer
    }

    /// A person's stream has grown.
    pub fn user_head(&self, user: UserId, head: Revision) {
        self.signal([Signal::UserHead(user, head)]);
    }

    /// Logins ended: their sockets close.
    pub fn revoke(&self, revocation: Revocation) {
        self.signal([Signal::Revoke(revocation)]);
    }

    /// A room was deleted: its subscriptions end.
    pub fn room_gone(&self, room: RoomId) {
        self.signal([Signal::RoomGone(room)]);
    }

    /// What the presence tracker has to say; in the order sent. `false`: the relay had no room for it and must be told again.
    #[must_use]
    pub fn watch_signal(&self, signal: WatchSignal) -> bool {
        self.mailbox.try_send(signal).is_ok()
    }

    /// Everybody who is on the thread. Dropped when the mailbox is full.
    pub fn seats(&self, with_watches: bool) -> Answer<Vec<SeatReport>> {
        let (reply_to, answer) = reply();
        // Refused, the question is dropped, which is an answer.
        drop(self.mailbox.try_send(Seats { with_watches, reply_to }));
        answer
    }

    /// How far the stream of each person who is on the thread has been sent to all their sessions there. Dropped when the mailbox is full.
    pub fn streams_sent(&self) -> Answer<Vec<(UserId, Revision)>> {
        let (reply_to, answer) = reply();
        // Refused, the question is dropped, which is an answer.
        drop(self.mailbox.try_send(StreamsSent { reply_to }));
        answer
    }

    /// The heads of these people's streams, which are ahead of what was sent. Lost when the mailbox is full: say it again later. Not a
    /// signal: a node whose people have all just come would fill the lane with them.
    pub fn streams_are(&self, heads: Vec<(UserId, Revision)>) {
        drop(self.mailbox.try_send(StreamsAre(heads)));
    }

    /// Has the thread hand its counts to the metrics. Dropped when the mailbox is full: they stay there for the next time.
    fn publish(&self) -> Answer<()> {
        let (reply_to, answer) = reply();
        // Refused, the question is dropped, which is an answer.
        drop(self.mailbox.try_send(Publish { reply_to }));
        answer
    }

    /// Its number among the relays of the node.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Whether the relay still runs.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.mailbox.is_open()
    }

    fn signal(&self, signals: impl IntoIterator<Item = Signal>) {
        if self.lane.put(signals) {
            // The signals are in the lane already. Full: whatever is taken from the mailbox next looks into the lane.
            drop(self.mailbox.try_send(SignalsWait));
        }
    }
}

impl PartialEq for RelayHandle {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for RelayHandle {}

impl std::hash::Hash for RelayHandle {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl fmt::Debug for RelayHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelayHandle({})", self.number)
    }
}

/// All relays of the node. A clone is another handle to the same list.
#[derive(Clone, Debug, Default)]
pub struct Relays(Arc<RwLock<Vec<RelayHandle>>>);

impl Relays {
    /// Adds a thread's relay and gives it its number by `make`.
    pub(super) fn add(&self, make: impl FnOnce(u32) -> RelayHandle) -> RelayHandle {
        let mut relays = self.0.write().unwrap_or_else(PoisonError::into_inner);
        relays.retain(RelayHandle::is_open);
        let number = relays.iter().map(|relay| relay.number + 1).max().unwrap_or(0);
        let relay = make(number);
        relays.push(relay.clone());
        relay
    }

    /// Those that run now.
    #[must_use]
    pub fn all(&self) -> Vec<RelayHandle> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells every thread that these people's streams have grown; after the commit that made them grow.
    pub fn announce_user_heads(&self, heads: &[(UserId, Revision)]) {
        if heads.is_empty() {
            return;
        }
        self.each(|relay| relay.signal(heads.iter().map(|(user, head)| Signal::UserHead(*user, *head))));
    }

    /// The same with what they grew by: a session that has all before it is sent it, and nothing has to be read. For what many people get at
    /// once, and never for what changes whom a person sees: sessions learn that by reading.
    pub fn announce_user_changes(&self, changes: Vec<(UserId, UserChanges)>) {
        if changes.is_empty() {
            return;
        }
        let changes: Vec<(UserId, Arc<UserChanges>)> = changes.into_iter().map(|(user, of)| (user, Arc::new(of))).collect();
        self.each(|relay| relay.signal(changes.iter().map(|(user, of)| Signal::UserChanges(*user, Arc::clone(of)))));
    }

    /// Closes the sockets of logins that ended; after the commit that ended them.
    pub fn revoke(&self, revocation: Revocation) {
        self.each(|relay| relay.revoke(revocation));
    }

    /// Ends every subscription of a deleted room; after the commit that deleted it.
    pub fn room_gone(&self, room: RoomId) {
        self.each(|relay| relay.room_gone(room));
    }

    /// Has every thread hand its counts to the metrics; comes when all have, or cannot.
    pub async fn publish(&self) {
        let answers: Vec<_> = self.all().iter().map(RelayHandle::publish).collect();
        futures_util::future::join_all(answers).await;
    }

    fn each(&self, act: impl Fn(&RelayHandle)) {
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().for_each(act);
    }
}

/// The signals of one relay that wait.
#[derive(Debug)]
pub(super) struct Lane {
    waiting: Mutex<Waiting>,
    capacity: usize,
    /// What may be lost; as many.
    pub(super) passing: Passing,
}

/// What a relay finds in its lane.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) signals: Vec<Signal>,
    /// Signals were refused: nothing is certain about any session of the thread.
    pub(super) overflowed: bool,
}

impl Lane {
    pub(super) fn new(capacity: usize) -> Self {
        Self { waiting: Mutex::default(), capacity, passing: Passing::new(capacity) }
    }

    /// Adds signals; whether the relay must be told because nothing had been waiting.
    fn put(&self, signals: impl IntoIterator<Item = Signal>) -> bool {
        let mut waiting = self.lock();
        let was_empty = waiting.signals.is_empty() && !waiting.overflowed;
        for signal in signals {
            if waiting.signals.len() < self.capacity {
                waiting.signals.push(signal);
            } else {
                waiting.overflowed = true;
            }
        }
        was_empty
    }

    /// All that waits.
    pub(super) fn take(&self) -> Waiting {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Each critical section leaves the list whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
