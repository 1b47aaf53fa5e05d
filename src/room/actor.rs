//! A room.
//!
//! Purpose: take what people ask of one room, decide it with [`super::state`], have it stored, deliver what was committed.
//! Neighbours: persistence stores; `catch_up.rs` reads from the store when something is missing; relays deliver.
//! Class: transient. A panic costs the unfinished requests (posts and changes on their way are *outcome unknown*); what was committed
//! meanwhile is found in the store, and each relay is fed from the last revision it appended (I7, I8).
//! Must not know: sockets, sessions, other rooms.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Supervised, WrapFuture};
use tokio::time::Instant;

use super::changing::{Editing, judge};
use super::ending;
use super::map::{Map, Pulse};
use super::messages::{
    Attach, Attached, Change, CommittedElsewhere, CompareRelays, Detach, HeadSeen, PostGroup, Refusable, SendAgain, What,
    or_unknown,
};
use super::preparing::{self, Preparing};
use super::state::feeding::Feeding;
use super::state::membership::Membership;
use super::state::order::{Committed, Order};
use super::state::posting::{self, InFlight};
use super::state::typing::Typing;
use crate::config;
use crate::delivery::envelope::Envelope;
use crate::delivery::handle::{RelayHandle, Relays};
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::RoomId;
use crate::domain::member::Role;
use crate::domain::message::MessageChange;
use crate::domain::order::Revision;
use crate::domain::time::Clock;
use crate::faults;
use crate::moderation::everywhere::Everywhere;
use crate::moderation::handle::announce;
use crate::notify::handle::Notify;
use crate::persistence::handle::Persistence;
use crate::store::Store;
use crate::store::messages::change::MessageLimits;
use crate::store::messages::{AppendOutcome, PostOutcome};
use crate::store::rooms::{self, ChangeRoom, RoomLimits};
use crate::store::streams::PageMax;
use crate::supervision::mailbox::Queued;
use crate::telemetry::metrics as names;

/// So often a group is decided again because the policy had changed meanwhile; then the sender is told to come back.
pub(super) const STALE_MAX: u32 = 5;

/// How long a room that does not exist stays, to answer those who ask for it in a row.
pub(super) const ABSENT_FOR: Duration = Duration::from_secs(1);

/// What all rooms of a node share.
pub(super) struct Surroundings {
    pub(super) store: Store,
    pub(super) persistence: Persistence,
    pub(super) relays: Relays,
    pub(super) clock: Clock,
    pub(super) everywhere: Everywhere,
    pub(super) notify: Notify,
    pub(super) settings: config::Room,
    pub(super) room_limits: RoomLimits,
    pub(super) message_limits: MessageLimits,
    /// Least role that mentions everybody.
    pub(super) mention_all_role: Role,
    pub(super) preparing: Preparing,
    pub(super) rooms_awake_max: usize,
    /// Of a page read from the store.
    pub(super) page_max: PageMax,
    /// Text of posts that are delivered as one piece.
    pub(super) piece_bytes: usize,
    pub(super) busy_retry_after: Duration,
    pub(super) commit_deadline: Duration,
    /// Pause before the store is asked again after it failed.
    pub(super) retry_after: Duration,
}

/// What came before the room's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waking {
    /// Nothing: no relay can know of it.
    Fresh,
    /// A panic of this actor.
    Restarted,
    /// The end of another actor of the same room: relays may wait that are not known here.
    Replaced,
}

/// The actor.
pub(super) struct RoomActor {
    pub(super) room: RoomId,
    pub(super) with: Arc<Surroundings>,
    map: Map,
    pulse: Arc<Pulse>,
    pub(super) waking: Waking,
    /// None before the room is loaded, and while it cannot be.
    pub(super) awake: Option<Awake>,
    /// What everybody is answered while it is not.
    pub(super) absence: Fault,
    /// Outlives a panic: only the relays could say who wants the room, and not all of them may answer.
    pub(super) feeding: Feeding<RelayHandle>,
    pub(super) last_used: Instant,
}

/// What a loaded room knows.
pub(super) struct Awake {
    pub(super) membership: Membership,
    pub(super) order: Order,
    pub(super) typing: Typing,
    pub(super) in_flight: InFlight,
    pub(super) changes_in_flight: usize,
    /// Groups decided under a policy that has changed; they wait for the reload.
    pub(super) stale: Vec<PostGroup>,
    /// The same of edits, after a change of the filters.
    pub(super) stale_edits: Vec<Editing>,
    pub(super) reloading: bool,
    pub(super) filling: bool,
    pub(super) feeding: bool,
    /// Relays know that the room was deleted.
    told_gone: bool,
}

