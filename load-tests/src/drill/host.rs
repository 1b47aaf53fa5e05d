//! How much processor time the host of a virtual machine gave to others: "steal" in `/proc/stat` (proc(5)). It makes everything slow that waits
//! for one thread after the other, by tens of milliseconds, and nothing that runs here can cause it or avoid it.

use std::fs;

/// More than this share makes times those of the host, not of the server.
const MUCH: f64 = 0.05;

/// Processor time of all processors since the machine started, in clock ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticks {
    stolen: u64,
    all: u64,
}

impl Ticks {
    /// Up to now; `None` where the system does not tell.
    pub fn now() -> Option<Self> {
        Self::read(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// From the first line: user, nice, system, idle, iowait, irq, softirq, steal; what follows is part of user and nice.
    fn read(stat: &str) -> Option<Self> {
        let ticks = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8).map(str::parse);
        let ticks: Vec<u64> = ticks.collect::<Result<_, _>>().ok()?;
        Some(Self { stolen: *ticks.get(7)?, all: ticks.iter().sum() })
    }

    /// The share that was stolen between then and now, from 0 to 1.
    pub fn stolen_since(self, then: Self) -> f64 {
        let all = self.all.saturating_sub(then.all).max(1);
        self.stolen.saturating_sub(then.stolen) as f64 / all as f64
    }
}

/// Whether times of a drill during which this share was stolen tell nothing of the server.
pub fn is_much(stolen: f64) -> bool {
    stolen > MUCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stolen_is_a_share_of_all_that_passed() {
        let then = Ticks::read("cpu  100 0 50 800 10 0 30 10 7 0\ncpu0 1 2 3").unwrap();
        assert_eq!(then, Ticks { stolen: 10, all: 1000 }, "a guest's time is in user already");
        let now = Ticks::read("cpu  150 0 70 960 10 0 40 70 7 0").unwrap();
        assert!((now.stolen_since(then) - 0.2).abs() < 1e-9);
        assert!(then.stolen_since(then).abs() < 1e-9, "no time has passed");
        assert_eq!(Ticks::read("intr 1 2 3"), None);
        assert_eq!(Ticks::read("cpu  1 2 3"), None, "a system that does not tell");
    }

    #[test]
    fn a_twentieth_is_not_much() {
        assert!(!is_much(0.05));
        assert!(is_much(0.051));
    }
}
