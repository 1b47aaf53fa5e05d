//! Who on this thread receives what: the relay's state, which sessions of the thread use directly.
//!
//! Purpose: subscriptions by room and outboxes by person (presence watches are in [`super::watches`]); pure bookkeeping over outboxes.
//! Neighbours: the relay actor applies what arrives from other threads, sessions subscribe and register, both on one thread and never at
//! once.
//! Invariants: those of the module. Must not know: threads, actors, time.

use super::envelope::{Ending, Envelope};
use super::ephemeral::Ephemeral;
use super::feed::{Feed, Subscription, Unwoken};
use super::handle::{Logins, Revocation};
use super::outbox::Outbox;
use crate::domain::fault::{Close, Fault};
use crate::domain::ids::{LoginId, RoomId, SessionId, UserId};
use crate::domain::order::{Revision, Seq};
use crate::domain::stream::UserChanges;
use crate::faults;
use crate::policy::{Hidden, Sight};
use crate::protocol::v1::command::DeviceState;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// A session's place at its relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat(u64);

/// What subscribing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribed {
    /// Names this thread's interest in the room; a later first subscriber gets a higher number. Rooms ignore the end of a lower one.
    pub attachment: u64,
    /// Nobody on this thread received the room before: the room must be told of this relay.
    pub first: bool,
}

/// Whether a subscription that catches up may go live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaughtUp {
    /// It is live now; the next frame is the revision after the one caught up to.
    Live,
    /// Newer revisions were committed meanwhile: read on up to here.
    Behind(Revision),
    /// There is no such subscription any more; a note says why.
    Ended,
}

/// What came of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appended {
    /// It went to the outboxes.
    To {
        /// How many took it.
        count: usize,
        /// The attachment, if its endings left nobody who wants the room: the room must be told.
        unused: Option<u64>,
    },
    /// Known before.
    Repeat,
    /// Revisions after this one are missing; nothing was appended.
    Gap {
        /// The last one appended.
        after: Revision,
        /// Whether nobody has asked for them yet.
        ask: bool,
    },
    /// Nobody wants the room.
    Unwanted,
}

/// How a room stands here against its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// All is here.
    Not,
    /// What follows this revision is missing.
    After(Revision),
    /// Nobody wants the room.
    Unwanted,
}

/// The state of one thread's relay.
#[derive(Debug, Default)]
pub(super) struct State {
    rooms: HashMap<RoomId, Feed>,
    pub(super) seats: HashMap<Seat, Seated>,
    pub(super) people: HashMap<UserId, Vec<Seat>>,
    pub(super) watchers: HashMap<UserId, Vec<Seat>>,
    last_seat: u64,
    last_attachment: u64,
    unwoken: Unwoken,
}

#[derive(Debug)]
pub(super) struct Seated {
    pub(super) session: SessionId,
    pub(super) user: UserId,
    login: LoginId,
    /// How far its person's stream has been sent to it.
    pub(super) stream: Revision,
    pub(super) outbox: Outbox,
    /// Whom its person does not see.
    hidden: Hidden,
    pub(super) device: DeviceState,
    pub(super) watches: Vec<UserId>,
}

impl State {
    /// Takes a place for a session that has said hello.
    pub(super) fn register(&mut self, session: SessionId, user: UserId, login: LoginId, outbox: Outbox) -> Seat {
        self.last_seat += 1;
        let seat = Seat(self.last_seat);
        let device = DeviceState::Online;
        let stream = Revision::ZERO;
        let hidden = Hidden::default();
        self.seats.insert(seat, Seated { session, user, login, stream, outbox, hidden, device, watches: Vec::new() });
        self.people.entry(user).or_default().push(seat);
        seat
    }

    /// Gives a place up. Its rooms must have been given up before.
    pub(super) fn unregister(&mut self, seat: Seat) {
        if let Some(seated) = self.seats.remove(&seat) {
            remove_from(&mut self.people, seated.user, seat);
            self.drop_watches(seat, &seated.watches);
        }
    }

    /// From here on its person does not see these people, and everybody else.
    pub(super) fn hide(&mut self, seat: Seat, hidden: &Hidden) {
        let Some(seated) = self.seats.get_mut(&seat).filter(|seated| seated.hidden != *hidden) else { return };
        seated.hidden = hidden.clone();
        for subscription in self.rooms.values_mut().filter_map(|feed| feed.subscriptions.get_mut(&seat)) {
            subscription.hidden = hidden.clone();
        }
    }

    /// Begins to receive a room, catching up. Replaces an earlier subscription of the same seat.
    pub(super) fn subscribe(&mut self, seat: Seat, room: RoomId) -> Option<Subscribed> {
        let seated = self.seats.get(&seat)?;
        let (outbox, hidden) = (seated.outbox.clone(), seated.hidden.clone());
        let (feed, first) = match self.rooms.entry(room) {
            Entry::Occupied(entry) => (entry.into_mut(), false),
            Entry::Vacant(entry) => {
                self.last_attachment += 1;
                (entry.insert(Feed::new(self.last_attachment)), true)
            }
        };
        // Until the room has said what may be seen the subscription is not live, so nothing is shown.
        let at = feed.last.unwrap_or(Revision::ZERO);
        let (from_seq, joined, rejoined) = (Seq::ZERO, Revision::ZERO, Revision::ZERO);
        feed.put(seat, Subscription { outbox, from_seq, hidden, joined, rejoined, at, live: false });
        Some(Subscribed { attachment: feed.attachment, first })
    }

