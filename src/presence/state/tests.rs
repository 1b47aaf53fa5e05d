use super::*;
use crate::domain::fault::Fault;
use crate::protocol::v1::push::PresenceState;
use DeviceState::{Away as SaysAway, Online as SaysOnline};
use PresenceState::{Away, Offline, Online};
use chrono::DateTime;

const SECOND: Duration = Duration::from_secs(1);
const LIMITS: Limits =
    Limits { away_after: Duration::from_secs(300), offline_after: Duration::from_secs(20), watches_per_session: 3 };

/// A tracker with a clock of its own.
struct World {
    tracker: Tracker<u8>,
    now: Now,
}

impl World {
    fn new() -> Self {
        Self { tracker: Tracker::new(LIMITS), now: Now { instant: Instant::now(), time: DateTime::UNIX_EPOCH } }
    }

    fn pass(&mut self, span: Duration) {
        self.now.instant += span;
        self.now.time += span;
    }

    fn connect(&mut self, user: UserId, relay: u8, state: DeviceState) -> SessionId {
        let session = SessionId::generate();
        self.tracker.connected(&Connected { session, user, relay, state }, self.now);
        session
    }

    /// Somebody who is connected, and of whom the store has said that they do not hide.
    fn arrive(&mut self, relay: u8) -> (UserId, SessionId) {
        let user = UserId::generate();
        let session = self.connect(user, relay, SaysOnline);
        self.tracker.learn(&[visible(user)]);
        (user, session)
    }

    fn leave(&mut self, session: SessionId) {
        self.tracker.disconnected(session, self.now);
    }

    fn watch(&mut self, session: SessionId, user: UserId) -> PresenceState {
        let (_, told) = self.tracker.watch(session, &[visible(user)], self.now).unwrap();
        told[0].state
    }

    /// What each relay is told, by relay.
    fn flush(&mut self) -> Vec<(u8, Vec<(UserId, PresenceState)>)> {
        let batches = self.tracker.flush(self.now).into_iter();
        let brief = batches.map(|(relay, users)| (relay, users.iter().map(|user| (user.user, user.state)).collect()));
        let mut batches: Vec<(u8, Vec<_>)> = brief.collect();
        batches.sort();
        batches
    }

    fn looks(&mut self, user: UserId) -> PresenceState {
        self.tracker.snapshot(&[visible(user)], self.now)[0].state
    }
}

fn visible(user: UserId) -> Profile {
    Profile { user, invisible: false, last_active: None }
}

/// A world with a watcher on relay 1, and somebody online on relay 2 whom they watch; all is told.
fn watched_pair() -> (World, UserId, SessionId, SessionId) {
    let mut world = World::new();
    let (_, watcher) = world.arrive(1);
    let (user, session) = world.arrive(2);
    assert_eq!(world.watch(watcher, user), Online);
    assert_eq!(world.flush(), []);
    (world, user, session, watcher)
}

#[test]
fn the_best_device_wins() {
    let mut world = World::new();
    let (user, first) = world.arrive(1);
    assert_eq!(world.looks(user), Online);
    world.tracker.active(first, Some(SaysAway), world.now);
    assert_eq!(world.looks(user), Away);
    let second = world.connect(user, 2, SaysOnline);
    assert_eq!(world.looks(user), Online);
    world.tracker.active(second, Some(SaysAway), world.now);
    assert_eq!(world.looks(user), Away);
}

#[test]
fn a_reconnect_within_the_grace_is_not_seen() {
    let (mut world, user, session, _) = watched_pair();
    world.leave(session);
    world.pass(19 * SECOND);
    assert_eq!(world.flush(), []);
    world.connect(user, 2, SaysOnline);
    world.pass(100 * SECOND);
    assert_eq!(world.flush(), []);
    assert_eq!(world.looks(user), Online);
}

#[test]
fn who_stays_away_is_offline_after_the_grace_and_told_once() {
    let (mut world, user, session, _) = watched_pair();
    world.leave(session);
    world.pass(20 * SECOND);
    assert_eq!(world.flush(), [(1, vec![(user, Offline)])]);
    world.pass(20 * SECOND);
    assert_eq!(world.flush(), []);
}

#[test]
fn of_two_devices_the_one_that_reconnects_shows_nothing() {
    let (mut world, user, laptop, _) = watched_pair();
    world.connect(user, 1, SaysAway);
    world.leave(laptop);
    world.pass(5 * SECOND);
    assert_eq!(world.flush(), []);
    world.connect(user, 2, SaysOnline);
    world.pass(60 * SECOND);
    assert_eq!(world.flush(), []);
}

