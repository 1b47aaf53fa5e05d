//! Who is online where, until when, and who is to be told (pure).
//!
//! The rules. A person is as present as the best of their devices. A device that leaves lingers for `offline_after`, so a reconnect, and a
//! storm of them, shows nothing. A device nobody touches for `away_after` counts as away. Those who are invisible, and those of whom the
//! store has not yet said whether they are, are shown as offline with no last-active time. Changes gather until [`Tracker::flush`], which
//! gives one batch per relay; somebody whose state is again what was last told is not told.
//!
//! `R` names a relay. Time comes in as [`Now`]. Invariants: a session watches at most `watches_per_session` people (I4); whoever neither
//! is connected, lingers, nor is watched, takes no memory once flushed. Must not know: actors, the store, who may watch whom.

mod person;
mod watches;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::hash::Hash;
use std::time::{Duration, Instant};

use crate::domain::ids::{SessionId, UserId};
use crate::domain::time::Timestamp;
use crate::protocol::v1::command::DeviceState;
use crate::protocol::v1::push::{PresenceState, UserPresence};

use person::Person;
pub use person::Profile;
pub use watches::{Watching, hidden};

/// The present on both clocks: spans are measured on the one that never jumps, what people see comes from the other.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For spans.
    pub instant: Instant,
    /// For people.
    pub time: Timestamp,
}

/// The settings these rules need.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time without activity after which a device counts as away.
    pub away_after: Duration,
    /// Time after a device left in which it still counts.
    pub offline_after: Duration,
    /// People one session may watch.
    pub watches_per_session: usize,
}

/// A live connection, as its relay reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected<R> {
    /// Which.
    pub session: SessionId,
    /// Whose.
    pub user: UserId,
    /// Where its outbox is.
    pub relay: R,
    /// What it says of its person.
    pub state: DeviceState,
}

#[derive(Debug)]
struct Session<R> {
    user: UserId,
    relay: R,
    watches: HashSet<UserId>,
    /// An idle timer runs for it: one is enough, it is set anew when it strikes and not with every touch.
    timed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// A device may have become idle.
    Idle(SessionId),
    /// A device that left may have stopped lingering.
    Lingered(UserId),
}

/// What is told, and where to.
pub type Batches<R> = Vec<(R, Vec<UserPresence>)>;

/// The tracker's memory.
#[derive(Debug)]
pub struct Tracker<R> {
    limits: Limits,
    sessions: HashMap<SessionId, Session<R>>,
    people: HashMap<UserId, Person>,
    /// How many sessions of each relay watch a person.
    watchers: HashMap<UserId, HashMap<R, u32>>,
    /// May look different from what was told.
    changed: HashSet<UserId>,
    /// To be told again whatever was told before: a batch that a relay had no room for, or all after a restart.
    owed: HashMap<R, HashSet<UserId>>,
    /// Connected people the store has not been asked about with success.
    unknown: HashSet<UserId>,
    /// Active since their last-active time was last written.
    unsaved: HashSet<UserId>,
    timers: BinaryHeap<Reverse<(Instant, Due)>>,
    /// Relays asked for their sessions, with those that came or went since.
    asked: HashMap<R, HashSet<SessionId>>,
}