impl Awake {
    pub(super) fn new(membership: Membership, in_flight_max: usize) -> Self {
        let order = Order::at(membership.room().head);
        let in_flight = InFlight::new(in_flight_max);
        Self {
            membership,
            order,
            typing: Typing::default(),
            in_flight,
            changes_in_flight: 0,
            stale: Vec::new(),
            stale_edits: Vec::new(),
            reloading: false,
            filling: false,
            feeding: false,
            told_gone: false,
        }
    }

    /// Posts have been answered.
    pub(super) const fn end(&mut self, posts: usize) {
        self.in_flight.end(posts);
    }

    fn is_idle(&self) -> bool {
        let reading = self.reloading || self.filling || self.feeding;
        self.in_flight.is_empty() && self.changes_in_flight == 0 && self.stale.is_empty() && !reading
    }
}

impl RoomActor {
    pub(super) fn new(room: RoomId, with: Arc<Surroundings>, map: Map, pulse: Arc<Pulse>, waking: Waking) -> Self {
        Self {
            room,
            with,
            map,
            pulse,
            waking,
            awake: None,
            absence: Fault::Unavailable,
            feeding: Feeding::none(),
            last_used: Instant::now(),
        }
    }
}

impl Actor for RoomActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.load(ctx);
        ctx.run_interval(self.with.settings.idle_after / 2, |room, ctx| room.sleep_if_idle(ctx));
    }
}

impl Supervised for RoomActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        // Half of it may be changed: all of it is read again.
        self.awake = None;
        self.absence = Fault::Unavailable;
        if self.waking == Waking::Fresh {
            self.waking = Waking::Restarted;
        }
    }
}

impl Handler<Queued<PostGroup>> for RoomActor {
    type Result = ();

    fn handle(&mut self, message: Queued<PostGroup>, ctx: &mut Self::Context) {
        faults::panic_point("room.panic");
        faults::block_point("room.block");
        self.last_used = Instant::now();
        let group = message.open();
        let Some(awake) = &mut self.awake else { return group.refuse(self.absence.into()) };
        if !awake.in_flight.begin(group.posts.len()) {
            return group.refuse(Refusal::busy(self.with.busy_retry_after));
        }
        if preparing::is_needed(&group.posts) {
            return self.prepare(group, ctx);
        }
        self.append(group, ctx);
    }
}

impl Handler<Queued<Change>> for RoomActor {
    type Result = ();

    fn handle(&mut self, message: Queued<Change>, ctx: &mut Self::Context) {
        faults::panic_point("room.panic");
        self.last_used = Instant::now();
        let change = message.open();
        let Some(awake) = &mut self.awake else { return change.refuse(self.absence.into()) };
        if awake.changes_in_flight >= self.with.settings.mailbox {
            return change.refuse(Refusal::busy(self.with.busy_retry_after));
        }
        awake.changes_in_flight += 1;
        let Change { actor, what, owed } = change;
        match what {
            What::Room(change) => {
                let (now, limits) = (self.with.clock.now(), self.with.room_limits);
                let judged = judge(&change, awake.membership.room(), &self.with.everywhere.filters());
                self.run(ChangeRoom { actor, room: self.room, change, judged, now, limits }, owed, ctx);
            }
            What::Message(seq, MessageChange::Edit { text, findings, .. }) => {
                self.edit(Editing { actor, seq, text, hook: findings, stale: 0, owed }, ctx);
            }
            What::Message(seq, change) => self.change_message(actor, seq, change, owed, ctx),
        }
    }
}

impl Handler<Queued<Attach>> for RoomActor {
    type Result = ();