    /// The room has answered: what a subscription may see, and the room's head. Everything after that comes to this relay, so that
    /// the loss of the very first envelope leaves a gap that is seen. False, and nothing done: the person has joined anew since the
    /// answer, which would show what was said while they were away (I7, I10); the room is to be asked again.
    #[must_use]
    pub(super) fn admit(&mut self, seat: Seat, room: RoomId, head: Revision, sight: Sight) -> bool {
        let Some(feed) = self.rooms.get_mut(&room) else { return true };
        if let Some(subscription) = feed.subscriptions.get_mut(&seat) {
            if sight.joined_revision < subscription.rejoined {
                return false;
            }
            subscription.from_seq = sight.from_seq;
            subscription.joined = sight.joined_revision;
            feed.last.get_or_insert(head);
        }
        true
    }

    /// To a subscription that catches up and has been sent everything up to `to`: what was appended after that, as far as it is kept and
    /// fewer than `space` bytes wait. How far it has been sent now, and in how many frames.
    pub(super) fn send_tail(&self, seat: Seat, room: RoomId, mut to: Revision, space: usize) -> (Revision, usize) {
        let mut count = 0;
        let Some(feed) = self.rooms.get(&room) else { return (to, count) };
        let Some(subscription) = feed.subscriptions.get(&seat).filter(|subscription| !subscription.live) else {
            return (to, count);
        };
        for envelope in feed.tail.iter() {
            // Each begins where the one before it ended: one that reaches further back may show what a page hides (I7).
            if envelope.from() == to && subscription.outbox.waiting_bytes() < space {
                count += usize::from(subscription.outbox.push(envelope.frame_for(subscription.sight(), &subscription.hidden)));
                to = envelope.to();
            }
        }
        (to, count)
    }

    /// Goes live if the client knows everything up to the newest head seen (I6).
    pub(super) fn caught_up(&mut self, seat: Seat, room: RoomId, to: Revision) -> CaughtUp {
        let Some(feed) = self.rooms.get_mut(&room) else { return CaughtUp::Ended };
        match feed.subscriptions.get_mut(&seat) {
            None => CaughtUp::Ended,
            Some(subscription) if !subscription.live && subscription.at > to => CaughtUp::Behind(subscription.at),
            Some(subscription) => {
                subscription.at = subscription.at.max(to);
                if !std::mem::replace(&mut subscription.live, true) {
                    feed.one_less_catches_up();
                }
                CaughtUp::Live
            }
        }
    }

    /// Stops receiving a room. The attachment, if nobody on this thread receives it any more: the room must be told.
    pub(super) fn unsubscribe(&mut self, seat: Seat, room: RoomId) -> Option<u64> {
        self.rooms.get_mut(&room)?.remove(seat)?;
        self.drop_if_unused(room)
    }

    /// The last revision of a room that was appended here.
    pub(super) fn last_appended(&self, room: RoomId) -> Option<Revision> {
        self.rooms.get(&room)?.last
    }

    /// Appends an envelope to everybody who receives its room.
    pub(super) fn append(&mut self, envelope: &Arc<Envelope>) -> Appended {
        let Some(feed) = self.rooms.get_mut(&envelope.room()) else {
            return Appended::Unwanted;
        };
        if let Some(last) = feed.last {
            if envelope.to() <= last {
                return Appended::Repeat;
            }
            if envelope.from() > last {
                feed.note_head(envelope.to());
                return Appended::Gap { after: last, ask: !feed.asked };
            }
        }
        feed.last = Some(envelope.to());
        feed.asked = false;
        for ending in envelope.endings().iter().filter(|ending| !ending.shown) {
            self.end(envelope.room(), *ending);
        }
        let doers = envelope.people().iter().filter_map(|user| self.people.get(user)).flatten();
        let feed = self.rooms.get_mut(&envelope.room());
        let count = feed.map_or(0, |feed| feed.fan_out(envelope, doers, &mut self.unwoken));
        for ending in envelope.endings().iter().filter(|ending| ending.shown) {
            self.end(envelope.room(), *ending);
        }
        Appended::To { count, unused: self.drop_if_unused(envelope.room()) }
    }

    /// Wakes some of a crowd that was appended to; whether there were any.
    pub(super) fn wake_some(&mut self) -> bool {
        self.unwoken.wake_some()
    }

    /// Whether a crowd is still to be woken: who has work now is not to wait for it.
    pub(super) fn is_crowded(&self) -> bool {
        !self.unwoken.is_empty()
    }

