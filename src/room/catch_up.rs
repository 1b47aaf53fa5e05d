//! What a room reads from the store: itself when it wakes, what it missed, and what its relays missed.
//!
//! Purpose: three loops that end by themselves: *load* until the room is known; *fill* until nothing is missing below the newest
//! revision known to be committed; *feed* until no relay is behind (I6, I7). Each asks again after a pause when the store fails, and
//! none of them keeps the room from its work but the first, before which there is nothing it could say.
//! Must not know: how posts are decided.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::actor::{ABSENT_FOR, Awake, RoomActor, Waking};
use super::messages::{PostGroup, Refusable};
use super::state::membership::Membership;
use crate::delivery::envelope::Envelope;
use crate::delivery::handle::RelayHandle;
use crate::domain::fault::Fault;
use crate::domain::ids::RoomId;
use crate::domain::member::Member;
use crate::domain::message::Changes;
use crate::domain::order::{Revision, Seq};
use crate::domain::room::Room;
use crate::moderation::filters::Filters;
use crate::policy::{Sight, View};
use crate::store::streams::{self, PageMax, Part};
use crate::store::{Store, StoreError, filters, rooms};
use crate::telemetry::metrics as names;

/// How long a missing revision may still come by itself: answers of one batch overtake each other by no more than that.
const GAP_PATIENCE: Duration = Duration::from_millis(20);

/// A room sees everything; what a viewer may not see is left out by whoever shows it.
const EVERYTHING: View = View::of_everybody(Sight { from_seq: Seq::ZERO, joined_revision: Revision::ZERO });

/// A room with its people and its filters.
type Whole = (Room, Vec<Member>, Arc<Filters>);

type Loaded = Result<Option<Whole>, StoreError>;

/// What the relays say they appended last.
type Lasts = Vec<(RelayHandle, Option<Revision>)>;

impl RoomActor {
    /// Reads the room. Messages wait in the mailbox until it is there, in order.
    pub(super) fn load(&mut self, ctx: &mut Context<Self>) {
        let (store, room, waking) = (self.with.store.clone(), self.room, self.waking);
        let relays = if waking == Waking::Fresh { Vec::new() } else { self.with.relays.all() };
        let begin = Instant::now();
        let load = async move {
            let loaded = load(&store, room).await;
            // After the load: what a relay has appended is never above it.
            let lasts = join_all(relays.into_iter().map(|relay| async move {
                let last = relay.last_appended(room).await;
                (relay, last.unwrap_or(None))
            }));
            (loaded, lasts.await)
        };
        // Whoever waits in the mailbox must have an answer within the whole deadline.
        let load = timeout(self.with.commit_deadline / 2, load);
        ctx.wait(load.into_actor(self).map(move |loaded, room, ctx| {
            metrics::histogram!(names::ROOM_LOAD_SECONDS).record(begin.elapsed());
            room.loaded(loaded.unwrap_or_else(|_| (Err(StoreError::Unavailable("load deadline".to_owned())), Vec::new())), ctx);
        }));
    }

    fn loaded(&mut self, (loaded, lasts): (Loaded, Lasts), ctx: &mut Context<Self>) {
        match loaded {
            Ok(Some((room, members, filters))) => {
                let head = room.head;
                let membership = Membership::new(room, members).with_filters(filters);
                self.awake = Some(Awake::new(membership, self.with.settings.mailbox));
                for (relay, last) in lasts {
                    self.feeding.recover(&relay, last, head, self.waking == Waking::Replaced);
                }
                if self.waking != Waking::Fresh {
                    // The one before may have ended between the commit of its deletion and telling of it.
                    self.tell_if_gone(ctx);
                }
                self.waking = Waking::Fresh;
                self.show_pulse();
                self.feed_behind(ctx);
            }
            Ok(None) => {
                self.absence = Fault::NotFound;
                ctx.run_later(ABSENT_FOR, |room, ctx| room.sleep_if_idle(ctx));
            }
            Err(error) => {
                tracing::warn!(room = %self.room, %error, "a room could not be loaded");
                self.absence = Fault::Unavailable;
                ctx.run_later(self.with.retry_after, |room, ctx| room.load(ctx));
            }
        }
    }

    /// Reads the room again, for posts whose verdict was stale or after an outcome that nobody knows.
    pub(super) fn reload(&mut self, ctx: &mut Context<Self>) {
        let Some(awake) = &mut self.awake else { return };
        if std::mem::replace(&mut awake.reloading, true) {
            return;
        }
        let (store, room) = (self.with.store.clone(), self.room);
        let load = timeout(self.with.commit_deadline / 2, async move { load(&store, room).await });
        ctx.spawn(load.into_actor(self).map(|loaded, room, ctx| room.reloaded(loaded.ok().and_then(Result::ok), ctx)));
    }

