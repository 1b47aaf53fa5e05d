//! What a room's feed keeps for those who catch up.
//!
//! Purpose: a client that has been sent its last page goes live behind what was committed while that page was read, however soon the next
//! commit comes (I6). Neighbours: [`super::state`] puts in what it appends while somebody catches up, hands it out, and lets go of it when
//! nobody does. Invariants: envelopes lie in the order in which they were appended; their frames are never more than [`KEPT_BYTES`] (I4).
//! Must not know: subscriptions.

use super::envelope::Envelope;
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes of frames that are kept for one room on one thread. It needs to hold what a busy room commits while one page is read: some
/// hundreds of short messages. With less the reader takes one more page. A frame has its hundred bytes, so their number is bounded, too.
const KEPT_BYTES: usize = 256 * 1024;

/// The newest envelopes.
#[derive(Debug, Default)]
pub(super) struct Tail {
    envelopes: VecDeque<Arc<Envelope>>,
    bytes: usize,
}

impl Tail {
    /// Keeps an envelope; what becomes too much goes, the oldest first.
    pub(super) fn keep(&mut self, envelope: &Arc<Envelope>) {
        self.bytes += envelope.frame().len();
        self.envelopes.push_back(Arc::clone(envelope));
        while self.bytes > KEPT_BYTES
            && let Some(oldest) = self.envelopes.pop_front()
        {
            self.bytes = self.bytes.saturating_sub(oldest.frame().len());
        }
    }

    /// What is kept, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Envelope> {
        self.envelopes.iter().map(Arc::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{ClientId, RoomId, UserId};
    use crate::domain::message::{Changes, Item, Message};
    use crate::domain::order::{Revision, Seq};
    use crate::domain::time::Timestamp;

    fn said(number: u64, length: usize) -> Arc<Envelope> {
        let room = RoomId::generate();
        let message = Message {
            room,
            seq: Seq(number),
            revision: Revision(number),
            author: UserId::generate(),
            client_id: ClientId::generate(),
            text: "x".repeat(length),
            created_at: Timestamp::UNIX_EPOCH,
            more: None,
        };
        let (from, to) = (Revision(number).previous(), Revision(number));
        Arc::new(Envelope::new(Changes { room, from, to, items: vec![Item::Message(message)] }))
    }

    #[test]
    fn what_becomes_too_much_goes_the_oldest_first() {
        let mut tail = Tail::default();
        let mut kept = Vec::new();
        for (number, length) in [(1, 1000), (2, KEPT_BYTES / 2), (3, KEPT_BYTES / 3), (4, 1000), (5, KEPT_BYTES), (6, 1000)] {
            tail.keep(&said(number, length));
            assert!(tail.bytes <= KEPT_BYTES);
            assert_eq!(tail.bytes, tail.iter().map(|envelope| envelope.frame().len()).sum::<usize>());
            kept.push(tail.iter().map(|envelope| envelope.to().0).collect::<Vec<_>>());
        }
        assert_eq!(kept, [vec![1], vec![1, 2], vec![1, 2, 3], vec![1, 2, 3, 4], vec![], vec![6]]);
    }

    #[test]
    fn many_short_messages_find_room() {
        let mut tail = Tail::default();
        (1..=400).for_each(|number| tail.keep(&said(number, 40)));
        assert_eq!(tail.iter().count(), 400);
    }
}