#[test]
fn a_device_that_left_lingers_as_what_it_showed() {
    let (mut world, user, session, _) = watched_pair();
    world.tracker.active(session, Some(SaysAway), world.now);
    assert_eq!(world.flush(), [(1, vec![(user, Away)])]);
    world.leave(session);
    world.pass(10 * SECOND);
    assert_eq!(world.flush(), []);
    assert_eq!(world.looks(user), Away);
}

#[test]
fn a_reconnect_storm_tells_nobody_anything() {
    let mut world = World::new();
    let (_, watcher) = world.arrive(1);
    let mut sessions: Vec<_> = (0..3).map(|_| world.arrive(2)).collect();
    for (user, _) in &sessions {
        world.watch(watcher, *user);
    }
    assert_eq!(world.flush(), []);
    for _ in 0..50 {
        for (user, session) in &mut sessions {
            world.leave(*session);
            *session = world.connect(*user, 2, SaysOnline);
        }
        world.pass(SECOND);
        assert_eq!(world.flush(), []);
    }
    assert_eq!(world.tracker.size(), (4, 4));
}

#[test]
fn a_state_that_returned_to_what_was_told_is_not_told() {
    let (mut world, _, session, _) = watched_pair();
    world.tracker.active(session, Some(SaysAway), world.now);
    world.tracker.active(session, Some(SaysOnline), world.now);
    assert_eq!(world.flush(), []);
}

#[test]
fn changes_gather_into_one_batch_per_relay() {
    let mut world = World::new();
    let (first, first_session) = world.arrive(1);
    let (second, second_session) = world.arrive(1);
    for relay in [1, 1, 2] {
        let (_, watcher) = world.arrive(relay);
        world.watch(watcher, first);
        world.watch(watcher, second);
    }
    world.flush();
    for session in [first_session, second_session] {
        world.tracker.active(session, Some(SaysAway), world.now);
    }
    let batches = world.flush();
    assert_eq!(batches.iter().map(|(relay, users)| (*relay, users.len())).collect::<Vec<_>>(), [(1, 2), (2, 2)]);
}

#[test]
fn nobody_is_told_of_those_nobody_watches() {
    let mut world = World::new();
    let (_, session) = world.arrive(1);
    assert_eq!(world.flush(), []);
    world.tracker.active(session, Some(SaysAway), world.now);
    assert_eq!(world.flush(), []);
}

#[test]
fn an_idle_device_is_away_and_online_again_when_touched() {
    let (mut world, user, session, _) = watched_pair();
    world.pass(200 * SECOND);
    world.tracker.active(session, None, world.now);
    world.pass(299 * SECOND);
    assert_eq!(world.flush(), [], "touched since it connected");
    world.pass(SECOND);
    assert_eq!(world.flush(), [(1, vec![(user, Away)])]);
    world.tracker.active(session, None, world.now);
    assert_eq!(world.flush(), [(1, vec![(user, Online)])]);
    world.pass(300 * SECOND);
    assert_eq!(world.flush(), [(1, vec![(user, Away)])], "its timer runs again");
}

#[test]
fn a_device_that_says_away_is_not_brought_online_by_a_touch() {
    let (mut world, user, session, _) = watched_pair();
    world.tracker.active(session, Some(SaysAway), world.now);
    world.tracker.active(session, None, world.now);
    assert_eq!(world.flush(), [(1, vec![(user, Away)])]);
}

#[test]
fn the_invisible_look_offline_and_show_no_time() {
    let (mut world, user, session, _) = watched_pair();
    world.tracker.active(session, Some(SaysOnline), world.now);
    world.tracker.set_invisible(user, true);
    let batches = world.tracker.flush(world.now);
    let expected = UserPresence { user, state: Offline, last_active: None };
    assert_eq!(batches, [(1, vec![expected])]);
    world.leave(session);
    world.pass(60 * SECOND);
    assert_eq!(world.flush(), [], "their going is not seen either");
}

#[test]
fn who_stops_hiding_is_seen() {
    let (mut world, user, _, _) = watched_pair();
    world.tracker.set_invisible(user, true);
    world.flush();
    world.tracker.set_invisible(user, false);
    assert_eq!(world.flush(), [(1, vec![(user, Online)])]);
}

#[test]
fn nothing_is_told_of_whom_the_store_has_not_spoken_of() {
    let mut world = World::new();
    let (_, watcher) = world.arrive(1);
    let user = UserId::generate();
    world.tracker.connected(&connected(SessionId::generate(), user, 2), world.now);
    assert_eq!(world.tracker.unknown(10), [user]);
    world.tracker.rewatch(watcher, &[user]);
    assert_eq!(world.flush(), []);
    world.tracker.learn(&[Profile { invisible: true, ..visible(user) }]);
    assert_eq!(world.flush(), [(1, vec![(user, Offline)])], "owed once, as after a restart");
    assert!(world.tracker.unknown(10).is_empty());
}

