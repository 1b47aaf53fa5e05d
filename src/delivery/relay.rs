//! The relay of one worker thread.
//!
//! Purpose: an actor takes what other threads send and applies it to the [`State`] that the sessions of its thread use directly through
//! [`LocalRelay`]. All that one poll of the actor appends wakes each outbox once, so that a socket gets many frames in one write; after
//! so many bytes the sockets have a turn, so that an outbox is never full only because nobody could empty it (I4). Of a crowd some are woken
//! at a time, and what else the thread has to do has its turn between.
//!
//! Neighbours: [`super::handle`] is its outside; [`Feeds`] are the rooms, as far as a relay knows them.
//! Class: permanent. After a panic the thread's outboxes close as *restarted* and the clients resume (I8).
//! Must not know: sessions as actors, rooms, the store.

use super::envelope::Envelope;
use super::feeds::Feeds;
use super::handle::{
    Deliver, EphemeralsWait, HeadIs, Lane, LastAppended, Publish, RelayHandle, Relays, Seats, Signal, SignalsWait, StreamsAre,
    StreamsSent, WatchSignal,
};
use super::outbox::Outbox;
use super::state::{Appended, Behind, CaughtUp, Seat, State, Subscribed};
use super::tally::Tally;
use crate::domain::fault::Close;
use crate::domain::ids::{LoginId, RoomId, SessionId, UserId};
use crate::domain::order::Revision;
use crate::faults;
use crate::policy::{Hidden, Sight};
use crate::protocol::v1::command::DeviceState;
use crate::supervision::mailbox::Queued;
use crate::supervision::policy::RestartPolicy;
use crate::supervision::supervisor::ChildSpec;
use crate::supervision::tree::Supervisor;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Supervised, WrapFuture};
use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// What a relay is started with.
pub struct Start<'a> {
    /// Under whom it runs.
    pub supervisor: &'a Supervisor,
    /// How it is restarted; its class is permanent.
    pub policy: RestartPolicy,
    /// Envelopes waiting, and as many signals.
    pub mailbox: u32,
    /// Bytes of envelopes appended before the sockets of the thread have a turn: less than an outbox holds.
    pub turn_bytes: usize,
    /// The rooms.
    pub feeds: Arc<dyn Feeds>,
    /// All relays of the node, which it joins.
    pub relays: &'a Relays,
}

/// The relay of this thread, for sessions on it. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub struct LocalRelay {
    state: Rc<RefCell<State>>,
    tally: Rc<Tally>,
    handle: RelayHandle,
}

impl LocalRelay {
    /// Starts this thread's relay.
    #[must_use]
    pub fn start(start: Start<'_>) -> Self {
        let state = Rc::new(RefCell::new(State::default()));
        let lane = Arc::new(Lane::new(usize::try_from(start.mailbox).unwrap_or(usize::MAX)));
        let own = Rc::new(OnceCell::new());
        let tally = Rc::new(Tally::default());
        let relay = Relay {
            state: Rc::clone(&state),
            lane: Arc::clone(&lane),
            own: Rc::clone(&own),
            turn_bytes: start.turn_bytes,
            appended: 0,
            waking: false,
            feeds: start.feeds,
            tally: Rc::clone(&tally),
        };
        let handle = start.relays.add(|number| {
            let name = number.to_string().into();
            let spec = ChildSpec { kind: "relay", name, policy: start.policy, mailbox_capacity: start.mailbox };
            let mailbox = start.supervisor.spawn(spec, |_| relay);
            RelayHandle::new(number, mailbox, lane)
        });
        // The actor runs on this thread, so it has not run yet.
        let handle = own.get_or_init(|| handle).clone();
        Self { state, tally, handle }
    }

    /// This relay, for rooms.
    #[must_use]
    pub fn handle(&self) -> &RelayHandle {
        &self.handle
    }

    /// What this thread counts.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Takes a place for a session that has said hello. From here on it hears of its person's stream, so its head is to be read after.
    #[must_use]
    pub fn register(&self, session: SessionId, user: UserId, login: LoginId, outbox: &Outbox) -> Seat {
        self.state.borrow_mut().register(session, user, login, outbox.clone())
    }

    /// Gives a place up; its rooms must have been given up before.
    pub fn unregister(&self, seat: Seat) {
        self.state.borrow_mut().unregister(seat);
    }

    /// Begins to receive a room, catching up: newer heads are noted and nothing is shown yet (I6). Then ask the room for its head and
    /// sight, `admit`, send what was missed, `send_tail`, and go live by `caught_up`. `None`: the relay restarted, the outbox is closed.
    #[must_use]
    pub fn subscribe(&self, seat: Seat, room: RoomId) -> Option<Subscribed> {
        self.state.borrow_mut().subscribe(seat, room)
    }