    fn reloaded(&mut self, loaded: Option<Option<Whole>>, ctx: &mut Context<Self>) {
        let Some(awake) = &mut self.awake else { return };
        awake.reloading = false;
        let stale: Vec<PostGroup> = std::mem::take(&mut awake.stale);
        let stale_edits = std::mem::take(&mut awake.stale_edits);
        let Some(loaded) = loaded else {
            // Not known what the store has: the next answer or the next comparison of heads will tell.
            for group in stale {
                awake.end(group.posts.len());
                group.refuse(Fault::Unavailable.into());
            }
            for editing in stale_edits {
                self.changed(Err(Fault::Unavailable.into()), editing.owed, ctx);
            }
            return;
        };
        match loaded {
            Some((room, members, filters)) => {
                awake.order.note_head(room.head);
                awake.membership.reload(room, members, filters);
            }
            None => awake.membership.note_deleted(),
        }
        self.tell_if_gone(ctx);
        for group in stale {
            self.append(group, ctx);
        }
        for editing in stale_edits {
            self.edit(editing, ctx);
        }
        self.show_pulse();
        self.fill_gap(ctx);
    }

    /// Reads what is missing, unless it comes by itself in a moment.
    pub(super) fn fill_gap(&mut self, ctx: &mut Context<Self>) {
        let Some(awake) = &mut self.awake else { return };
        if awake.order.gap().is_some() && !std::mem::replace(&mut awake.filling, true) {
            ctx.run_later(GAP_PATIENCE, |room, ctx| room.read_gap(ctx));
        }
    }

    fn read_gap(&mut self, ctx: &mut Context<Self>) {
        let Some(awake) = &mut self.awake else { return };
        let Some(gap) = awake.order.gap() else {
            awake.filling = false;
            return;
        };
        metrics::counter!(names::ROOM_GAPS).increment(1);
        let page = page(&self.with.store, self.room, gap.after, gap.to, self.with.page_max);
        ctx.spawn(page.into_actor(self).map(|page, room, ctx| match page {
            Ok(changes) => {
                if let Some(awake) = &mut room.awake {
                    awake.filling = false;
                }
                room.on_committed([changes.into()], ctx);
            }
            Err(error) => {
                tracing::warn!(room = %room.room, %error, "a gap could not be read");
                ctx.run_later(room.with.retry_after, |room, ctx| room.read_gap(ctx));
            }
        }));
    }

    /// Feeds the relays that are behind, page by page, the one furthest behind first.
    pub(super) fn feed_behind(&mut self, ctx: &mut Context<Self>) {
        let (Some(awake), Some(from)) = (&mut self.awake, self.feeding.behind()) else { return };
        let head = awake.order.head();
        if from >= head {
            // Nothing has come yet that it could miss.
            self.feeding.hand_page(from, from, head, |_| Ok(()));
            return;
        }
        if !std::mem::replace(&mut awake.feeding, true) {
            self.read_for_relays(from, head, ctx);
        }
    }

    fn read_for_relays(&mut self, from: Revision, head: Revision, ctx: &mut Context<Self>) {
        let page = page(&self.with.store, self.room, from, head, self.with.page_max);
        ctx.spawn(page.into_actor(self).map(move |page, room, ctx| room.fed(from, page, ctx)));
    }

    fn fed(&mut self, from: Revision, page: Result<Changes, StoreError>, ctx: &mut Context<Self>) {
        let Some(awake) = &mut self.awake else { return };
        awake.feeding = false;
        let head = awake.order.head();
        if let Ok(changes) = page {
            let envelope = Arc::new(Envelope::new(changes));
            let to = envelope.to();
            self.feeding.hand_page(from, to, head, |relay| relay.deliver(Arc::clone(&envelope)));
            if to > head {
                // It has more than was asked for, which is the same news to the others.
                return self.on_committed([envelope.changes().clone().into()], ctx);
            }
        }
        self.show_pulse();
        match self.feeding.behind() {
            None => {}
            Some(behind) if behind > from => self.feed_behind(ctx),
            // The relay is full still, or the store failed.
            Some(_) => {
                ctx.run_later(self.with.retry_after, |room, ctx| room.feed_behind(ctx));
            }
        }
    }
}

async fn load(store: &Store, room: RoomId) -> Loaded {
    let read = store.read(move |db| {
        Box::pin(async move {
            let Some((found, members)) = rooms::load(db, room).await? else { return Ok(None) };
            // Most rooms never had one.
            let filters = match found.filters_revision {
                Revision::ZERO => Arc::default(),
                _ => Arc::new(Filters::compile(&filters::of_room(db, room).await?)),
            };
            Ok(Some((found, members, filters)))
        })
    });
    read.await
}

/// A page of what was missed. One that reaches `to` holds every message there is: of one that moved on, live comes only what moved it.
fn page(
    store: &Store,
    room: RoomId,
    from: Revision,
    to: Revision,
    max: PageMax,
) -> impl Future<Output = Result<Changes, StoreError>> + use<> {
    let store = store.clone();
    async move {
        let part = |from: Revision| {
            let to = to.max(from);
            store.read(move |db| Box::pin(async move { streams::room_changes(db, room, &EVERYTHING, from, to, max).await }))
        };
        let Part { mut changes, mut more } = part(from).await?;
        while more && changes.to >= to {
            let next = part(changes.to).await?;
            changes.to = next.changes.to;
            changes.items.extend(next.changes.items);
            more = next.more;
        }
        Ok(changes)
    }
}
