//! Whom and what the next deed of a member is about: chosen from what that member knows. Who has nothing to do it to says something instead.

use super::engine::Engine;
use crate::action::deed::{Deed, EMOJI};
use crate::action::mix::Turn;
use crate::action::text::Stamp;
use crate::bot::Place;
use crate::report::conversation::Conversation;
use crate::report::ledger::Outcome;
use rand::seq::IndexedRandom;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Something is done to one of the newest so many.
const RECENT: u64 = 40;
/// Looks for a message that can be used.
const LOOKS: usize = 4;

impl Engine {
    /// Has a member do this.
    pub(super) fn converse(&mut self, place: Place, turn: Turn, meant: Duration) {
        let Some((index, seat)) = self.who.get(place.room).and_then(|room| room.get(place.member)).copied() else { return };
        let talk = self.bots.get(index).map(|bot| &bot.talk);
        let is_out = talk.and_then(|talk| talk.seats.get(seat)).is_some_and(|seat| !seat.is_in());
        let is_full = talk.and_then(|talk| talk.converse.as_ref()).is_some_and(|converse| converse.deeds.is_full());
        if is_out {
            let joins =
                |of: &Conversation| of.deeds.iter().rev().take(1).any(|last| last.deed == Deed::Join && is_open(last.fate));
            let already = self.records.ledger.conversation(place).is_some_and(|of| joins(of));
            return if already { self.records.released.push(place.room) } else { self.act(place, Deed::Join, meant) };
        }
        match self.choose(place, index, turn).filter(|_| !is_full) {
            _ if turn == Turn::Reply => {
                let thread = self.somebodys(place);
                self.say(place, meant, thread);
            }
            Some((place, deed)) => self.act(place, deed, meant),
            None => self.say(place, meant, None),
        }
    }

    fn act(&mut self, place: Place, deed: Deed, meant: Duration) {
        let Some((index, seat)) = self.who.get(place.room).and_then(|room| room.get(place.member)).copied() else { return };
        let Some(no) = self.records.doing(place, deed.clone(), meant) else { return };
        if let Some(bot) = self.bots.get_mut(index) {
            bot.talk.act(seat, no, deed, Instant::now());
        }
        self.unsent.push(index);
    }

    /// A deed, and who does it: putting out and pinning are for the room's first member.
    fn choose(&mut self, place: Place, index: usize, turn: Turn) -> Option<(Place, Deed)> {
        let first = Place { member: 0, ..place };
        let deed = match turn {
            Turn::Post | Turn::Reply => return None,
            Turn::React => self.react(place)?,
            Turn::Edit => self.edit(place)?,
            Turn::Delete => Deed::Delete { seq: self.own(place)?.1 },
            Turn::Read => Deed::Read { seq: self.newest(place)? },
            Turn::Typing => Deed::Typing,
            Turn::Block => self.block(place, index)?,
            Turn::Pin => return Some((first, Deed::Pin { seq: self.somebodys(first)?, on: rand::random_bool(0.6) })),
            Turn::Leave if place.member > 0 => Deed::Leave,
            Turn::Kick if place.member > 0 => return Some((first, Deed::Kick { user: self.user(place)? })),
            Turn::Leave | Turn::Kick => return None,
        };
        Some((place, deed))
    }

    fn react(&mut self, place: Place) -> Option<Deed> {
        if rand::random_bool(0.25)
            && let Some((seq, emoji)) = self.records.ledger.conversation(place)?.reacted.pop()
        {
            return Some(Deed::React { seq, emoji, on: false });
        }
        let (seq, emoji) = (self.somebodys(place)?, rand::random_range(0..EMOJI.len()));
        self.records.ledger.conversation(place)?.reacted.push((seq, emoji));
        Some(Deed::React { seq, emoji, on: true })
    }

    fn edit(&mut self, place: Place) -> Option<Deed> {
        let (n, seq) = self.own(place)?;
        let run = self.records.ledger.run;
        let edits = &self.records.ledger.conversation(place)?.deeds;
        let edit = u32::try_from(1 + edits.iter().filter(|done| matches!(done.deed, Deed::Edit { .. })).count()).ok()?;
        let (room, sender) = (u32::try_from(place.room).ok()?, u32::try_from(place.member).ok()?);
        let meant = self.records.meant_for(place, n);
        let text = Stamp { run, room, sender, n, meant }.edited(edit, self.manners.text_bytes);
        Some(Deed::Edit { seq, edit, text })
    }

