//! The neighbours of a real node: rooms, accounts, presence tracker and store behind what a session asks for.
//!
//! Only words are changed here. Invariant: a question that is dropped is answered, and for a post with *outcome unknown*, as it may have
//! reached the store. Must not know: sessions.

use super::acts;
use super::ports::{Attached, Counted, Neighbours, Promise, Proof, UserPage};
use super::together::Together;
use crate::accounts::handle::Accounts;
use crate::delivery::handle::RelayHandle;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{Epoch, IncidentId, RoomId, SessionId, UserId};
use crate::domain::message::Post;
use crate::domain::order::Revision;
use crate::domain::stream::StreamItem;
use crate::domain::time::Timestamp;
use crate::domain::user::Actor;
use crate::moderation::handle::Moderation;
use crate::policy::{Hidden, View};
use crate::presence::handle::Presence;
use crate::protocol::v1::act::Act;
use crate::protocol::v1::command::{DeviceState, RoomCursor};
use crate::protocol::v1::reply::{Done, Posted};
use crate::reading::handle::Reading;
use crate::room::handle::Rooms;
use crate::room::state::posting;
use crate::store::backend::Db;
use crate::store::streams::person::{self, Newest};
use crate::store::streams::{self, PageMax, Part};
use crate::store::{Store, StoreError, relations};
use crate::supervision::reply::Dropped;
use crate::telemetry::metrics as names;
use futures_util::FutureExt;
use std::sync::Arc;
use std::time::Instant;

/// Says whether a person may do one more of something now. Shared with REST, as rates count over both.
pub type Count = Arc<dyn Fn(UserId, Counted) -> Result<(), Refusal> + Send + Sync>;

/// Whom the sessions of one thread ask.
#[derive(Clone)]
pub struct Node {
    /// Which history of the store this is.
    pub epoch: Epoch,
    /// Tokens.
    pub accounts: Accounts,
    /// Rooms.
    pub rooms: Rooms,
    /// Who is online.
    pub presence: Presence,
    /// How far people have read.
    pub reading: Reading,
    /// What was missed.
    pub store: Store,
    /// How far people's streams are, and whom they do not see as of then.
    pub heads: Together<(Revision, Hidden)>,
    /// Of what in their streams there is news.
    pub newest: Together<Newest>,
    /// Reports, filters, the audit log.
    pub moderation: Moderation,
    /// Rows of a part of a list.
    pub page_rows: PageRows,
    /// Bytes of a part of a list, unless one row alone is more.
    pub part_bytes: usize,
    /// Rates.
    pub count: Count,
    /// Longest text of a message in bytes.
    pub text_max: usize,
}

/// How many rows a part of a list has.
#[derive(Clone, Copy, Debug)]
pub struct PageRows {
    /// When none are named.
    pub default: usize,
    /// At most.
    pub max: usize,
}

impl PageRows {
    /// How many rows a part may have: what was asked for, or the default.
    pub(super) fn of(self, asked: Option<usize>) -> Result<usize, Refusal> {
        let rows = asked.unwrap_or(self.default);
        if (1..=self.max).contains(&rows) { Ok(rows) } else { Err(Fault::BadRequest.into()) }
    }
}

