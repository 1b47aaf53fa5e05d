//! Did the promises hold for what people do besides posting? Three comparisons, each with the next: what was acknowledged, what the room's first
//! member reads (who blocks nobody and never leaves), what each other member reads, and what that one knows by what came. Pure.

use super::conversation::{Conversation, Done, Fate};
use super::ledger::{Ledger, MemberLedger, Outcome, RoomLedger};
use super::verdict::{Breach, Findings};
use crate::action::deed::{Deed, EMOJI};
use crate::bot::read_back::Reading;
use crate::bot::view::{Face, Known, Look, Words};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// What everybody who was asked has read of each room; `None` for who was not asked.
pub type Readings = Vec<Vec<Option<Reading>>>;

/// Judges all rooms.
pub fn judge_talk(ledger: &Ledger, readings: &Readings, found: &mut Findings) {
    for (index, room) in ledger.rooms.iter().enumerate() {
        let readings = readings.get(index).map_or(&[][..], Vec::as_slice);
        let Some(Some(Reading { history: Ok(stored), .. })) = readings.first() else {
            found.add(Breach::Lost, || format!("room {index}: its first member cannot read it"));
            continue;
        };
        let deeds = Deeds::of(room);
        let mut judge = Judge { index, run: ledger.run, room, deeds, stored, found };
        judge.messages();
        judge.threads();
        judge.memberships();
        for (number, (member, reading)) in room.members.iter().zip(readings).enumerate() {
            let Some(reading) = reading.as_ref().filter(|_| !member.gone) else { continue };
            judge.reads(number, &member.conversation, reading);
        }
    }
    typing(ledger, found);
}

/// So many chances to be told that somebody types do not all pass unused by accident.
const TYPINGS: usize = 8;

/// That somebody types may get lost, but not always: it must have reached somebody who stayed and has nothing against the other, nor the other
/// against them.
fn typing(ledger: &Ledger, found: &mut Findings) {
    let reached: u64 = ledger.rooms.iter().flat_map(|room| &room.members).map(|member| member.conversation.typed).sum();
    if reached > 0 {
        return;
    }
    let chances: usize = ledger.rooms.iter().map(chances_to_hear_typing).sum();
    if chances >= TYPINGS {
        found.add(Breach::Lost, || format!("nobody was told that anybody types, with {chances} chances to be"));
    }
}

fn chances_to_hear_typing(room: &RoomLedger) -> usize {
    let have_blocked = |one: &MemberLedger, other: &MemberLedger| {
        let is_block = |done: &Done| matches!(done.deed, Deed::Block { user, .. } if user == other.user);
        one.conversation.deeds.iter().any(is_block)
    };
    let typings = |typist: &MemberLedger| {
        typist.conversation.deeds.iter().filter(|done| done.deed == Deed::Typing && done.fate == Fate::Done).count()
    };
    let hear = |typist: &MemberLedger| {
        let open = |viewer: &&MemberLedger| {
            !viewer.gone && viewer.user != typist.user && !have_blocked(viewer, typist) && !have_blocked(typist, viewer)
        };
        room.members.iter().filter(open).count()
    };
    room.members
        .iter()
        .map(|typist| (typist, typings(typist)))
        .filter(|(_, count)| *count > 0)
        .map(|(typist, count)| count * hear(typist))
        .sum()
}

/// What was done to a room, by what it was done to.
#[derive(Default)]
struct Deeds<'a> {
    edits: HashMap<u64, Vec<&'a Done>>,
    deletions: HashMap<u64, Vec<&'a Done>>,
    /// By message, emoji and person.
    reactions: HashMap<(u64, &'a str, Uuid), Vec<&'a Done>>,
    pins: HashMap<u64, Vec<&'a Done>>,
}

impl<'a> Deeds<'a> {
    fn of(room: &'a RoomLedger) -> Self {
        let mut all = Self::default();
        for member in &room.members {
            for done in &member.conversation.deeds {
                match &done.deed {
                    Deed::Edit { seq, .. } => all.edits.entry(*seq).or_default().push(done),
                    Deed::Delete { seq } => all.deletions.entry(*seq).or_default().push(done),
                    Deed::React { seq, emoji, .. } => {
                        let emoji = EMOJI.get(*emoji).copied().unwrap_or_default();
                        all.reactions.entry((*seq, emoji, member.user)).or_default().push(done);
                    }
                    Deed::Pin { seq, .. } => all.pins.entry(*seq).or_default().push(done),
                    _ => {}
                }
            }
        }
        all
    }
}

