//! Puts what was committed in the order of its revisions.
//!
//! Purpose: answers of the store may overtake each other, get lost, or come twice (a refill brings what a late answer brings too). Local
//! commits and refills pass through one function, [`Order::on_committed`]; what comes out of it is dense and comes once (I1).
//! Neighbours: the actor fills gaps from the store and hands on what comes out. Must not know: relays, the store, what an item says.

use std::collections::BTreeMap;

use crate::domain::message::{Changes, Item};
use crate::domain::order::Revision;
use crate::domain::room::Room;

/// How many commits wait for one before them; of more only the number is kept, and the store is asked for them.
const WAITING_MAX: usize = 256;

/// Something committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The revisions and their rows.
    pub changes: Changes,
    /// The room after it, where the writer knows it: with it comes the `policy_revision` it holds for.
    pub room: Option<Room>,
}

impl From<Changes> for Committed {
    fn from(changes: Changes) -> Self {
        Self { changes, room: None }
    }
}

/// Revisions that were committed and have not come: (after, to].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last one that came.
    pub after: Revision,
    /// The last one missing.
    pub to: Revision,
}

/// How far a room's changes have come out in order.
#[derive(Debug)]
pub struct Order {
    head: Revision,
    /// The newest that is known to be committed; never below `head`.
    known: Revision,
    /// What came too early, by the revision before its first.
    waiting: BTreeMap<Revision, Committed>,
}

impl Order {
    /// All up to `head` has come.
    #[must_use]
    pub const fn at(head: Revision) -> Self {
        Self { head, known: head, waiting: BTreeMap::new() }
    }

    /// The last revision that came out.
    #[must_use]
    pub const fn head(&self) -> Revision {
        self.head
    }

    /// The newest revision known to be committed.
    #[must_use]
    pub const fn known(&self) -> Revision {
        self.known
    }

    /// Somebody has seen that revisions up to `head` are committed.
    pub fn note_head(&mut self, head: Revision) {
        self.known = self.known.max(head);
    }

    /// Takes a commit or a refill and returns what is next in order, if that is now known.
    pub fn on_committed(&mut self, committed: Committed) -> Vec<Committed> {
        self.note_head(committed.changes.to);
        self.keep(committed);
        let mut ready = Vec::new();
        while let Some(entry) = self.waiting.first_entry() {
            if *entry.key() > self.head {
                break;
            }
            let next = entry.remove();
            if next.changes.to > self.head {
                let next = above(next, self.head);
                self.head = next.changes.to;
                ready.push(next);
            }
        }
        ready
    }

    /// What is missing now.
    #[must_use]
    pub fn gap(&self) -> Option<Gap> {
        let to = self.waiting.first_key_value().map_or(self.known, |(from, _)| *from);
        (self.known > self.head).then_some(Gap { after: self.head, to })
    }

    fn keep(&mut self, committed: Committed) {
        let from = committed.changes.from;
        let longer = self.waiting.get(&from).is_none_or(|other| other.changes.to < committed.changes.to);
        if committed.changes.to > self.head && longer {
            self.waiting.insert(from, committed);
        }
        if self.waiting.len() > WAITING_MAX {
            // The newest: it is asked for last.
            self.waiting.pop_last();
        }
    }
}

