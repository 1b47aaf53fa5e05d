//! The part of a bot's conversation that is more than posts: what it does besides, and what comes of what others do. Bots that only post have none of
//! it: see [`Talk::converse`].

use super::deeds::{Deeds, End};
use super::guard::Guard;
use super::talk::{Asked, Phase, Talk};
use super::wire::{Item, Message, Refused, Relation, Typing, UserChanges};
use super::{Heard, Listener, Place, Sighting};
use crate::action::deed::Deed;
use crate::action::text::Stamp;
use serde_json::json;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// See the module.
#[derive(Debug)]
pub struct Converse {
    pub deeds: Deeds,
    pub guard: Guard,
}

impl Converse {
    pub fn new(felt_within: Duration) -> Self {
        Self { deeds: Deeds::default(), guard: Guard::new(felt_within) }
    }
}

impl Talk {
    /// Has seat `seat` do its `no`-th deed, when its turn comes.
    pub fn act(&mut self, seat: usize, no: usize, deed: Deed, now: Instant) {
        let Some(converse) = &mut self.converse else { return };
        if let Deed::Block { user, on } = deed {
            converse.guard.asked(user, on);
        }
        converse.deeds.push(seat, no, deed);
        self.pump_deeds(now);
    }

    /// Puts on the wire what may be sent now.
    pub fn pump_deeds(&mut self, now: Instant) {
        if self.phase != Phase::Live {
            return;
        }
        loop {
            let Some(converse) = &mut self.converse else { return };
            let Some((seat, no, deed)) = converse.deeds.next(now) else { break };
            let room = self.seats.get(seat).map(|seat| seat.room).unwrap_or_default();
            let (name, body) = deed.command(room);
            self.command(name, &body, Asked::Deed { seat, no });
        }
        let held = self.converse.as_ref().and_then(|converse| converse.deeds.held_until(now));
        self.hold = [self.hold, held].into_iter().flatten().min();
    }

    /// A deed has its answer.
    pub(super) fn deed_answered<L: Listener>(
        &mut self,
        (index, no): (usize, usize),
        error: Option<Refused>,
        now: Instant,
        listener: &mut L,
    ) {
        let Some(place) = self.seats.get(index).map(|seat| seat.place) else { return };
        let Some(converse) = &mut self.converse else { return };
        match error {
            Some(error) if error.retry => {
                let pause = error.retry_after_ms.map(Duration::from_millis);
                let unknown = !matches!(error.code.as_str(), "busy" | "unavailable" | "draining");
                converse.deeds.refused(index, no, unknown, pause, now);
                listener.deed_waits(place, &error.code, now);
            }
            error => {
                let ended = converse.deeds.ended(index, no, error.is_none());
                if let Some((deed, end)) = ended {
                    self.deed_ended(index, &deed, end, now);
                    listener.deed_ended(place, no, end, error.as_ref().map(|error| error.code.as_str()), now);
                }
            }
        }
        self.pump_deeds(now);
    }

    fn deed_ended(&mut self, index: usize, deed: &Deed, end: End, now: Instant) {
        let Some(converse) = &mut self.converse else { return };
        match (deed, end) {
            (Deed::Block { user, on: true }, End::Done) => converse.guard.done(*user, now),
            (Deed::Block { user, on: true }, _) => converse.guard.refused(*user),
            (Deed::Join, End::Done) => self.subscribe_again(index),
            _ => {}
        }
    }

    fn subscribe_again(&mut self, index: usize) {
        let Some(seat) = self.seats.get_mut(index).filter(|seat| !seat.is_in()) else { return };
        seat.back();
        let room =
            seat.cursor.map_or_else(|| json!({ "room": seat.room }), |cursor| json!({ "room": seat.room, "cursor": cursor }));
        self.command("subscribe", &json!({ "rooms": [room] }), Asked::Subscribe);
    }

    /// Takes in one row of a room, new to this bot.
    pub(super) fn hear_item<L: Listener>(&mut self, place: Place, item: &Item<'_>, now: Instant, listener: &mut L) {
        let Some(Converse { guard, .. }) = self.converse.as_deref() else { return };
        let mut meet = |user: Uuid, what: &str, revision: u64| {
            if guard.hides(user, now) {
                listener.heard(place, Heard::Shown { user, what, revision });
            }
        };
        match item {
            Item { message: Some(message), .. } => {
                words(message, &mut meet);
                listener.heard(place, Heard::Message(message));
                let stamp = Stamp::read(message.text.as_bytes());
                listener.saw(place, Sighting { seq: message.seq, revision: message.revision, stamp, body: 0 }, now);
            }
            Item { reaction: Some(reaction), .. } => {
                meet(reaction.user, "reaction", reaction.revision);
                listener.heard(place, Heard::Reaction(reaction));
            }
            Item { thread: Some(thread), .. } => listener.heard(place, Heard::Thread(thread)),
            Item { member: Some(member), .. } => listener.heard(place, Heard::Member(member)),
            _ => {}
        }
    }

    /// Somebody types.
    pub(super) fn hear_typing<L: Listener>(&mut self, typing: Typing, now: Instant, listener: &mut L) {
        let Some(Converse { guard, .. }) = self.converse.as_deref() else { return };
        let Some(seat) = self.seats.iter().find(|seat| seat.room == typing.room) else { return };
        listener.heard(seat.place, Heard::Typing);
        if guard.hides(typing.user, now) {
            listener.heard(seat.place, Heard::Shown { user: typing.user, what: "typing", revision: 0 });
        }
        if !seat.is_in() {
            listener.heard(seat.place, Heard::Overheard { to: 0 });
        }
    }

    /// What is the person's own has changed.
    pub(super) fn hear_own<L: Listener>(&mut self, changes: &UserChanges, listener: &mut L) {
        let cursor = self.user_cursor.unwrap_or(0);
        if changes.to <= cursor || self.converse.is_none() {
            return;
        }
        if let Some(seat) = self.seats.first().filter(|_| changes.from > cursor) {
            listener.hole(seat.place, cursor, changes.from);
        }
        for item in &changes.items {
            if let Some(relation) = &item.relation {
                self.related(relation, listener);
            }
            let marked = item.read_mark.and_then(|mark| Some((self.seats.iter().find(|seat| seat.room == mark.room)?, mark.seq)));
            if let Some((seat, seq)) = marked {
                listener.heard(seat.place, Heard::ReadMark(seq));
            }
        }
    }

    /// The rooms it names are shown otherwise from here on: what is known of them is void.
    fn related<L: Listener>(&mut self, relation: &Relation, listener: &mut L) {
        if let Some(converse) = &mut self.converse {
            converse.guard.told(relation.user, relation.blocked);
        }
        for seat in self.seats.iter().filter(|seat| relation.every_room || relation.rooms.contains(&seat.room)) {
            listener.heard(seat.place, Heard::Forget { revision: seat.cursor.unwrap_or(0) });
        }
    }
}

/// Meets everybody of whose words or reactions a message tells.
fn words(message: &Message<'_>, meet: &mut impl FnMut(Uuid, &str, u64)) {
    if !message.hidden {
        meet(message.author, "message", message.revision);
        message.reactions.iter().flat_map(|all| &all.users).for_each(|user| meet(*user, "reaction", message.revision));
    }
}
