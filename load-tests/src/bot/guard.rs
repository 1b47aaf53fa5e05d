//! Whose words must not reach a bot, by what the server has promised: who blocks somebody sees nothing of theirs from the `relation` on that tells
//! of it, or after a welcome that came later than the answer to the block, and at the latest so long after that answer. Pure.

use std::collections::HashMap;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// One person, as far as blocking goes.
#[derive(Clone, Copy, Debug, Default)]
struct Relation {
    /// What was asked for last.
    wanted: bool,
    /// When a block was answered.
    done_at: Option<Instant>,
    /// That was before the last `hello`.
    greeted: bool,
    /// What the last `relation` on this connection said.
    told: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Guard {
    people: HashMap<Uuid, Relation>,
    felt_within: Duration,
    live_since: Option<Instant>,
}

impl Guard {
    /// Blocks hold so long after their answer, whatever was told.
    pub fn new(felt_within: Duration) -> Self {
        Self { people: HashMap::new(), felt_within, live_since: None }
    }

    /// A block, or its end, is asked for: from here on it is not known what holds.
    pub fn asked(&mut self, user: Uuid, on: bool) {
        self.people.insert(user, Relation { wanted: on, ..Relation::default() });
    }

    /// A block is answered.
    pub fn done(&mut self, user: Uuid, now: Instant) {
        if let Some(relation) = self.people.get_mut(&user) {
            relation.done_at = Some(now);
        }
    }

    /// A block was refused.
    pub fn refused(&mut self, user: Uuid) {
        self.people.remove(&user);
    }

    /// A `relation` came.
    pub fn told(&mut self, user: Uuid, blocked: bool) {
        self.people.entry(user).or_default().told = blocked;
    }

    /// A `hello` is sent: nothing of an earlier connection holds any more but what was answered.
    pub fn greeting(&mut self) {
        self.live_since = None;
        for relation in self.people.values_mut() {
            relation.greeted = relation.done_at.is_some();
            relation.told = false;
        }
    }

    /// The `hello` is answered.
    pub fn welcomed(&mut self, now: Instant) {
        self.live_since = Some(now);
    }

    /// Whether this bot asked last for a block of `user`.
    pub fn wants(&self, user: Uuid) -> bool {
        self.people.get(&user).is_some_and(|relation| relation.wanted)
    }

    /// One whom it wants to block.
    pub fn any(&self) -> Option<Uuid> {
        self.people.iter().find(|(_, relation)| relation.wanted).map(|(user, _)| *user)
    }

    /// Whether nothing of `user` may come.
    pub fn hides(&self, user: Uuid, now: Instant) -> bool {
        let Some(relation) = self.people.get(&user).filter(|relation| relation.wanted) else { return false };
        let long_ago = |done: Instant| self.live_since.is_some_and(|live| now > done.max(live) + self.felt_within);
        relation.told || relation.greeted || relation.done_at.is_some_and(long_ago)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: Uuid = Uuid::from_u128(7);
    const SECOND: Duration = Duration::from_secs(1);

    fn blocked(now: Instant) -> Guard {
        let mut guard = Guard::new(SECOND);
        guard.welcomed(now);
        guard.asked(BOB, true);
        guard
    }

    #[test]
    fn a_block_holds_from_its_relation_on_until_its_end_is_asked_for() {
        let now = Instant::now();
        let mut guard = blocked(now);
        assert!(!guard.hides(BOB, now));
        guard.told(BOB, true);
        assert!(guard.hides(BOB, now) && guard.wants(BOB) && guard.any() == Some(BOB));
        guard.asked(BOB, false);
        assert!(!guard.hides(BOB, now) && guard.any().is_none());
        guard.told(BOB, true);
        assert!(!guard.hides(BOB, now), "an old relation, late");
    }

    #[test]
    fn it_holds_some_time_after_its_answer_whatever_was_told() {
        let now = Instant::now();
        let mut guard = blocked(now);
        guard.done(BOB, now + SECOND);
        assert!(!guard.hides(BOB, now + SECOND * 2));
        assert!(guard.hides(BOB, now + SECOND * 2 + Duration::from_millis(1)));
    }

    #[test]
    fn it_holds_from_a_welcome_on_that_was_asked_for_after_its_answer() {
        let now = Instant::now();
        let mut guard = blocked(now);
        guard.greeting();
        assert!(!guard.hides(BOB, now), "never answered");
        guard.done(BOB, now);
        guard.greeting();
        assert!(guard.hides(BOB, now));
        guard.refused(BOB);
        assert!(!guard.hides(BOB, now));
    }
}
