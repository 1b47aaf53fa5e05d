//! The ledger of a run: what was posted and answered, what was seen, by whom. Compact, for it is written in the hot path: a row per
//! revision, shared by all who saw it, and one bit per member and revision.
//!
//! What can be judged at once (two bodies under one revision, rows out of order, holes) is noted here; the rest is judged at the end, against
//! the store, by [`super::verdict`].

use super::conversation::{Conversation, Standing};
use super::verdict::{Breach, Findings};
use crate::bot::{Place, Sighting};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Everything a run remembers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ledger {
    /// The run's mark in its texts.
    pub run: u32,
    /// Every frame was read in full and fingerprinted.
    pub in_full: bool,
    /// People do more than post: rows are then counted by seq, as messages change their revision.
    #[serde(default)]
    pub converses: bool,
    pub rooms: Vec<RoomLedger>,
    /// Judged while it ran.
    pub findings: Findings,
}

/// One room.
#[derive(Debug, Serialize, Deserialize)]
pub struct RoomLedger {
    pub id: Uuid,
    /// The newest message before the run; not the run's business, nor are those before it.
    pub base_seq: u64,
    /// The revision at which the first member began; rows are counted from there.
    pub base: Option<u64>,
    /// What was seen at revision `base + 1 + index`.
    pub rows: Vec<Option<Row>>,
    pub members: Vec<MemberLedger>,
    /// The newest revision that reached anybody, where people converse.
    #[serde(default)]
    pub newest: u64,
    /// Who joined and left, where people converse.
    #[serde(default)]
    pub standings: Vec<Standing>,
}

/// What was seen at one revision, by whoever saw it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// 0 for what is no message.
    pub seq: u64,
    /// Member and number of a post of this run.
    pub post: Option<(u32, u32)>,
    pub body: u64,
    /// How many members saw it.
    pub seen: u32,
}

/// One member of a room.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct MemberLedger {
    pub user: Uuid,
    /// Its posts, by number.
    pub sent: Vec<Sent>,
    /// It was to receive everything after this revision.
    pub from: Option<u64>,
    /// Revisions (from, to] that it was told it would not receive.
    pub skipped: Vec<(u64, u64)>,
    /// Its membership ended, or it stayed away: it need not have seen what came after.
    pub gone: bool,
    /// What it did and knows, beside posts.
    #[serde(default)]
    pub conversation: Conversation,
    /// Bit `revision - base - 1`: it saw that.
    seen: Vec<u64>,
}

/// A post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    pub client_id: Uuid,
    pub outcome: Outcome,
    /// The thread it was said in.
    #[serde(default)]
    pub thread: Option<u64>,
}

/// What became of a post, as far as its sender knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It may be stored or not.
    Unanswered,
    Acknowledged {
        seq: u64,
        revision: u64,
    },
    /// For good; it must not be stored.
    Refused,
}

/// What the sighting of a message meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    /// How many members have seen it now.
    pub seen: u32,
}

impl MemberLedger {
    pub fn new(user: Uuid) -> Self {
        Self { user, ..Self::default() }
    }

    /// Whether it saw what stands at `index`.
    pub fn saw(&self, index: usize) -> bool {
        self.seen.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Sets the bit; false when it was set.
    fn mark(&mut self, index: usize) -> bool {
        let word = index / 64;
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        let Some(word) = self.seen.get_mut(word) else { return false };
        let bit = 1 << (index % 64);
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }
}

impl RoomLedger {
    pub fn new(id: Uuid, base_seq: u64, users: impl Iterator<Item = Uuid>) -> Self {
        let members = users.map(MemberLedger::new).collect();
        Self { id, base_seq, base: None, rows: Vec::new(), members, newest: 0, standings: Vec::new() }
    }

    /// How many members are there to see what is said.
    pub fn watching(&self) -> usize {
        self.members.iter().filter(|member| member.from.is_some() && !member.gone).count()
    }

