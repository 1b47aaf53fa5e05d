//! Restart or give up: the rules, without any actor.
//!
//! Purpose: from how an actor ended, its class and its recent restarts, decide what follows. Neighbours: `supervisor` (one
//! window per actor) and `tree` (one per supervisor) carry the decision out. Invariant: a window never admits more than
//! `max_restarts` restarts in any stretch of `within`. Must not know: actors, tasks, clocks (`now` is handed in).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Which ends of an actor are followed by a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartClass {
    /// After a panic and after a stop: it ends only with its supervisor.
    Permanent,
    /// After a panic only; when it stops by itself, it is done.
    Transient,
    /// Never. Its end concerns nobody else, so it does not use up anyone's limit either.
    Temporary,
}

/// How an actor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It panicked, wherever that was: handler, timer, future or life-cycle method.
    Panicked,
    /// It stopped by its own decision.
    Stopped,
}

/// What follows the end of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Begin again once `after` has passed.
    Restart {
        /// The pause before it begins; zero for none.
        after: Duration,
    },
    /// Let it go; nothing is wrong from the supervisor's point of view.
    Stop,
    /// The limit is used up: the supervisor above decides.
    Escalate,
}

/// When to restart, how often, and after which pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Which ends are followed by a restart.
    pub class: RestartClass,
    /// So many restarts are allowed in any stretch of `within`; the next one escalates.
    pub max_restarts: u32,
    /// The stretch of time `max_restarts` is counted over.
    pub within: Duration,
    /// The pause before a restart; each further one in a row doubles it. A row ends when the actor has run for twice the longest pause.
    pub backoff_min: Duration,
    /// The longest pause. Messages wait in the mailbox meanwhile, so keep it below their deadline.
    pub backoff_max: Duration,
}

impl RestartPolicy {
    /// Never restarted.
    pub const TEMPORARY: Self = Self::new(RestartClass::Temporary, 0, Duration::ZERO);

    /// A policy that restarts without a pause; see [`RestartPolicy::with_backoff`].
    pub const fn new(class: RestartClass, max_restarts: u32, within: Duration) -> Self {
        Self { class, max_restarts, within, backoff_min: Duration::ZERO, backoff_max: Duration::ZERO }
    }

    /// The same policy with a pause that doubles from `min` up to `max`.
    pub const fn with_backoff(mut self, min: Duration, max: Duration) -> Self {
        self.backoff_min = min;
        self.backoff_max = max;
        self
    }

    /// The pause before the restart that has `earlier` others before it in its row.
    fn backoff(&self, earlier: usize) -> Duration {
        let doublings = u32::try_from(earlier).unwrap_or(u32::MAX);
        let factor = 2_u32.saturating_pow(doublings);
        self.backoff_min.saturating_mul(factor).min(self.backoff_max.max(self.backoff_min))
    }
}

/// The recent restarts of one actor, or of the children of one supervisor.
#[derive(Clone, Debug)]
pub struct RestartWindow {
    policy: RestartPolicy,
    /// When each restart was decided, oldest first; at most `max_restarts` of them, and no allocation before the first.
    restarts: VecDeque<Instant>,
}

impl RestartWindow {
    /// A window without any restart in it.
    pub const fn new(policy: RestartPolicy) -> Self {
        Self { policy, restarts: VecDeque::new() }
    }

    /// The policy this window keeps.
    pub const fn policy(&self) -> &RestartPolicy {
        &self.policy
    }

    /// Decides what follows an ending at `now`, and counts it if that is a restart.
    pub fn decide(&mut self, ending: Ending, now: Instant) -> Decision {
        match (self.policy.class, ending) {
            (RestartClass::Temporary, _) | (RestartClass::Transient, Ending::Stopped) => Decision::Stop,
            (RestartClass::Permanent, _) | (RestartClass::Transient, Ending::Panicked) => self.admit(now),
        }
    }

    /// Forgets all restarts: a supervisor above has taken the blame.
    pub fn forgive(&mut self) {
        self.restarts.clear();
    }

    fn admit(&mut self, now: Instant) -> Decision {
        let within = self.policy.within;
        while self.restarts.front().is_some_and(|&restart| now.saturating_duration_since(restart) >= within) {
            self.restarts.pop_front();
        }
        let earlier = self.restarts.len();
        if earlier >= usize::try_from(self.policy.max_restarts).unwrap_or(usize::MAX) {
            return Decision::Escalate;
        }
        let in_a_row = self.in_a_row(now);
        self.restarts.push_back(now);
        Decision::Restart { after: self.policy.backoff(in_a_row) }
    }

