//! What has no revision: typing, receipts. It is never stored, never resumed, and may be lost where an envelope must not be.
//!
//! Purpose: carry the one encoding and say whom it must not reach. Neighbours: rooms make them, relays offer their frames to the live
//! subscriptions of the room. Invariants: it waits in a place of its own, so that it takes none of an envelope's (I4), yet is behind the
//! envelopes sent before it: whoever an envelope has put out hears nothing more (I10). A full outbox loses it and stays open.
//! Must not know: who is subscribed.

use super::frame;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::order::Seq;
use crate::domain::reading::ReadMark;
use crate::protocol::v1::push::{Push, Receipt, Receipts, Typing};
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Something of the moment, on its way to everybody who looks at a room.
#[derive(Clone, Debug)]
pub struct Ephemeral {
    room: RoomId,
    author: UserId,
    not_to: Option<UserId>,
    withheld: Arc<[UserId]>,
    shows: Option<Seq>,
    frame: Bytes,
}

impl Ephemeral {
    /// `author` types, in `thread` if that is some. Their own sessions are not told. `withheld` are the people who must not hear of the
    /// author, such as those they block.
    #[must_use]
    pub fn typing(room: RoomId, author: UserId, thread: Option<Seq>, lasts: Duration, withheld: Vec<UserId>) -> Self {
        let for_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        let frame = frame::text(&Push::Typing(Typing { room, user: author, thread, for_ms }));
        Self { not_to: Some(author), shows: thread, ..Self::new(room, author, withheld, frame) }
    }

    /// `reader` has read or received a room up to this mark. Their own sessions are not told.
    #[must_use]
    pub fn receipt(reader: UserId, mark: &ReadMark, withheld: Vec<UserId>) -> Self {
        let receipts = vec![Receipt::new(reader, mark)];
        let frame = frame::text(&Push::Receipts(Receipts { room: mark.room, receipts }));
        Self { not_to: Some(reader), ..Self::new(mark.room, reader, withheld, frame) }
    }

    fn new(room: RoomId, author: UserId, mut withheld: Vec<UserId>, frame: Bytes) -> Self {
        withheld.sort_unstable();
        Self { room, author, not_to: None, withheld: withheld.into(), shows: None, frame }
    }

    /// Which room.
    #[must_use]
    pub const fn room(&self) -> RoomId {
        self.room
    }

    /// Whose doing it is: viewers who hide this person are left out.
    #[must_use]
    pub const fn author(&self) -> UserId {
        self.author
    }

    /// May it reach this person, who sees messages from `from_seq` on?
    #[must_use]
    pub fn may_reach(&self, viewer: UserId, from_seq: Seq) -> bool {
        self.not_to != Some(viewer)
            && self.shows.is_none_or(|seq| seq >= from_seq)
            && self.withheld.binary_search(&viewer).is_err()
    }

    /// The frame everybody shares.
    #[must_use]
    pub fn frame(&self) -> Bytes {
        self.frame.clone()
    }
}

/// The ephemerals of one relay that wait.
#[derive(Debug)]
pub(super) struct Passing {
    waiting: Mutex<Vec<Arc<Ephemeral>>>,
    capacity: usize,
}

impl Passing {
    pub(super) fn new(capacity: usize) -> Self {
        Self { waiting: Mutex::default(), capacity }
    }

    /// Adds one, or loses it; whether the relay must be told because nothing had been waiting.
    pub(super) fn put(&self, ephemeral: Arc<Ephemeral>) -> bool {
        let mut waiting = self.lock();
        let was_empty = waiting.is_empty();
        if waiting.len() < self.capacity {
            waiting.push(ephemeral);
        }
        was_empty
    }

    /// All that waits.
    pub(super) fn take(&self) -> Vec<Arc<Ephemeral>> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Ephemeral>>> {
        // Each critical section leaves the list whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typing(author: UserId, thread: Option<Seq>, withheld: Vec<UserId>) -> Ephemeral {
        Ephemeral::typing(RoomId::generate(), author, thread, Duration::from_secs(6), withheld)
    }

    #[test]
    fn it_reaches_neither_its_author_nor_whom_it_is_withheld_from() {
        let author = UserId::generate();
        let people: Vec<UserId> = (0..9).map(|_| UserId::generate()).collect();
        let (withheld, others) = people.split_at(4);
        let mut unsorted = withheld.to_vec();
        unsorted.reverse();
        let typing = typing(author, None, unsorted);
        let reached: Vec<_> = people.iter().copied().filter(|viewer| typing.may_reach(*viewer, Seq::ZERO)).collect();
        assert_eq!(reached, others);
        assert!(!typing.may_reach(author, Seq::ZERO));
    }

    #[test]
    fn of_a_thread_from_before_their_time_nobody_hears() {
        let (author, viewer) = (UserId::generate(), UserId::generate());
        let of_thread = typing(author, Some(Seq(5)), Vec::new());
        assert!(of_thread.may_reach(viewer, Seq(5)) && !of_thread.may_reach(viewer, Seq(6)));
        assert!(typing(author, None, Vec::new()).may_reach(viewer, Seq(6)));
    }

    #[test]
    fn what_waits_is_bounded_and_only_the_first_wakes_the_relay() {
        let passing = Passing::new(2);
        let one = Arc::new(typing(UserId::generate(), None, Vec::new()));
        let woken: Vec<_> = (0..3).map(|_| passing.put(Arc::clone(&one))).collect();
        assert_eq!((woken, passing.take().len()), (vec![true, false, false], 2));
        assert!(passing.put(one), "the list is empty again");
    }
}