    /// Where `revision` stands in `rows`; `None` for what was before the run.
    pub fn index(&self, revision: u64) -> Option<usize> {
        revision.checked_sub(self.base?)?.checked_sub(1).and_then(|index| usize::try_from(index).ok())
    }

    /// The newest revision anybody knows of.
    pub fn head(&self) -> u64 {
        let seen = if self.newest > 0 { self.newest } else { self.base.unwrap_or(0) + self.rows.len() as u64 };
        let acknowledged = self.members.iter().flat_map(|member| &member.sent).filter_map(|sent| match sent.outcome {
            Outcome::Acknowledged { revision, .. } => Some(revision),
            _ => None,
        });
        acknowledged.max().unwrap_or(0).max(seen)
    }

    fn row(&mut self, index: usize) -> Option<&mut Option<Row>> {
        // Far ahead of anything known: not a row of this room, and no reason to fill the memory.
        const AHEAD: usize = 10_000_000;
        if index > self.rows.len() + AHEAD {
            return None;
        }
        if self.rows.len() <= index {
            self.rows.resize(index + 1, None);
        }
        self.rows.get_mut(index)
    }
}

impl Ledger {
    pub fn new(run: u32, in_full: bool, rooms: Vec<RoomLedger>) -> Self {
        Self { run, in_full, converses: false, rooms, findings: Findings::default() }
    }

    /// A member is about to post; returns the number of the post.
    pub fn posting(&mut self, place: Place, client_id: Uuid, thread: Option<u64>) -> Option<u32> {
        let sent = &mut self.rooms.get_mut(place.room)?.members.get_mut(place.member)?.sent;
        sent.push(Sent { client_id, outcome: Outcome::Unanswered, thread });
        u32::try_from(sent.len() - 1).ok()
    }

    /// A post has its final answer.
    pub fn answered(&mut self, place: Place, n: u32, outcome: Outcome) {
        let Some(member) = self.rooms.get_mut(place.room).and_then(|room| room.members.get_mut(place.member)) else { return };
        let Some(sent) = member.sent.get_mut(n as usize) else { return };
        if sent.outcome != Outcome::Unanswered && sent.outcome != outcome {
            let before = sent.outcome;
            self.findings.add(Breach::Disagreed, || format!("{} n {n}: answered {before:?}, then {outcome:?}", at(place)));
        }
        sent.outcome = outcome;
    }

    /// The room is received from `head` on; what lay between `cursor` and it is not.
    pub fn began(&mut self, place: Place, cursor: Option<u64>, head: u64) {
        let converses = self.converses;
        let Some(room) = self.rooms.get_mut(place.room) else { return };
        room.base.get_or_insert(if converses { room.base_seq } else { head });
        if converses {
            room.newest = room.newest.max(head);
        }
        let Some(member) = room.members.get_mut(place.member) else { return };
        member.from.get_or_insert(head);
        if let Some(cursor) = cursor {
            member.skipped.push((cursor, head));
        }
    }

    /// A member saw a message.
    pub fn saw(&mut self, place: Place, sighting: &Sighting) -> Option<Noted> {
        let post = sighting.stamp.filter(|stamp| stamp.run == self.run).map(|stamp| (stamp.sender, stamp.n));
        if post.is_some() && sighting.stamp.is_some_and(|stamp| stamp.room as usize != place.room) {
            self.findings.add(Breach::Ghost, || format!("{} saw seq {}, said in another room", at(place), sighting.seq));
        }
        let row = Row { seq: sighting.seq, post, body: sighting.body, seen: 0 };
        self.note(place, if self.converses { sighting.seq } else { sighting.revision }, row)
    }

    /// A member saw another row.
    pub fn saw_other(&mut self, place: Place, revision: u64) {
        // Standing and timeline line share a revision: the second is no second sighting.
        let seen = self.rooms.get(place.room).and_then(|room| room.members.get(place.member)?.saw(room.index(revision)?).into());
        if seen == Some(false) {
            self.note(place, revision, Row { seq: 0, post: None, body: 0, seen: 0 });
        }
    }

