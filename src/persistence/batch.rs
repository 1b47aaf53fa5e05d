//! Which waiting writes go into the next transaction: the queue of one persistence actor, without any actor.
//!
//! Purpose: hold what waits, in the order it came per [`Key`], bounded in writes and bytes (I4), and take the next batch out of it: one
//! write per key and turn, so that no room starves, until the batch is full or nothing fits. A run of posts ([`Kind::Append`]) is never
//! split, and many runs share a transaction; any other write ([`Kind::Operation`]) has a transaction of its own, as it may take locks
//! that must not be held for others; one that nobody waits for ([`Kind::Background`]) is let through only when nothing else waits, or
//! has waited long enough. Neighbours: `actor.rs` carries the batches out.
//!
//! Invariants: writes of one key leave in the order they came, appends and operations alike (a post behind a kick stays behind it);
//! of two keys with something to append, none is served twice before the other is served once; a background write is taken before another
//! kind only once it has yielded as long as it said, or stands before a write of its own key: it neither delays posts nor starves.
//! Must not know: clocks (instants are handed in), what a write says, the store.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::domain::ids::{RoomId, UserId};

/// What a write belongs to: writes of one key keep their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A room: posts, membership, settings.
    Room(RoomId),
    /// A person: account, logins, preferences; also what makes a new room, as there is no room yet.
    User(UserId),
}

/// With what a write may share its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With other runs of posts.
    Append,
    /// With nothing.
    Operation,
    /// With nothing, and it yields to the other kinds.
    Background {
        /// From here on it is served like an operation, so that a queue that is never empty does not keep it out for ever.
        yields_until: Instant,
    },
}

/// How much a batch or a queue may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Rows: posts of appends; an operation counts as one.
    pub rows: usize,
    /// Bytes of text.
    pub bytes: usize,
}

/// One waiting write.
#[derive(Debug)]
pub struct Entry<W> {
    /// Its order is kept among those of the same key.
    pub key: Key,
    /// With what it may share a transaction.
    pub kind: Kind,
    /// How many rows it adds; an empty write counts as one.
    pub rows: usize,
    /// How many bytes of text it carries.
    pub bytes: usize,
    /// When it was asked for.
    pub arrived: Instant,
    /// When its asker must have an answer.
    pub deadline: Instant,
    /// The write itself.
    pub work: W,
}

/// What one transaction is to do; never empty.
#[derive(Debug)]
pub struct Batch<W> {
    /// Of appends, or of one operation; a background write is one here.
    pub kind: Kind,
    /// In the order they are to be carried out.
    pub entries: Vec<Entry<W>>,
}

/// The writes that wait.
#[derive(Debug)]
pub struct Queue<W> {
    bounds: Bounds,
    rows: usize,
    bytes: usize,
    waiting: HashMap<Key, VecDeque<Entry<W>>>,
    /// Every key with something waiting, once; the front is served next.
    turn: VecDeque<Key>,
    /// Operations and appends alternate while both wait: neither keeps the other out.
    operation_was_last: bool,
}

impl<W> Queue<W> {
    /// An empty queue.
    pub fn new(bounds: Bounds) -> Self {
        let (waiting, turn) = (HashMap::new(), VecDeque::new());
        Self { bounds, rows: 0, bytes: 0, waiting, turn, operation_was_last: false }
    }

    /// Lets a write wait, or gives it back when the queue is full.
    ///
    /// # Errors
    /// The entry, if it does not fit.
    pub fn push(&mut self, entry: Entry<W>) -> Result<(), Box<Entry<W>>> {
        if self.rows + entry.rows > self.bounds.rows || self.bytes + entry.bytes > self.bounds.bytes {
            return Err(Box::new(entry));
        }
        self.rows += entry.rows;
        self.bytes += entry.bytes;
        let of_key = self.waiting.entry(entry.key).or_default();
        if of_key.is_empty() {
            self.turn.push_back(entry.key);
        }
        of_key.push_back(entry);
        Ok(())
    }

