//! What waits to be written, by person. No clock, no actor: time is an argument.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::domain::ids::{RoomId, UserId};
use crate::domain::reading::Progress;

/// How often a person's write yields to posts before it is refused.
const YIELDS_MAX: u32 = 3;

/// What one report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// So far in a room.
    Room(RoomId, Progress),
    /// Everything there is.
    Everything,
}

/// What is written together.
#[derive(Debug, PartialEq, Eq)]
pub struct Gathered<W> {
    /// By room.
    pub progress: BTreeMap<RoomId, Progress>,
    /// Everything there is.
    pub everything: bool,
    /// Who waits for the answer.
    pub waiting: Vec<W>,
}

impl<W> Default for Gathered<W> {
    fn default() -> Self {
        Self { progress: BTreeMap::new(), everything: false, waiting: Vec::new() }
    }
}

#[derive(Debug)]
struct Person<W> {
    gathered: Gathered<W>,
    /// A write of theirs is on its way.
    writing: bool,
    /// The next one.
    not_before: Instant,
    /// How often that was put off.
    yields: u32,
}

/// Everybody who reported lately.
#[derive(Debug)]
pub struct Gathering<W> {
    people: HashMap<UserId, Person<W>>,
    /// Between two writes of one person.
    pause: Duration,
    /// So many answers of one person wait; then it is written at once.
    waiting_max: usize,
    /// The end is near: everything is written at once.
    hurried: bool,
}

impl<W> Gathering<W> {
    /// Nobody yet.
    #[must_use]
    pub fn new(pause: Duration, waiting_max: usize) -> Self {
        Self { people: HashMap::new(), pause, waiting_max, hurried: false }
    }

    /// Takes a report. Says when to look at the person again; nothing if that is known already.
    pub fn add(&mut self, user: UserId, report: Report, waiter: W, now: Instant) -> Option<Instant> {
        let person = self.people.entry(user).or_insert_with(|| Person {
            gathered: Gathered::default(),
            writing: false,
            not_before: now,
            yields: 0,
        });
        match report {
            Report::Room(room, progress) => {
                let known = person.gathered.progress.entry(room).or_default();
                *known = known.and(progress);
            }
            Report::Everything => person.gathered.everything = true,
        }
        person.gathered.waiting.push(waiter);
        if person.gathered.waiting.len() == self.waiting_max && person.yields == 0 {
            person.not_before = now;
            return Some(now);
        }
        let next = if self.hurried { now } else { person.not_before.max(now) };
        (person.gathered.waiting.len() == 1 && !person.writing).then_some(next)
    }

    /// What is due of this person; they count as writing from here on.
    pub fn take(&mut self, user: UserId, now: Instant) -> Option<Gathered<W>> {
        if !self.is_due(user, now) {
            return None;
        }
        let person = self.people.get_mut(&user)?;
        (person.writing, person.yields) = (true, 0);
        Some(std::mem::take(&mut person.gathered))
    }

    /// Is there something to write of this person now?
    #[must_use]
    pub fn is_due(&self, user: UserId, now: Instant) -> bool {
        self.people.get(&user).is_some_and(|person| {
            !person.writing && (self.hurried || person.not_before <= now) && !person.gathered.waiting.is_empty()
        })
    }

    /// Posts leave no room now: later. `None` if this person has waited often enough, or there is no later.
    pub fn put_off(&mut self, user: UserId, now: Instant) -> Option<Instant> {
        let (pause, hurried) = (self.pause, self.hurried);
        let person = self.people.get_mut(&user)?;
        if hurried || person.yields >= YIELDS_MAX {
            return None;
        }
        person.yields += 1;
        person.not_before = now + pause;
        Some(person.not_before)
    }

    /// A write has ended. Says when to look at the person again, if something was gathered meanwhile.
    pub fn written(&mut self, user: UserId, now: Instant) -> Option<Instant> {
        let (pause, hurried, waiting_max) = (self.pause, self.hurried, self.waiting_max);
        let person = self.people.get_mut(&user)?;
        person.writing = false;
        let at_once = hurried || person.gathered.waiting.len() >= waiting_max;
        person.not_before = if at_once { now } else { now + pause };
        (!person.gathered.waiting.is_empty()).then_some(person.not_before)
    }

    /// From here on nothing is gathered. Whose reports wait.
    pub fn hurry(&mut self) -> Vec<UserId> {
        self.hurried = true;
        let waiting = self.people.iter().filter(|(_, person)| !person.gathered.waiting.is_empty());
        waiting.map(|(user, _)| *user).collect()
    }

    /// Forgets those whose pause is over.
    pub fn forget_idle(&mut self, now: Instant) {
        self.people.retain(|_, person| person.writing || !person.gathered.waiting.is_empty() || person.not_before > now);
    }

    /// How many people are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether nobody is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::order::Seq;

    const PAUSE: Duration = Duration::from_secs(10);

    fn read(room: RoomId, seq: u64) -> Report {
        Report::Room(room, Progress { read: Seq(seq), delivered: Seq::ZERO })
    }