    fn handle(&mut self, message: Queued<Attach>, ctx: &mut Self::Context) {
        faults::panic_point("room.panic");
        self.last_used = Instant::now();
        let attach = message.open();
        let Some(awake) = &self.awake else { return attach.refuse(self.absence.into()) };
        let sight = match awake.membership.sight(attach.user) {
            Ok(sight) => sight,
            Err(fault) => return attach.refuse(fault.into()),
        };
        let head = awake.order.head();
        self.feeding.attach(&attach.relay, attach.attachment, head);
        let attached = Attached { head, newest: awake.order.known(), sight };
        self.show_pulse();
        if attach.cursor <= Some(attached.newest) {
            return attach.owed.settle(Ok(attached));
        }
        // A page may show what was committed a moment before the room hears of it (I7): the store knows whether it did.
        let (store, room) = (self.with.store.clone(), self.room);
        let stored = async move { store.read(move |db| Box::pin(async move { rooms::heads(db, &[room]).await })).await };
        ctx.spawn(stored.into_actor(self).map(move |stored, room, ctx| match stored {
            Ok(stored) => {
                let newest = stored.first().map_or(attached.newest, |(_, head)| attached.newest.max(*head));
                room.head_seen(newest, ctx);
                attach.owed.settle(Ok(Attached { newest, ..attached }));
            }
            Err(error) => attach.owed.settle(Err(error.fault().into())),
        }));
    }
}

impl Handler<Queued<Detach>> for RoomActor {
    type Result = ();

    fn handle(&mut self, message: Queued<Detach>, _: &mut Self::Context) {
        let Detach { relay, attachment } = message.open();
        self.last_used = Instant::now();
        self.feeding.detach(&relay, attachment);
        self.show_pulse();
    }
}

impl Handler<Queued<SendAgain>> for RoomActor {
    type Result = ();

    fn handle(&mut self, message: Queued<SendAgain>, ctx: &mut Self::Context) {
        let SendAgain { relay, after } = message.open();
        self.feeding.send_again(&relay, after);
        self.feed_behind(ctx);
    }
}

impl Handler<Queued<CommittedElsewhere>> for RoomActor {
    type Result = ();

    fn handle(&mut self, message: Queued<CommittedElsewhere>, ctx: &mut Self::Context) {
        let CommittedElsewhere(committed) = message.open();
        self.on_committed([committed], ctx);
    }
}

impl Handler<Queued<HeadSeen>> for RoomActor {
    type Result = ();

    fn handle(&mut self, message: Queued<HeadSeen>, ctx: &mut Self::Context) {
        let HeadSeen(head) = message.open();
        self.head_seen(head, ctx);
    }
}

impl Handler<Queued<CompareRelays>> for RoomActor {
    type Result = ();

    fn handle(&mut self, message: Queued<CompareRelays>, _: &mut Self::Context) {
        let CompareRelays = message.open();
        let room = self.room;
        self.feeding.compare(|relay, head| relay.head_is(room, head));
        self.show_pulse();
    }
}

impl RoomActor {
    /// Has a group stored as it is decided now. It counts as in flight already.
    pub(super) fn append(&mut self, mut group: PostGroup, ctx: &mut Context<Self>) {
        let Some(awake) = &self.awake else { return group.refuse(self.absence.into()) };
        let (now, mention_all) = (self.with.clock.now(), self.with.mention_all_role);
        let judges = posting::Judges { everywhere: &self.with.everywhere.filters(), hook: &group.judged };
        let interest = self.with.notify.interest();
        let circumstances = posting::Circumstances { now, mention_all, interest: &interest };
        let (append, suspects) = posting::decide(&awake.membership, &group.posts, judges, circumstances);
        let notifies = append.posts.iter().any(|(post, _)| post.notifies);
        let under = append.policy_revision;
        group.owed.stake();
        let outcome = self.with.persistence.append_until(append, group.deadline);
        ctx.spawn(outcome.into_actor(self).map(move |outcome, room, ctx| {
            let outcome = or_unknown(outcome);
            if notifies {
                room.with.notify.queued();
            }
            if let Ok(AppendOutcome::Done { posts, .. }) = &outcome {
                posting::reported(posts, suspects).into_iter().for_each(announce);
            }
            room.appended(outcome, under, group, ctx);
        }));
    }

    fn appended(&mut self, outcome: Result<AppendOutcome, Refusal>, under: Revision, group: PostGroup, ctx: &mut Context<Self>) {
        faults::panic_point("room.panic_after_commit");
        let Some(awake) = &mut self.awake else { return };
        match outcome {
            Ok(AppendOutcome::StalePolicy) if group.stale < STALE_MAX => self.decide_again(group, under, ctx),
            Ok(AppendOutcome::StalePolicy) => {
                awake.in_flight.end(group.posts.len());
                group.refuse(Refusal::busy(self.with.busy_retry_after));
            }
            Ok(AppendOutcome::Gone) => {
                awake.in_flight.end(group.posts.len());
                awake.membership.note_deleted();
                self.tell_if_gone(ctx);
                group.refuse(Fault::NotFound.into());
            }
            Ok(AppendOutcome::Done { posts, head }) => {
                awake.in_flight.end(group.posts.len());
                awake.order.note_head(head);
                count(&posts);
                let answers = posting::answers(&posts);
                let pieces = posting::changes(self.room, posts, self.with.piece_bytes).into_iter().map(Committed::from);
                self.on_committed(pieces, ctx);
                group.owed.settle(Ok(answers));
            }
            Err(refusal) => {
                awake.in_flight.end(group.posts.len());
                group.refuse(refusal);
                self.reload_if_unknown(refusal, ctx);
            }
        }
    }

