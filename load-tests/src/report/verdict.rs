//! Did the promises hold? Compares a run's ledger with the whole stored history. Pure.

use super::conversation::Fate;
use super::ledger::{Ledger, MemberLedger, Outcome, RoomLedger, Row};
use crate::action::text::Stamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;
use uuid::Uuid;

/// A promise broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breach {
    /// Acknowledged and not stored, or stored and never delivered to a member who stayed or resumed.
    Lost,
    /// One post stored twice, or one number with two bodies.
    Duplicated,
    /// Against the order of revisions, or of one sender's posts.
    Reordered,
    /// Seen and not stored, or never sent by anybody.
    Ghost,
    /// Numbers that are not dense, or a hole in what a live member received.
    Gap,
    /// The answer to a post says something else than the store.
    Disagreed,
    /// A change that was acknowledged (edit, deletion, reaction, pin, block, read mark) is not stored.
    Undone,
    /// What came to a member, live and after resuming, or what it reads, is not what is stored.
    Differs,
    /// Replies or unread messages counted wrongly.
    Miscounted,
    /// Something of a person reached who blocks them.
    Shown,
    /// Something of a room reached who was not in it.
    Overheard,
}

impl Breach {
    /// All, as they are reported.
    pub const ALL: [Self; 11] = [
        Self::Lost,
        Self::Duplicated,
        Self::Reordered,
        Self::Ghost,
        Self::Gap,
        Self::Disagreed,
        Self::Undone,
        Self::Differs,
        Self::Miscounted,
        Self::Shown,
        Self::Overheard,
    ];
}

/// Breaches counted, the first few told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    counts: BTreeMap<Breach, u64>,
    /// The first few of each kind.
    pub examples: Vec<(Breach, String)>,
}

impl Findings {
    const EXAMPLES: u64 = 5;

    /// Notes a breach; `tell` is only called for the first few.
    pub fn add(&mut self, breach: Breach, tell: impl FnOnce() -> String) {
        let count = self.counts.entry(breach).or_default();
        *count += 1;
        if *count <= Self::EXAMPLES {
            self.examples.push((breach, tell()));
        }
    }

    pub fn count(&self, breach: Breach) -> u64 {
        self.counts.get(&breach).copied().unwrap_or(0)
    }

    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

/// A message as the history tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub seq: u64,
    pub revision: u64,
    pub author: Uuid,
    pub client_id: Uuid,
    pub stamp: Option<Stamp>,
    pub created_at: String,
    pub body: u64,
}

/// What the judgement found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub findings: Findings,
    pub sent: u64,
    pub acknowledged: u64,
    pub refused: u64,
    /// Posts without a final answer; they may be stored or not.
    pub unanswered: u64,
    /// Messages of this run in the store.
    pub stored: u64,
    /// Sightings of messages of this run.
    pub seen: u64,
    /// Members who were there from the start and stayed or came back.
    pub members: u64,
    /// What was done besides posting, and how much of it was acknowledged.
    pub deeds: u64,
    pub deeds_acknowledged: u64,
}

/// Judges all rooms; `history` has the messages after `base_seq` of each room, in the order the store gave them.
pub fn judge(ledger: &Ledger, history: &[Vec<Stored>]) -> Verdict {
    let mut verdict = Verdict { findings: ledger.findings.clone(), ..Verdict::default() };
    for (index, room) in ledger.rooms.iter().enumerate() {
        let stored = history.get(index).map_or(&[][..], Vec::as_slice);
        let stamped;
        let stored = if ledger.converses {
            stamped = with_stamps(ledger.run, index, room, stored);
            &stamped
        } else {
            stored
        };
        let (run, in_full, changing) = (ledger.run, ledger.in_full, ledger.converses);
        let mut judge = Judge { index, run, in_full, changing, room, stored, found: &mut verdict.findings };
        judge.numbers();
        judge.authors();
        judge.answers();
        if !ledger.converses {
            judge.revisions();
            judge.sightings();
            judge.deliveries();
        }
        tally(&mut verdict, ledger.run, room, stored);
    }
    verdict
}

