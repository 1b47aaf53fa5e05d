//! The presence watches of one thread: a mirror of what the presence tracker has allowed.
//!
//! Purpose: tell sessions how the people they watch look, and tell a tracker that began anew who is here and watches whom. Neighbours: the
//! tracker alone begins and ends watches; all it sends comes in one order, so a session never believes an older state for long.
//! Invariant: a session hears of nobody the tracker has not named to it (I10). Must not know: who may watch whom.

use super::frame;
use super::handle::WatchSignal;
use super::state::{Seat, State};
use crate::domain::ids::{SessionId, UserId};
use crate::protocol::v1::command::DeviceState;
use crate::protocol::v1::push::{Presence, Push, UserPresence};
use std::collections::HashMap;

/// A session as its relay knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatReport {
    /// Which.
    pub session: SessionId,
    /// Whose.
    pub user: UserId,
    /// What its device last said of its person.
    pub device: DeviceState,
    /// Whom it watches; empty if that was not asked.
    pub watches: Vec<UserId>,
}

impl State {
    /// What a device says of its person, kept for a tracker that begins anew.
    pub(super) fn set_device(&mut self, seat: Seat, device: DeviceState) {
        if let Some(seated) = self.seats.get_mut(&seat) {
            seated.device = device;
        }
    }

    /// Everybody who is here.
    pub(super) fn report(&self, with_watches: bool) -> Vec<SeatReport> {
        let watches = |watches: &[UserId]| if with_watches { watches.to_vec() } else { Vec::new() };
        let seats = self.seats.values();
        seats
            .map(|seated| SeatReport {
                session: seated.session,
                user: seated.user,
                device: seated.device,
                watches: watches(&seated.watches),
            })
            .collect()
    }

    /// What the tracker has to say.
    pub(super) fn watch_signal(&mut self, signal: WatchSignal) {
        match signal {
            WatchSignal::Changed(users) => self.presence(&users),
            WatchSignal::Begun { user, session, users } => {
                if let Some(seat) = self.seat_of(user, session) {
                    self.begin_watches(seat, users.iter().map(|presence| presence.user));
                    self.push_presence(seat, users);
                }
            }
            WatchSignal::Ended { user, session, users, told } => {
                if let Some(seat) = self.seat_of(user, session) {
                    self.end_watches(seat, &users);
                    self.push_presence(seat, told);
                }
            }
        }
    }

    /// A seat is given up, and its watches with it.
    pub(super) fn drop_watches(&mut self, seat: Seat, watches: &[UserId]) {
        for user in watches {
            super::state::remove_from(&mut self.watchers, *user, seat);
        }
    }

    fn begin_watches(&mut self, seat: Seat, users: impl Iterator<Item = UserId>) {
        let Some(seated) = self.seats.get_mut(&seat) else { return };
        for user in users {
            let watchers = self.watchers.entry(user).or_default();
            if !watchers.contains(&seat) {
                watchers.push(seat);
                seated.watches.push(user);
            }
        }
    }

    fn end_watches(&mut self, seat: Seat, users: &[UserId]) {
        if let Some(seated) = self.seats.get_mut(&seat) {
            seated.watches.retain(|user| !users.contains(user));
        }
        self.drop_watches(seat, users);
    }

    /// People's presence changed: one frame for each session that watches some of them.
    fn presence(&self, users: &[UserPresence]) {
        let mut batches: HashMap<Seat, Vec<UserPresence>> = HashMap::new();
        for user in users {
            for seat in self.watchers.get(&user.user).into_iter().flatten() {
                batches.entry(*seat).or_default().push(user.clone());
            }
        }
        for (seat, users) in batches {
            self.push_presence(seat, users);
        }
    }

    fn push_presence(&self, seat: Seat, users: Vec<UserPresence>) {
        if let Some(seated) = self.seats.get(&seat).filter(|_| !users.is_empty()) {
            seated.outbox.push(frame::text(&Push::Presence(Presence { users })));
        }
    }

    fn seat_of(&self, user: UserId, session: SessionId) -> Option<Seat> {
        let mut seats = self.people.get(&user)?.iter();
        seats.find(|seat| self.seats.get(seat).is_some_and(|seated| seated.session == session)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::outbox::Outbox;
    use crate::domain::ids::LoginId;
    use crate::protocol::v1::push::PresenceState;

    struct Session {
        user: UserId,
        session: SessionId,
        outbox: Outbox,
        seat: Seat,
    }

    fn arrive(state: &mut State) -> Session {
        let (user, session, outbox) = (UserId::generate(), SessionId::generate(), Outbox::new(10_000));
        let seat = state.register(session, user, LoginId::generate(), outbox.clone());
        Session { user, session, outbox, seat }
    }

    fn looks(user: UserId) -> Vec<UserPresence> {
        vec![UserPresence { user, state: PresenceState::Online, last_active: None }]
    }

    fn begun(of: &Session, whom: UserId) -> WatchSignal {
        WatchSignal::Begun { user: of.user, session: of.session, users: looks(whom) }
    }

    /// Whether anything was added since the last look.
    fn heard(session: &Session) -> bool {
        let bytes = session.outbox.waiting_bytes();
        session.outbox.flush(|slices| Ok(slices.iter().map(|slice| slice.len()).sum())).unwrap();
        bytes > 0
    }

    #[test]
    fn only_who_watches_hears_and_only_from_then_on() {
        let mut state = State::default();
        let (watcher, other) = (arrive(&mut state), arrive(&mut state));
        let watched = UserId::generate();
        state.watch_signal(WatchSignal::Changed(looks(watched)));
        assert!(!heard(&watcher));
        state.watch_signal(begun(&watcher, watched));
        assert!(heard(&watcher), "how they look now");
        state.watch_signal(WatchSignal::Changed(looks(watched)));
        assert!(heard(&watcher) && !heard(&other));
    }

    #[test]
    fn an_ended_watch_is_told_its_last_word_and_nothing_more() {
        let mut state = State::default();
        let watcher = arrive(&mut state);
        let watched = UserId::generate();
        state.watch_signal(begun(&watcher, watched));
        heard(&watcher);
        let (user, session) = (watcher.user, watcher.session);
        state.watch_signal(WatchSignal::Ended { user, session, users: vec![watched], told: looks(watched) });
        assert!(heard(&watcher));
        state.watch_signal(WatchSignal::Changed(looks(watched)));
        assert!(!heard(&watcher));
        assert!(state.report(true)[0].watches.is_empty());
    }

    #[test]
    fn a_seat_given_up_leaves_no_watch_behind() {
        let mut state = State::default();
        let watcher = arrive(&mut state);
        state.watch_signal(begun(&watcher, UserId::generate()));
        state.unregister(watcher.seat);
        assert!(state.watchers.is_empty() && state.report(true).is_empty());
    }

    #[test]
    fn a_report_names_sessions_devices_and_watches() {
        let mut state = State::default();
        let watcher = arrive(&mut state);
        let watched = UserId::generate();
        state.watch_signal(begun(&watcher, watched));
        state.set_device(watcher.seat, DeviceState::Away);
        let report = |watches| SeatReport { session: watcher.session, user: watcher.user, device: DeviceState::Away, watches };
        assert_eq!(state.report(true), [report(vec![watched])]);
        assert_eq!(state.report(false), [report(vec![])]);
    }
}
