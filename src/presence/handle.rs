//! The only thing others hold of the tracker.

use actix::dev::SendError;
use std::time::Duration;

use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{SessionId, UserId};
use crate::protocol::v1::command::DeviceState;
use crate::protocol::v1::push::UserPresence;
use crate::supervision::mailbox::Mailbox;
use crate::supervision::reply::{Answer, reply};
use crate::telemetry::metrics as names;

use super::actor::PresenceTracker;
use super::messages::{
    DeviceActive, InvisibleSet, MembershipEnded, OnlineAmong, PresenceOf, RoomEnded, SessionConnected, SessionDisconnected,
    Unwatch, Watch,
};
use super::neighbours::RelayNumber;
use super::state::Connected;

/// What an answer is worth waiting for.
pub type Answered<T> = Answer<Result<T, Refusal>>;

/// The way to the presence tracker of this node, from any thread.
#[derive(Clone, Debug)]
pub struct Presence {
    mailbox: Mailbox<PresenceTracker>,
    busy_retry_after: Duration,
}

impl Presence {
    pub(super) const fn new(mailbox: Mailbox<PresenceTracker>, busy_retry_after: Duration) -> Self {
        Self { mailbox, busy_retry_after }
    }

    /// A session has said hello and is registered at its relay (name it by its handle).
    pub fn connected(&self, session: SessionId, user: UserId, relay: impl Into<RelayNumber>, state: DeviceState) {
        self.tell(SessionConnected(Connected { session, user, relay: relay.into(), state }));
    }

    /// A device says whether its person is there.
    pub fn state(&self, session: SessionId, state: DeviceState) {
        self.tell(DeviceActive { session, state: Some(state) });
    }

    /// A device is in use; sessions say so now and then, not with every frame.
    pub fn active(&self, session: SessionId) {
        self.tell(DeviceActive { session, state: None });
    }

    /// A session has ended.
    pub fn disconnected(&self, session: SessionId) {
        self.tell(SessionDisconnected(session));
    }

    /// Watches people too; how they look comes through the relay. See [`Watch`].
    ///
    /// # Errors
    /// Busy or unavailable; the answer itself may be a limit, or that the session is not known (yet).
    pub fn watch(&self, session: SessionId, users: Vec<UserId>) -> Result<Answered<()>, Refusal> {
        let (reply, answer) = reply();
        self.mailbox.try_send(Watch { session, users, reply }).map_err(|error| self.refused(&error))?;
        Ok(answer)
    }

    /// Stops watching people.
    ///
    /// # Errors
    /// Busy or unavailable.
    pub fn unwatch(&self, session: SessionId, users: Vec<UserId>) -> Result<(), Refusal> {
        self.mailbox.try_send(Unwatch { session, users }).map_err(|error| self.refused(&error))
    }

    /// How people look to `asker`, without those `asker` may not watch.
    ///
    /// # Errors
    /// Busy or unavailable.
    pub async fn snapshot(&self, asker: UserId, users: Vec<UserId>) -> Result<Vec<UserPresence>, Refusal> {
        let (reply, answer) = reply();
        self.mailbox.try_send(PresenceOf { asker, users, reply }).map_err(|error| self.refused(&error))?;
        answer.await.unwrap_or(Err(Fault::Unavailable.into()))
    }

    /// Those of `users` who are shown as online. Whoever asks decides whom that concerns.
    ///
    /// # Errors
    /// Busy or unavailable.
    pub async fn online(&self, users: Vec<UserId>) -> Result<Vec<UserId>, Refusal> {
        let (reply, answer) = reply();
        self.mailbox.try_send(OnlineAmong { users, reply }).map_err(|error| self.refused(&error))?;
        answer.await.map_err(|_dropped| Fault::Unavailable.into())
    }

    /// Somebody's wish to hide was committed.
    pub fn set_invisible(&self, user: UserId, invisible: bool) {
        self.tell(InvisibleSet { user, invisible });
    }

    /// A membership, or an account, ended and that was committed: whoever watches whom because of it is looked at within a second.
    pub fn membership_ended(&self, user: UserId) {
        self.tell(MembershipEnded(user));
    }

    /// Somebody blocked another person, or did so no more, and that was committed: the same.
    pub fn parted(&self, user: UserId) {
        self.tell(MembershipEnded(user));
    }

    /// A room with these members was deleted and that was committed: whoever watches whom because of it is looked at, one after the other.
    pub fn room_ended(&self, members: Vec<UserId>) {
        self.tell(RoomEnded(members));
    }

    /// Sends what may be lost.
    pub(super) fn tell<M>(&self, message: M)
    where
        PresenceTracker: actix::Handler<crate::supervision::mailbox::Queued<M>>,
        M: actix::Message<Result = ()> + Send + 'static,
    {
        if self.mailbox.try_send(message).is_err() {
            metrics::counter!(names::PRESENCE_DROPPED).increment(1);
        }
    }

    fn refused<M>(&self, error: &SendError<M>) -> Refusal {
        match error {
            SendError::Full(_) => Refusal::busy(self.busy_retry_after),
            SendError::Closed(_) => Fault::Unavailable.into(),
        }
    }
}