    /// Takes the next batch, at most `bounds` large save that a single run of posts is never split.
    pub fn take(&mut self, bounds: Bounds, now: Instant) -> Option<Batch<W>> {
        // Nothing presses: whatever waits yields to nobody.
        let place = self.turn.iter().position(|key| self.presses(*key, now)).unwrap_or(0);
        let first = self.head(*self.turn.get(place)?)?.kind;
        let appends = if self.operation_was_last { self.take_appends(bounds) } else { None };
        let batch = match (appends, first) {
            (Some(batch), _) => Some(batch),
            (None, Kind::Append) => self.take_appends(bounds),
            (None, Kind::Operation | Kind::Background { .. }) => self.take_operation(place),
        };
        self.operation_was_last = batch.as_ref().is_some_and(|batch| batch.kind == Kind::Operation);
        batch
    }

    /// Takes out what is first of its key and should be answered before `limit`, and what thereby becomes first and should be as well.
    pub fn take_due(&mut self, limit: Instant) -> Vec<Entry<W>> {
        let mut due = Vec::new();
        for key in std::mem::take(&mut self.turn) {
            while self.head(key).is_some_and(|entry| entry.deadline <= limit) {
                due.extend(self.pop(key));
            }
            if self.waiting.contains_key(&key) {
                self.turn.push_back(key);
            }
        }
        due
    }

    /// Takes out all that waits for `key`.
    pub fn take_key(&mut self, key: Key) -> Vec<Entry<W>> {
        self.turn.retain(|other| *other != key);
        let entries: Vec<_> = self.waiting.remove(&key).into_iter().flatten().collect();
        for entry in &entries {
            self.discount(entry.rows, entry.bytes);
        }
        entries
    }

    /// Takes out all that waits.
    pub fn take_all(&mut self) -> Vec<Entry<W>> {
        let keys: Vec<_> = self.turn.drain(..).collect();
        keys.into_iter().flat_map(|key| self.take_key(key)).collect()
    }

    /// Rows and bytes that wait.
    pub const fn size(&self) -> Bounds {
        Bounds { rows: self.rows, bytes: self.bytes }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.turn.is_empty()
    }

    /// When the oldest of those that are first of their key was asked for; not of those that yield, as they are no sign of trouble.
    pub fn oldest(&self) -> Option<Instant> {
        let heads = self.turn.iter().filter_map(|key| self.head(*key));
        heads.filter(|entry| !matches!(entry.kind, Kind::Background { .. })).map(|entry| entry.arrived).min()
    }

    /// Whether the first of `key` does not yield. What waits behind a write that yields must not wait for its patience.
    fn presses(&self, key: Key, now: Instant) -> bool {
        let of_key = self.waiting.get(&key);
        of_key.and_then(VecDeque::front).is_some_and(|entry| match entry.kind {
            Kind::Append | Kind::Operation => true,
            Kind::Background { yields_until } => now >= yields_until || of_key.is_some_and(|waiting| waiting.len() > 1),
        })
    }

    fn take_operation(&mut self, place: usize) -> Option<Batch<W>> {
        let key = self.turn.remove(place)?;
        let entry = self.pop(key)?;
        if self.waiting.contains_key(&key) {
            self.turn.push_back(key);
        }
        Some(Batch { kind: Kind::Operation, entries: vec![entry] })
    }

    fn take_appends(&mut self, bounds: Bounds) -> Option<Batch<W>> {
        let mut room = Room::new(bounds);
        let mut entries = Vec::new();
        // Those whose turn it is but whose first write is an operation: they stay in front.
        let mut passed_over = Vec::new();
        while let Some(key) = self.turn.pop_front() {
            match self.head(key) {
                Some(entry) if entry.kind == Kind::Append => {
                    if !room.takes(entry.rows, entry.bytes) {
                        self.turn.push_front(key);
                        break;
                    }
                    entries.extend(self.pop(key));
                    if self.waiting.contains_key(&key) {
                        self.turn.push_back(key);
                    }
                }
                _ => passed_over.push(key),
            }
        }
        for key in passed_over.into_iter().rev() {
            self.turn.push_front(key);
        }
        (!entries.is_empty()).then_some(Batch { kind: Kind::Append, entries })
    }

