//! How long those waited whom a panic did not strike: p99 of delivery in the window that begins with it, from the swarm's journal. Pure.
//!
//! A delivery belongs to the window in which its post was meant to be sent. What strikes it is a [`Blow`]; docs/DRILLS.md says why it is so.

use hubbub_load_tests::journal::Delivery;
use std::time::Duration;

/// How long a window is at most: up to the next panic of most drills, and longer than any part may be away.
pub const WINDOW: Duration = Duration::from_millis(1500);
/// Fewer deliveries tell no p99. A relay that has most of the people leaves some hundred of a window's 1,200, now and then half as many.
const LEAST: usize = 50;

/// What excuses deliveries that come after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// All of a room, up to the end of the next window: a refusal's pause may outlast that of its own.
    Room { room: usize, at_us: u64 },
    /// What a member says or is to see, up to the end of the window.
    Member { room: usize, member: usize, at_us: u64 },
}

impl Blow {
    /// `of`, meant in the window that begins at `start_us` and follows that of `before_us`, came after this.
    fn strikes(&self, of: &Delivery, before_us: u64, start_us: u64) -> bool {
        let came = of.meant_us + of.took_us;
        match *self {
            Self::Room { room, at_us } => room == of.room && (before_us..=came).contains(&at_us),
            Self::Member { room, member, at_us } => {
                room == of.room && (member == of.sender || member == of.viewer) && (start_us..=came).contains(&at_us)
            }
        }
    }
}

/// The windows of a drill.
#[derive(Debug, Default)]
pub struct Windows {
    /// Of each that can be told, sorted.
    p99_us: Vec<u64>,
    /// Deliveries in them all, and those that were struck.
    pub all: usize,
    pub struck: usize,
}

impl Windows {
    /// Those that begin at `starts_us`, ascending.
    pub fn at(starts_us: &[u64], deliveries: &[Delivery], blows: &[Blow]) -> Self {
        let mut found = Self::default();
        for (index, start) in starts_us.iter().copied().enumerate() {
            let before = index.checked_sub(1).and_then(|before| starts_us.get(before)).copied().unwrap_or(start);
            let longest = start + us(WINDOW);
            let end = starts_us.get(index + 1).map_or(longest, |next| longest.min(*next));
            let meant: Vec<_> = deliveries.iter().filter(|of| (start..end).contains(&of.meant_us)).collect();
            let is_struck = |of: &Delivery| blows.iter().any(|blow| blow.strikes(of, before, start));
            let times: Vec<_> = meant.iter().filter(|of| !is_struck(of)).map(|of| of.took_us).collect();
            found.all += meant.len();
            found.struck += meant.len() - times.len();
            found.p99_us.extend(p99(times));
        }
        found.p99_us.sort_unstable();
        found
    }

    /// As many as there is place for, one after the other: a drill without faults.
    pub fn quiet(deliveries: &[Delivery]) -> Self {
        let meant = || deliveries.iter().map(|of| of.meant_us);
        let (Some(first), Some(last)) = (meant().min(), meant().max()) else { return Self::default() };
        let count = (last - first) / us(WINDOW);
        let starts: Vec<_> = (0..count).map(|index| first + index * us(WINDOW)).collect();
        Self::at(&starts, deliveries, &[])
    }

    /// How many could be told.
    pub fn told(&self) -> usize {
        self.p99_us.len()
    }

    /// What half of them reach, in ms.
    pub fn median_ms(&self) -> Option<f64> {
        self.p99_us.get(self.told() / 2).copied().map(ms)
    }

    /// That of the worst, in ms.
    pub fn worst_ms(&self) -> Option<f64> {
        self.p99_us.last().copied().map(ms)
    }
}

fn p99(mut times: Vec<u64>) -> Option<u64> {
    times.sort_unstable();
    let place = (times.len() * 99).div_ceil(100);
    place.checked_sub(1).filter(|_| times.len() >= LEAST).and_then(|place| times.get(place)).copied()
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