    /// What the subscription may show and from which head on the room feeds this relay, as the room answered. False: the person has
    /// joined anew since that answer, so it admits nobody; unsubscribe, and ask the room again.
    #[must_use]
    pub fn admit(&self, seat: Seat, room: RoomId, head: Revision, sight: Sight) -> bool {
        self.state.borrow_mut().admit(seat, room, head, sight)
    }

    /// Sends a subscription, which has been sent everything up to `to`, what was committed after that, as far as it is still here and fewer
    /// than `space` bytes wait in its outbox. Not before the client knows how the subscription starts. How far it has been sent now.
    #[must_use]
    pub fn send_tail(&self, seat: Seat, room: RoomId, to: Revision, space: usize) -> Revision {
        let (to, count) = self.state.borrow().send_tail(seat, room, to, space);
        self.tally.deliveries.add(count);
        to
    }

    /// Goes live if the client knows everything up to the newest head seen.
    #[must_use]
    pub fn caught_up(&self, seat: Seat, room: RoomId, to: Revision) -> CaughtUp {
        self.state.borrow_mut().caught_up(seat, room, to)
    }

    /// Stops receiving a room. Some: nobody on this thread receives it any more, so detach this attachment from the room.
    #[must_use]
    pub fn unsubscribe(&self, seat: Seat, room: RoomId) -> Option<u64> {
        self.state.borrow_mut().unsubscribe(seat, room)
    }

    /// From here on the session's person does not see these people, and everybody else (I10).
    pub fn hide(&self, seat: Seat, hidden: &Hidden) {
        self.state.borrow_mut().hide(seat, hidden);
    }

    /// What the session's device says of its person: tell the presence tracker too. Watches begin and end there alone.
    pub fn set_device(&self, seat: Seat, device: DeviceState) {
        self.state.borrow_mut().set_device(seat, device);
    }

    /// The session has been sent its person's stream up to here: what is committed beyond it and nobody told of is told by comparison.
    pub fn stream_sent(&self, seat: Seat, to: Revision) {
        self.state.borrow_mut().stream_sent(seat, to);
    }

    /// Whether so many sessions are to be woken that a turn of all of them takes long.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.state.borrow().is_crowded()
    }

    /// Sessions and rooms on this thread.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        self.state.borrow().counts()
    }
}

/// The actor.
pub(super) struct Relay {
    state: Rc<RefCell<State>>,
    lane: Arc<Lane>,
    /// Itself, to be named when it reports.
    own: Rc<OnceCell<RelayHandle>>,
    turn_bytes: usize,
    /// Bytes of envelopes since the sockets had a turn.
    appended: usize,
    /// A crowd is being woken.
    waking: bool,
    feeds: Arc<dyn Feeds>,
    tally: Rc<Tally>,
}

impl Actor for Relay {
    type Context = Context<Self>;
}

impl Supervised for Relay {
    fn restarting(&mut self, _: &mut Context<Self>) {
        // Any list may be half changed: none is kept. Nor is anything that the actor was about.
        self.waking = false;
        self.state.borrow_mut().close_all(Close::Restarted);
    }
}

impl Handler<Queued<Deliver>> for Relay {
    type Result = ();

    fn handle(&mut self, message: Queued<Deliver>, ctx: &mut Context<Self>) {
        faults::panic_point("relay.panic");
        let Deliver(envelope) = message.open();
        self.append(&envelope);
        self.take_signals();
        if self.appended >= self.turn_bytes {
            self.appended = 0;
            // What was woken by the appending runs before the next message is taken.
            ctx.wait(wake_crowds(Rc::clone(&self.state)).into_actor(self));
        } else if !self.waking && self.state.borrow().is_crowded() {
            self.waking = true;
            ctx.spawn(wake_crowds(Rc::clone(&self.state)).into_actor(self).map(|(), relay, _| relay.waking = false));
        }
    }
}

/// Wakes all who are to be woken, some at a time, and what else the thread has to do has its turn between; those woken last run before it ends.
async fn wake_crowds(state: Rc<RefCell<State>>) {
    loop {
        tokio::task::yield_now().await;
        if !state.borrow_mut().wake_some() {
            return;
        }
    }
}

impl Handler<Queued<HeadIs>> for Relay {
    type Result = ();

    fn handle(&mut self, message: Queued<HeadIs>, _: &mut Context<Self>) {
        let HeadIs { room, head } = message.open();
        let behind = self.state.borrow_mut().head_is(room, head);
        match behind {
            Behind::Not => {}
            Behind::After(last) => self.ask_again(room, last),
            Behind::Unwanted => self.decline(room),
        }
        self.take_signals();
    }
}

impl Handler<Queued<LastAppended>> for Relay {
    type Result = ();