#[test]
fn last_active_is_shown_to_the_minute_and_its_passing_is_no_change() {
    let (mut world, user, session, _) = watched_pair();
    world.pass(Duration::from_millis(150_250));
    world.tracker.active(session, None, world.now);
    assert_eq!(world.flush(), []);
    let looks = world.tracker.snapshot(&[visible(user)], world.now);
    assert_eq!(looks[0].last_active.map(|time| time.timestamp_millis()), Some(120_000));
}

#[test]
fn somebody_who_is_not_here_shows_the_time_the_store_keeps() {
    let mut world = World::new();
    let time = DateTime::from_timestamp(3_661, 0);
    let profile = Profile { user: UserId::generate(), invisible: false, last_active: time };
    let looks = world.tracker.snapshot(&[profile, Profile { invisible: true, ..profile }], world.now);
    assert_eq!(looks[0].last_active.map(|time| time.timestamp()), Some(3_660));
    assert_eq!((looks[1].state, looks[1].last_active), (Offline, None));
    assert_eq!(world.tracker.size(), (0, 0), "asking leaves nothing behind");
}

#[test]
fn a_new_watcher_believes_what_the_others_were_told() {
    let (mut world, user, session, _) = watched_pair();
    world.tracker.active(session, Some(SaysAway), world.now);
    let (_, late) = world.arrive(3);
    assert_eq!(world.watch(late, user), Online, "the change is not told yet");
    // Were the late one told `away`, this return would leave it behind for ever.
    world.tracker.active(session, Some(SaysOnline), world.now);
    assert_eq!(world.flush(), []);
}

#[test]
fn a_first_watcher_is_told_the_present() {
    let mut world = World::new();
    let (user, session) = world.arrive(1);
    world.flush();
    world.tracker.active(session, Some(SaysAway), world.now);
    let (_, watcher) = world.arrive(1);
    assert_eq!(world.watch(watcher, user), Away);
}

#[test]
fn watches_are_bounded_and_a_repeated_watch_counts_once() {
    let mut world = World::new();
    let (_, watcher) = world.arrive(1);
    let users: Vec<_> = (0..3).map(|_| UserId::generate()).collect();
    assert!(world.tracker.may_watch(watcher, &users).is_ok());
    for user in &users {
        world.watch(watcher, *user);
    }
    assert!(world.tracker.may_watch(watcher, &users).is_ok());
    let more = [UserId::generate()];
    assert_eq!(world.tracker.may_watch(watcher, &more), Err(Fault::LimitReached));
    assert_eq!(world.tracker.watch(watcher, &[visible(more[0])], world.now), Err(Fault::LimitReached));
    world.tracker.unwatch(watcher, &users[..1]);
    assert!(world.tracker.may_watch(watcher, &more).is_ok());
}

#[test]
fn an_unknown_session_cannot_watch() {
    let world = World::new();
    assert_eq!(world.tracker.may_watch(SessionId::generate(), &[]), Err(Fault::Unavailable));
}

#[test]
fn who_unwatched_is_not_told() {
    let (mut world, user, session, watcher) = watched_pair();
    assert_eq!(world.tracker.unwatch(watcher, &[user, UserId::generate()]), Some((1, vec![user])));
    world.tracker.active(session, Some(SaysAway), world.now);
    assert_eq!(world.flush(), []);
}

#[test]
fn a_relay_hears_as_long_as_one_of_its_sessions_watches() {
    let (mut world, user, session, first) = watched_pair();
    let (_, second) = world.arrive(1);
    world.watch(second, user);
    world.leave(first);
    world.tracker.active(session, Some(SaysAway), world.now);
    assert_eq!(world.flush(), [(1, vec![(user, Away)])]);
    world.leave(second);
    world.tracker.active(session, Some(SaysOnline), world.now);
    assert_eq!(world.flush(), []);
}

#[test]
fn a_batch_without_room_is_told_again_although_nothing_changed_since() {
    let (mut world, user, session, _) = watched_pair();
    world.tracker.active(session, Some(SaysAway), world.now);
    let batches = world.tracker.flush(world.now);
    world.tracker.undelivered(1, &batches[0].1);
    assert_eq!(world.flush(), [(1, vec![(user, Away)])]);
    assert_eq!(world.flush(), []);
}

#[test]
fn what_is_owed_and_changed_is_told_once_as_it_is_now() {
    let (mut world, user, session, _) = watched_pair();
    world.tracker.active(session, Some(SaysAway), world.now);
    let batches = world.tracker.flush(world.now);
    world.tracker.undelivered(1, &batches[0].1);
    world.tracker.active(session, Some(SaysOnline), world.now);
    assert_eq!(world.flush(), [(1, vec![(user, Online)])]);
    assert_eq!(world.flush(), []);
}

