//! A rate for one connection, in sixteen bytes (the generic cell rate algorithm). Pure: the time is handed in.

use crate::config::Rate;
use std::time::{Duration, Instant};

/// When the allowance will be whole again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    whole_at: Option<Instant>,
}

impl Bucket {
    /// Takes one from the allowance, if one is left.
    pub fn take(&mut self, rate: Rate, now: Instant) -> bool {
        self.take_or_wait(rate, now).is_ok()
    }

    /// The same; says otherwise after which time one will be left.
    ///
    /// # Errors
    /// That time.
    pub fn take_or_wait(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let Rate::Limited { count, per } = rate else {
            return Ok(());
        };
        let each = per / count.get();
        let whole_at = self.whole_at.map_or(now, |at| at.max(now)) + each;
        // Rounding down `each` must not refuse the last of a burst.
        let beyond = whole_at.saturating_duration_since(now).saturating_sub(per.max(Duration::from_nanos(1)));
        if beyond.is_zero() {
            self.whole_at = Some(whole_at);
            Ok(())
        } else {
            Err(beyond)
        }
    }

    /// Gives back one that was taken and, as it turned out, does not count.
    pub fn give_back(&mut self, rate: Rate) {
        if let Rate::Limited { count, per } = rate {
            self.whole_at = self.whole_at.and_then(|at| at.checked_sub(per / count.get()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let rate: Rate = "3/3s".parse().unwrap();
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        let second = Duration::from_secs(1);
        let taken: Vec<_> = (0..4).map(|_| bucket.take(rate, start)).collect();
        assert_eq!(taken, [true, true, true, false]);
        assert!(bucket.take(rate, start + second));
        assert!(!bucket.take(rate, start + second));
        assert!((0..3).all(|_| bucket.take(rate, start + 10 * second)));
        assert!((0..100).all(|_| bucket.take(Rate::Unlimited, start)));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_never_makes_more_than_all() {
        let rate: Rate = "2/2s".parse().unwrap();
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        for _ in 0..5 {
            assert!(bucket.take(rate, start));
            bucket.give_back(rate);
        }
        bucket.give_back(rate);
        let taken: Vec<_> = (0..3).map(|_| bucket.take(rate, start)).collect();
        assert_eq!(taken, [true, true, false]);
    }
}