    /// Restarts of which each came soon after the one before it, up to `now`. An actor that worked for a while in between is no worse for
    /// what happened before: its neighbours need it back at once.
    fn in_a_row(&self, now: Instant) -> usize {
        let calm = self.policy.backoff_max.saturating_mul(2);
        let newest_first = self.restarts.iter().rev();
        let after_each = std::iter::once(&now).chain(newest_first.clone());
        newest_first.zip(after_each).take_while(|(restart, next)| next.saturating_duration_since(**restart) < calm).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn window(class: RestartClass, max_restarts: u32) -> RestartWindow {
        let policy = RestartPolicy::new(class, max_restarts, 10 * SECOND);
        RestartWindow::new(policy.with_backoff(SECOND, 5 * SECOND))
    }

    fn restart(after: Duration) -> Decision {
        Decision::Restart { after }
    }

    #[test]
    fn permanent_is_restarted_after_a_panic_and_after_a_stop() {
        let mut window = window(RestartClass::Permanent, 5);
        let now = Instant::now();
        assert_eq!(window.decide(Ending::Stopped, now), restart(SECOND));
        assert_eq!(window.decide(Ending::Panicked, now), restart(2 * SECOND));
    }

    #[test]
    fn transient_is_restarted_after_a_panic_only() {
        let mut window = window(RestartClass::Transient, 5);
        let now = Instant::now();
        assert_eq!(window.decide(Ending::Stopped, now), Decision::Stop);
        assert_eq!(window.decide(Ending::Panicked, now), restart(SECOND));
    }

    #[test]
    fn temporary_is_never_restarted_and_never_escalates() {
        let mut window = window(RestartClass::Temporary, 0);
        let now = Instant::now();
        assert_eq!(window.decide(Ending::Stopped, now), Decision::Stop);
        assert_eq!(window.decide(Ending::Panicked, now), Decision::Stop);
    }

    #[test]
    fn backoff_doubles_up_to_its_maximum() {
        let mut window = window(RestartClass::Permanent, 100);
        let now = Instant::now();
        let pauses: Vec<_> = (0..40).map(|_| window.decide(Ending::Panicked, now)).collect();
        assert_eq!(pauses[..4], [1, 2, 4, 5].map(|seconds| restart(seconds * SECOND)));
        assert_eq!(pauses[39], restart(5 * SECOND));
    }

    #[test]
    fn after_a_calm_while_the_pauses_begin_anew() {
        let mut window = window(RestartClass::Permanent, 100);
        let now = Instant::now();
        assert_eq!(window.decide(Ending::Panicked, now), restart(SECOND));
        assert_eq!(window.decide(Ending::Panicked, now + 3 * SECOND), restart(2 * SECOND));
        assert_eq!(window.decide(Ending::Panicked, now + 6 * SECOND), restart(4 * SECOND));
        let policy = window.policy().with_backoff(SECOND, SECOND * 3 / 2);
        let mut calmer = RestartWindow { policy, ..window };
        assert_eq!(calmer.decide(Ending::Panicked, now + 9 * SECOND), restart(SECOND));
        assert_eq!(calmer.decide(Ending::Panicked, now + 10 * SECOND), restart(SECOND * 3 / 2));
    }

    #[test]
    fn one_more_than_the_limit_escalates() {
        let mut window = window(RestartClass::Permanent, 2);
        let now = Instant::now();
        window.decide(Ending::Panicked, now);
        window.decide(Ending::Panicked, now + 9 * SECOND);
        assert_eq!(window.decide(Ending::Panicked, now + 9 * SECOND), Decision::Escalate);
    }

    #[test]
    fn restarts_older_than_the_window_do_not_count() {
        let mut window = window(RestartClass::Permanent, 2);
        let now = Instant::now();
        window.decide(Ending::Panicked, now);
        window.decide(Ending::Panicked, now + 5 * SECOND);
        let later = now + 10 * SECOND;
        assert_eq!(window.decide(Ending::Panicked, later), restart(2 * SECOND));
        assert_eq!(window.decide(Ending::Panicked, later), Decision::Escalate);
    }

    #[test]
    fn a_refused_restart_is_not_counted() {
        let mut window = window(RestartClass::Permanent, 1);
        let now = Instant::now();
        window.decide(Ending::Panicked, now);
        for second in 1..10 {
            let decision = window.decide(Ending::Panicked, now + second * SECOND);
            assert_eq!(decision, Decision::Escalate);
        }
        assert_eq!(window.decide(Ending::Panicked, now + 10 * SECOND), restart(SECOND));
    }

    #[test]
    fn forgiven_restarts_do_not_count() {
        let mut window = window(RestartClass::Permanent, 1);
        let now = Instant::now();
        window.decide(Ending::Panicked, now);
        window.forgive();
        assert_eq!(window.decide(Ending::Panicked, now), restart(SECOND));
    }

    proptest::proptest! {
        #[test]
        fn no_stretch_holds_more_restarts_than_the_limit(
            steps in proptest::collection::vec(0_u64..4_000, 1..200),
            max_restarts in 0_u32..6,
        ) {
            let mut window = window(RestartClass::Permanent, max_restarts);
            let mut now = Instant::now();
            let mut admitted = Vec::new();
            for step in steps {
                now += Duration::from_millis(step);
                if matches!(window.decide(Ending::Panicked, now), Decision::Restart { .. }) {
                    admitted.push(now);
                }
                let recent = admitted.iter().filter(|&&at| now - at < 10 * SECOND).count();
                proptest::prop_assert!(recent <= max_restarts as usize);
            }
        }
    }
}
