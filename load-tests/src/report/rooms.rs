//! Deliveries room by room, for whoever must tell one room's times from the others': a drill that struck some of them. Bounded: as many
//! rooms as were asked for, each with a histogram of two digits (some 20 KiB).

use super::meter::{Latency, Percentiles};
use serde::Serialize;
use std::time::Duration;
use uuid::Uuid;

/// See the module. Rooms have the numbers of the cast.
#[derive(Debug, Default)]
pub struct PerRoom(Vec<OneRoom>);

#[derive(Debug)]
struct OneRoom {
    to_each: Latency,
    refused: u64,
}

/// One room of the report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoomFigures {
    pub room: Uuid,
    /// Connections that its people lost after having been welcomed.
    pub reconnects: u64,
    /// Refusals of posts to it, each counted.
    pub refused: u64,
    pub to_each: Percentiles,
    /// The same, so that rooms can be put together: microseconds (two digits exact) and how many deliveries took so long, ascending.
    pub times_us: Vec<(u64, u64)>,
}

impl PerRoom {
    /// For the first `rooms`; `None` only if histograms cannot be made.
    pub fn new(rooms: usize) -> Option<Self> {
        (0..rooms).map(|_| Some(OneRoom { to_each: Latency::rough()?, refused: 0 })).collect::<Option<_>>().map(Self)
    }

    /// A message was delivered in `room`, so long after it was meant to be sent.
    pub fn delivered(&mut self, room: usize, time: Duration) {
        if let Some(room) = self.0.get_mut(room) {
            room.to_each.record(time);
        }
    }

    /// A post to `room` was refused.
    pub fn refused(&mut self, room: usize) {
        if let Some(room) = self.0.get_mut(room) {
            room.refused += 1;
        }
    }

    /// What is known; `named` says which room a number is, and how many connections its people lost.
    pub fn figures(&self, named: impl Iterator<Item = (Uuid, u64)>) -> Vec<RoomFigures> {
        let figures = |(of, (room, reconnects)): (&OneRoom, (Uuid, u64))| RoomFigures {
            room,
            reconnects,
            refused: of.refused,
            to_each: of.to_each.percentiles(),
            times_us: of.to_each.times_us().collect(),
        };
        self.0.iter().zip(named).map(figures).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_room_does_not_show_in_the_others_and_none_is_told_that_was_not_asked_for() {
        let mut rooms = PerRoom::new(2).unwrap();
        for (room, ms) in [(0, 1), (0, 2), (1, 900), (2, 5)] {
            rooms.delivered(room, Duration::from_millis(ms));
        }
        rooms.refused(1);
        let figures = rooms.figures((0_u128..3).map(|number| (Uuid::from_u128(number), number as u64)));
        let told: Vec<_> = figures.iter().map(|of| (of.reconnects, of.refused, of.to_each.count)).collect();
        assert_eq!(told, [(0, 0, 2), (1, 1, 1)]);
        assert!(figures[0].to_each.max_ms < 2.1 && figures[1].to_each.max_ms > 890.0, "{figures:?}");
        let counts: Vec<_> = figures[0].times_us.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [1, 1]);
        assert!(figures[0].times_us.is_sorted() && figures[0].times_us[1].0.abs_diff(2000) < 40, "{figures:?}");
    }
}
