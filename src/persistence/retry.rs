//! What follows a failed transaction: again, apart, or an answer. Decided without any actor or clock.
//!
//! Purpose: keep I9's promise that a failure is either repaired within the deadline or answered truthfully: *not stored* only if that is
//! certain. Neighbours: `commit.rs` carries it out. Must not know: what was written.

use std::time::{Duration, Instant};

use crate::domain::fault::Fault;
use crate::faults;
use crate::store::StoreError;

/// How often a transaction that panics is run again before its writes are tried one by one.
const PANICS_TOGETHER: u32 = 1;

/// Pauses between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    /// The first.
    pub first: Duration,
    /// Each is twice the one before, up to this.
    pub max: Duration,
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Run the same transaction again after a pause.
    Again(Duration),
    /// The fault is in one of the writes: run them one by one. Of a single write: refuse it with this.
    Apart(Fault),
    /// The database is not there for us: everybody is answered this, and nobody else should wait for it in vain.
    GiveUp(Fault),
}

/// The attempts to get one transaction through.
#[derive(Clone, Debug)]
pub struct Attempts {
    deadline: Instant,
    pauses: Pauses,
    pause: Duration,
    /// A COMMIT was not answered: until an attempt comes through, nobody knows whether it was carried out.
    uncertain: bool,
    panics: u32,
}

impl Attempts {
    /// Attempts until `deadline`.
    #[must_use]
    pub const fn until(deadline: Instant, pauses: Pauses) -> Self {
        Self { deadline, pauses, pause: pauses.first, uncertain: false, panics: 0 }
    }

    /// The time left for one more attempt.
    #[must_use]
    pub fn time_left(&self, now: Instant) -> Duration {
        self.deadline.saturating_duration_since(now)
    }

    /// Decides what follows `error`.
    pub fn after(&mut self, error: &StoreError, now: Instant) -> Next {
        match error {
            // The breach of I9 claims to know.
            StoreError::OutcomeUnknown(_) => self.uncertain = !faults::hit("persistence.claim_certain"),
            StoreError::Panicked => self.panics += 1,
            _ => {}
        }
        match error {
            StoreError::RowRefused(_) | StoreError::Refused(_) | StoreError::Corrupt(_) | StoreError::Internal(_) => {
                // Perhaps it is refused because the lost attempt did it already.
                Next::Apart(if self.uncertain { Fault::OutcomeUnknown } else { error.fault() })
            }
            StoreError::Panicked if self.panics > PANICS_TOGETHER => Next::Apart(Fault::Internal),
            _ => self.again(error, now),
        }
    }

    fn again(&mut self, error: &StoreError, now: Instant) -> Next {
        let pause = self.pause;
        if self.time_left(now) <= pause {
            return Next::GiveUp(if self.uncertain { Fault::OutcomeUnknown } else { given_up(error) });
        }
        self.pause = pause.saturating_mul(2).min(self.pauses.max);
        Next::Again(pause)
    }
}

/// The answer when time is up and it is certain that nothing was stored.
const fn given_up(error: &StoreError) -> Fault {
    match error {
        // Our own pool is used up, the database may be well: that is overload.
        StoreError::Busy => Fault::Busy,
        _ => Fault::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSES: Pauses = Pauses { first: Duration::from_millis(20), max: Duration::from_millis(50) };

    fn attempts(now: Instant) -> Attempts {
        Attempts::until(now + Duration::from_secs(2), PAUSES)
    }

    fn away() -> StoreError {
        StoreError::Unavailable("gone".into())
    }

    fn unknown() -> StoreError {
        StoreError::OutcomeUnknown("gone".into())
    }

    #[test]
    fn what_may_pass_is_tried_again_with_growing_pauses() {
        let now = Instant::now();
        let mut attempts = attempts(now);
        let pauses = [20, 40, 50, 50].map(|ms| Next::Again(Duration::from_millis(ms)));
        let errors = [away(), StoreError::Contention("deadlock".into()), unknown(), StoreError::Busy];
        assert_eq!(errors.map(|error| attempts.after(&error, now)), pauses);
    }

    #[test]
    fn past_the_deadline_the_answer_is_certainly_not_stored() {
        let now = Instant::now();
        let late = now + Duration::from_secs(2);
        assert_eq!(attempts(now).after(&away(), late), Next::GiveUp(Fault::Unavailable));
        assert_eq!(attempts(now).after(&StoreError::Busy, late), Next::GiveUp(Fault::Busy));
    }

    #[test]
    fn after_a_lost_commit_the_answer_is_unknown_whatever_follows() {
        let now = Instant::now();
        let mut attempts = attempts(now);
        assert!(matches!(attempts.after(&unknown(), now), Next::Again(_)));
        assert_eq!(attempts.after(&away(), now + Duration::from_secs(2)), Next::GiveUp(Fault::OutcomeUnknown));
    }

    #[test]
    fn a_refused_row_sends_the_batch_apart_at_once() {
        let now = Instant::now();
        assert_eq!(attempts(now).after(&StoreError::RowRefused("value"), now), Next::Apart(Fault::BadRequest));
        assert_eq!(attempts(now).after(&StoreError::Refused(Fault::Banned), now), Next::Apart(Fault::Banned));
        assert_eq!(attempts(now).after(&StoreError::Internal("syntax".into()), now), Next::Apart(Fault::Internal));
    }

    #[test]
    fn a_panic_is_tried_once_more_together_and_then_apart() {
        let now = Instant::now();
        let mut attempts = attempts(now);
        assert!(matches!(attempts.after(&StoreError::Panicked, now), Next::Again(_)));
        assert_eq!(attempts.after(&StoreError::Panicked, now), Next::Apart(Fault::Internal));
    }
}
