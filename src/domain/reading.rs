//! How far a person has read and received a room.

use super::ids::RoomId;
use super::order::{Revision, Seq};

/// Up to where somebody has read a room. It only ever rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadMark {
    /// The room.
    pub room: RoomId,
    /// The last message that was read; zero: none.
    pub seq: Seq,
    /// The last one a device of theirs has received; never below `seq`.
    pub delivered: Seq,
    /// The revision of the person's own stream at which `seq` last rose.
    pub revision: Revision,
}

impl ReadMark {
    /// Nothing was read or received.
    #[must_use]
    pub const fn none(room: RoomId) -> Self {
        Self { room, seq: Seq::ZERO, delivered: Seq::ZERO, revision: Revision::ZERO }
    }

    /// This mark raised by what is reported, as far as the room goes. What was read was received.
    #[must_use]
    pub fn raised(self, by: Progress, last_seq: Seq) -> Self {
        let seq = self.seq.max(by.read.min(last_seq));
        Self { seq, delivered: self.delivered.max(by.delivered.min(last_seq)).max(seq), ..self }
    }
}

/// What a device reports of a room. Zero: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Read up to here.
    pub read: Seq,
    /// Received up to here.
    pub delivered: Seq,
}

impl Progress {
    /// Both reports in one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { read: self.read.max(other.read), delivered: self.delivered.max(other.delivered) }
    }
}

/// Where somebody is in a room, for the list of their rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Read up to here.
    pub read: Seq,
    /// Messages after it that they may read.
    pub unread: u64,
    /// How many of these mention them, leaving out what they wrote and what those wrote whom they block.
    pub mentions: u64,
    /// The first of these.
    pub first_unread: Option<Seq>,
}

impl Place {
    /// From where somebody has read, the room's last message, and the first they may read.
    #[must_use]
    pub fn at(read: Seq, last: Seq, visible_from: Seq, mentions: u64) -> Self {
        let before = read.max(visible_from.previous());
        let unread = last.0.saturating_sub(before.0);
        Self { read, unread, mentions, first_unread: (unread > 0).then(|| before.next()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(read: u64, delivered: u64) -> Progress {
        Progress { read: Seq(read), delivered: Seq(delivered) }
    }

    #[test]
    fn a_mark_never_falls_never_passes_the_end_and_what_is_read_is_received() {
        let mark = ReadMark { seq: Seq(5), delivered: Seq(7), ..ReadMark::none(RoomId::generate()) };
        let after = |by| {
            let raised = mark.raised(by, Seq(10));
            (raised.seq.0, raised.delivered.0)
        };
        assert_eq!(after(progress(3, 2)), (5, 7));
        assert_eq!(after(progress(6, 0)), (6, 7));
        assert_eq!(after(progress(9, 0)), (9, 9));
        assert_eq!(after(progress(0, 8)), (5, 8));
        assert_eq!(after(progress(99, 99)), (10, 10));
        assert_eq!(progress(3, 8).and(progress(4, 1)), progress(4, 8));
    }

    #[test]
    fn unread_begins_behind_the_mark_and_not_before_what_may_be_read() {
        let place = |read, last, visible| {
            let place = Place::at(Seq(read), Seq(last), Seq(visible), 0);
            (place.unread, place.first_unread.map(|seq| seq.0))
        };
        assert_eq!(place(0, 0, 0), (0, None));
        assert_eq!(place(0, 4, 0), (4, Some(1)));
        assert_eq!(place(0, 4, 3), (2, Some(3)), "history since joining");
        assert_eq!(place(3, 4, 3), (1, Some(4)));
        assert_eq!(place(4, 4, 1), (0, None));
        assert_eq!(place(0, 4, 5), (0, None), "nothing was said since");
    }
}