    fn handle(&mut self, message: Queued<LastAppended>, _: &mut Context<Self>) {
        let LastAppended { room, reply_to } = message.open();
        reply_to.send(self.state.borrow().last_appended(room));
        self.take_signals();
    }
}

impl Handler<Queued<WatchSignal>> for Relay {
    type Result = ();

    fn handle(&mut self, message: Queued<WatchSignal>, _: &mut Context<Self>) {
        self.state.borrow_mut().watch_signal(message.open());
        self.take_signals();
    }
}

impl Handler<Queued<Seats>> for Relay {
    type Result = ();

    fn handle(&mut self, message: Queued<Seats>, _: &mut Context<Self>) {
        let Seats { with_watches, reply_to } = message.open();
        reply_to.send(self.state.borrow().report(with_watches));
        self.take_signals();
    }
}

impl Handler<Queued<StreamsSent>> for Relay {
    type Result = ();

    fn handle(&mut self, message: Queued<StreamsSent>, _: &mut Context<Self>) {
        let StreamsSent { reply_to } = message.open();
        reply_to.send(self.state.borrow().streams_sent());
        self.take_signals();
    }
}

impl Handler<Queued<StreamsAre>> for Relay {
    type Result = ();

    fn handle(&mut self, message: Queued<StreamsAre>, _: &mut Context<Self>) {
        let StreamsAre(heads) = message.open();
        self.state.borrow().streams_are(&heads);
        self.take_signals();
    }
}

impl Handler<Queued<Publish>> for Relay {
    type Result = ();

    fn handle(&mut self, message: Queued<Publish>, _: &mut Self::Context) {
        let Publish { reply_to } = message.open();
        self.tally.publish();
        let (subscriptions, outbox_bytes) = self.state.borrow().load();
        self.tally.subscriptions.publish(subscriptions);
        self.tally.outbox_bytes.publish(outbox_bytes);
        reply_to.send(());
        self.take_signals();
    }
}

impl Handler<Queued<SignalsWait>> for Relay {
    type Result = ();

    fn handle(&mut self, message: Queued<SignalsWait>, _: &mut Context<Self>) {
        let SignalsWait = message.open();
        self.take_signals();
    }
}

impl Handler<Queued<EphemeralsWait>> for Relay {
    type Result = ();

    fn handle(&mut self, message: Queued<EphemeralsWait>, _: &mut Context<Self>) {
        let EphemeralsWait = message.open();
        // Those who were put out by a signal hear no more.
        self.take_signals();
        for ephemeral in self.lane.passing.take() {
            let count = self.state.borrow().ephemeral(&ephemeral);
            self.tally.deliveries.add(count);
        }
    }
}

impl Relay {
    fn append(&mut self, envelope: &Arc<Envelope>) {
        if faults::hit("relay.drop_envelope") {
            return;
        }
        let room = envelope.room();
        self.tally.envelopes.add(1);
        let appended = self.state.borrow_mut().append(envelope);
        match appended {
            Appended::To { count, unused } => {
                self.tally.deliveries.add(count);
                self.tally.delivery_seconds.record(envelope.age());
                if count > 0 {
                    self.appended += envelope.frame().len();
                }
                if let Some(attachment) = unused {
                    self.report(|feeds, own| feeds.unwanted(own, room, attachment));
                }
            }
            Appended::Repeat => {}
            Appended::Gap { after, ask: true } => self.ask_again(room, after),
            Appended::Gap { ask: false, .. } => {}
            Appended::Unwanted => self.decline(room),
        }
    }

    fn ask_again(&self, room: RoomId, after: Revision) {
        if self.report(|feeds, own| feeds.refill(own, room, after)).unwrap_or(false) {
            self.state.borrow_mut().asked(room);
        }
    }

    fn decline(&self, room: RoomId) {
        let attachment = self.state.borrow().last_attachment();
        self.report(|feeds, own| feeds.unwanted(own, room, attachment));
    }

    /// Looks into the lane: after every message, as a full mailbox may have refused the one that says something waits.
    fn take_signals(&self) {
        let waiting = self.lane.take();
        if waiting.overflowed {
            tracing::error!("the signal lane of a relay overflowed: its sockets close and resume");
            self.state.borrow_mut().close_all(Close::Restarted);
            return;
        }
        for signal in waiting.signals {
            match signal {
                Signal::UserHead(user, head) => self.state.borrow().user_head(user, head),
                Signal::UserChanges(user, changes) => self.state.borrow().user_changes(user, &changes),
                Signal::Revoke(revocation) => self.state.borrow().revoke(revocation),
                Signal::RoomGone(room) => self.state.borrow_mut().room_gone(room),
            }
        }
    }

    fn report<T>(&self, tell: impl FnOnce(&dyn Feeds, &RelayHandle) -> T) -> Option<T> {
        self.own.get().map(|own| tell(&*self.feeds, own))
    }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