    /// Offers something of the moment to everybody who is live in its room; how many took it.
    pub(super) fn ephemeral(&self, ephemeral: &Ephemeral) -> usize {
        let Some(feed) = self.rooms.get(&ephemeral.room()) else { return 0 };
        let live = feed.subscriptions.iter().filter(|(_, subscription)| subscription.live);
        live.filter(|(seat, subscription)| {
            let viewer = self.seats.get(seat).map(|seated| seated.user);
            !subscription.hidden.has(ephemeral.author())
                && viewer.is_some_and(|viewer| ephemeral.may_reach(viewer, subscription.from_seq))
                && subscription.outbox.offer(ephemeral.frame())
        })
        .count()
    }

    /// The room has handed over everything up to `head`: what is to be asked for again, if not all of it has come. A refill asked for
    /// before this has come by now or is lost, too.
    pub(super) fn head_is(&mut self, room: RoomId, head: Revision) -> Behind {
        let Some(feed) = self.rooms.get_mut(&room) else { return Behind::Unwanted };
        match feed.last {
            Some(last) if last < head => {
                feed.note_head(head);
                Behind::After(last)
            }
            // Without a base nobody is live; who catches up reads on.
            None => {
                feed.note_head(head);
                Behind::Not
            }
            Some(_) => Behind::Not,
        }
    }

    /// A refill was asked for.
    pub(super) fn asked(&mut self, room: RoomId) {
        if let Some(feed) = self.rooms.get_mut(&room) {
            feed.asked = true;
        }
    }

    /// The number up to which attachments have been given out.
    pub(super) fn last_attachment(&self) -> u64 {
        self.last_attachment
    }

    /// A room is no more: all its subscriptions end.
    pub(super) fn room_gone(&mut self, room: RoomId) {
        if let Some(feed) = self.rooms.remove(&room) {
            for subscription in feed.subscriptions.values() {
                subscription.outbox.note_ended(room, Fault::NotFound);
            }
        }
    }

    /// A person's stream has grown.
    pub(super) fn user_head(&self, user: UserId, head: Revision) {
        for seated in self.seated_of(user) {
            seated.outbox.note_user_head(head);
        }
    }

    /// The same, and by what.
    pub(super) fn user_changes(&self, user: UserId, changes: &Arc<UserChanges>) {
        for seated in self.seated_of(user) {
            seated.outbox.note_user_changes(changes);
        }
    }

    /// Logins ended: their sockets close, with nothing more shown on them.
    pub(super) fn revoke(&self, revocation: Revocation) {
        for seated in self.seated_of(revocation.user) {
            let concerned = match revocation.logins {
                Logins::All => true,
                Logins::One(login) => seated.login == login,
                Logins::Except(login) => seated.login != login,
            };
            if concerned {
                seated.outbox.cut(Close::LoggedOut);
            }
        }
    }

    /// Closes every outbox of the thread and forgets everything.
    pub(super) fn close_all(&mut self, close: Close) {
        let (last_seat, last_attachment) = (self.last_seat, self.last_attachment);
        let state = std::mem::replace(self, Self { last_seat, last_attachment, ..Self::default() });
        for seated in state.seats.values() {
            seated.outbox.close(close);
        }
    }

    /// How many subscriptions there are, and how many bytes wait in the outboxes.
    pub(super) fn load(&self) -> (usize, usize) {
        let subscriptions = self.rooms.values().map(|feed| feed.subscriptions.len()).sum();
        let bytes = self.seats.values().map(|seated| seated.outbox.waiting_bytes()).sum();
        (subscriptions, bytes)
    }

    /// How many sessions and rooms there are.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.seats.len(), self.rooms.len())
    }

    pub(super) fn seated_of(&self, user: UserId) -> impl Iterator<Item = &Seated> {
        self.people.get(&user).into_iter().flatten().filter_map(|seat| self.seats.get(seat))
    }

    /// Ends a person's subscriptions of a room, those of a newer joining excepted.
    fn end(&mut self, room: RoomId, ending: Ending) {
        if faults::hit("relay.keep_ended") {
            return;
        }
        let Some(feed) = self.rooms.get_mut(&room) else { return };
        for seat in self.people.get(&ending.user).into_iter().flatten() {
            let Some(subscription) = feed.subscriptions.get_mut(seat) else { continue };
            let keep = match ending.joined {
                // It waits for the room's answer, which may know this joining or be on its way since before it.
                Some(joined) if subscription.joined == Revision::ZERO => {
                    subscription.rejoined = subscription.rejoined.max(joined);
                    true
                }
                joined => joined.is_some_and(|joined| subscription.joined >= joined),
            };
            if !keep && let Some(subscription) = feed.remove(*seat) {
                subscription.outbox.note_ended(room, ending.fault);
            }
        }
    }

    fn drop_if_unused(&mut self, room: RoomId) -> Option<u64> {
        let feed = self.rooms.get(&room)?;
        let attachment = feed.attachment;
        feed.subscriptions.is_empty().then(|| {
            self.rooms.remove(&room);
            attachment
        })
    }
}

pub(super) fn remove_from(map: &mut HashMap<UserId, Vec<Seat>>, user: UserId, seat: Seat) {
    if let Entry::Occupied(mut entry) = map.entry(user) {
        entry.get_mut().retain(|other| *other != seat);
        if entry.get().is_empty() {
            entry.remove();
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