fn tally(verdict: &mut Verdict, run: u32, room: &RoomLedger, stored: &[Stored]) {
    for sent in room.members.iter().flat_map(|member| &member.sent) {
        verdict.sent += 1;
        match sent.outcome {
            Outcome::Unanswered => verdict.unanswered += 1,
            Outcome::Acknowledged { .. } => verdict.acknowledged += 1,
            Outcome::Refused => verdict.refused += 1,
        }
    }
    verdict.stored += stored.iter().filter(|message| ours(run, message).is_some()).count() as u64;
    verdict.seen += room.rows.iter().flatten().filter(|row| row.post.is_some()).map(|row| u64::from(row.seen)).sum::<u64>();
    verdict.members += room.watching() as u64;
    for done in room.members.iter().flat_map(|member| &member.conversation.deeds) {
        verdict.deeds += 1;
        verdict.deeds_acknowledged += u64::from(done.fate == Fate::Done);
    }
}

/// The same with the stamps of what was deleted, which its `client_id` tells.
fn with_stamps(run: u32, index: usize, room: &RoomLedger, stored: &[Stored]) -> Vec<Stored> {
    let mut sent = HashMap::new();
    for (sender, member) in room.members.iter().enumerate() {
        for (n, post) in member.sent.iter().enumerate() {
            sent.insert((member.user, post.client_id), (sender, n));
        }
    }
    let stamp = |message: &Stored| {
        let (sender, n) = sent.get(&(message.author, message.client_id))?;
        let [room, sender, n] = [index, *sender, *n].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        Some(Stamp { run, room, sender, n, meant: Duration::ZERO })
    };
    stored.iter().map(|message| Stored { stamp: message.stamp.or_else(|| stamp(message)), ..message.clone() }).collect()
}

/// The stamp of a message of this run.
fn ours(run: u32, message: &Stored) -> Option<Stamp> {
    message.stamp.filter(|stamp| stamp.run == run)
}

struct Judge<'a> {
    index: usize,
    run: u32,
    in_full: bool,
    /// Messages change, and their revisions with them.
    changing: bool,
    room: &'a RoomLedger,
    stored: &'a [Stored],
    found: &'a mut Findings,
}

