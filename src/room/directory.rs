//! Finds or starts rooms, and does what needs a room before there is one.
//!
//! Purpose: start a room's actor on first use, at most so many (I4); make rooms; post to a person; compare the heads of the rooms that
//! are wanted with the store and with their relays, so that the loss of a last event is found too. Neighbours: `handle` sends here what finds no room awake.
//! Class: permanent. A panic costs what is being made here an *outcome unknown*; rooms that are awake do not notice.
//! Must not know: what a room does.

use std::sync::Arc;

use actix::dev::SendError;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Supervised, WrapFuture};
use tokio::time::timeout_at;

use super::actor::{RoomActor, Surroundings, Waking};
use super::ending;
use super::map::{Map, Pulse, refuse_unsent};
use super::messages::{
    CompareRelays, Create, Creation, DirectPosted, HeadSeen, PostDirect, PostGroup, Refusable, Wake, or_unknown,
};
use super::preparing;
use super::state::posting::{Answers, Posted};
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::RoomId;
use crate::domain::message::Post;
use crate::domain::order::Revision;
use crate::faults;
use crate::moderation::handle::announce;
use crate::persistence::handle::Key;
use crate::persistence::owed::Owed;
use crate::store::StoreError;
use crate::store::rooms::{self, FirstDirect, FirstDirectOutcome};
use crate::supervision::mailbox::Queued;
use crate::supervision::policy::RestartPolicy;
use crate::supervision::reply::reply;
use crate::supervision::supervisor::ChildSpec;
use crate::supervision::tree::Supervisor;

/// Rooms whose heads are asked for in one statement.
const HEADS_PER_READ: usize = 500;

/// The actor.
pub(super) struct Directory {
    pub(super) supervisor: Supervisor,
    pub(super) room_policy: RestartPolicy,
    pub(super) with: Arc<Surroundings>,
    pub(super) map: Map,
    /// Heads are being compared.
    pub(super) comparing: bool,
    /// Memberships of deleted rooms are being ended.
    pub(super) ending: bool,
}

impl Actor for Directory {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        (self.comparing, self.ending) = (false, false);
        ctx.run_interval(self.with.settings.head_check_interval, |directory, ctx| {
            directory.compare_heads(ctx);
            directory.end_memberships(ctx);
        });
    }
}

/// All it keeps is in the map, which panics leave whole.
impl Supervised for Directory {}

impl<M: Refusable> Handler<Queued<Wake<M>>> for Directory
where
    RoomActor: Handler<Queued<M>>,
{
    type Result = ();

    fn handle(&mut self, message: Queued<Wake<M>>, _: &mut Self::Context) {
        faults::panic_point("directory.panic");
        let Wake { room, message } = message.open();
        self.give(room, message);
    }
}

impl Handler<Queued<Create>> for Directory {
    type Result = ();

    fn handle(&mut self, message: Queued<Create>, ctx: &mut Self::Context) {
        faults::panic_point("directory.panic");
        let Create { what, mut owed } = message.open();
        owed.stake();
        let persistence = &self.with.persistence;
        let made = match what {
            Creation::Room(room) => persistence.run(Key::User(room.creator), room),
            Creation::Group(group) => persistence.run(Key::User(group.creator), group),
        };
        ctx.spawn(made.into_actor(self).map(|made, directory, _| {
            let made = or_unknown(made);
            if let Ok(changed) = &made {
                directory.with.relays.announce_user_heads(&changed.user_heads);
            }
            owed.settle(made);
        }));
    }
}

impl Handler<Queued<PostDirect>> for Directory {
    type Result = ();

    fn handle(&mut self, message: Queued<PostDirect>, ctx: &mut Self::Context) {
        faults::panic_point("directory.panic");
        let direct = message.open();
        let (store, author, other) = (self.with.store.clone(), direct.post.author, direct.other);
        let found =
            async move { store.read(move |db| Box::pin(async move { rooms::direct_room(db, author, other).await })).await };
        ctx.spawn(found.into_actor(self).map(|found, directory, ctx| directory.post_direct(found, direct, ctx)));
    }
}

impl Directory {
    /// Gives a message to a room, which is started if it sleeps.
    fn give<M: Refusable>(&self, room: RoomId, message: M)
    where
        RoomActor: Handler<Queued<M>>,
    {
        let busy = Refusal::busy(self.with.busy_retry_after);
        match self.map.try_send(room, message) {
            Ok(()) => {}
            Err(SendError::Closed(message)) if self.map.len() < self.with.rooms_awake_max => {
                self.wake(room);
                if let Err(unsent) = self.map.try_send(room, message) {
                    refuse_unsent(unsent, busy);
                }
            }
            Err(SendError::Closed(message)) => message.refuse(busy),
            Err(full) => refuse_unsent(full, busy),
        }
    }

    fn wake(&self, room: RoomId) {
        let waking = if self.map.has_crashed(room) { Waking::Replaced } else { Waking::Fresh };
        let pulse = Arc::new(Pulse::default());
        let actor = RoomActor::new(room, Arc::clone(&self.with), self.map.clone(), Arc::clone(&pulse), waking);
        let mailbox_capacity = u32::try_from(self.with.settings.mailbox).unwrap_or(u32::MAX);
        let spec = ChildSpec { kind: "room", name: room.to_string().into(), policy: self.room_policy, mailbox_capacity };
        let mailbox = self.supervisor.spawn(spec, |_| actor);
        self.map.enter(room, mailbox, pulse);
    }

