//! What a bot does besides posting, as far as it has no final answer: one after the other, so that their order is known, and again after a lost
//! connection (docs/PROTOCOL.md §10). Pure: no socket, no clock of its own.

use crate::action::deed::Deed;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// More would only wait.
const MOST: usize = 64;
/// Before the next attempt, where the server names no time.
const PAUSE: Duration = Duration::from_millis(50);

/// One deed without a final answer.
#[derive(Debug)]
struct Pending {
    seat: usize,
    no: usize,
    deed: Deed,
    sent: bool,
    /// An attempt may have succeeded without an answer.
    doubtful: bool,
}

/// How a deed ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Done,
    /// Nothing has changed.
    Refused,
    /// Refused, after an attempt of which nothing is known.
    Doubtful,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Deeds {
    queue: VecDeque<Pending>,
    hold: Option<Instant>,
}

impl Deeds {
    /// A deed of seat `seat`, the `no`-th there.
    pub fn push(&mut self, seat: usize, no: usize, deed: Deed) {
        self.queue.push_back(Pending { seat, no, deed, sent: false, doubtful: false });
    }

    /// Nothing more is taken now.
    pub fn is_full(&self) -> bool {
        self.queue.len() >= MOST
    }

    /// How many have no final answer.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// When a refusal allows the next attempt, if that is still to come.
    pub fn held_until(&self, now: Instant) -> Option<Instant> {
        self.hold.filter(|until| *until > now && !self.queue.is_empty())
    }

    /// Takes the next to send, marked as sent: reports at once, of the others one at a time.
    pub fn next(&mut self, now: Instant) -> Option<(usize, usize, &Deed)> {
        if self.hold.is_some_and(|until| until > now) {
            return None;
        }
        let under_way = self.queue.iter().any(|one| one.sent && !one.deed.is_report());
        let one = self.queue.iter_mut().find(|one| !one.sent && (!under_way || one.deed.is_report()))?;
        one.sent = true;
        Some((one.seat, one.no, &one.deed))
    }

    /// The deed `no` of `seat` is done, or refused for good.
    pub fn ended(&mut self, seat: usize, no: usize, done: bool) -> Option<(Deed, End)> {
        let place = self.place(seat, no)?;
        let Pending { deed, doubtful, .. } = self.queue.remove(place)?;
        let end = match (done, doubtful) {
            (true, _) => End::Done,
            (false, false) => End::Refused,
            (false, true) => End::Doubtful,
        };
        Some((deed, end))
    }

    /// It may succeed later; `unknown`: perhaps it has already.
    pub fn refused(&mut self, seat: usize, no: usize, unknown: bool, pause: Option<Duration>, now: Instant) {
        if let Some(one) = self.place(seat, no).and_then(|place| self.queue.get_mut(place)) {
            one.sent = false;
            one.doubtful |= unknown;
            self.hold = Some(now + pause.unwrap_or(PAUSE));
        }
    }

    /// The connection is gone: what was sent may have happened.
    pub fn disconnected(&mut self) {
        for one in &mut self.queue {
            one.doubtful |= one.sent;
            one.sent = false;
        }
        self.hold = None;
    }

    fn place(&self, seat: usize, no: usize) -> Option<usize> {
        self.queue.iter().position(|one| (one.seat, one.no) == (seat, no))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two(now: Instant) -> Deeds {
        let mut deeds = Deeds::default();
        deeds.push(0, 0, Deed::Delete { seq: 1 });
        deeds.push(0, 1, Deed::Delete { seq: 2 });
        assert_eq!(deeds.next(now).map(|(_, no, _)| no), Some(0));
        deeds
    }

    #[test]
    fn one_is_under_way_at_a_time_but_reports_wait_for_nothing() {
        let now = Instant::now();
        let mut deeds = two(now);
        assert!(deeds.next(now).is_none());
        deeds.push(0, 2, Deed::Read { seq: 9 });
        assert_eq!(deeds.next(now).map(|(_, no, _)| no), Some(2));
        assert_eq!(deeds.ended(0, 0, true), Some((Deed::Delete { seq: 1 }, End::Done)));
        assert_eq!(deeds.next(now).map(|(_, no, _)| no), Some(1));
    }

    #[test]
    fn what_was_refused_for_a_while_is_sent_again_first_and_after_its_time() {
        let now = Instant::now();
        let mut deeds = two(now);
        let pause = Duration::from_millis(250);
        deeds.refused(0, 0, false, Some(pause), now);
        assert!(deeds.next(now).is_none());
        assert_eq!(deeds.held_until(now), Some(now + pause));
        assert_eq!(deeds.next(now + pause).map(|(_, no, _)| no), Some(0));
        assert_eq!(deeds.ended(0, 0, false).map(|(_, end)| end), Some(End::Refused));
    }

    #[test]
    fn a_refusal_behind_a_lost_answer_leaves_a_doubt() {
        let now = Instant::now();
        let mut deeds = two(now);
        deeds.disconnected();
        assert_eq!(deeds.next(now).map(|(_, no, _)| no), Some(0));
        assert_eq!(deeds.ended(0, 0, false).map(|(_, end)| end), Some(End::Doubtful));
        assert_eq!(deeds.next(now).map(|(_, no, _)| no), Some(1));
        deeds.refused(0, 1, true, None, now);
        assert_eq!(deeds.ended(0, 1, false).map(|(_, end)| end), Some(End::Doubtful), "outcome_unknown is a doubt, too");
    }
}