impl Judge<'_> {
    /// seq and revision are dense and rise together, and time with them (I1).
    fn numbers(&mut self) {
        let room = self.index;
        let mut expected = self.room.base_seq + 1;
        let mut before: Option<&Stored> = None;
        for message in self.stored {
            let (seq, revision) = (message.seq, message.revision);
            if seq < expected {
                self.found.add(Breach::Duplicated, || format!("room {room}: seq {seq} comes again in the history"));
            } else if seq > expected {
                self.found.add(Breach::Gap, || format!("room {room}: seq {expected} to {} are not stored", seq - 1));
            }
            expected = expected.max(seq + 1);
            if let Some(before) = before {
                if revision <= before.revision && !self.changing {
                    self.found.add(Breach::Reordered, || {
                        format!("room {room} seq {seq}: revision {revision} is not above the one before")
                    });
                }
                if instant(&message.created_at) < instant(&before.created_at) {
                    self.found.add(Breach::Reordered, || format!("room {room} seq {seq}: created before the message before it"));
                }
            }
            before = Some(message);
        }
    }

    fn revisions(&mut self) {
        let (room, Some(base)) = (self.index, self.room.base) else { return };
        let stored: HashSet<u64> = self.stored.iter().map(|message| message.revision).collect();
        let last = stored.iter().copied().max().unwrap_or(0).max(base + self.room.rows.len() as u64);
        for revision in base + 1..=last {
            let seen = self.room.index(revision).and_then(|index| self.room.rows.get(index)).is_some_and(Option::is_some);
            if !seen && !stored.contains(&revision) {
                self.found.add(Breach::Gap, || format!("room {room}: nothing at revision {revision}"));
            }
        }
    }

    /// Each post is stored once, under its author, in the author's order (I1, I3).
    fn authors(&mut self) {
        let room = self.index;
        let mut ids = HashSet::new();
        let mut numbers = HashSet::new();
        let mut newest: HashMap<u32, u32> = HashMap::new();
        for message in self.stored {
            if !ids.insert((message.author, message.client_id)) {
                self.found.add(Breach::Duplicated, || format!("room {room} seq {}: its client_id is stored twice", message.seq));
            }
            let Some(Stamp { sender, n, .. }) = ours(self.run, message) else { continue };
            let name = format_args!("room {room} sender {sender} n {n} (seq {})", message.seq);
            if !numbers.insert((sender, n)) {
                self.found.add(Breach::Duplicated, || format!("{name}: stored twice"));
            } else if newest.get(&sender).is_some_and(|newest| *newest > n) {
                self.found.add(Breach::Reordered, || format!("{name}: stored behind a later one"));
            }
            newest.entry(sender).and_modify(|newest| *newest = n.max(*newest)).or_insert(n);
            let member = self.room.members.get(sender as usize);
            let sent = member.and_then(|member| member.sent.get(n as usize));
            if sent.is_none_or(|sent| sent.client_id != message.client_id)
                || member.is_none_or(|member| member.user != message.author)
            {
                self.found.add(Breach::Ghost, || format!("{name}: nobody sent this"));
            }
        }
    }

    /// What was acknowledged is stored where the answer said; what was refused for good is not (I2, I3).
    fn answers(&mut self) {
        let room = self.index;
        let by_id: HashMap<(Uuid, Uuid), &Stored> =
            self.stored.iter().map(|message| ((message.author, message.client_id), message)).collect();
        for (sender, member) in self.room.members.iter().enumerate() {
            for (n, sent) in member.sent.iter().enumerate() {
                let stored = by_id.get(&(member.user, sent.client_id));
                let name = format_args!("room {room} sender {sender} n {n}");
                match (sent.outcome, stored) {
                    (Outcome::Acknowledged { seq, .. }, None) => {
                        self.found.add(Breach::Lost, || format!("{name}: acknowledged as seq {seq}, not stored"));
                    }
                    (Outcome::Acknowledged { seq, revision }, Some(stored))
                        if seq != stored.seq || !self.is_revision(revision, stored.revision) =>
                    {
                        let (at, under) = (stored.seq, stored.revision);
                        self.found.add(Breach::Disagreed, || {
                            format!("{name}: acknowledged as seq {seq} revision {revision}, stored as {at}, {under}")
                        });
                    }
                    (Outcome::Refused, Some(stored)) => {
                        self.found.add(Breach::Disagreed, || format!("{name}: refused, but stored as seq {}", stored.seq));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Whether what was acknowledged under a revision may be stored under this one.
    fn is_revision(&self, acknowledged: u64, stored: u64) -> bool {
        acknowledged == stored || self.changing && acknowledged < stored
    }

    /// What anybody saw is stored, and says the same (I2).
    fn sightings(&mut self) {
        let room = self.index;
        let by_revision: HashMap<u64, &Stored> = self.stored.iter().map(|message| (message.revision, message)).collect();
        let base = self.room.base.unwrap_or(0);
        for (revision, row) in (base + 1..).zip(&self.room.rows) {
            let Some(row) = row.filter(|row| row.seq > 0) else { continue };
            let stored = by_revision.get(&revision);
            if !stored.is_some_and(|stored| self.same(&row, stored)) {
                let there = stored.map(|stored| (stored.seq, ours(self.run, stored).map(|stamp| (stamp.sender, stamp.n))));
                self.found.add(Breach::Ghost, || format!("room {room} revision {revision}: saw {row:?}, stored {there:?}"));
            }
        }
    }

    fn same(&self, row: &Row, stored: &Stored) -> bool {
        let post = ours(self.run, stored).map(|stamp| (stamp.sender, stamp.n));
        row.seq == stored.seq && row.post == post && (!self.in_full || row.body == stored.body)
    }

    /// Everybody who stayed or resumed saw everything (I6, I7).
    fn deliveries(&mut self) {
        let room = self.index;
        for (number, member) in self.room.members.iter().enumerate().filter(|(_, member)| !member.gone) {
            for message in self.stored.iter().filter(|message| is_owed(member, message.revision)) {
                if !self.room.index(message.revision).is_some_and(|index| member.saw(index)) {
                    let post = ours(self.run, message).map(|stamp| (stamp.sender, stamp.n));
                    self.found.add(Breach::Lost, || {
                        format!("room {room} (sender, n) {post:?}, seq {}: never delivered to member {number}", message.seq)
                    });
                }
            }
        }
    }
}

/// Whether `member` was to receive `revision`.
fn is_owed(member: &MemberLedger, revision: u64) -> bool {
    let skipped = |(from, to): &(u64, u64)| *from < revision && revision <= *to;
    member.from.is_some_and(|from| from < revision) && !member.skipped.iter().any(skipped)
}

/// RFC 3339 leaves the number of digits after the second open, so texts are not in the order of their times. `None`, which is before all times, is
/// not a time.
fn instant(text: &str) -> Option<chrono::DateTime<chrono::FixedOffset>> {
    chrono::DateTime::parse_from_rfc3339(text).ok()
}
