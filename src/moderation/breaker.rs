//! When a hook that fails is left alone: a circuit breaker. Pure: the time is handed in.

use std::time::Duration;
use tokio::time::Instant;

/// Counts failures in a row; after so many nobody asks for a while, then one question tries.
#[derive(Clone, Debug)]
pub struct Breaker {
    failures_max: u32,
    pause: Duration,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It answers, but for so many failures in a row.
    Asked(u32),
    /// It is left alone until then, or one question tries it; whose answer may be lost, then the next one tries.
    LeftAlone { until: Instant },
}

impl Breaker {
    /// Nothing has failed yet.
    #[must_use]
    pub const fn new(failures_max: u32, pause: Duration) -> Self {
        Self { failures_max, pause, state: State::Asked(0) }
    }

    /// May it be asked now?
    pub fn may_ask(&mut self, now: Instant) -> bool {
        match self.state {
            State::Asked(_) => true,
            State::LeftAlone { until } if now < until => false,
            State::LeftAlone { .. } => {
                // This one tries; nobody else does until it has failed or could have.
                self.state = State::LeftAlone { until: now + self.pause };
                true
            }
        }
    }

    /// It answered as it should.
    pub const fn succeeded(&mut self) {
        self.state = State::Asked(0);
    }

    /// It did not.
    pub fn failed(&mut self, now: Instant) {
        self.state = match self.state {
            State::Asked(before) if before + 1 < self.failures_max => State::Asked(before + 1),
            State::Asked(_) | State::LeftAlone { .. } => State::LeftAlone { until: now + self.pause },
        };
    }

    /// Whether it is left alone.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::LeftAlone { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    fn failed_often(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(3, PAUSE);
        for _ in 0..3 {
            assert!(breaker.may_ask(now));
            breaker.failed(now);
        }
        breaker
    }

    #[test]
    fn so_many_failures_in_a_row_leave_it_alone_and_one_success_between_does_not() {
        let now = Instant::now();
        let mut breaker = Breaker::new(3, PAUSE);
        for _ in 0..5 {
            breaker.failed(now);
            breaker.failed(now);
            breaker.succeeded();
        }
        assert!(breaker.may_ask(now));
        assert!(!failed_often(now).may_ask(now));
    }

    #[test]
    fn after_the_pause_one_question_tries_and_decides() {
        let now = Instant::now();
        let later = now + PAUSE;
        let mut breaker = failed_often(now);
        assert!(!breaker.may_ask(later - Duration::from_millis(1)));
        assert!(breaker.may_ask(later) && !breaker.may_ask(later), "only one");
        breaker.failed(later);
        assert!(!breaker.may_ask(later + PAUSE / 2));
        assert!(breaker.may_ask(later + PAUSE));
        breaker.succeeded();
        assert!(breaker.may_ask(later + PAUSE) && breaker.may_ask(later + PAUSE));
    }

    #[test]
    fn a_trial_whose_answer_is_lost_does_not_leave_it_alone_for_ever() {
        let now = Instant::now();
        let mut breaker = failed_often(now);
        assert!(breaker.may_ask(now + PAUSE));
        assert!(breaker.may_ask(now + PAUSE * 2));
    }
}