/// The part of a commit above `head`.
fn above(mut committed: Committed, head: Revision) -> Committed {
    let changes = &mut committed.changes;
    if changes.from < head {
        changes.from = head;
        changes.items.retain(|item: &Item| item.revision() > head);
    }
    committed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{ClientId, RoomId, UserId};
    use crate::domain::message::Message;
    use crate::domain::order::Seq;
    use chrono::DateTime;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn commit(from: u64, to: u64) -> Committed {
        let room = RoomId(Uuid::nil());
        let message = |number| {
            Item::Message(Message {
                room,
                seq: Seq(number),
                revision: Revision(number),
                author: UserId(Uuid::nil()),
                client_id: ClientId(Uuid::nil()),
                text: number.to_string(),
                created_at: DateTime::UNIX_EPOCH,
                more: None,
            })
        };
        let items = (from + 1..=to).map(message).collect();
        Changes { room, from: Revision(from), to: Revision(to), items }.into()
    }

    /// The revisions of all items, and that every piece begins where the one before it ended.
    fn revisions(start: u64, ready: &[Committed]) -> Vec<u64> {
        let mut at = Revision(start);
        let mut revisions = Vec::new();
        for Committed { changes, .. } in ready {
            assert_eq!(changes.from, at);
            at = changes.to;
            revisions.extend(changes.items.iter().map(|item| item.revision().0));
        }
        revisions
    }

    #[test]
    fn commits_come_out_in_order_whatever_order_they_come_in() {
        let mut order = Order::at(Revision(5));
        assert!(order.on_committed(commit(6, 7)).is_empty());
        assert_eq!(order.gap(), Some(Gap { after: Revision(5), to: Revision(6) }));
        assert_eq!(revisions(5, &order.on_committed(commit(5, 6))), [6, 7]);
        assert_eq!((order.head(), order.gap()), (Revision(7), None));
    }

    #[test]
    fn what_came_before_does_not_come_again() {
        let mut order = Order::at(Revision(5));
        assert_eq!(order.on_committed(commit(5, 8)).len(), 1);
        assert!(order.on_committed(commit(5, 8)).is_empty());
        assert!(order.on_committed(commit(6, 7)).is_empty());
    }

    #[test]
    fn of_an_overlapping_refill_only_what_is_new_comes_out() {
        let mut order = Order::at(Revision(5));
        assert_eq!(order.on_committed(commit(5, 7)).len(), 1);
        assert_eq!(revisions(7, &order.on_committed(commit(5, 9))), [8, 9]);
    }

    #[test]
    fn a_head_seen_elsewhere_is_a_gap() {
        let mut order = Order::at(Revision(5));
        order.note_head(Revision(9));
        order.note_head(Revision(3));
        assert_eq!(order.gap(), Some(Gap { after: Revision(5), to: Revision(9) }));
        assert_eq!(revisions(5, &order.on_committed(commit(5, 9))), [6, 7, 8, 9]);
        assert_eq!(order.gap(), None);
    }

    #[test]
    fn revisions_without_rows_are_passed_over() {
        let mut order = Order::at(Revision(5));
        let mut empty = commit(5, 7);
        empty.changes.items.clear();
        assert!(order.on_committed(commit(7, 8)).is_empty());
        assert_eq!(revisions(5, &order.on_committed(empty)), [8]);
    }

    #[test]
    fn more_than_may_wait_is_asked_from_the_store() {
        let mut order = Order::at(Revision(0));
        let early = u64::try_from(WAITING_MAX).unwrap() + 10;
        for number in 1..early {
            assert!(order.on_committed(commit(number, number + 1)).is_empty());
        }
        assert_eq!(order.waiting.len(), WAITING_MAX);
        order.on_committed(commit(0, 1));
        let gap = order.gap().unwrap();
        assert_eq!(gap.to, Revision(early));
        order.on_committed(commit(gap.after.0, gap.to.0));
        assert_eq!((order.head(), order.gap()), (Revision(early), None));
    }

    proptest! {
        /// Any pieces in any order, with repeats: once gaps are filled, every revision has come out once, in order.
        #[test]
        fn every_revision_comes_out_once(pieces in proptest::collection::vec((0_u64..30, 1_u64..5), 1..60)) {
            let mut order = Order::at(Revision(0));
            let mut out = Vec::new();
            for (from, length) in pieces {
                out.extend(order.on_committed(commit(from, from + length)));
            }
            while let Some(gap) = order.gap() {
                let page = commit(gap.after.0, gap.to.0.min(gap.after.0 + 3));
                let ready = order.on_committed(page);
                prop_assert!(!ready.is_empty());
                out.extend(ready);
            }
            let expected: Vec<u64> = (1..=order.known().0).collect();
            prop_assert_eq!(revisions(0, &out), expected);
        }
    }
}
