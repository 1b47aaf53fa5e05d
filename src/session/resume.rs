//! Where a room is received from (I6, I7), and which rooms are read next.
//!
//! Pure: the actor carries it out. Invariants: a cursor is continued only if nothing between it and the present could be missing; rooms
//! that catch up take turns, at most some are read at once, and what was read waits until the socket has room (I4).

use crate::domain::ids::RoomId;
use crate::domain::order::Revision;
use crate::policy::Sight;
use crate::protocol::v1::reply::ResetReason;
use crate::store::streams::Part;
use std::collections::VecDeque;

/// How a subscription starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The client knows everything.
    Live,
    /// It gets what it missed.
    Resume,
    /// It must begin afresh.
    Reset(ResetReason),
}

/// What is known of a cursor's worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The client's cursor.
    pub cursor: Option<Revision>,
    /// It belongs to the present epoch.
    pub same_epoch: bool,
    /// The newest revision.
    pub head: Revision,
    /// Membership is continuous from here.
    pub joined: Revision,
    /// More missed changes than this are not sent.
    pub max_changes: usize,
}

/// Decides how a subscription starts.
#[must_use]
pub fn decide(question: Question) -> Start {
    let Some(cursor) = question.cursor else {
        return Start::Reset(ResetReason::NoCursor);
    };
    let missed = question.head.0.saturating_sub(cursor.0);
    if !question.same_epoch {
        Start::Reset(ResetReason::Epoch)
    } else if cursor > question.head {
        Start::Reset(ResetReason::AboveHead)
    } else if cursor < question.joined {
        Start::Reset(ResetReason::Rejoined)
    } else if missed > question.max_changes as u64 {
        Start::Reset(ResetReason::TooFar)
    } else if missed == 0 {
        Start::Live
    } else {
        Start::Resume
    }
}

/// How far a room that catches up has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// What may be shown.
    pub sight: Sight,
    /// Sent up to here.
    pub cursor: Revision,
    /// To be sent up to here.
    pub target: Revision,
}

/// A subscription of one session: rooms may be subscribed again while an earlier answer is still to come, so each has its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Which room.
    pub room: RoomId,
    /// Which of its subscriptions.
    pub number: u32,
}

/// The rooms of a session that catch up, taking turns.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Turn>,
    reading: usize,
    /// Read, and waiting for room in the outbox.
    ready: VecDeque<(Turn, Part)>,
}

impl Queue {
    /// A room has something to be read.
    pub fn add(&mut self, turn: Turn) {
        self.waiting.push_back(turn);
    }

    /// The next room to read, unless `max` are being read or hold a page that waits.
    pub fn next_to_read(&mut self, max: usize) -> Option<Turn> {
        if self.reading + self.ready.len() >= max {
            return None;
        }
        let turn = self.waiting.pop_front();
        self.reading += usize::from(turn.is_some());
        turn
    }

    /// A reading has ended, with a page or without.
    pub fn was_read(&mut self, turn: Turn, page: Option<Part>) {
        self.reading = self.reading.saturating_sub(1);
        self.ready.extend(page.map(|page| (turn, page)));
    }

    /// What was read and not sent is not as it is to be shown any more: it is read again.
    pub fn read_again(&mut self) {
        self.waiting.extend(self.ready.drain(..).map(|(turn, _)| turn));
    }

    /// The next page to send.
    pub fn next_to_send(&mut self) -> Option<(Turn, Part)> {
        self.ready.pop_front()
    }

    /// Nothing waits, is read, or is to be sent. An idle queue holds no buffer.
    pub fn is_idle(&mut self) -> bool {
        let idle = self.waiting.is_empty() && self.reading == 0 && self.ready.is_empty();
        if idle {
            *self = Self::default();
        }
        idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::Changes;

    fn page(room: RoomId) -> Part {
        let changes = Changes { room, from: Revision(1), to: Revision(2), items: Vec::new() };
        Part { changes, more: false }
    }

    fn question() -> Question {
        Question { cursor: Some(Revision(5)), same_epoch: true, head: Revision(9), joined: Revision(2), max_changes: 100 }
    }

    #[test]
    fn a_cursor_is_continued_or_the_reason_is_told() {
        let base = question();
        let cases = [
            (Question { cursor: Some(Revision(9)), ..base }, Start::Live),
            (base, Start::Resume),
            (Question { cursor: Some(Revision(2)), ..base }, Start::Resume),
            (Question { max_changes: 4, ..base }, Start::Resume),
            (Question { cursor: None, ..base }, Start::Reset(ResetReason::NoCursor)),
            (Question { same_epoch: false, ..base }, Start::Reset(ResetReason::Epoch)),
            (Question { same_epoch: false, cursor: Some(Revision(9)), ..base }, Start::Reset(ResetReason::Epoch)),
            (Question { cursor: Some(Revision(10)), ..base }, Start::Reset(ResetReason::AboveHead)),
            (Question { cursor: Some(Revision(1)), ..base }, Start::Reset(ResetReason::Rejoined)),
            (Question { max_changes: 3, ..base }, Start::Reset(ResetReason::TooFar)),
        ];
        for (question, start) in cases {
            assert_eq!(decide(question), start, "{question:?}");
        }
    }

    #[test]
    fn rooms_take_turns_and_pages_that_wait_count_as_being_read() {
        let mut queue = Queue::default();
        let turns: Vec<_> = (0..3).map(|number| Turn { room: RoomId::generate(), number }).collect();
        turns.iter().for_each(|turn| queue.add(*turn));
        assert_eq!(queue.next_to_read(2), Some(turns[0]));
        assert_eq!(queue.next_to_read(2), Some(turns[1]));
        assert_eq!(queue.next_to_read(2), None);
        let page = page(turns[0].room);
        queue.was_read(turns[0], Some(page.clone()));
        assert_eq!(queue.next_to_read(2), None, "a page that waits still takes its place");
        assert_eq!(queue.next_to_send(), Some((turns[0], page)));
        assert_eq!(queue.next_to_read(2), Some(turns[2]));
        queue.was_read(turns[1], None);
        queue.was_read(turns[2], None);
        assert!(queue.is_idle());
    }

    #[test]
    fn a_page_that_waits_can_be_given_up_and_read_again() {
        let mut queue = Queue::default();
        let turn = Turn { room: RoomId::generate(), number: 1 };
        queue.add(turn);
        queue.next_to_read(1);
        queue.was_read(turn, Some(page(turn.room)));
        queue.read_again();
        assert_eq!((queue.next_to_send(), queue.next_to_read(1)), (None, Some(turn)));
    }
}