/// What may be so after these deeds in their order, of which `state` says what each sets: what the last that is done set, and what any set later
/// that may have happened.
fn possible<T>(deeds: Option<&Vec<&Done>>, before: T, state: impl Fn(&Deed) -> T) -> Vec<T> {
    let mut states = vec![before];
    for done in deeds.into_iter().flatten() {
        match done.fate {
            Fate::Done => states = vec![state(&done.deed)],
            Fate::Open => states.push(state(&done.deed)),
            Fate::Refused => {}
        }
    }
    states
}

fn on(deed: &Deed) -> bool {
    matches!(deed, Deed::React { on: true, .. } | Deed::Pin { on: true, .. } | Deed::Delete { .. } | Deed::Block { on: true, .. })
}

struct Judge<'a> {
    index: usize,
    run: u32,
    room: &'a RoomLedger,
    deeds: Deeds<'a>,
    stored: &'a BTreeMap<u64, Known>,
    found: &'a mut Findings,
}

impl Judge<'_> {
    /// Each message is as the acknowledged deeds have left it.
    fn messages(&mut self) {
        let room = self.index;
        for (seq, known) in self.stored {
            let Some(Look::Shown(face)) = &known.look else {
                self.found.add(Breach::Differs, || format!("room {room} seq {seq}: hidden from who blocks nobody"));
                continue;
            };
            self.is_or_may_be("deleted", *seq, face.deleted, &possible(self.deeds.deletions.get(seq), false, on));
            if face.deleted {
                let left = face.words != Words::Gone || !face.reactions.is_empty() || face.pinned;
                if left {
                    self.found.add(Breach::Undone, || format!("room {room} seq {seq}: deleted, and something is left: {face:?}"));
                }
                continue;
            }
            self.is_or_may_be("pinned", *seq, face.pinned, &possible(self.deeds.pins.get(seq), false, on));
            self.words(*seq, face);
            self.reactions(*seq, face);
        }
    }

    fn is_or_may_be(&mut self, what: &str, seq: u64, is: bool, may_be: &[bool]) {
        let room = self.index;
        if !may_be.contains(&is) {
            let breach = if is { Breach::Ghost } else { Breach::Undone };
            self.found.add(breach, || format!("room {room} seq {seq}: {what} is {is}, by what was acknowledged it is not"));
        }
    }

    fn words(&mut self, seq: u64, face: &Face) {
        let room = self.index;
        let Words::Said { run, edit, .. } = face.words else { return };
        let edit_of = |deed: &Deed| if let Deed::Edit { edit, .. } = deed { *edit } else { 0 };
        let may_be = possible(self.deeds.edits.get(&seq), 0, edit_of);
        if run == self.run && !may_be.contains(&edit) {
            self.found.add(Breach::Undone, || {
                format!("room {room} seq {seq}: its text is of edit {edit}, by what was acknowledged of {may_be:?}")
            });
        }
    }

    fn reactions(&mut self, seq: u64, face: &Face) {
        let room = self.index;
        for ((_, emoji, user), deeds) in self.deeds.reactions.iter().filter(|((of, ..), _)| *of == seq) {
            let is = face.reactions.contains(&((*emoji).to_owned(), *user));
            if !possible(Some(deeds), false, on).contains(&is) {
                let breach = if is { Breach::Ghost } else { Breach::Undone };
                self.found.add(breach, || {
                    format!("room {room} seq {seq}: {emoji} of {user} is {is}, by what was acknowledged it is not")
                });
            }
        }
        for (emoji, user) in &face.reactions {
            if !self.deeds.reactions.contains_key(&(seq, emoji.as_str(), *user)) {
                self.found.add(Breach::Ghost, || format!("room {room} seq {seq}: {emoji} of {user}, who never reacted"));
            }
        }
    }

    /// Replies stand where they were said, and are counted.
    fn threads(&mut self) {
        let room = self.index;
        let mut counted: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for (seq, face) in self.stored.iter().filter_map(|(seq, known)| Some((*seq, known.look.as_ref()?.face()?))) {
            if let Some(first) = face.thread {
                let (count, last) = counted.entry(first).or_default();
                *count += u64::from(!face.deleted);
                *last = seq.max(*last);
            }
        }
        for (seq, known) in self.stored {
            let Some(Look::Shown(face)) = &known.look else { continue };
            let (told, is) = (face.replies, counted.get(seq).copied());
            // A thread all of whose messages are deleted may be told as empty or not at all.
            if told != is && !(told.is_none() && is.is_some_and(|(count, _)| count == 0)) {
                self.found
                    .add(Breach::Miscounted, || format!("room {room} seq {seq}: replies (count, last) {told:?}, stored {is:?}"));
            }
        }
        for member in &self.room.members {
            for sent in &member.sent {
                let Outcome::Acknowledged { seq, .. } = sent.outcome else { continue };
                let said = self.stored.get(&seq).and_then(|known| known.look.as_ref()?.face());
                if let Some(face) = said.filter(|face| face.thread != sent.thread) {
                    let (is, asked) = (face.thread, sent.thread);
                    self.found
                        .add(Breach::Disagreed, || format!("room {room} seq {seq}: said in thread {asked:?}, stored in {is:?}"));
                }
            }
        }
    }

    /// Nothing of the room reached anybody between the revision that ended their membership and the one that began it again.
    fn memberships(&mut self) {
        let room = self.index;
        for (number, member) in self.room.members.iter().enumerate() {
            let mut own: Vec<_> = self.room.standings.iter().filter(|standing| standing.user == member.user).collect();
            own.sort_by_key(|standing| standing.revision);
            for (at, left) in own.iter().enumerate().filter(|(_, standing)| !standing.joined) {
                let back = match own.get(at + 1) {
                    Some(next) if next.joined => next.revision,
                    Some(_) => continue,
                    None => u64::MAX,
                };
                let inside = |(from, to): &&(u64, u64)| (*from).max(left.revision) < (*to).min(back - 1);
                if let Some((from, to)) = member.conversation.heard.iter().find(inside) {
                    let left = left.revision;
                    self.found.add(Breach::Overheard, || {
                        format!(
                            "room {room} member {number}: out at revision {left}, in again at {back}, received ({from}, {to}]"
                        )
                    });
                }
            }
        }
    }

    /// What one member reads is what the first reads, but for whom they block; and what came to it says the same.
    fn reads(&mut self, number: usize, own: &Conversation, reading: &Reading) {
        let room = self.index;
        let history = match &reading.history {
            Err(_) if own.out => return,
            Err(code) => {
                return self.found.add(Breach::Differs, || format!("room {room} member {number}: cannot read it: {code}"));
            }
            Ok(_) if own.out => {
                return self.found.add(Breach::Overheard, || format!("room {room} member {number}: reads it, and is not in it"));
            }
            Ok(history) => history,
        };
        self.hides(number, reading, history);
        self.aside(number, reading, history);
        self.place(number, own, reading);
        self.blocks(number, own, reading);
        self.view(number, own, history);
    }

    fn hides(&mut self, number: usize, reading: &Reading, history: &BTreeMap<u64, Known>) {
        let room = self.index;
        for (seq, known) in self.stored {
            let Some(Look::Shown(face)) = &known.look else { continue };
            let seen = history.get(seq).and_then(|known| known.look.as_ref());
            let due =
                if reading.blocks.contains(&face.author) { Look::Hidden } else { Look::Shown(without(face, &reading.blocks)) };
            match seen {
                Some(look) if *look == due => {}
                Some(Look::Shown(_)) if due == Look::Hidden => {
                    self.found.add(Breach::Shown, || format!("room {room} member {number} seq {seq}: reads somebody it blocks"));
                }
                Some(Look::Shown(seen)) if seen.reactions.iter().any(|(_, user)| reading.blocks.contains(user)) => {
                    self.found.add(Breach::Shown, || {
                        format!("room {room} member {number} seq {seq}: sees the reaction of somebody it blocks")
                    });
                }
                seen => self
                    .found
                    .add(Breach::Differs, || format!("room {room} member {number} seq {seq}: reads {seen:?}, should {due:?}")),
            }
        }
    }

    /// Threads and pins show each message as the history does.
    fn aside(&mut self, number: usize, reading: &Reading, history: &BTreeMap<u64, Known>) {
        let room = self.index;
        for (seq, look) in &reading.aside {
            let due = history.get(seq).and_then(|known| known.look.as_ref());
            if due.is_some() && due != Some(look) {
                let breach = if due == Some(&Look::Hidden) { Breach::Shown } else { Breach::Differs };
                self.found.add(breach, || {
                    format!("room {room} member {number} seq {seq}: thread or pins show {look:?}, history {due:?}")
                });
            }
        }
        let pinned = |known: &Known| known.look.as_ref().and_then(Look::face).is_some_and(|face| face.pinned);
        let due: BTreeSet<u64> = self.stored.iter().filter(|(_, known)| pinned(known)).map(|(seq, _)| *seq).collect();
        if reading.pins != due {
            let pins = &reading.pins;
            self.found.add(Breach::Differs, || format!("room {room} member {number}: pinned are {pins:?}, should be {due:?}"));
        }
    }

    /// Nothing that was read is unread again, and what is unread is counted.
    fn place(&mut self, number: usize, own: &Conversation, reading: &Reading) {
        let room = self.index;
        let Some(place) = reading.place else { return };
        let asked = |wanted: &dyn Fn(Fate) -> bool| {
            let read =
                |done: &Done| if let Deed::Read { seq } = done.deed { Some(seq).filter(|_| wanted(done.fate)) } else { None };
            own.deeds.iter().filter_map(read).max().unwrap_or(0)
        };
        let (least, most) = (asked(&|fate| fate == Fate::Done), asked(&|fate| fate != Fate::Refused).max(self.room.base_seq));
        if place.read_seq < least.max(own.read) || place.read_seq > most {
            let (read, told) = (place.read_seq, own.read);
            self.found.add(Breach::Undone, || {
                format!("room {room} member {number}: read up to {read}; acknowledged {least}, told {told}, asked {most}")
            });
        }
        let last = self.stored.last_key_value().map_or(self.room.base_seq, |(seq, _)| *seq);
        let due = last.saturating_sub(place.read_seq.max(place.visible_from_seq.saturating_sub(1)));
        if place.unread != due {
            self.found
                .add(Breach::Miscounted, || format!("room {room} member {number}: {} unread, should be {due}", place.unread));
        }
    }

    /// Who was blocked is, and nobody else.
    fn blocks(&mut self, number: usize, own: &Conversation, reading: &Reading) {
        let room = self.index;
        let mut asked: HashMap<Uuid, Vec<&Done>> = HashMap::new();
        for done in &own.deeds {
            if let Deed::Block { user, .. } = done.deed {
                asked.entry(user).or_default().push(done);
            }
        }
        for (user, deeds) in &asked {
            let is = reading.blocks.contains(user);
            if !possible(Some(deeds), false, on).contains(&is) {
                self.found.add(Breach::Undone, || {
                    format!("room {room} member {number}: blocks {user} is {is}, by what was acknowledged not")
                });
            }
        }
    }

    /// What came, live and after resuming, shows what REST shows; and everything came that had to.
    fn view(&mut self, number: usize, own: &Conversation, history: &BTreeMap<u64, Known>) {
        let room = self.index;
        let has_blocked = own.deeds.iter().any(|done| matches!(done.deed, Deed::Block { .. }));
        for (seq, stored) in history {
            match own.view.rows.get(seq) {
                Some(Known { look: Some(look), revision }) => {
                    // Of a reaction of somebody whom one blocks one is told nothing, so the revision may be an older one.
                    let as_new = has_blocked || *revision == stored.revision;
                    if Some(look) != stored.look.as_ref() || !as_new {
                        self.found.add(Breach::Differs, || {
                            format!(
                                "room {room} member {number} seq {seq}: shows {look:?} of revision {revision}, stored {stored:?}"
                            )
                        });
                    }
                }
                Some(Known { look: None, .. }) => {}
                None if stored.revision <= own.view.since || has_blocked && !self.is_new(*seq, own.view.since) => {}
                None => self.found.add(Breach::Lost, || {
                    format!("room {room} seq {seq}, revision {}: never delivered to member {number}", stored.revision)
                }),
            }
        }
        for (seq, known) in own.view.rows.iter().filter(|(seq, _)| **seq > self.room.base_seq && !history.contains_key(seq)) {
            self.found
                .add(Breach::Ghost, || format!("room {room} member {number} seq {seq}: shows {known:?}, nothing is stored"));
        }
    }

    /// Whether `seq` was posted after `revision`, as far as is known.
    fn is_new(&self, seq: u64, revision: u64) -> bool {
        let mut sent = self.room.members.iter().flat_map(|member| &member.sent);
        sent.any(
            |sent| matches!(sent.outcome, Outcome::Acknowledged { seq: at, revision: under } if at == seq && under > revision),
        )
    }
}

/// A message without the reactions of these people.
fn without(face: &Face, people: &BTreeSet<Uuid>) -> Face {
    let mut seen = face.clone();
    seen.reactions.retain(|(_, user)| !people.contains(user));
    seen
}