#[test]
fn nothing_is_owed_to_a_relay_whose_watchers_left() {
    let (mut world, _, session, watcher) = watched_pair();
    world.tracker.active(session, Some(SaysAway), world.now);
    let batches = world.tracker.flush(world.now);
    world.tracker.undelivered(1, &batches[0].1);
    world.leave(watcher);
    assert_eq!(world.flush(), []);
}

fn connected(session: SessionId, user: UserId, relay: u8) -> Connected<u8> {
    Connected { session, user, relay, state: SaysOnline }
}

#[test]
fn a_report_mends_what_lost_messages_left_behind() {
    let mut world = World::new();
    let (lost, ghost) = world.arrive(1);
    let (_, other) = world.arrive(2);
    let (unheard, session) = (UserId::generate(), SessionId::generate());
    world.tracker.asked(1);
    world.tracker.reported(1, &[connected(session, unheard, 1)], world.now);
    assert!(world.tracker.may_watch(ghost, &[]).is_err());
    assert_eq!(world.tracker.may_watch(session, &[]), Ok(unheard));
    assert!(world.tracker.may_watch(other, &[]).is_ok(), "another relay's sessions are not its business");
    world.pass(20 * SECOND);
    assert_eq!(world.looks(lost), Offline);
}

#[test]
fn a_report_older_than_what_was_heard_directly_does_not_count() {
    let mut world = World::new();
    let (left, session) = world.arrive(1);
    world.tracker.asked(1);
    world.leave(session);
    let (_, fresh) = world.arrive(1);
    world.tracker.reported(1, &[connected(session, left, 1)], world.now);
    assert!(world.tracker.may_watch(session, &[]).is_err(), "it left after the relay answered");
    assert!(world.tracker.may_watch(fresh, &[]).is_ok(), "it came after the relay answered");
}

#[test]
fn after_a_restart_everything_watched_is_told_once() {
    let mut world = World::new();
    let (watcher, watched) = (UserId::generate(), UserId::generate());
    let (first, second) = (SessionId::generate(), SessionId::generate());
    for (relay, session, user) in [(1, first, watcher), (2, second, watched)] {
        world.tracker.asked(relay);
        world.tracker.reported(relay, &[connected(session, user, relay)], world.now);
    }
    world.tracker.rewatch(first, &[watched]);
    assert_eq!(world.flush(), [], "the store has not spoken");
    world.tracker.learn(&[visible(watcher), visible(watched)]);
    assert_eq!(world.flush(), [(1, vec![(watched, Online)])]);
    assert_eq!(world.flush(), []);
}

#[test]
fn watches_about_somebody_are_theirs_and_those_of_who_watches_them() {
    let mut world = World::new();
    let (a, a_session) = world.arrive(1);
    let (b, b_session) = world.arrive(1);
    let (c, c_session) = world.arrive(2);
    world.watch(a_session, b);
    world.watch(a_session, c);
    world.watch(b_session, a);
    world.watch(c_session, b);
    let mut about = world.tracker.watches_about(b);
    about.sort_by_key(|watching| watching.session);
    let mut expected = vec![
        Watching { session: a_session, user: a, users: vec![b] },
        Watching { session: b_session, user: b, users: vec![a] },
        Watching { session: c_session, user: c, users: vec![b] },
    ];
    expected.sort_by_key(|watching| watching.session);
    assert_eq!(about, expected);
}

#[test]
fn last_active_is_taken_once_per_round_and_given_back_if_not_written() {
    let mut world = World::new();
    let (user, session) = world.arrive(1);
    let start = world.now.time;
    assert_eq!(world.tracker.take_unsaved(), [(user, start)]);
    assert_eq!(world.tracker.take_unsaved(), []);
    world.pass(SECOND);
    world.tracker.active(session, None, world.now);
    world.tracker.active(session, None, world.now);
    let taken = world.tracker.take_unsaved();
    assert_eq!(taken, [(user, start + SECOND)]);
    world.tracker.not_saved([user]);
    assert_eq!(world.tracker.take_unsaved(), taken);
}

#[test]
fn who_is_gone_unwatched_and_written_takes_no_memory() {
    let (mut world, _, session, watcher) = watched_pair();
    world.leave(session);
    world.leave(watcher);
    world.pass(20 * SECOND);
    world.flush();
    assert_eq!(world.tracker.size(), (0, 2), "their last-active times are not written yet");
    world.tracker.take_unsaved();
    world.flush();
    assert_eq!(world.tracker.size(), (0, 0));
    assert!(world.tracker.watchers.is_empty() && world.tracker.unknown.is_empty());
}
