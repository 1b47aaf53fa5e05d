//! The tracker between recorded neighbours, in paused time.

use super::*;
use crate::domain::fault::Fault;
use crate::protocol::v1::command::DeviceState;
use crate::protocol::v1::push::{PresenceState, UserPresence};
use crate::supervision::policy::RestartClass;
use chrono::DateTime;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::{Arc, Mutex};

use super::super::state::Connected;

const RELAY: RelayNumber = RelayNumber(0);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Changed(Vec<(UserId, PresenceState)>),
    Watched(SessionId, Vec<(UserId, PresenceState)>),
    Unwatched(SessionId, Vec<UserId>, Vec<(UserId, PresenceState)>),
    Saved(Vec<UserId>),
}

/// What both neighbours say and hear.
#[derive(Default)]
struct Script {
    told: Vec<Told>,
    full: bool,
    away: bool,
    strangers: HashSet<UserId>,
    sessions: Vec<Reported>,
    reports: usize,
}

#[derive(Clone, Default)]
struct Neighbours(Arc<Mutex<Script>>);

impl Neighbours {
    fn with<T>(&self, act: impl FnOnce(&mut Script) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    fn take(&self) -> Vec<Told> {
        self.with(|script| std::mem::take(&mut script.told))
    }

    fn tell(&self, told: Told) -> bool {
        self.with(|script| {
            if !script.full {
                script.told.push(told);
            }
            !script.full
        })
    }

    fn known(&self, users: Vec<UserId>) -> BoxFuture<'static, Result<Vec<Profile>, Refusal>> {
        let profile = |user| Profile { user, invisible: false, last_active: None };
        let answer = self.with(|script| match script.away {
            true => Err(Fault::Unavailable.into()),
            false => Ok(users.into_iter().filter(|user| !script.strangers.contains(user)).map(profile).collect()),
        });
        async { answer }.boxed()
    }
}

fn brief(users: &[UserPresence]) -> Vec<(UserId, PresenceState)> {
    users.iter().map(|user| (user.user, user.state)).collect()
}

impl Audience for Neighbours {
    fn relays(&self) -> Vec<RelayNumber> {
        vec![RELAY]
    }

    fn changed(&self, _: RelayNumber, users: &[UserPresence]) -> bool {
        self.tell(Told::Changed(brief(users)))
    }

    fn watched(&self, _: RelayNumber, watcher: (UserId, SessionId), users: Vec<UserPresence>) -> bool {
        self.tell(Told::Watched(watcher.1, brief(&users)))
    }

    fn unwatched(&self, _: RelayNumber, watcher: (UserId, SessionId), users: Vec<UserId>, told: Vec<UserPresence>) -> bool {
        self.tell(Told::Unwatched(watcher.1, users, brief(&told)))
    }

    fn report(&self, _: RelayNumber, with_watches: bool) -> BoxFuture<'static, Option<Vec<Reported>>> {
        let mut sessions = self.with(|script| {
            script.reports += 1;
            script.sessions.clone()
        });
        if !with_watches {
            sessions.iter_mut().for_each(|session| session.watches.clear());
        }
        async { Some(sessions) }.boxed()
    }
}

impl Records for Neighbours {
    fn profiles(&self, users: Vec<UserId>) -> BoxFuture<'static, Result<Vec<Profile>, Refusal>> {
        let profile = |user| Profile { user, invisible: false, last_active: None };
        let answer = self.with(|script| if script.away { Err(Fault::Unavailable.into()) } else { Ok(users) });
        async move { answer.map(|users| users.into_iter().map(profile).collect()) }.boxed()
    }

    fn watchable(&self, watcher: UserId, users: Vec<UserId>) -> BoxFuture<'static, Result<Vec<Profile>, Refusal>> {
        let parted = self.with(|script| script.strangers.contains(&watcher));
        self.known(if parted { Vec::new() } else { users })
    }

    fn save_last_active(&self, times: Vec<(UserId, Timestamp)>) -> BoxFuture<'static, bool> {
        let mut users: Vec<_> = times.into_iter().map(|(user, _)| user).collect();
        users.sort();
        let saved = self.with(|script| !script.away) && self.tell(Told::Saved(users));
        async move { saved }.boxed()
    }
}

struct World {
    presence: Presence,
    neighbours: Neighbours,
    tree: Supervisor,
}

impl World {
    fn start(neighbours: Neighbours, settings: impl FnOnce(&mut config::Config)) -> Self {
        let mut config = config::Config::default();
        settings(&mut config);
        let policy = RestartPolicy::new(RestartClass::Permanent, 5, Duration::from_secs(60));
        let (tree, _) = Supervisor::root("node", policy);
        let parts = Parts {
            audience: Box::new(neighbours.clone()),
            records: Box::new(neighbours.clone()),
            clock: Clock::fixed(DateTime::UNIX_EPOCH),
            settings: Settings::from(&config),
        };
        let presence = start(&tree, policy, parts);
        Self { presence, neighbours, tree }
    }