    fn head(&self, key: Key) -> Option<&Entry<W>> {
        self.waiting.get(&key)?.front()
    }

    /// The first of `key`, which leaves the map with its last; the caller sees to `turn`.
    fn pop(&mut self, key: Key) -> Option<Entry<W>> {
        let of_key = self.waiting.get_mut(&key)?;
        let entry = of_key.pop_front()?;
        if of_key.is_empty() {
            self.waiting.remove(&key);
        }
        self.discount(entry.rows, entry.bytes);
        Some(entry)
    }

    fn discount(&mut self, rows: usize, bytes: usize) {
        self.rows = self.rows.saturating_sub(rows);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// What is left in a batch that is being filled.
struct Room {
    left: Bounds,
    empty: bool,
}

impl Room {
    const fn new(left: Bounds) -> Self {
        Self { left, empty: true }
    }

    /// Whether there is room for so much more; the first always fits, as a run is not split.
    fn takes(&mut self, rows: usize, bytes: usize) -> bool {
        let fits = self.empty || (rows <= self.left.rows && bytes <= self.left.bytes);
        if fits {
            self.empty = false;
            self.left = Bounds { rows: self.left.rows.saturating_sub(rows), bytes: self.left.bytes.saturating_sub(bytes) };
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;
    use uuid::Uuid;

    const WIDE: Bounds = Bounds { rows: 1_000, bytes: 1_000_000 };

    fn room(number: u128) -> Key {
        Key::Room(RoomId(Uuid::from_u128(number)))
    }

    fn entry(key: Key, kind: Kind, rows: usize, work: u32) -> Entry<u32> {
        let now = Instant::now();
        Entry { key, kind, rows, bytes: rows * 10, arrived: now, deadline: now, work }
    }

    fn append(key: Key, work: u32) -> Entry<u32> {
        entry(key, Kind::Append, 1, work)
    }

    fn operation(key: Key, work: u32) -> Entry<u32> {
        entry(key, Kind::Operation, 1, work)
    }

    fn queue(entries: impl IntoIterator<Item = Entry<u32>>) -> Queue<u32> {
        let mut queue = Queue::new(WIDE);
        for entry in entries {
            queue.push(entry).unwrap();
        }
        queue
    }

    /// An hour of patience, as it is only overcome where a test says so.
    fn background(key: Key, work: u32) -> Entry<u32> {
        entry(key, Kind::Background { yields_until: Instant::now() + Duration::from_secs(3600) }, 1, work)
    }

    fn take(queue: &mut Queue<u32>, bounds: Bounds) -> Option<Batch<u32>> {
        queue.take(bounds, Instant::now())
    }

    fn works(batch: Option<Batch<u32>>) -> Vec<u32> {
        batch.map(|batch| batch.entries.into_iter().map(|entry| entry.work).collect()).unwrap_or_default()
    }

    fn rows(rows: usize) -> Bounds {
        Bounds { rows, bytes: WIDE.bytes }
    }

    #[test]
    fn a_busy_room_does_not_starve_a_quiet_one() {
        let busy = (0..100).map(|number| append(room(1), number));
        let mut queue = queue(busy.chain([append(room(2), 500), append(room(3), 501)]));
        assert_eq!(works(take(&mut queue, rows(3))), [0, 500, 501]);
        assert_eq!(works(take(&mut queue, rows(3))), [1, 2, 3]);
    }

    #[test]
    fn whoever_did_not_fit_is_first_in_the_next_batch() {
        let mut queue = queue([append(room(1), 1), append(room(1), 2), entry(room(2), Kind::Append, 3, 20), append(room(3), 30)]);
        assert_eq!(works(take(&mut queue, rows(3))), [1]);
        assert_eq!(works(take(&mut queue, rows(3))), [20]);
        assert_eq!(works(take(&mut queue, rows(3))), [30, 2]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_run_is_never_split_even_when_it_is_larger_than_a_batch() {
        let mut queue = queue([entry(room(1), Kind::Append, 9, 1), append(room(2), 2)]);
        assert_eq!(works(take(&mut queue, rows(5))), [1]);
        assert_eq!(works(take(&mut queue, rows(5))), [2]);
    }

    #[test]
    fn bytes_close_a_batch_too() {
        let mut queue = queue([append(room(1), 1), append(room(2), 2), append(room(3), 3)]);
        assert_eq!(works(take(&mut queue, Bounds { rows: 100, bytes: 25 })), [1, 2]);
    }

    #[test]
    fn a_post_behind_a_kick_stays_behind_it() {
        let mut queue = queue([append(room(1), 1), operation(room(1), 2), append(room(1), 3), append(room(2), 20)]);
        assert_eq!(works(take(&mut queue, WIDE)), [1, 20]);
        assert_eq!(works(take(&mut queue, WIDE)), [2]);
        assert_eq!(works(take(&mut queue, WIDE)), [3]);
    }

    #[test]
    fn operations_and_appends_alternate() {
        let mut queue = queue([operation(room(1), 1), operation(room(2), 2), append(room(3), 30), append(room(4), 40)]);
        assert_eq!(works(take(&mut queue, rows(1))), [1]);
        assert_eq!(works(take(&mut queue, rows(1))), [30]);
        assert_eq!(works(take(&mut queue, rows(1))), [2]);
        assert_eq!(works(take(&mut queue, rows(1))), [40]);
    }

    #[test]
    fn a_background_write_yields_to_all_that_waits_and_to_what_comes_meanwhile() {
        let mut queue = queue([background(room(1), 1), append(room(2), 20), operation(room(3), 30), append(room(2), 21)]);
        assert_eq!(works(take(&mut queue, rows(1))), [20]);
        queue.push(append(room(4), 40)).unwrap();
        assert_eq!(works(take(&mut queue, rows(1))), [30]);
        assert_eq!(works(take(&mut queue, rows(2))), [21, 40]);
        let last = take(&mut queue, WIDE).unwrap();
        assert_eq!((last.kind, works(Some(last))), (Kind::Operation, vec![1]), "nothing else waits");
        assert!(queue.is_empty());
    }

    #[test]
    fn a_background_write_that_yielded_long_enough_has_its_turn() {
        let now = Instant::now();
        let patience = Duration::from_secs(10);
        let waiting = entry(room(1), Kind::Background { yields_until: now + patience }, 1, 1);
        let busy = (0..100).map(|work| append(room(2), 100 + work));
        let mut queue = queue([waiting].into_iter().chain(busy));
        assert_eq!(works(queue.take(rows(1), now)), [100]);
        assert_eq!(works(queue.take(rows(1), now + patience - Duration::from_millis(1))), [101]);
        assert_eq!(works(queue.take(rows(1), now + patience)), [1]);
        assert_eq!(works(queue.take(rows(1), now + patience)), [102]);
    }

    #[test]
    fn what_waits_behind_a_background_write_of_its_key_does_not_wait_for_its_patience() {
        let mut queue = queue([background(room(1), 1), append(room(2), 20), operation(room(1), 2), append(room(2), 21)]);
        let order: Vec<_> =
            std::iter::from_fn(|| Some(works(take(&mut queue, rows(1)))).filter(|works| !works.is_empty())).collect();
        assert_eq!(order, [[1], [20], [2], [21]], "alternating, as operations do");
    }

    #[test]
    fn a_background_write_that_yields_is_no_sign_of_trouble() {
        let mut queue = queue([background(room(1), 1)]);
        assert_eq!(queue.oldest(), None);
        queue.push(append(room(2), 2)).unwrap();
        assert!(queue.oldest().is_some());
    }

    #[test]
    fn a_full_queue_gives_the_write_back() {
        let mut queue = Queue::new(Bounds { rows: 2, bytes: 1_000 });
        queue.push(append(room(1), 1)).unwrap();
        queue.push(append(room(1), 2)).unwrap();
        assert_eq!(queue.push(append(room(2), 3)).unwrap_err().work, 3);
        assert_eq!(works(take(&mut queue, rows(1))), [1]);
        queue.push(append(room(2), 3)).unwrap();
        assert_eq!(queue.size(), Bounds { rows: 2, bytes: 20 });
    }

    #[test]
    fn what_is_due_leaves_and_what_waits_behind_it_becomes_first() {
        let now = Instant::now();
        let late = |work| Entry { deadline: now, ..append(room(1), work) };
        let fresh = |work| Entry { deadline: now + Duration::from_secs(1), ..append(room(1), work) };
        let mut queue = queue([late(1), late(2), fresh(3), late(4)]);
        let due: Vec<_> = queue.take_due(now).into_iter().map(|entry| entry.work).collect();
        assert_eq!(due, [1, 2]);
        assert_eq!(works(take(&mut queue, WIDE)), [3, 4]);
    }

    #[test]
    fn a_key_can_be_emptied_without_the_others() {
        let mut queue = queue([append(room(1), 1), append(room(2), 20), operation(room(1), 2)]);
        let taken: Vec<_> = queue.take_key(room(1)).into_iter().map(|entry| entry.work).collect();
        assert_eq!(taken, [1, 2]);
        assert_eq!(works(take(&mut queue, WIDE)), [20]);
        assert_eq!((queue.size(), queue.is_empty()), (Bounds { rows: 0, bytes: 0 }, true));
        assert_eq!(queue.oldest(), None);
    }

    proptest! {
        /// Against the simplest model there is: one list per key.
        #[test]
        fn every_write_leaves_once_and_in_order_of_its_key(
            script in proptest::collection::vec((0_u128..5, 0_u8..3, 1_usize..4, any::<bool>()), 1..200),
            limit in 1_usize..6,
        ) {
            let mut queue = Queue::new(WIDE);
            let mut model: HashMap<Key, VecDeque<u32>> = HashMap::new();
            let check = |queue: &mut Queue<u32>, model: &mut HashMap<Key, VecDeque<u32>>| {
                let batch = take(queue, rows(limit)).expect("something waits");
                prop_assert!(batch.kind == Kind::Append || batch.entries.len() == 1);
                let total: usize = batch.entries.iter().map(|entry| entry.rows).sum();
                prop_assert!(total <= limit || batch.entries.len() == 1);
                for entry in batch.entries {
                    prop_assert_eq!(entry.kind == Kind::Append, batch.kind == Kind::Append);
                    prop_assert_eq!(model.get_mut(&entry.key).and_then(VecDeque::pop_front), Some(entry.work));
                }
                Ok(())
            };
            for (work, (number, kind, rows, takes)) in (0_u32..).zip(script) {
                let waiting = match kind {
                    0 => entry(room(number), Kind::Append, rows, work),
                    1 => entry(room(number), Kind::Operation, rows, work),
                    _ => background(room(number), work),
                };
                queue.push(waiting).unwrap();
                model.entry(room(number)).or_default().push_back(work);
                if takes {
                    check(&mut queue, &mut model)?;
                }
            }
            while !queue.is_empty() {
                check(&mut queue, &mut model)?;
            }
            prop_assert!(model.values().all(VecDeque::is_empty));
            prop_assert_eq!(queue.size(), Bounds { rows: 0, bytes: 0 });
        }

        /// Between two services of one key every other key with a post in front is served.
        #[test]
        fn no_room_is_served_twice_before_another_that_waits(waiting in proptest::collection::vec(1_u32..20, 2..6), limit in 1_usize..8) {
            let mut queue = Queue::new(WIDE);
            for (number, count) in (0_u128..).zip(&waiting) {
                for work in 0..*count {
                    queue.push(append(room(number), work)).unwrap();
                }
            }
            let mut left: HashMap<Key, u32> = (0_u128..).zip(&waiting).map(|(number, count)| (room(number), *count)).collect();
            let mut served: HashMap<Key, u32> = HashMap::new();
            while let Some(batch) = take(&mut queue, rows(limit)) {
                for entry in batch.entries {
                    *left.get_mut(&entry.key).unwrap() -= 1;
                    *served.entry(entry.key).or_default() += 1;
                    let mine = served[&entry.key];
                    for (other, open) in &left {
                        prop_assert!(*open == 0 || served.get(other).copied().unwrap_or(0) + 1 >= mine);
                    }
                }
            }
        }
    }
}
