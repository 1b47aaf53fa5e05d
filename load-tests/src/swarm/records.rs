//! What the event loop keeps of what its bots tell: ledger, meter, and which rooms may go on in a closed loop.

use crate::action::deed::Deed;
use crate::bot::deeds::End;
use crate::bot::{Heard, Listener, Place, Sighting};
use crate::report::ledger::{Ledger, Outcome, at};
use crate::report::meter::Meter;
use crate::report::verdict::Breach;
use hubbub_load_tests::journal::Journal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

/// When a post of a closed loop is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Release {
    /// When its sender has the answer.
    Acknowledged,
    /// When everybody in the room has it.
    Delivered,
}

/// See the module.
#[derive(Debug)]
pub struct Records {
    pub ledger: Ledger,
    pub meter: Meter,
    /// What happened one by one, if that was asked for.
    pub journal: Option<Journal>,
    /// Rooms in which a post is done, to be taken by the loop.
    pub released: Vec<usize>,
    /// When the run's posts began; its texts count from here.
    pub begun: Instant,
    /// Why rooms began afresh, after the first time.
    pub resets: BTreeMap<String, u64>,
    release: Release,
    /// Members who watch each room: kept, for it is asked with every delivery.
    watching: Vec<usize>,
    /// When each post was meant: per room, member and n.
    meant: Vec<Vec<Vec<Duration>>>,
    /// The same of deeds.
    deeds_meant: Vec<Vec<Vec<Duration>>>,
    /// Of the posts of a run so many mention their whole room: every n-th of each sender; 0 for none.
    pub mention_every: u32,
}

impl Records {
    pub fn new(ledger: Ledger, meter: Meter, release: Release, begun: Instant) -> Self {
        let watching = vec![0; ledger.rooms.len()];
        let meant: Vec<_> = ledger.rooms.iter().map(|room| vec![Vec::new(); room.members.len()]).collect();
        Self {
            ledger,
            meter,
            journal: None,
            released: Vec::new(),
            begun,
            resets: BTreeMap::new(),
            release,
            watching,
            deeds_meant: meant.clone(),
            meant,
            mention_every: 0,
        }
    }

    /// Posts begin now.
    pub fn begin(&mut self) {
        self.begun = Instant::now();
        if let Some(journal) = &mut self.journal {
            #[expect(clippy::disallowed_methods, reason = "the journal is laid beside another process's times")]
            let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            journal.begun_unix_us = u64::try_from(unix.as_micros()).unwrap_or(u64::MAX);
        }
    }

    /// A member lost its socket, after having been welcomed.
    pub fn lost(&mut self, place: Place, now: Instant) {
        let since = self.since(now);
        if let Some(journal) = &mut self.journal {
            journal.lost(place.room, place.member, since);
        }
    }

    /// A post is about to be handed to its bot.
    pub fn posting(&mut self, place: Place, meant: Duration) {
        self.meter.counts.sent += 1;
        if let Some(posts) = self.meant.get_mut(place.room).and_then(|room| room.get_mut(place.member)) {
            posts.push(meant);
        }
    }

    /// A member is about to do something; the number of the deed.
    pub fn doing(&mut self, place: Place, deed: Deed, meant: Duration) -> Option<usize> {
        let no = self.ledger.doing(place, deed)?;
        if let Some(times) = self.deeds_meant.get_mut(place.room).and_then(|room| room.get_mut(place.member)) {
            times.push(meant);
        }
        Some(no)
    }

    /// When the `n`-th post of a member was meant to be sent.
    pub fn meant_for(&self, place: Place, n: u32) -> Duration {
        let meant = self.meant.get(place.room).and_then(|room| room.get(place.member)?.get(n as usize));
        meant.copied().unwrap_or_default()
    }

    /// Whether the `n`-th post of a sender mentions the whole room.
    pub fn mentions(&self, n: u32) -> bool {
        self.mention_every > 0 && n.is_multiple_of(self.mention_every)
    }

    /// A member will not come back, or is out: it is owed nothing any more.
    pub fn leave(&mut self, place: Place) {
        let Some(room) = self.ledger.rooms.get_mut(place.room) else { return };
        if let Some(member) = room.members.get_mut(place.member) {
            member.gone = true;
        }
        let watching = room.watching();
        if let Some(count) = self.watching.get_mut(place.room) {
            *count = watching;
        }
    }

    fn since(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.begun)
    }
}

