//! Joins sessions to the parts they ask: rooms, presence, accounts, the store.

use futures_util::FutureExt;

use crate::accounts::handle::Accounts;
use crate::delivery::handle::RelayHandle;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{Epoch, RoomId, SessionId, UserId};
use crate::domain::message::{Changes, Post};
use crate::domain::order::Revision;
use crate::domain::stream::UserChanges;
use crate::domain::user::Actor;
use crate::http::rates::Rates;
use crate::policy::Sight;
use crate::presence::handle::Presence;
use crate::protocol::v1::command::DeviceState;
use crate::protocol::v1::reply;
use crate::room::handle::{Answered, Rooms};
use crate::room::state::posting;
use crate::session::ports::{Attached, Counted, Neighbours, Promise, Proof};
use crate::store::{Store, StoreError, people, streams};

/// Everybody a session asks.
#[derive(Clone)]
pub struct Joined {
    pub accounts: Accounts,
    pub rooms: Rooms,
    pub presence: Presence,
    pub store: Store,
    pub rates: Rates,
    pub epoch: Epoch,
}

impl Neighbours for Joined {
    fn authenticate(&self, token: String) -> Promise<Proof> {
        let proof = self.accounts.authenticate(&token).map(|known| Proof { actor: known.actor, expires_at: known.expires_at });
        std::future::ready(proof.map_err(Refusal::from)).boxed_local()
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn user_head(&self, user: UserId) -> Promise<Revision> {
        let store = self.store.clone();
        let asked = async move { store.read(move |db| Box::pin(people::stream_head(db, user))).await };
        asked.map(|head| stored(head)?.ok_or(Fault::NotFound.into())).boxed_local()
    }

    fn user_changes(&self, user: UserId, from: Revision, max_items: usize) -> Promise<UserChanges> {
        let store = self.store.clone();
        let asked = async move { store.read(move |db| Box::pin(streams::user_changes(db, user, from, max_items))).await };
        asked.map(stored).boxed_local()
    }

    fn attach(&self, room: RoomId, user: UserId, relay: &RelayHandle, attachment: u64) -> Promise<Attached> {
        let answer = self.rooms.attach(room, user, relay.clone(), attachment);
        promised(answer).map(|attached| attached.map(|it| Attached { head: it.head, sight: it.sight })).boxed_local()
    }

    fn detach(&self, room: RoomId, relay: &RelayHandle, attachment: u64) {
        self.rooms.detach(room, relay, attachment);
    }

    fn room_changes(&self, room: RoomId, sight: Sight, from: Revision, head: Revision, max_rows: usize) -> Promise<Changes> {
        let store = self.store.clone();
        let asked =
            async move { store.read(move |db| Box::pin(streams::room_changes(db, room, sight, from, head, max_rows))).await };
        asked.map(stored).boxed_local()
    }

    fn post(&self, room: RoomId, _: Actor, posts: Vec<Post>) -> Promise<Vec<Result<reply::Posted, Refusal>>> {
        let answers = promised(self.rooms.post(room, posts));
        let shown = move |answers: Result<posting::Answers, Refusal>| {
            Ok(answers?.into_iter().map(|answer| answer.map(|posted| shown(room, &posted))).collect())
        };
        answers.map(shown).boxed_local()
    }

    fn post_direct(&self, _: Actor, user: UserId, post: Post) -> Promise<reply::Posted> {
        let answer = promised(self.rooms.post_direct(user, post));
        answer.map(|direct| direct.map(|direct| shown(direct.room, &direct.posted))).boxed_local()
    }

    fn connected(&self, session: SessionId, user: UserId, relay: &RelayHandle) {
        self.presence.connected(session, user, relay, DeviceState::Online);
    }

    fn device(&self, session: SessionId, state: Option<DeviceState>) {
        match state {
            Some(state) => self.presence.state(session, state),
            None => self.presence.active(session),
        }
    }

    fn disconnected(&self, session: SessionId) {
        self.presence.disconnected(session);
    }

    fn watch(&self, session: SessionId, users: Vec<UserId>) -> Promise<()> {
        match self.presence.watch(session, users) {
            Ok(answer) => promised(answer).boxed_local(),
            Err(refusal) => std::future::ready(Err(refusal)).boxed_local(),
        }
    }

    fn unwatch(&self, session: SessionId, users: Vec<UserId>) -> Result<(), Refusal> {
        self.presence.unwatch(session, users)
    }

    fn count(&self, user: UserId, what: Counted) -> Result<(), Refusal> {
        match what {
            Counted::Post => self.rates.post(user),
            Counted::Command => self.rates.command(user),
        }
    }
}

/// Waits for an answer; one that never comes has an unknown outcome (I8).
async fn promised<T>(answer: Answered<T>) -> Result<T, Refusal> {
    answer.await.unwrap_or_else(|_dropped| Err(Fault::OutcomeUnknown.into()))
}

fn stored<T>(answer: Result<T, StoreError>) -> Result<T, Refusal> {
    answer.map_err(|error| error.fault().into())
}

fn shown(room: RoomId, posted: &posting::Posted) -> reply::Posted {
    let &posting::Posted { seq, revision, created_at, repeat } = posted;
    reply::Posted { room, seq, revision, created_at, repeat }
}
