//! When the next post is due, and whose turn it is. Pure.

use crate::bot::Place;
use std::time::Duration;

/// How posts follow each other.
#[derive(Debug)]
pub enum Pace {
    /// So many per second, whatever the server does: what it delays was still meant for its time.
    Open { rate: f64, issued: u64 },
    /// Per room so many at a time: the next when one is done.
    Closed { outstanding: usize, open: Vec<usize> },
    /// None: only listening.
    Silent,
}

impl Pace {
    pub fn open(rate: f64) -> Self {
        Self::Open { rate, issued: 0 }
    }

    pub fn closed(outstanding: usize, rooms: usize) -> Self {
        Self::Closed { outstanding, open: vec![0; rooms] }
    }

    /// The instant, since the run began, for which the next post of an open loop is meant.
    pub fn next_at(&self) -> Option<Duration> {
        match self {
            Self::Open { rate, issued } if *rate > 0.0 => Some(Duration::from_secs_f64(*issued as f64 / rate)),
            _ => None,
        }
    }

    /// The post that was due is issued.
    pub fn issued(&mut self) {
        if let Self::Open { issued, .. } = self {
            *issued += 1;
        }
    }

    /// Takes a place for one more post in `room`, if there is one.
    pub fn take(&mut self, room: usize) -> bool {
        let Self::Closed { outstanding, open } = self else { return false };
        match open.get_mut(room) {
            Some(open) if *open < *outstanding => {
                *open += 1;
                true
            }
            _ => false,
        }
    }

    /// A post in `room` is done.
    pub fn done(&mut self, room: usize) {
        if let Self::Closed { open, .. } = self
            && let Some(open) = open.get_mut(room)
        {
            *open = open.saturating_sub(1);
        }
    }
}

/// Whose turn it is: rooms in turn, and in each room its senders in turn.
#[derive(Debug)]
pub struct Turns {
    room: usize,
    /// How many members of each room post.
    senders: Vec<usize>,
    next: Vec<usize>,
}

impl Turns {
    /// `sizes` are the members of each room, of whom at most `senders` post.
    pub fn new(sizes: impl Iterator<Item = usize>, senders: usize) -> Self {
        let senders: Vec<_> = sizes.map(|size| size.min(senders)).collect();
        Self { room: 0, next: vec![0; senders.len()], senders }
    }

    /// The next room, and who posts there.
    pub fn anywhere(&mut self) -> Option<Place> {
        let room = self.room;
        self.room = (room + 1) % self.senders.len().max(1);
        self.within(room)
    }

    /// Who posts next in `room`.
    pub fn within(&mut self, room: usize) -> Option<Place> {
        let senders = *self.senders.get(room).filter(|senders| **senders > 0)?;
        let next = self.next.get_mut(room)?;
        let member = *next;
        *next = (member + 1) % senders;
        Some(Place { room, member })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_keeps_its_times_whatever_happens() {
        let mut pace = Pace::open(500.0);
        for k in 0..3_u32 {
            assert_eq!(pace.next_at(), Some(Duration::from_millis(2) * k));
            pace.issued();
        }
    }

    #[test]
    fn a_closed_loop_lets_out_as_many_as_are_allowed_per_room() {
        let mut pace = Pace::closed(2, 2);
        assert!(pace.take(0) && pace.take(0) && !pace.take(0));
        assert!(pace.take(1));
        pace.done(0);
        assert!(pace.take(0));
        assert!(!pace.take(9));
    }

    #[test]
    fn rooms_and_their_senders_take_turns() {
        let mut turns = Turns::new([4, 1].into_iter(), 2);
        let taken: Vec<_> = std::iter::from_fn(|| turns.anywhere()).take(6).map(|place| (place.room, place.member)).collect();
        assert_eq!(taken, [(0, 0), (1, 0), (0, 1), (1, 0), (0, 0), (1, 0)]);
    }
}