    #[test]
    fn the_first_report_is_written_at_once_and_those_that_follow_together_at_the_end_of_the_pause() {
        let (mut gathering, start) = (Gathering::new(PAUSE, 100), Instant::now());
        let (ann, room, other) = (UserId::generate(), RoomId::generate(), RoomId::generate());
        assert_eq!(gathering.add(ann, read(room, 1), 'a', start), Some(start));
        assert_eq!(gathering.take(ann, start).unwrap().waiting, ['a']);
        // While that is on its way, and for the pause after it.
        assert_eq!(gathering.add(ann, read(room, 3), 'b', start), None);
        assert_eq!(gathering.take(ann, start), None, "one at a time");
        let written = start + Duration::from_secs(1);
        assert_eq!(gathering.written(ann, written), Some(written + PAUSE));
        assert_eq!(gathering.add(ann, read(room, 2), 'c', written), None);
        assert_eq!(gathering.add(ann, read(other, 9), 'd', written), None);
        assert_eq!(gathering.take(ann, written), None, "not yet");
        let together = gathering.take(ann, written + PAUSE).unwrap();
        let at = |seq| Progress { read: Seq(seq), delivered: Seq::ZERO };
        assert_eq!(together.progress, [(room, at(3)), (other, at(9))].into());
        assert_eq!((together.waiting, together.everything), (vec!['b', 'c', 'd'], false));
        // Long after, at once again.
        let end = written + PAUSE * 2;
        assert_eq!(gathering.written(ann, end), None);
        assert_eq!(gathering.add(ann, Report::Everything, 'e', end + PAUSE), Some(end + PAUSE));
        assert!(gathering.take(ann, end + PAUSE).unwrap().everything);
    }

    #[test]
    fn where_many_wait_it_is_written_before_the_pause_is_over() {
        let (mut gathering, start) = (Gathering::new(PAUSE, 3), Instant::now());
        let (ann, room) = (UserId::generate(), RoomId::generate());
        gathering.add(ann, read(room, 1), 0, start);
        gathering.take(ann, start).unwrap();
        gathering.written(ann, start);
        assert_eq!(gathering.add(ann, read(room, 2), 1, start), Some(start + PAUSE));
        assert_eq!(gathering.add(ann, read(room, 3), 2, start), None);
        assert_eq!(gathering.add(ann, read(room, 4), 3, start), Some(start));
        assert_eq!(gathering.take(ann, start).unwrap().waiting.len(), 3);
        for waiter in 4..9 {
            gathering.add(ann, read(room, 5), waiter, start);
        }
        assert_eq!(gathering.written(ann, start), Some(start), "as many wait as may");
    }

    #[test]
    fn a_write_yields_so_often_and_then_no_more() {
        let (mut gathering, mut now) = (Gathering::new(PAUSE, 100), Instant::now());
        let ann = UserId::generate();
        gathering.add(ann, Report::Everything, (), now);
        for _ in 0..YIELDS_MAX {
            let later = gathering.put_off(ann, now).unwrap();
            assert_eq!((later, gathering.take(ann, now)), (now + PAUSE, None));
            now = later;
        }
        assert_eq!(gathering.put_off(ann, now), None);
        assert!(gathering.take(ann, now).is_some());
    }

    #[test]
    fn near_the_end_nothing_waits() {
        let (mut gathering, now) = (Gathering::new(PAUSE, 100), Instant::now());
        let (ann, bob) = (UserId::generate(), UserId::generate());
        for user in [ann, bob] {
            gathering.add(user, Report::Everything, (), now);
            gathering.take(user, now).unwrap();
        }
        gathering.written(ann, now);
        gathering.add(ann, Report::Everything, (), now);
        gathering.add(bob, Report::Everything, (), now);
        let mut waiting = gathering.hurry();
        waiting.sort();
        let mut both = [ann, bob];
        both.sort();
        assert_eq!(waiting, both);
        assert!(gathering.take(ann, now).is_some());
        assert_eq!(gathering.written(bob, now), Some(now));
        assert_eq!(gathering.put_off(bob, now), None);
        assert!(gathering.take(bob, now).is_some());
        gathering.written(bob, now - PAUSE);
        assert_eq!(gathering.add(bob, Report::Everything, (), now), Some(now), "what comes later neither");
    }

    #[test]
    fn who_has_nothing_to_write_is_forgotten_after_the_pause() {
        let (mut gathering, now) = (Gathering::new(PAUSE, 100), Instant::now());
        let ann = UserId::generate();
        gathering.add(ann, Report::Everything, (), now);
        gathering.forget_idle(now + PAUSE);
        assert_eq!(gathering.len(), 1, "somebody waits");
        gathering.take(ann, now).unwrap();
        gathering.written(ann, now);
        gathering.forget_idle(now);
        assert_eq!(gathering.len(), 1, "the pause counts");
        gathering.forget_idle(now + PAUSE);
        assert!(gathering.is_empty());
    }
}
