//! How far the streams of the people of one thread have been sent.
//!
//! Purpose: that a person's stream has grown is told once, by whoever committed it, and may be told by nobody: a panic, an answer of the
//! database that was lost, another process. So the accounts keeper compares what was sent with the store. Neighbours: sessions say what
//! they have sent. Invariant: a session is never taken to have more than it was sent. Must not know: the store, what is in a stream.

use super::state::{Seat, State};
use crate::domain::ids::UserId;
use crate::domain::order::Revision;

impl State {
    /// A session has been sent its person's stream up to here.
    pub(super) fn stream_sent(&mut self, seat: Seat, to: Revision) {
        if let Some(seated) = self.seats.get_mut(&seat) {
            seated.stream = to;
        }
    }

    /// Everybody who is here, and how far all their sessions have been sent their stream.
    pub(super) fn streams_sent(&self) -> Vec<(UserId, Revision)> {
        let least = |user: &UserId| self.seated_of(*user).map(|seated| seated.stream).min();
        self.people.keys().filter_map(|user| Some((*user, least(user)?))).collect()
    }

    /// The heads of people's streams: sessions that were sent less read on.
    pub(super) fn streams_are(&self, heads: &[(UserId, Revision)]) {
        for (user, head) in heads {
            for seated in self.seated_of(*user).filter(|seated| seated.stream < *head) {
                seated.outbox.note_user_head(*head);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::outbox::Outbox;
    use crate::domain::ids::{LoginId, SessionId};

    #[test]
    fn only_sessions_that_were_sent_less_than_the_head_are_told_and_the_one_furthest_behind_counts() {
        let mut state = State::default();
        let (ann, bob) = (UserId::generate(), UserId::generate());
        let mut sit = |user| {
            let outbox = Outbox::new(100);
            (state.register(SessionId::generate(), user, LoginId::generate(), outbox.clone()), outbox)
        };
        let [(first, old), (second, new), (third, other)] = [sit(ann), sit(ann), sit(bob)];
        for (seat, to) in [(first, 4), (second, 7), (third, 7)] {
            state.stream_sent(seat, Revision(to));
        }
        let mut sent = state.streams_sent();
        sent.sort_unstable();
        let mut expected = [(ann, Revision(4)), (bob, Revision(7))];
        expected.sort_unstable();
        assert_eq!(sent, expected);
        state.streams_are(&[(ann, Revision(7)), (bob, Revision(7)), (UserId::generate(), Revision(9))]);
        assert_eq!(old.take_notes().user_head, Some(Revision(7)));
        assert!(new.take_notes().is_empty() && other.take_notes().is_empty());
    }
}