impl Neighbours for Node {
    fn authenticate(&self, token: String) -> Promise<Proof> {
        // Signature and revocations are in memory; the answer needs no wait.
        let authenticated = self.accounts.authenticate(&token);
        let proof = authenticated.map(|known| Proof { actor: known.actor, expires_at: known.expires_at });
        Box::pin(std::future::ready(proof.map_err(Refusal::from)))
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn user_head(&self, user: UserId) -> Promise<(Revision, Hidden)> {
        let heads = self.heads.clone();
        Box::pin(async move { timed("resume_user_head", heads.of(user)).await?.ok_or(Fault::Unauthenticated.into()) })
    }

    fn user_changes(&self, user: UserId, from: Revision, max: PageMax) -> Promise<UserPage> {
        let (store, newest, now) = (self.store.clone(), self.newest.clone(), self.accounts.now());
        Box::pin(async move {
            let newest = timed("resume_user_newest", newest.of(user)).await?.ok_or(Fault::NotFound)?;
            let read = store.read(move |db| Box::pin(async move { user_page(db, user, from, &newest, now, max).await }));
            timed("resume_user", read).await
        })
    }

    fn attach(&self, asked: RoomCursor, user: UserId, relay: &RelayHandle, attachment: u64) -> Promise<Attached> {
        let answer = self.rooms.attach(asked.room, user, asked.cursor, relay.clone(), attachment);
        Box::pin(async move {
            let attached = settled(answer, Fault::Unavailable).await?;
            Ok(Attached { head: attached.head, newest: attached.newest, sight: attached.sight })
        })
    }

    fn detach(&self, room: RoomId, relay: &RelayHandle, attachment: u64) {
        self.rooms.detach(room, relay, attachment);
    }

    fn room_changes(
        &self,
        room: RoomId,
        (member, view): (UserId, View),
        from: Revision,
        head: Revision,
        max: PageMax,
    ) -> Promise<Part> {
        let store = self.store.clone();
        Box::pin(async move {
            let read = store.read(move |db| {
                Box::pin(async move { streams::member_changes(db, room, (member, &view), from, head, max).await })
            });
            timed("resume_room", read).await
        })
    }

    fn post(&self, room: RoomId, _: Actor, posts: Vec<Post>) -> Promise<Vec<Result<Posted, Refusal>>> {
        let answer = self.rooms.post(room, posts);
        Box::pin(async move {
            let answers = settled(answer, Fault::OutcomeUnknown).await?;
            Ok(answers.into_iter().map(|answer| answer.map(|posted| shown(room, posted))).collect())
        })
    }

    fn post_direct(&self, _: Actor, user: UserId, post: Post) -> Promise<Posted> {
        let answer = self.rooms.post_direct(user, post);
        Box::pin(async move {
            let direct = settled(answer, Fault::OutcomeUnknown).await?;
            Ok(shown(direct.room, direct.posted))
        })
    }

    fn act(&self, actor: Actor, act: Act) -> Promise<Done> {
        Box::pin(acts::carry_out(self.clone(), self.accounts.as_of_now(actor), act))
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
        let answer = self.presence.watch(session, users);
        Box::pin(async move { settled(answer?, Fault::Unavailable).await })
    }

    fn unwatch(&self, session: SessionId, users: Vec<UserId>) -> Result<(), Refusal> {
        self.presence.unwatch(session, users)
    }

    fn count(&self, user: UserId, what: Counted) -> Result<(), Refusal> {
        (self.count)(user, what)
    }
}

/// Asks for the heads of people's streams, and for whom they do not see.
#[must_use]
pub fn heads(store: Store) -> Together<(Revision, Hidden)> {
    Together::new(move |people| {
        let store = store.clone();
        async move { store.read(move |db| Box::pin(async move { relations::heads(db, &people).await })).await }.boxed()
    })
}

/// Asks of what in people's streams there is news.
#[must_use]
pub fn newest(store: Store) -> Together<Newest> {
    Together::new(move |people| {
        let store = store.clone();
        async move { store.read(move |db| Box::pin(async move { person::newest(db, &people).await })).await }.boxed()
    })
}

/// A page as it is to be shown now. Who is hidden is read behind it, so it is no older.
async fn user_page(
    db: &mut Db,
    user: UserId,
    from: Revision,
    newest: &Newest,
    now: Timestamp,
    max: PageMax,
) -> Result<UserPage, StoreError> {
    let mut changes = person::user_changes(db, user, from, newest, max).await?;
    for item in &mut changes.items {
        if let StreamItem::Profile(own) = item {
            own.profile = std::mem::take(&mut own.profile).at(now);
        }
    }
    let hidden = if changes.items.iter().any(|item| matches!(item, StreamItem::Relation { .. })) {
        Some(Hidden::of(relations::hidden_from(db, user).await?))
    } else {
        None
    };
    Ok(UserPage { changes, hidden })
}

/// The answer, or `dropped` if nobody gave one.
pub(super) async fn settled<T>(
    answer: impl Future<Output = Result<Result<T, Refusal>, Dropped>>,
    dropped: Fault,
) -> Result<T, Refusal> {
    answer.await.unwrap_or(Err(dropped.into()))
}

/// The answer of a read, which is timed under a name of its own.
async fn timed<T>(name: &'static str, read: impl Future<Output = Result<T, StoreError>>) -> Result<T, Refusal> {
    let begun = Instant::now();
    let answer = read.await;
    metrics::histogram!(names::READ_SECONDS, "read" => name).record(begun.elapsed());
    answer.map_err(|error| refused(name, &error))
}

/// A failed read, as the client sees it. Faults of ours are logged here, where they happen (I12: without what was read).
fn refused(name: &'static str, error: &StoreError) -> Refusal {
    let fault = error.fault();
    let incident = (fault == Fault::Internal).then(IncidentId::generate);
    if let Some(incident) = incident {
        tracing::error!(%incident, read = name, %error, "reading for a session failed");
    }
    Refusal::logged(fault, incident)
}

fn shown(room: RoomId, posted: posting::Posted) -> Posted {
    let posting::Posted { seq, revision, created_at, repeat } = posted;
    Posted { room, seq, revision, created_at, repeat }
}
