//! All the tracker accepts. A message that finds the mailbox full is lost where it says so: the next report of the relays mends it.

use actix::Message;

use crate::domain::fault::Refusal;
use crate::domain::ids::{SessionId, UserId};
use crate::protocol::v1::command::DeviceState;
use crate::protocol::v1::push::UserPresence;
use crate::supervision::reply::ReplyTo;

use super::neighbours::RelayNumber;
use super::state::Connected;

/// From a session that has said hello and is registered at its relay. May be lost.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SessionConnected(pub Connected<RelayNumber>);

/// From a session: its person is at the device, or says that they are not. May be lost.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct DeviceActive {
    /// The connection.
    pub session: SessionId,
    /// What the device said; `None`: only that it is in use.
    pub state: Option<DeviceState>,
}

/// From a session that ends. May be lost.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SessionDisconnected(pub SessionId);

/// From a session: watch these people too. The answer says that it is done; how they look goes to the session's outbox through its relay,
/// in one order with all that changes later. People who may not be watched are left out without a word.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Watch {
    /// The connection.
    pub session: SessionId,
    /// Whom.
    pub users: Vec<UserId>,
    /// Who is answered.
    pub reply: ReplyTo<Result<(), Refusal>>,
}

/// From a session: stop watching these people.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Unwatch {
    /// The connection.
    pub session: SessionId,
    /// Whom.
    pub users: Vec<UserId>,
}

/// From REST: how do these people look? Those the asking person may not watch are left out.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct PresenceOf {
    /// Who asks.
    pub asker: UserId,
    /// Of whom.
    pub users: Vec<UserId>,
    /// Who is answered.
    pub reply: ReplyTo<Result<Vec<UserPresence>, Refusal>>,
}

/// From whoever notifies those who are online: which of these people are, as it is shown to others?
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct OnlineAmong {
    /// Of whom.
    pub users: Vec<UserId>,
    /// Who is answered.
    pub reply: ReplyTo<Vec<UserId>>,
}

/// From accounts: somebody hides, or shows themselves again. May be lost, then it shows with the next look at the store.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct InvisibleSet {
    /// Who.
    pub user: UserId,
    /// Whether they hide.
    pub invisible: bool,
}

/// From whoever ended a membership, or set people apart by a block: watches about this person may not be allowed any more. May be lost, then the sweep finds them.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct MembershipEnded(pub UserId);

/// From whoever deleted a room: those who shared it may not be allowed to watch each other any more. May be lost, then the sweep finds them.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct RoomEnded(pub Vec<UserId>);