impl<R: Copy + Eq + Hash> Tracker<R> {
    /// Nobody is here.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            sessions: HashMap::new(),
            people: HashMap::new(),
            watchers: HashMap::new(),
            changed: HashSet::new(),
            owed: HashMap::new(),
            unknown: HashSet::new(),
            unsaved: HashSet::new(),
            timers: BinaryHeap::new(),
            asked: HashMap::new(),
        }
    }

    /// A session is there. Told again of one that is known, takes the new state and keeps its watches.
    pub fn connected(&mut self, connected: &Connected<R>, now: Now) {
        let Connected { session, user, relay, state } = *connected;
        if self.sessions.get(&session).is_some_and(|known| known.user != user || known.relay != relay) {
            self.disconnected(session, now);
        }
        self.came_or_went(relay, session);
        self.sessions.entry(session).or_insert_with(|| Session { user, relay, watches: HashSet::new(), timed: false });
        let person = self.people.entry(user).or_insert_with(Person::new);
        person.connect(session, state, now.instant);
        if !person.is_known() {
            self.unknown.insert(user);
        }
        self.touched(session, user, None, now);
    }

    /// What a device says of its person: a state, or with `None` only that it is in use. Unknown sessions say nothing.
    pub fn active(&mut self, session: SessionId, state: Option<DeviceState>, now: Now) {
        if let Some(user) = self.sessions.get(&session).map(|session| session.user) {
            self.touched(session, user, state, now);
        }
    }

    /// A session has gone, and its watches with it.
    pub fn disconnected(&mut self, session: SessionId, now: Now) {
        let Some(gone) = self.sessions.remove(&session) else {
            return;
        };
        self.came_or_went(gone.relay, session);
        for user in &gone.watches {
            self.forget_watch(gone.relay, *user);
        }
        let Limits { away_after, offline_after, .. } = self.limits;
        if let Some(person) = self.people.get_mut(&gone.user) {
            person.disconnect(session, now.instant, away_after, offline_after);
        }
        self.changed.insert(gone.user);
        if let Some(at) = now.instant.checked_add(offline_after) {
            self.timers.push(Reverse((at, Due::Lingered(gone.user))));
        }
    }

    /// A relay is about to be asked which sessions it has.
    pub fn asked(&mut self, relay: R) {
        self.asked.insert(relay, HashSet::new());
    }

    /// A relay has said which sessions it has: those it does not name are gone, those it names are there. Of sessions that came or went
    /// since it was asked it may not have known: of those what was heard directly counts.
    pub fn reported(&mut self, relay: R, there: &[Connected<R>], now: Now) {
        let since = self.asked.remove(&relay).unwrap_or_default();
        let named: HashSet<_> = there.iter().map(|connected| connected.session).collect();
        let missing = self.sessions.iter().filter(|(id, session)| session.relay == relay && !named.contains(id));
        let gone: Vec<_> = missing.map(|(id, _)| *id).filter(|id| !since.contains(id)).collect();
        for session in gone {
            self.disconnected(session, now);
        }
        for connected in there.iter().filter(|connected| !since.contains(&connected.session)) {
            if !self.sessions.contains_key(&connected.session) {
                self.connected(connected, now);
            }
        }
    }

    /// What the store says of people.
    pub fn learn(&mut self, profiles: &[Profile]) {
        for profile in profiles {
            self.unknown.remove(&profile.user);
            if let Some(person) = self.people.get_mut(&profile.user) {
                person.learn(profile);
                self.changed.insert(profile.user);
            }
        }
    }

    /// A person hides, or shows themselves again.
    pub fn set_invisible(&mut self, user: UserId, invisible: bool) {
        if let Some(person) = self.people.get_mut(&user) {
            person.set_invisible(invisible);
            // An answer of the store that was under way may say otherwise for a moment: ask once more.
            self.unknown.insert(user);
            self.changed.insert(user);
        }
    }

    /// Some of the connected people the store is to be asked about.
    #[must_use]
    pub fn unknown(&self, at_most: usize) -> Vec<UserId> {
        self.unknown.iter().take(at_most).copied().collect()
    }

    /// How these people look now, to somebody who may see them.
    pub fn snapshot(&mut self, profiles: &[Profile], now: Now) -> Vec<UserPresence> {
        self.learn(profiles);
        let shown = |profile: &Profile| match self.people.get(&profile.user) {
            Some(person) => person.shown(now.instant, self.limits.away_after).of(profile.user),
            None => {
                let mut person = Person::new();
                person.learn(profile);
                person.shown(now.instant, self.limits.away_after).of(profile.user)
            }
        };
        profiles.iter().map(shown).collect()
    }

    /// Those of these people who are shown as online.
    #[must_use]
    pub fn online(&self, mut users: Vec<UserId>, now: Now) -> Vec<UserId> {
        let shown = |user: &UserId| self.people.get(user).map(|person| person.shown(now.instant, self.limits.away_after).state);
        users.retain(|user| shown(user) == Some(PresenceState::Online));
        users
    }

    /// One batch per relay with everything that looks different from what was told.
    pub fn flush(&mut self, now: Now) -> Batches<R> {
        self.run_timers(now.instant);
        let mut batches: HashMap<R, Vec<UserPresence>> = HashMap::new();
        for user in std::mem::take(&mut self.changed) {
            let Some(person) = self.people.get_mut(&user) else {
                continue;
            };
            let shown = person.shown(now.instant, self.limits.away_after);
            // Of whom the store has said nothing yet, nothing is told: they may be hiding, or have been told of before a restart.
            if person.is_known() && shown.differs(person.told) {
                person.told = shown;
                for relay in self.watchers.get(&user).into_iter().flat_map(HashMap::keys) {
                    batches.entry(*relay).or_default().push(shown.of(user));
                    self.owed.get_mut(relay).map(|owed| owed.remove(&user));
                }
            }
            self.drop_if_idle(user, now.instant);
        }
        self.pay(&mut batches);
        batches.into_iter().collect()
    }

    /// A relay had no room for a batch: its people are told again with the next one.
    pub fn undelivered(&mut self, relay: R, batch: &[UserPresence]) {
        self.owed.entry(relay).or_default().extend(batch.iter().map(|presence| presence.user));
    }

    /// Takes everybody whose last-active time is to be written, with that time.
    pub fn take_unsaved(&mut self) -> Vec<(UserId, Timestamp)> {
        let users = std::mem::take(&mut self.unsaved);
        // Those who are gone were only kept in memory for this.
        self.changed.extend(&users);
        users.into_iter().filter_map(|user| Some((user, self.people.get(&user)?.last_active()?))).collect()
    }

    /// Those times were not written: they will be with the next ones, if their people are still known by then.
    pub fn not_saved(&mut self, users: impl IntoIterator<Item = UserId>) {
        self.unsaved.extend(users);
    }

    /// How many sessions and people are in memory.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.sessions.len(), self.people.len())
    }

    /// How many people have a device here.
    #[must_use]
    pub fn people_here(&self) -> usize {
        self.people.values().filter(|person| person.has_device()).count()
    }

    fn came_or_went(&mut self, relay: R, session: SessionId) {
        if let Some(since) = self.asked.get_mut(&relay) {
            since.insert(session);
        }
    }

    fn touched(&mut self, session: SessionId, user: UserId, state: Option<DeviceState>, now: Now) {
        let Some(person) = self.people.get_mut(&user) else {
            return;
        };
        person.touch(session, state, now.instant, now.time);
        self.changed.insert(user);
        if let Some(at) = person.idle_at(session, self.limits.away_after) {
            self.unsaved.insert(user);
            self.set_timer(session, at);
        }
    }

    fn set_timer(&mut self, session: SessionId, at: Instant) {
        if let Some(session_of) = self.sessions.get_mut(&session)
            && !session_of.timed
        {
            session_of.timed = true;
            self.timers.push(Reverse((at, Due::Idle(session))));
        }
    }

    fn run_timers(&mut self, now: Instant) {
        while let Some(Reverse((at, due))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            match due {
                Due::Lingered(user) => {
                    self.changed.insert(user);
                }
                Due::Idle(session) => self.look_if_idle(session, now),
            }
        }
    }

    fn look_if_idle(&mut self, session: SessionId, now: Instant) {
        let Some(struck) = self.sessions.get_mut(&session) else {
            return;
        };
        struck.timed = false;
        let user = struck.user;
        self.changed.insert(user);
        let idle_at = self.people.get(&user).and_then(|person| person.idle_at(session, self.limits.away_after));
        if let Some(at) = idle_at.filter(|at| *at > now) {
            self.set_timer(session, at);
        }
    }

    /// Adds what is owed to each relay. Whoever is not known yet stays owed.
    fn pay(&mut self, batches: &mut HashMap<R, Vec<UserPresence>>) {
        for (relay, owed) in &mut self.owed {
            owed.retain(|user| {
                let watched = self.watchers.get(user).is_some_and(|relays| relays.contains_key(relay));
                match self.people.get(user) {
                    Some(person) if watched && person.is_known() => {
                        batches.entry(*relay).or_default().push(person.told.of(*user));
                        false
                    }
                    Some(_) => watched,
                    None => false,
                }
            });
        }
        self.owed.retain(|_, owed| !owed.is_empty());
    }

    fn drop_if_idle(&mut self, user: UserId, now: Instant) {
        let needed = self.watchers.contains_key(&user) || self.unsaved.contains(&user);
        if !needed && self.people.get(&user).is_some_and(|person| person.is_gone(now)) {
            self.people.remove(&user);
            self.unknown.remove(&user);
        }
    }
}

#[cfg(test)]
mod tests;