    fn connect(&self) -> (UserId, SessionId) {
        let (user, session) = (UserId::generate(), SessionId::generate());
        self.presence.connected(session, user, RELAY, DeviceState::Online);
        (user, session)
    }

    async fn watch(&self, session: SessionId, users: &[UserId]) -> Result<(), Refusal> {
        self.presence.watch(session, users.to_vec()).unwrap().await.unwrap()
    }

    /// Somebody, and somebody who watches them; all is told.
    async fn pair(&self) -> ((UserId, SessionId), (UserId, SessionId)) {
        let (watched, watcher) = (self.connect(), self.connect());
        self.watch(watcher.1, &[watched.0]).await.unwrap();
        self.pass(Duration::from_secs(2)).await;
        self.neighbours.take();
        (watched, watcher)
    }

    /// Lets the tracker's timers run; time is paused, so this waits for nothing.
    async fn pass(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

macro_rules! in_paused_time {
    ($body:expr) => {
        actix::System::with_tokio_rt(|| {
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
        })
        .block_on($body)
    };
}

#[test]
fn a_watch_is_answered_and_its_people_are_told_through_the_relay() {
    in_paused_time!(async {
        let world = World::start(Neighbours::default(), |_| ());
        let ((watched, _), (_, watcher)) = (world.connect(), world.connect());
        assert_eq!(world.watch(watcher, &[watched]).await, Ok(()));
        assert_eq!(world.neighbours.take(), [Told::Watched(watcher, vec![(watched, PresenceState::Online)])]);
    });
}

#[test]
fn strangers_are_left_out() {
    in_paused_time!(async {
        let world = World::start(Neighbours::default(), |_| ());
        let ((watched, _), (_, watcher)) = (world.connect(), world.connect());
        world.neighbours.with(|script| script.strangers.insert(watched));
        assert_eq!(world.watch(watcher, &[watched]).await, Ok(()));
        assert_eq!(world.neighbours.take(), [Told::Watched(watcher, vec![])]);
        let asked = world.presence.snapshot(UserId::generate(), vec![watched]).await;
        assert_eq!(asked, Ok(vec![]));
    });
}

#[test]
fn a_change_is_told_once_per_coalescing_span() {
    in_paused_time!(async {
        let world = World::start(Neighbours::default(), |_| ());
        let ((watched, session), _) = world.pair().await;
        for state in [DeviceState::Away, DeviceState::Online, DeviceState::Away] {
            world.presence.state(session, state);
        }
        world.pass(Duration::from_secs(3)).await;
        assert_eq!(world.neighbours.take(), [Told::Changed(vec![(watched, PresenceState::Away)])]);
    });
}

#[test]
fn a_full_relay_is_told_later_and_cannot_begin_a_watch() {
    in_paused_time!(async {
        let world = World::start(Neighbours::default(), |_| ());
        let ((watched, session), (_, watcher)) = world.pair().await;
        world.neighbours.with(|script| script.full = true);
        let (more, _) = world.connect();
        assert_eq!(world.watch(watcher, &[more]).await.map_err(|refusal| refusal.fault), Err(Fault::Busy));
        world.presence.state(session, DeviceState::Away);
        world.pass(Duration::from_secs(2)).await;
        world.neighbours.with(|script| script.full = false);
        world.pass(Duration::from_secs(2)).await;
        assert_eq!(world.neighbours.take(), [Told::Changed(vec![(watched, PresenceState::Away)])]);
    });
}

#[test]
fn the_end_of_a_shared_membership_ends_watches_both_ways_within_a_second() {
    in_paused_time!(async {
        let world = World::start(Neighbours::default(), |_| ());
        let ((kicked, kicked_session), (stays, stays_session)) = world.pair().await;
        world.watch(kicked_session, &[stays]).await.unwrap();
        world.neighbours.take();
        world.neighbours.with(|script| script.strangers.insert(kicked));
        world.presence.membership_ended(kicked);
        world.pass(Duration::from_millis(900)).await;
        let hidden = |user| vec![(user, PresenceState::Offline)];
        let told = world.neighbours.take();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.contains(&Told::Unwatched(stays_session, vec![kicked], hidden(kicked))));
        assert!(told.contains(&Told::Unwatched(kicked_session, vec![stays], hidden(stays))));
        world.presence.state(kicked_session, DeviceState::Away);
        world.pass(Duration::from_secs(3)).await;
        assert_eq!(world.neighbours.take(), []);
    });
}

#[test]
fn the_end_of_a_watch_is_told_again_to_a_relay_that_was_full() {
    in_paused_time!(async {
        let world = World::start(Neighbours::default(), |_| ());
        let ((kicked, _), (_, watcher)) = world.pair().await;
        world.neighbours.with(|script| (script.full, _) = (true, script.strangers.insert(kicked)));
        world.presence.membership_ended(kicked);
        world.pass(Duration::from_secs(2)).await;
        world.neighbours.with(|script| script.full = false);
        world.pass(Duration::from_secs(2)).await;
        let expected = Told::Unwatched(watcher, vec![kicked], vec![(kicked, PresenceState::Offline)]);
        assert_eq!(world.neighbours.take(), [expected]);
    });
}

#[test]
fn the_sweep_ends_watches_nobody_spoke_of() {
    in_paused_time!(async {
        let world = World::start(Neighbours::default(), |_| ());
        let ((deleted, _), (_, watcher)) = world.pair().await;
        world.neighbours.with(|script| script.sessions = Vec::new());
        world.neighbours.with(|script| script.strangers.insert(deleted));
        // The relay's report would otherwise end both sessions.
        let reported = |(user, session)| Reported {
            connected: Connected { session, user, relay: RELAY, state: DeviceState::Online },
            watches: Vec::new(),
        };
        world.neighbours.with(|script| script.sessions = vec![reported((UserId::generate(), watcher))]);
        world.pass(Settings::from(&config::Config::default()).recheck_after * 2).await;
        let told = world.neighbours.take();
        assert!(told.iter().any(|told| matches!(told, Told::Unwatched(_, users, _) if users == &[deleted])), "{told:?}");
    });
}

#[test]
fn a_store_that_is_away_ends_no_watch_and_begins_none() {
    in_paused_time!(async {
        let world = World::start(Neighbours::default(), |_| ());
        let ((watched, session), (_, watcher)) = world.pair().await;
        world.neighbours.with(|script| script.away = true);
        world.presence.membership_ended(watched);
        let begun = world.watch(watcher, &[UserId::generate()]).await;
        assert_eq!(begun.map_err(|refusal| refusal.fault), Err(Fault::Unavailable));
        world.presence.state(session, DeviceState::Away);
        world.pass(Duration::from_secs(2)).await;
        assert_eq!(world.neighbours.take(), [Told::Changed(vec![(watched, PresenceState::Away)])]);
    });
}

#[test]
fn last_active_times_are_written_in_bounded_statements_and_kept_while_the_writer_has_no_room() {
    in_paused_time!(async {
        let world = World::start(Neighbours::default(), |config| config.database.batch_max_messages = 2);
        world.neighbours.with(|script| script.away = true);
        let mut users: Vec<_> = (0..5).map(|_| world.connect().0).collect();
        world.pass(Duration::from_secs(15)).await;
        assert_eq!(world.neighbours.take(), []);
        world.neighbours.with(|script| script.away = false);
        world.pass(Duration::from_secs(10)).await;
        let mut saved: Vec<UserId> = Vec::new();
        for told in world.neighbours.take() {
            let Told::Saved(users) = told else { panic!("{told:?}") };
            assert!(users.len() <= 2);
            saved.extend(users);
        }
        users.sort();
        saved.sort();
        assert_eq!(saved, users);
    });
}

#[test]
fn a_panic_keeps_watches_and_shows_nobody_as_gone() {
    in_paused_time!(async {
        let world = World::start(Neighbours::default(), |_| ());
        let ((watched, session), (user, watcher)) = world.pair().await;
        let reported = |user, session, watches| Reported {
            connected: Connected { session, user, relay: RELAY, state: DeviceState::Online },
            watches,
        };
        let sessions = vec![reported(watched, session, vec![]), reported(user, watcher, vec![watched])];
        world.neighbours.with(|script| (script.sessions, script.reports) = (sessions, 0));
        world.presence.panic();
        world.pass(Duration::from_secs(3)).await;
        assert_eq!(world.tree.snapshot()[0].restarts, 1);
        assert_eq!(world.neighbours.with(|script| script.reports), 1);
        let told = world.neighbours.take();
        assert_eq!(
            told,
            [Told::Changed(vec![(watched, PresenceState::Online)])],
            "told once more, as nobody knows what was told"
        );
        world.presence.state(session, DeviceState::Away);
        world.pass(Duration::from_secs(2)).await;
        assert_eq!(world.neighbours.take(), [Told::Changed(vec![(watched, PresenceState::Away)])]);
    });
}

#[test]
fn a_question_behind_a_panic_is_answered_by_the_tracker_begun_again() {
    in_paused_time!(async {
        let world = World::start(Neighbours::default(), |_| ());
        world.presence.panic();
        let asked = world.presence.watch(SessionId::generate(), vec![]).unwrap().await;
        assert_eq!(asked.unwrap().map_err(|refusal| refusal.fault), Err(Fault::Unavailable), "nobody knows the session");
    });
}

/// Strikes the tracker while it handles a message.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(in crate::presence) struct Panic;

impl Handler<Queued<Panic>> for PresenceTracker {
    type Result = ();

    fn handle(&mut self, _: Queued<Panic>, _: &mut Context<Self>) {
        panic!("a test's panic");
    }
}

impl Presence {
    fn panic(&self) {
        self.tell(Panic);
    }
}
