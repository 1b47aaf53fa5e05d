//! A run delivery by delivery, with every refusal and every lost socket, for whoever must tell what happened when and to whom: a drill, which
//! strikes some people at some moments. Kept only when asked for, and bounded: so many of each kind.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// See the module. Rooms and members have the numbers of the cast; times count from the run's beginning, in microseconds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Journal {
    /// The run's beginning, since 1970.
    pub begun_unix_us: u64,
    /// Which room a number is.
    pub rooms: Vec<Uuid>,
    /// Each message at each member.
    pub deliveries: Vec<Delivery>,
    /// Refusals of posts: who was refused.
    pub refused: Vec<Mark>,
    /// Sockets lost after their welcome: whose, told for each of the person's rooms.
    pub lost: Vec<Mark>,
    /// What there was no place for.
    pub left_out: u64,
    /// One that was read takes no more.
    #[serde(skip)]
    most: usize,
}

/// One message at one member, inside the measured window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// When the post was meant to be sent.
    pub meant_us: u64,
    /// From then to the delivery.
    pub took_us: u64,
    /// Where.
    pub room: usize,
    /// Who posted it.
    pub sender: usize,
    /// At whom it arrived.
    pub viewer: usize,
}

/// Something happened to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub at_us: u64,
    /// Where.
    pub room: usize,
    /// To whom.
    pub member: usize,
}

impl Journal {
    /// Of at most so many deliveries, refusals and lost sockets each.
    #[must_use]
    pub fn new(most: usize, rooms: Vec<Uuid>) -> Self {
        Self { begun_unix_us: 0, rooms, deliveries: Vec::new(), refused: Vec::new(), lost: Vec::new(), left_out: 0, most }
    }

    /// What `sender` posted in `room`, meant for `meant`, was seen by `viewer`, so long after.
    pub fn delivered(&mut self, room: usize, sender: usize, viewer: usize, meant: Duration, took: Duration) {
        let delivery = Delivery { meant_us: us(meant), took_us: us(took), room, sender, viewer };
        self.left_out += keep(&mut self.deliveries, self.most, delivery);
    }

    /// A post of `member` was refused.
    pub fn refused(&mut self, room: usize, member: usize, at: Duration) {
        self.left_out += keep(&mut self.refused, self.most, Mark { at_us: us(at), room, member });
    }

    /// `member` lost its socket.
    pub fn lost(&mut self, room: usize, member: usize, at: Duration) {
        self.left_out += keep(&mut self.lost, self.most, Mark { at_us: us(at), room, member });
    }
}

/// Adds `one` if there is a place for it; how many there was none for.
fn keep<T>(all: &mut Vec<T>, most: usize, one: T) -> u64 {
    let fits = all.len() < most;
    if fits {
        all.push(one);
    }
    u64::from(!fits)
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_was_asked_for_and_what_was_left_out_is_counted() {
        let mut journal = Journal::new(2, vec![Uuid::nil()]);
        let ms = Duration::from_millis;
        (0..3).for_each(|n| journal.delivered(0, 1, 3, ms(n), ms(7)));
        (0..4).for_each(|n| journal.refused(0, 3, ms(n)));
        journal.lost(0, 3, ms(9));
        assert_eq!((journal.deliveries.len(), journal.refused.len(), journal.left_out), (2, 2, 3));
        assert_eq!(journal.deliveries[1], Delivery { meant_us: 1000, took_us: 7000, room: 0, sender: 1, viewer: 3 });
        assert_eq!(journal.lost, [Mark { at_us: 9000, room: 0, member: 3 }]);
    }
}
