//! Which relays a room feeds, and how far each has come.
//!
//! Purpose: hand every envelope to every relay that wants the room, in order and without a gap; one that could not take it (full
//! mailbox) or lost it (restart, refill) is *behind*, and is fed pages from the store until it has caught up (I7). Neighbours: the actor
//! sends and reads pages. Invariant: a relay gets nothing past a revision that it has not been handed. Must not know: what a relay is.

use crate::delivery::handle::NotDelivered;
use crate::domain::order::Revision;

/// The relays of one room; few, as there is one per worker thread.
#[derive(Debug)]
pub struct Feeding<R> {
    relays: Vec<Fed<R>>,
}

#[derive(Debug)]
struct Fed<R> {
    relay: R,
    /// The newest interest of that relay that was announced.
    attachment: u64,
    /// Handed over up to here.
    to: Revision,
    /// Has been told that it should have everything up to here, and has not said since that it does not.
    compared: Revision,
    behind: bool,
}

impl<R: PartialEq + Clone> Feeding<R> {
    /// Nobody wants it yet.
    #[must_use]
    pub const fn none() -> Self {
        Self { relays: Vec::new() }
    }

    /// A relay wants what comes after `head`; what it gets already goes on.
    pub fn attach(&mut self, relay: &R, attachment: u64, head: Revision) {
        match self.find(relay) {
            Some(fed) => fed.attachment = fed.attachment.max(attachment),
            None => self.relays.push(Fed { relay: relay.clone(), attachment, to: head, compared: head, behind: false }),
        }
    }

    /// A relay wants the room no more, if that was said after its newest attachment.
    pub fn detach(&mut self, relay: &R, attachment: u64) {
        self.relays.retain(|fed| fed.relay != *relay || fed.attachment > attachment);
    }

    /// A relay has nothing after `last`: it is fed from there.
    pub fn send_again(&mut self, relay: &R, last: Revision) {
        match self.find(relay) {
            Some(fed) => {
                fed.compared = fed.compared.min(last);
                (fed.to, fed.behind) = (fed.to.min(last), true);
            }
            None => self.relays.push(Fed { relay: relay.clone(), attachment: 0, to: last, compared: last, behind: true }),
        }
    }

    /// After a restart: a relay says what it appended last. `found` if one that is not known here may want the room all the same.
    pub fn recover(&mut self, relay: &R, last: Option<Revision>, head: Revision, found: bool) {
        match (self.find(relay), last) {
            (Some(fed), Some(last)) => (fed.to, fed.compared) = (last, last),
            // What it had been handed may be lost; the next comparison tells.
            (Some(fed), None) => fed.compared = Revision::ZERO,
            (None, Some(last)) => self.attach(relay, 0, last),
            // It may have subscribers who have seen nothing but `head`: repeated, it is no news to them; if it is missing, they notice.
            (None, None) if found => self.attach(relay, 0, head.previous()),
            (None, None) => {}
        }
        if let Some(fed) = self.find(relay) {
            fed.behind = fed.to < head;
        }
    }

    /// Whether nobody wants the room.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.relays.is_empty()
    }

    /// Hands (from, to] by `send` to all that are there.
    pub fn hand_over(&mut self, from: Revision, to: Revision, mut send: impl FnMut(&R) -> Result<(), NotDelivered>) {
        self.relays.retain_mut(|fed| fed.behind || fed.take(from, to, &mut send));
    }

    /// Hands a page (from, to] of a room at `head` to those that are behind, the ones it brings up to `head` being so no more.
    pub fn hand_page(
        &mut self,
        from: Revision,
        to: Revision,
        head: Revision,
        mut send: impl FnMut(&R) -> Result<(), NotDelivered>,
    ) {
        self.relays.retain_mut(|fed| {
            if !fed.behind {
                return true;
            }
            fed.behind = false;
            let stays = fed.to < from || fed.take(from, to, &mut send);
            fed.behind |= fed.to < head;
            stays
        });
    }

    /// Whether some relay was handed something since it was last told how far it should be.
    #[must_use]
    pub fn is_uncompared(&self) -> bool {
        self.relays.iter().any(|fed| fed.compared < fed.to)
    }

    /// Tells by `send` how far they should be those relays that were handed something since they were last told; behind what they were
    /// handed, so that a relay that has less has lost it. One that is being fed is told when it has caught up.
    pub fn compare(&mut self, mut send: impl FnMut(&R, Revision) -> Result<(), NotDelivered>) {
        self.relays.retain_mut(|fed| {
            if fed.behind || fed.compared >= fed.to {
                return true;
            }
            match send(&fed.relay, fed.to) {
                Ok(()) => fed.compared = fed.to,
                // The next comparison comes.
                Err(NotDelivered::Full) => {}
                Err(NotDelivered::Closed) => return false,
            }
            true
        });
    }

    /// Every relay that wants the room.
    pub fn relays(&self) -> impl Iterator<Item = &R> {
        self.relays.iter().map(|fed| &fed.relay)
    }

    /// From where the relay that is furthest behind has to be fed.
    #[must_use]
    pub fn behind(&self) -> Option<Revision> {
        self.relays.iter().filter(|fed| fed.behind).map(|fed| fed.to).min()
    }

    fn find(&mut self, relay: &R) -> Option<&mut Fed<R>> {
        self.relays.iter_mut().find(|fed| fed.relay == *relay)
    }
}