    fn note(&mut self, place: Place, revision: u64, row: Row) -> Option<Noted> {
        let converses = self.converses;
        let room = self.rooms.get_mut(place.room)?;
        let index = room.index(revision)?;
        if !room.members.get_mut(place.member)?.mark(index) {
            // A message that changed comes again; whether it had to is judged by the member's view.
            if converses {
                return None;
            }
            self.findings.add(Breach::Duplicated, || format!("{} saw revision {revision} twice", at(place)));
            return None;
        }
        let known = room.row(index)?.get_or_insert(row);
        known.seen += 1;
        if converses {
            // Whoever was away, or blocks its author, first sees it without its words.
            known.post = known.post.or(row.post);
            return Some(Noted { seen: known.seen });
        }
        if (known.seq, known.post, known.body) != (row.seq, row.post, row.body) {
            let first = *known;
            self.findings.add(Breach::Duplicated, || format!("{} revision {revision}: saw {row:?}, others {first:?}", at(place)));
            return None;
        }
        Some(Noted { seen: known.seen })
    }
}

/// A place, for people.
pub fn at(place: Place) -> String {
    format!("room {} member {}", place.room, place.member)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::action::text::Stamp;
    use std::time::Duration;

    pub const HERE: Place = Place { room: 0, member: 0 };
    pub const THERE: Place = Place { room: 0, member: 1 };

    pub fn two_members() -> Ledger {
        let users = [1, 2].map(Uuid::from_u128);
        let mut ledger = Ledger::new(7, true, vec![RoomLedger::new(Uuid::from_u128(9), 100, users.into_iter())]);
        ledger.began(HERE, None, 10);
        ledger.began(THERE, None, 10);
        ledger
    }

    pub fn sighting(n: u32) -> Sighting {
        let stamp = Stamp { run: 7, room: 0, sender: 0, n, meant: Duration::ZERO };
        let place = u64::from(n) + 1;
        Sighting { seq: 100 + place, revision: 10 + place, stamp: Some(stamp), body: place }
    }

    #[test]
    fn each_sighting_counts_once() {
        let mut ledger = two_members();
        assert_eq!(ledger.saw(HERE, &sighting(0)), Some(Noted { seen: 1 }));
        assert_eq!(ledger.saw(THERE, &sighting(0)), Some(Noted { seen: 2 }));
        assert_eq!(ledger.findings.total(), 0);
        assert_eq!(ledger.saw(HERE, &sighting(0)), None);
        assert_eq!(ledger.findings.count(Breach::Duplicated), 1);
    }

    #[test]
    fn two_bodies_under_one_revision_are_a_finding() {
        let mut ledger = two_members();
        ledger.saw(HERE, &sighting(0));
        ledger.saw(THERE, &Sighting { body: 99, ..sighting(0) });
        assert_eq!(ledger.findings.count(Breach::Duplicated), 1);
    }

    #[test]
    fn what_was_before_the_run_is_ignored() {
        let mut ledger = two_members();
        assert_eq!(ledger.saw(HERE, &Sighting { revision: 10, ..sighting(0) }), None);
        assert_eq!(ledger.findings.total(), 0);
    }

    #[test]
    fn standing_and_line_of_one_revision_are_one_sighting() {
        let mut ledger = two_members();
        ledger.saw_other(HERE, 11);
        ledger.saw_other(HERE, 11);
        assert_eq!(ledger.findings.total(), 0);
        assert_eq!(ledger.rooms[0].head(), 11);
    }

    #[test]
    fn an_answer_that_changes_is_a_finding() {
        let mut ledger = two_members();
        assert_eq!(ledger.posting(HERE, Uuid::nil(), None), Some(0));
        ledger.answered(HERE, 0, Outcome::Acknowledged { seq: 101, revision: 11 });
        ledger.answered(HERE, 0, Outcome::Acknowledged { seq: 101, revision: 11 });
        assert_eq!(ledger.findings.total(), 0);
        ledger.answered(HERE, 0, Outcome::Acknowledged { seq: 102, revision: 12 });
        assert_eq!(ledger.findings.count(Breach::Disagreed), 1);
    }
}