    /// The store has this head: what the room has not heard of is read.
    fn head_seen(&mut self, head: Revision, ctx: &mut Context<Self>) {
        if let Some(awake) = &mut self.awake {
            awake.order.note_head(head);
        }
        self.fill_gap(ctx);
    }

    /// Local commits and refills alike: in order to all who want them.
    pub(super) fn on_committed(&mut self, committed: impl IntoIterator<Item = Committed>, ctx: &mut Context<Self>) {
        let Some(awake) = &mut self.awake else { return };
        for mut next in committed.into_iter().flat_map(|committed| awake.order.on_committed(committed)).collect::<Vec<_>>() {
            awake.membership.apply(&next);
            if faults::hit("room.drop_fanout") {
                next.changes.items.clear();
            }
            let envelope = Arc::new(Envelope::new(next.changes));
            self.feeding.hand_over(envelope.from(), envelope.to(), |relay| relay.deliver(Arc::clone(&envelope)));
        }
        if awake.membership.lacks_filters() {
            // Not later than the next post needs them.
            self.reload(ctx);
        }
        self.tell_if_gone(ctx);
        self.show_pulse();
        self.fill_gap(ctx);
        self.feed_behind(ctx);
    }

    /// Ends the subscriptions of a room that was deleted, however that became known: by the commit, by a load after a panic, by a reload.
    pub(super) fn tell_if_gone(&mut self, ctx: &mut Context<Self>) {
        let Some(awake) = &mut self.awake else { return };
        if awake.membership.room().deleted && !std::mem::replace(&mut awake.told_gone, true) {
            self.with.relays.room_gone(self.room);
            let (with, room) = (Arc::clone(&self.with), self.room);
            // What fails is found by the directory.
            let end = async move { ending::end_memberships(&with, room).await };
            ctx.spawn(end.into_actor(self).map(|_, _, _| ()));
        }
    }

    /// The policy changed between the verdict and the lock: with what is known by now, or after a look at the store.
    fn decide_again(&mut self, mut group: PostGroup, under: Revision, ctx: &mut Context<Self>) {
        group.stale += 1;
        let Some(awake) = &mut self.awake else { return };
        if awake.membership.policy_revision() > under {
            return self.append(group, ctx);
        }
        awake.stale.push(group);
        self.reload(ctx);
    }

    /// Nobody knows what the store has: it is asked.
    pub(super) fn reload_if_unknown(&mut self, refusal: Refusal, ctx: &mut Context<Self>) {
        if refusal.fault == Fault::OutcomeUnknown {
            self.reload(ctx);
        }
    }

    pub(super) fn show_pulse(&self) {
        let known = self.awake.as_ref().map_or_else(|| self.pulse.known(), |awake| awake.order.known());
        self.pulse.set(known, !self.feeding.is_empty(), self.feeding.is_uncompared());
    }

    pub(super) fn sleep_if_idle(&mut self, ctx: &mut Context<Self>) {
        let patience =
            if self.absence == Fault::NotFound && self.awake.is_none() { ABSENT_FOR } else { self.with.settings.idle_after };
        let idle = self.awake.as_ref().is_none_or(Awake::is_idle) && self.feeding.is_empty();
        if idle && self.last_used.elapsed() >= patience && self.map.leave(self.room) {
            ctx.stop();
        }
    }
}

fn count(posts: &[PostOutcome]) {
    for post in posts {
        let outcome = match post {
            PostOutcome::Stored(_) | PostOutcome::Replied(..) => "stored",
            PostOutcome::Repeat { .. } => "repeated",
            PostOutcome::Refused(refusal) => refusal.fault.row().code,
        };
        metrics::counter!(names::POSTS, "outcome" => outcome).increment(1);
    }
}
