//! Who types: how often that is passed on. Pure: the instant is handed in. Must not know: who may type (the policy says).

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::ids::UserId;

/// When each person's typing was last passed on. Nobody is kept for longer than two pauses.
#[derive(Debug, Default)]
pub struct Typing {
    last: HashMap<UserId, Instant>,
    swept: Option<Instant>,
}

impl Typing {
    /// Whether this one is passed on: the first of a person within `pause`.
    pub fn begins(&mut self, user: UserId, now: Instant, pause: Duration) -> bool {
        let is_fresh = |since: &Instant| now.saturating_duration_since(*since) < pause;
        if !self.swept.as_ref().is_some_and(is_fresh) {
            self.last.retain(|_, last| is_fresh(last));
            self.swept = Some(now);
        }
        if self.last.get(&user).is_some_and(is_fresh) {
            return false;
        }
        self.last.insert(user, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(2);

    #[test]
    fn one_per_person_and_pause_is_passed_on() {
        let (mut typing, begin) = (Typing::default(), Instant::now());
        let (ann, bob) = (UserId::generate(), UserId::generate());
        let at = |millis| begin + Duration::from_millis(millis);
        let cases =
            [(ann, 0, true), (ann, 1999, false), (bob, 1999, true), (ann, 2000, true), (bob, 3000, false), (bob, 3999, true)];
        for (who, millis, passed) in cases {
            assert_eq!(typing.begins(who, at(millis), PAUSE), passed, "{millis} ms");
        }
    }

    #[test]
    fn who_stopped_typing_is_forgotten() {
        let (mut typing, begin) = (Typing::default(), Instant::now());
        for number in 0..100 {
            typing.begins(UserId::generate(), begin + PAUSE * number, PAUSE);
        }
        assert!(typing.last.len() <= 2, "{}", typing.last.len());
    }
}