    fn post_direct(&self, found: Result<Option<RoomId>, StoreError>, direct: PostDirect, ctx: &mut Context<Self>) {
        match found {
            Ok(Some(room)) => self.post_to(room, direct, ctx),
            Ok(None) if preparing::is_needed(std::slice::from_ref(&direct.post)) => self.prepare_first(direct, ctx),
            Ok(None) => self.first_direct(direct, ctx),
            Err(error) => direct.owed.settle(Err(error.fault().into())),
        }
    }

    /// Finds out what must be known of a first message, as a room does of its posts. Nothing comes out of order by that: who posts to
    /// one person in a row has each answered before the next is asked for.
    fn prepare_first(&self, mut direct: PostDirect, ctx: &mut Context<Self>) {
        let (preparing, until) = (self.with.preparing.clone(), direct.deadline);
        let post = direct.post.clone();
        let prepared = async move { timeout_at(until, preparing.posts(vec![post])).await };
        ctx.spawn(prepared.into_actor(self).map(move |prepared, directory, ctx| match prepared {
            Ok(Ok(mut posts)) => {
                if let Some(mut post) = posts.pop() {
                    if let Some(details) = &mut post.details {
                        let (author, other) = (post.author, direct.other);
                        details.mentions = details.mentions.among(|user| user == author || user == other);
                    }
                    direct.post = post;
                }
                directory.first_direct(direct, ctx);
            }
            Ok(Err(error)) => direct.owed.settle(Err(error.fault().into())),
            Err(_late) => direct.owed.settle(Err(Fault::Unavailable.into())),
        }));
    }

    fn first_direct(&self, direct: PostDirect, ctx: &mut Context<Self>) {
        let PostDirect { other, post, judged, deadline, mut owed } = direct;
        owed.stake();
        let everywhere = self.with.everywhere.filters().judge(post.text.as_str());
        let (verdict, suspicion) = everywhere.or_stricter(|| judged.first().cloned().unwrap_or_default()).split();
        let reason = suspicion.as_ref().map(|suspicion| suspicion.reason);
        // One key for both directions, so that two first messages queue up instead of colliding.
        let key = Key::User(post.author.min(other));
        let (now, limits) = (self.with.clock.now(), self.with.room_limits);
        let first = FirstDirect {
            other,
            room: RoomId::generate(),
            post: Post { notifies: true, suspicion: suspicion.map(Box::new), ..post.clone() },
            verdict: post.verdict.and(verdict),
            now,
            limits,
        };
        let made = self.with.persistence.run(key, first);
        ctx.spawn(made.into_actor(self).map(move |made, directory, ctx| match or_unknown(made) {
            Ok(FirstDirectOutcome::Made { changed, message }) => {
                directory.with.relays.announce_user_heads(&changed.user_heads);
                directory.with.notify.queued();
                let posted =
                    Posted { seq: message.seq, revision: message.revision, created_at: message.created_at, repeat: false };
                let room = changed.room.id;
                owed.settle(Ok(DirectPosted { room, posted }));
                if let Some(reason) = reason {
                    announce(reason);
                }
            }
            Ok(FirstDirectOutcome::Exists(room)) => {
                directory.post_to(room, PostDirect { other, post, judged, deadline, owed }, ctx);
            }
            Err(refusal) => owed.settle(Err(refusal)),
        }));
    }

    fn post_to(&self, room: RoomId, direct: PostDirect, ctx: &mut Context<Self>) {
        let PostDirect { post, judged, deadline, mut owed, .. } = direct;
        owed.stake();
        let (reply_to, answers) = reply::<Result<Answers, Refusal>>();
        self.give(room, PostGroup { posts: vec![post], judged, deadline, stale: 0, owed: Owed::new(reply_to) });
        ctx.spawn(answers.into_actor(self).map(move |answers, _, _| {
            let answer =
                or_unknown(answers).and_then(|answers| answers.into_iter().next().unwrap_or(Err(Fault::Internal.into())));
            owed.settle(answer.map(|posted| DirectPosted { room, posted }));
        }));
    }

    /// Goes on with what deletions of rooms have left: after a crash, a restart, an outage.
    fn end_memberships(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.ending, true) {
            let end = ending::end_all(Arc::clone(&self.with));
            ctx.spawn(end.into_actor(self).map(|(), directory, _| directory.ending = false));
        }
    }

    /// Finds the commits nobody told of: a lost answer, another writer, an envelope that did not arrive.
    fn compare_heads(&mut self, ctx: &mut Context<Self>) {
        faults::panic_point("directory.tick");
        let attached = self.map.attached();
        for wanted in &attached {
            if wanted.crashed {
                // Its relays still wait: it recovers without waiting for somebody to speak.
                self.wake(wanted.room);
            } else if wanted.uncompared {
                // Full: it is told the next time.
                self.map.try_send(wanted.room, CompareRelays).ok();
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge need not be exact")]
        metrics::gauge!(crate::telemetry::metrics::ROOMS_AWAKE).set(self.map.len() as f64);
        if self.comparing || attached.is_empty() {
            return;
        }
        self.comparing = true;
        let (store, map) = (self.with.store.clone(), self.map.clone());
        let compare = async move {
            for part in attached.chunks(HEADS_PER_READ) {
                let ids: Vec<RoomId> = part.iter().map(|wanted| wanted.room).collect();
                let heads = store.read(move |db| Box::pin(async move { rooms::heads(db, &ids).await })).await.unwrap_or_default();
                let known: std::collections::HashMap<RoomId, Revision> =
                    part.iter().map(|wanted| (wanted.room, wanted.known)).collect();
                for (room, head) in heads {
                    if known.get(&room).is_some_and(|known| *known < head) {
                        // Asleep or full: it is seen again.
                        map.try_send(room, HeadSeen(head)).ok();
                    }
                }
            }
        };
        ctx.spawn(compare.into_actor(self).map(|(), directory, _| directory.comparing = false));
    }
}