impl Listener for Records {
    fn saw(&mut self, place: Place, sighting: Sighting, now: Instant) {
        self.meter.counts.delivered += 1;
        let noted = self.ledger.saw(place, &sighting);
        let (Some(noted), Some(stamp)) = (noted, sighting.stamp.filter(|stamp| stamp.run == self.ledger.run)) else { return };
        let watching = self.watching.get(place.room).copied().unwrap_or(0);
        let since = self.since(now);
        self.meter.delivered(stamp.meant, since, noted.seen, watching);
        if let Some(journal) = self.journal.as_mut().filter(|_| self.meter.inside(stamp.meant)) {
            let took = since.saturating_sub(stamp.meant);
            journal.delivered(place.room, stamp.sender as usize, place.member, stamp.meant, took);
        }
        if self.release == Release::Delivered && noted.seen as usize == watching {
            self.released.push(place.room);
        }
    }

    fn saw_other(&mut self, place: Place, revision: u64) {
        self.ledger.saw_other(place, revision);
    }

    fn began(&mut self, place: Place, cursor: Option<u64>, head: u64, reason: &str) {
        self.ledger.began(place, cursor, head);
        if cursor.is_some() {
            self.meter.counts.resets += 1;
            *self.resets.entry(reason.to_owned()).or_default() += 1;
        } else if let Some(count) = self.watching.get_mut(place.room) {
            *count += 1;
        }
    }

    fn acknowledged(&mut self, place: Place, n: u32, seq: u64, revision: u64, now: Instant) {
        self.ledger.answered(place, n, Outcome::Acknowledged { seq, revision });
        let meant = self.meant.get(place.room).and_then(|room| room.get(place.member)?.get(n as usize));
        if let Some(meant) = meant.copied() {
            let since = self.since(now);
            if self.mentions(n) {
                self.meter.mentioned(meant, since);
            } else {
                self.meter.acknowledged(meant, since);
            }
        }
        if self.release == Release::Acknowledged {
            self.released.push(place.room);
        }
    }

    fn refused(&mut self, place: Place, n: u32, code: &str, again: Option<Duration>, now: Instant) {
        *self.meter.refusals.entry(code.to_owned()).or_default() += 1;
        let since = self.since(now);
        if let Some(journal) = &mut self.journal {
            journal.refused(place.room, place.member, since);
        }
        if let Some(pause) = again {
            self.meter.counts.retryable += 1;
            self.meter.longest_pause = self.meter.longest_pause.max(pause);
        } else {
            self.ledger.answered(place, n, Outcome::Refused);
            self.released.push(place.room);
        }
    }

    fn hole(&mut self, place: Place, cursor: u64, from: u64) {
        self.ledger.findings.add(Breach::Gap, || format!("{}: live up to {cursor}, then came what follows {from}", at(place)));
    }

    fn disorder(&mut self, place: Place, revision: u64) {
        self.ledger.findings.add(Breach::Reordered, || format!("{}: revision {revision} came out of order", at(place)));
    }

    fn repeated(&mut self, _place: Place) {
        self.meter.counts.repeated += 1;
    }

    fn ended(&mut self, place: Place, code: &str) {
        *self.meter.refusals.entry(format!("unsubscribed: {code}")).or_default() += 1;
        // Who converses joins again.
        if !self.ledger.converses {
            self.leave(place);
        }
    }

    fn heard(&mut self, place: Place, heard: Heard<'_>) {
        self.ledger.heard(place, heard);
    }

    fn deed_ended(&mut self, place: Place, no: usize, end: End, code: Option<&str>, now: Instant) {
        let deed = self.ledger.conversation(place).and_then(|of| of.deeds.get(no)).map(|done| done.deed.kind());
        self.ledger.did(place, no, end);
        let meant = self.deeds_meant.get(place.room).and_then(|room| room.get(place.member)?.get(no)).copied();
        if let (Some(kind), Some(meant), End::Done) = (deed, meant, end) {
            let since = self.since(now);
            self.meter.did(kind, meant, since);
        }
        if let (Some(kind), Some(code)) = (deed, code) {
            *self.meter.refusals.entry(format!("{kind}: {code}")).or_default() += 1;
        }
        self.released.push(place.room);
    }

    fn deed_waits(&mut self, place: Place, code: &str, now: Instant) {
        *self.meter.refusals.entry(code.to_owned()).or_default() += 1;
        let since = self.since(now);
        if let Some(journal) = &mut self.journal {
            journal.refused(place.room, place.member, since);
        }
    }
}
