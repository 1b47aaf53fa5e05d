//! Who watches whom. Whether they may is decided before, and now and then again; here it is only kept.

use std::collections::HashSet;
use std::hash::Hash;

use crate::domain::fault::Fault;
use crate::domain::ids::{SessionId, UserId};
use crate::protocol::v1::push::UserPresence;

use super::person::{Person, Shown};
use super::{Now, Profile, Tracker};

/// A session's watches, for deciding again whether each is still allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watching {
    /// The connection.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// Whom it watches.
    pub users: Vec<UserId>,
}

impl<R: Copy + Eq + Hash> Tracker<R> {
    /// May `session` watch `users` too, as far as limits go? Says who the session's person is.
    ///
    /// # Errors
    /// [`Fault::LimitReached`]; [`Fault::Unavailable`] for a session that has not been heard of (yet).
    pub fn may_watch(&self, session: SessionId, users: &[UserId]) -> Result<UserId, Fault> {
        let known = self.sessions.get(&session).ok_or(Fault::Unavailable)?;
        let more: HashSet<_> = users.iter().filter(|user| !known.watches.contains(user)).collect();
        if known.watches.len() + more.len() > self.limits.watches_per_session { Err(Fault::LimitReached) } else { Ok(known.user) }
    }

    /// `session` watches these people from now on. Gives its relay and how each looks to all watchers: what differs from that by now comes
    /// with the next flush, so a new watcher and an old one always believe the same.
    ///
    /// # Errors
    /// As [`Tracker::may_watch`], as other watches may have come since.
    pub fn watch(&mut self, session: SessionId, profiles: &[Profile], now: Now) -> Result<(R, Vec<UserPresence>), Fault> {
        let users: Vec<_> = profiles.iter().map(|profile| profile.user).collect();
        self.may_watch(session, &users)?;
        let relay = self.sessions.get(&session).ok_or(Fault::Unavailable)?.relay;
        let told = profiles.iter().map(|profile| self.watch_one(session, relay, profile, now)).collect();
        Ok((relay, told))
    }

    fn watch_one(&mut self, session: SessionId, relay: R, profile: &Profile, now: Now) -> UserPresence {
        let user = profile.user;
        let person = self.people.entry(user).or_insert_with(Person::new);
        person.learn(profile);
        self.unknown.remove(&user);
        self.changed.insert(user);
        if !self.watchers.contains_key(&user) {
            // Nobody has been told anything.
            person.told = person.shown(now.instant, self.limits.away_after);
        }
        let told = person.told;
        if self.sessions.get_mut(&session).is_some_and(|session| session.watches.insert(user)) {
            *self.watchers.entry(user).or_default().entry(relay).or_default() += 1;
        }
        told.of(user)
    }

    /// `session` does not watch these people any more. Gives its relay and those of them it did watch.
    pub fn unwatch(&mut self, session: SessionId, users: &[UserId]) -> Option<(R, Vec<UserId>)> {
        let known = self.sessions.get_mut(&session)?;
        let relay = known.relay;
        let ended: Vec<_> = users.iter().filter(|user| known.watches.remove(user)).copied().collect();
        for user in &ended {
            self.forget_watch(relay, *user);
        }
        Some((relay, ended))
    }

    /// A session's watches were made before the tracker started again: its relay reports them. Everybody in them is told again.
    pub fn rewatch(&mut self, session: SessionId, users: &[UserId]) {
        let Some(known) = self.sessions.get_mut(&session) else {
            return;
        };
        for user in users.iter().take(self.limits.watches_per_session) {
            if known.watches.insert(*user) {
                *self.watchers.entry(*user).or_default().entry(known.relay).or_default() += 1;
                self.owed.entry(known.relay).or_default().insert(*user);
                if !self.people.entry(*user).or_insert_with(Person::new).is_known() {
                    self.unknown.insert(*user);
                }
            }
        }
    }

    /// The watches that a change of `user`'s memberships may have ended: theirs, and those of whoever watches them.
    #[must_use]
    pub fn watches_about(&self, user: UserId) -> Vec<Watching> {
        let sessions = self.sessions.iter().filter_map(|(id, session)| {
            let users = match (session.user == user, session.watches.contains(&user)) {
                (true, _) => session.watches.iter().copied().collect(),
                (false, true) => vec![user],
                (false, false) => return None,
            };
            Some(Watching { session: *id, user: session.user, users })
        });
        sessions.filter(|watching| !watching.users.is_empty()).collect()
    }

    /// What one session watches; `None` when it is nobody.
    #[must_use]
    pub fn watches_of(&self, session: SessionId) -> Option<Watching> {
        let known = self.sessions.get(&session)?;
        let users: Vec<_> = known.watches.iter().copied().collect();
        (!users.is_empty()).then_some(Watching { session, user: known.user, users })
    }

    /// Every session, for looking at their watches one after another.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionId> {
        self.sessions.keys().copied().collect()
    }

    pub(super) fn forget_watch(&mut self, relay: R, user: UserId) {
        if let Some(relays) = self.watchers.get_mut(&user) {
            if let Some(count) = relays.get_mut(&relay) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    relays.remove(&relay);
                }
            }
            if relays.is_empty() {
                self.watchers.remove(&user);
                // Nobody believes anything of them any more; the next flush may forget them.
                self.changed.insert(user);
            }
        }
    }
}

/// What somebody who may not watch a person any more is told of them: as much as of a stranger.
#[must_use]
pub fn hidden(users: &[UserId]) -> Vec<UserPresence> {
    users.iter().map(|user| Shown::HIDDEN.of(*user)).collect()
}