    /// Blocks somebody of the room, or one less.
    fn block(&mut self, place: Place, index: usize) -> Option<Deed> {
        if self.readers.contains(&index) {
            return None;
        }
        let members = &self.records.ledger.rooms.get(place.room)?.members;
        let own = members.get(place.member)?.user;
        let guard = &self.bots.get(index)?.talk.converse.as_ref()?.guard;
        if let Some(user) = guard.any().filter(|_| rand::random_bool(0.5)) {
            return Some(Deed::Block { user, on: false });
        }
        let user = members.choose(&mut rand::rng())?.user;
        (user != own && !guard.wants(user)).then_some(Deed::Block { user, on: true })
    }

    fn user(&self, place: Place) -> Option<Uuid> {
        Some(self.records.ledger.rooms.get(place.room)?.members.get(place.member)?.user)
    }

    /// A message of this member that it knows to be stored: number and seq.
    fn own(&self, place: Place) -> Option<(u32, u64)> {
        let member = self.records.ledger.rooms.get(place.room)?.members.get(place.member)?;
        let deleted = |seq: u64| member.conversation.deeds.iter().any(|done| done.deed == Deed::Delete { seq });
        for _ in 0..LOOKS {
            let back = rand::random_range(0..RECENT as usize / 2);
            let n = member.sent.len().checked_sub(1 + back);
            if let Some(n) = n
                && let Some(Outcome::Acknowledged { seq, .. }) = member.sent.get(n).map(|sent| sent.outcome)
                && !deleted(seq)
            {
                return Some((u32::try_from(n).ok()?, seq));
            }
        }
        None
    }

    /// A message of anybody that this member sees and that begins a thread or might.
    fn somebodys(&self, place: Place) -> Option<u64> {
        let newest = self.newest(place)?;
        let room = self.records.ledger.rooms.get(place.room)?;
        let view = &room.members.get(place.member)?.conversation.view;
        (0..LOOKS).find_map(|_| {
            let seq = newest.checked_sub(rand::random_range(0..RECENT)).filter(|seq| *seq > room.base_seq)?;
            let face = view.rows.get(&seq)?.look.as_ref()?.face()?;
            (!face.deleted && face.thread.is_none()).then_some(seq)
        })
    }

    /// The newest message of the room that anybody has seen.
    fn newest(&self, place: Place) -> Option<u64> {
        let room = self.records.ledger.rooms.get(place.room)?;
        (!room.rows.is_empty()).then(|| room.base_seq + room.rows.len() as u64)
    }

    /// When all is said, the last member of each room leaves it and the second blocks the first, so that there is always somebody who must not see;
    /// the first pins something, so that there is always something pinned.
    pub fn epilogue(&mut self) {
        if !self.manners.mix.converses() {
            return;
        }
        for room in 0..self.who.len() {
            let meant = Instant::now().saturating_duration_since(self.records.begun);
            let last = self.who.get(room).map_or(0, |seats| seats.len().saturating_sub(1));
            let [first, second, last] = [0, 1, last].map(|member| Place { room, member });
            let person = self.who.get(room).and_then(|seats| seats.get(1)).map(|(person, _)| *person);
            if let Some(seq) = self.somebodys(first) {
                self.act(first, Deed::Pin { seq, on: true }, meant);
            }
            if last.member > 1 {
                self.act(last, Deed::Leave, meant);
            }
            if let Some((user, person)) = self.user(first).zip(person)
                && !self.readers.contains(&person)
            {
                self.act(second, Deed::Block { user, on: true }, meant);
            }
        }
        self.flush();
    }

    /// Notes who is not in a room when all is said.
    pub fn note_who_is_out(&mut self) {
        for seat in self.bots.iter().flat_map(|bot| &bot.talk.seats) {
            if let Some(of) = self.records.ledger.conversation(seat.place) {
                of.out = !seat.is_in();
            }
        }
    }
}

fn is_open(fate: crate::report::conversation::Fate) -> bool {
    fate == crate::report::conversation::Fate::Open
}
