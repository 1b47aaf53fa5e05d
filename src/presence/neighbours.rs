//! What the tracker needs of others, in words of its own: relays and store, or what a test records.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::delivery::handle::{RelayHandle, Relays, WatchSignal};
use crate::domain::fault::Refusal;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::time::Timestamp;
use crate::protocol::v1::push::UserPresence;

use super::state::{Connected, Profile};

/// Names a relay: its number among those of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayNumber(pub u32);

impl From<&RelayHandle> for RelayNumber {
    fn from(relay: &RelayHandle) -> Self {
        Self(relay.number())
    }
}

/// A session as its relay reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The session.
    pub connected: Connected<RelayNumber>,
    /// Whom it watches; empty when that was not asked.
    pub watches: Vec<UserId>,
}

/// The relays of this node. What is sent to one relay arrives in the order sent, or `false` says that it had no room for it.
pub trait Audience: Send + 'static {
    /// All of them.
    fn relays(&self) -> Vec<RelayNumber>;

    /// Tell whoever of the relay watches these people.
    fn changed(&self, relay: RelayNumber, users: &[UserPresence]) -> bool;

    /// A session watches these people from now on, and is told how they look.
    fn watched(&self, relay: RelayNumber, watcher: (UserId, SessionId), users: Vec<UserPresence>) -> bool;

    /// A session watches these people no more; `told` is the last it hears of them, when it did not ask for the end.
    fn unwatched(&self, relay: RelayNumber, watcher: (UserId, SessionId), users: Vec<UserId>, told: Vec<UserPresence>) -> bool;

    /// The relay's sessions, with or without their watches; `None` when it cannot say.
    fn report(&self, relay: RelayNumber, with_watches: bool) -> BoxFuture<'static, Option<Vec<Reported>>>;
}

/// What the store knows and keeps.
pub trait Records: Send + 'static {
    /// What these people hide, and when they were last active.
    fn profiles(&self, users: Vec<UserId>) -> BoxFuture<'static, Result<Vec<Profile>, Refusal>>;

    /// Those of `users` who share a room or conversation with `watcher`, or are `watcher`.
    fn watchable(&self, watcher: UserId, users: Vec<UserId>) -> BoxFuture<'static, Result<Vec<Profile>, Refusal>>;

    /// Writes when people were last active, in one statement, behind everything that matters more. `false`: it was not written.
    fn save_last_active(&self, times: Vec<(UserId, Timestamp)>) -> BoxFuture<'static, bool>;
}

impl Audience for Relays {
    fn relays(&self) -> Vec<RelayNumber> {
        self.all().iter().map(RelayNumber::from).collect()
    }

    fn changed(&self, relay: RelayNumber, users: &[UserPresence]) -> bool {
        signal(self, relay, || WatchSignal::Changed(users.to_vec()))
    }

    fn watched(&self, relay: RelayNumber, (user, session): (UserId, SessionId), users: Vec<UserPresence>) -> bool {
        signal(self, relay, || WatchSignal::Begun { user, session, users })
    }

    fn unwatched(
        &self,
        relay: RelayNumber,
        (user, session): (UserId, SessionId),
        users: Vec<UserId>,
        told: Vec<UserPresence>,
    ) -> bool {
        signal(self, relay, || WatchSignal::Ended { user, session, users, told })
    }

    fn report(&self, relay: RelayNumber, with_watches: bool) -> BoxFuture<'static, Option<Vec<Reported>>> {
        let answer = find(self, relay).map(|handle| handle.seats(with_watches));
        async move {
            let seats = answer?.await.ok()?;
            let reported = seats.into_iter().map(|seat| Reported {
                connected: Connected { session: seat.session, user: seat.user, relay, state: seat.device },
                watches: seat.watches,
            });
            Some(reported.collect())
        }
        .boxed()
    }
}

fn find(relays: &Relays, number: RelayNumber) -> Option<RelayHandle> {
    relays.all().into_iter().find(|relay| RelayNumber::from(relay) == number)
}

/// A relay that has ended has nobody left to be told.
fn signal(relays: &Relays, relay: RelayNumber, signal: impl FnOnce() -> WatchSignal) -> bool {
    find(relays, relay).filter(RelayHandle::is_open).is_none_or(|relay| relay.watch_signal(signal()))
}