impl<R> Fed<R> {
    /// Hands over; false if the relay has ended.
    fn take(&mut self, from: Revision, to: Revision, send: &mut impl FnMut(&R) -> Result<(), NotDelivered>) -> bool {
        if self.to >= to {
            return true;
        }
        if self.to < from {
            self.behind = true;
            return true;
        }
        match send(&self.relay) {
            Ok(()) => self.to = to,
            Err(NotDelivered::Full) => self.behind = true,
            Err(NotDelivered::Closed) => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A room at revision 5 that feeds relays `a` and `b`.
    fn feeding() -> Feeding<char> {
        let mut feeding = Feeding::none();
        feeding.attach(&'a', 1, Revision(5));
        feeding.attach(&'b', 1, Revision(5));
        feeding
    }

    fn hand_over(feeding: &mut Feeding<char>, from: u64, to: u64, full: &str) -> String {
        let mut taken = String::new();
        feeding.hand_over(Revision(from), Revision(to), |relay| {
            if full.contains(*relay) {
                return Err(NotDelivered::Full);
            }
            taken.push(*relay);
            Ok(())
        });
        taken
    }

    fn hand_page(feeding: &mut Feeding<char>, from: u64, to: u64, head: u64) -> String {
        let mut taken = String::new();
        feeding.hand_page(Revision(from), Revision(to), Revision(head), |relay| {
            taken.push(*relay);
            Ok(())
        });
        taken
    }

    #[test]
    fn every_relay_gets_every_envelope_once() {
        let mut feeding = feeding();
        assert_eq!(hand_over(&mut feeding, 5, 6, ""), "ab");
        assert_eq!(hand_over(&mut feeding, 5, 6, ""), "");
        assert_eq!(hand_over(&mut feeding, 6, 7, ""), "ab");
    }

    #[test]
    fn a_full_relay_gets_nothing_more_until_it_has_caught_up() {
        let mut feeding = feeding();
        assert_eq!(hand_over(&mut feeding, 5, 6, "a"), "b");
        assert_eq!(hand_over(&mut feeding, 6, 7, ""), "b");
        assert_eq!(feeding.behind(), Some(Revision(5)));
        assert_eq!(hand_page(&mut feeding, 5, 6, 7), "a");
        assert_eq!(feeding.behind(), Some(Revision(6)));
        assert_eq!(hand_page(&mut feeding, 6, 7, 7), "a");
        assert_eq!(feeding.behind(), None);
        assert_eq!(hand_over(&mut feeding, 7, 8, ""), "ab");
    }

    #[test]
    fn a_page_reaches_each_as_far_as_it_needs_it() {
        let mut feeding = feeding();
        feeding.send_again(&'a', Revision(2));
        feeding.send_again(&'b', Revision(4));
        assert_eq!(feeding.behind(), Some(Revision(2)));
        // Pages overlap what `b` has: every item is an upsert, and the relay takes what ends above its last.
        assert_eq!(hand_page(&mut feeding, 2, 4, 5), "a");
        assert_eq!(hand_page(&mut feeding, 4, 5, 5), "ab");
        assert_eq!(feeding.behind(), None);
    }

    fn compare(feeding: &mut Feeding<char>, full: &str) -> String {
        let mut told = String::new();
        feeding.compare(|relay, head| {
            if full.contains(*relay) {
                return Err(NotDelivered::Full);
            }
            told += &format!("{relay}{head}");
            Ok(())
        });
        told
    }

    #[test]
    fn relays_are_told_their_head_once_after_something_was_handed_over() {
        let mut feeding = feeding();
        assert!(!feeding.is_uncompared());
        assert_eq!(compare(&mut feeding, ""), "", "nothing could have been lost");
        hand_over(&mut feeding, 5, 6, "");
        assert!(feeding.is_uncompared());
        assert_eq!(compare(&mut feeding, "a"), "b6");
        assert_eq!(compare(&mut feeding, ""), "a6");
        assert!(!feeding.is_uncompared());
    }

    #[test]
    fn a_relay_that_lost_something_is_fed_and_told_again() {
        let mut feeding = feeding();
        hand_over(&mut feeding, 5, 6, "");
        assert_eq!(compare(&mut feeding, ""), "a6b6");
        feeding.send_again(&'a', Revision(5));
        assert_eq!(compare(&mut feeding, ""), "", "it is being fed");
        assert_eq!(hand_page(&mut feeding, 5, 6, 6), "a");
        assert_eq!(compare(&mut feeding, ""), "a6");
        assert!(!feeding.is_uncompared());
    }

    #[test]
    fn an_older_detach_does_not_end_a_newer_attachment() {
        let mut feeding = feeding();
        feeding.attach(&'a', 3, Revision(9));
        feeding.detach(&'a', 2);
        feeding.detach(&'b', 1);
        assert_eq!(hand_over(&mut feeding, 5, 6, ""), "a");
        feeding.detach(&'a', 3);
        assert!(feeding.is_empty());
    }

    #[test]
    fn a_relay_that_has_ended_is_forgotten() {
        let mut feeding = feeding();
        feeding.hand_over(Revision(5), Revision(6), |_| Err(NotDelivered::Closed));
        assert!(feeding.is_empty());
    }

    #[test]
    fn after_a_restart_each_relay_is_fed_from_its_last() {
        let mut feeding = feeding();
        feeding.recover(&'a', Some(Revision(4)), Revision(7), false);
        assert_eq!(feeding.behind(), Some(Revision(4)));
        feeding.recover(&'b', None, Revision(7), false);
        feeding.recover(&'c', None, Revision(7), false);
        assert_eq!(hand_page(&mut feeding, 4, 7, 7), "ab");
    }

    #[test]
    fn in_place_of_a_lost_room_every_relay_is_asked_for_its_interest() {
        let mut feeding = Feeding::none();
        feeding.recover(&'a', Some(Revision(7)), Revision(7), true);
        assert_eq!(feeding.behind(), None);
        feeding.recover(&'b', None, Revision(7), true);
        assert_eq!(feeding.behind(), Some(Revision(6)));
    }
}
