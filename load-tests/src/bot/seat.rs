//! A bot in one room: how far it has received it, and its posts there. Pure.

use super::Place;
use super::posts::Posts;
use uuid::Uuid;

/// How a push fits to what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It begins at, or before, the cursor and goes beyond: take the rows above the cursor that was.
    New(u64),
    /// Nothing in it is new.
    Old,
    /// Something between the cursor and it is missing; the first time, subscribe again.
    Hole(u64),
    /// Not received now, or a hole is being mended already.
    Ignored,
}

/// How far the room is received on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Asked for, not answered yet.
    Asked,
    /// Live or catching up.
    Received,
    /// Membership ended.
    Out,
}

/// A membership of the bot.
#[derive(Debug)]
pub struct Seat {
    pub place: Place,
    pub room: Uuid,
    /// The id as it is written in frames.
    pub key: [u8; 36],
    /// Known up to this revision.
    pub cursor: Option<u64>,
    pub posts: Posts,
    state: State,
}

impl Seat {
    pub fn new(place: Place, room: Uuid) -> Self {
        let mut key = [0; 36];
        room.hyphenated().encode_lower(&mut key);
        Self { place, room, key, cursor: None, posts: Posts::default(), state: State::Asked }
    }

    /// May post and is to be subscribed to.
    pub fn is_in(&self) -> bool {
        self.state != State::Out
    }

    /// Judges a push that covers (from, to], and moves the cursor if it is new.
    pub fn take(&mut self, from: u64, to: u64) -> Fit {
        match (self.state, self.cursor) {
            (State::Received, Some(cursor)) if to <= cursor => Fit::Old,
            (State::Received, Some(cursor)) if from > cursor => {
                self.state = State::Asked;
                Fit::Hole(cursor)
            }
            (State::Received, Some(cursor)) => {
                self.cursor = Some(to);
                Fit::New(cursor)
            }
            _ => Fit::Ignored,
        }
    }

    /// The subscription is answered: what is missed follows, if anything.
    pub fn received(&mut self) {
        self.state = State::Received;
    }

    /// The subscription begins at `head`; returns the cursor that was given up.
    pub fn reset(&mut self, head: u64) -> Option<u64> {
        self.state = State::Received;
        self.cursor.replace(head)
    }

    /// Membership ended.
    pub fn out(&mut self) {
        self.state = State::Out;
    }

    /// Membership begins anew: to be subscribed to again.
    pub fn back(&mut self) {
        self.state = State::Asked;
    }

    /// The connection is gone.
    pub fn disconnected(&mut self) {
        if self.state != State::Out {
            self.state = State::Asked;
        }
        self.posts.disconnected();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat() -> Seat {
        let mut seat = Seat::new(Place { room: 0, member: 0 }, Uuid::nil());
        assert_eq!(seat.reset(10), None);
        seat
    }

    #[test]
    fn revisions_are_taken_once_and_in_order() {
        let mut seat = seat();
        assert_eq!(seat.take(10, 11), Fit::New(10));
        assert_eq!(seat.take(10, 11), Fit::Old);
        assert_eq!(seat.take(9, 14), Fit::New(11));
        assert_eq!(seat.cursor, Some(14));
    }

    #[test]
    fn a_hole_is_told_once_and_mended_by_subscribing_again() {
        let mut seat = seat();
        assert_eq!(seat.take(11, 12), Fit::Hole(10));
        assert_eq!(seat.take(12, 13), Fit::Ignored);
        seat.received();
        assert_eq!(seat.take(10, 13), Fit::New(10));
    }

    #[test]
    fn nothing_is_taken_before_the_answer_nor_after_the_end() {
        let mut seat = Seat::new(Place { room: 0, member: 0 }, Uuid::nil());
        assert_eq!(seat.take(0, 1), Fit::Ignored);
        seat.reset(5);
        seat.out();
        assert_eq!(seat.take(5, 6), Fit::Ignored);
        seat.disconnected();
        assert!(!seat.is_in());
    }
}
