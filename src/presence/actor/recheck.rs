//! Deciding again whether watches are still allowed: after a membership, an account or a room ended, and by the sweep.

use std::collections::HashSet;

use actix::Context;

use super::{PresenceTracker, Settings};
use crate::domain::ids::{SessionId, UserId};
use crate::presence::state::{Profile, Watching, hidden};

impl PresenceTracker {
    /// Decides all watches of a session again.
    pub(super) fn recheck(&self, session: SessionId, ctx: &mut Context<Self>) {
        self.recheck_then(session, ctx, |_, _| ());
    }

    /// Looks at the next urgent session when the one before has been looked at.
    pub(super) fn look_on(&mut self, ctx: &mut Context<Self>) {
        while !self.looking
            && let Some(session) = self.urgent.pop()
        {
            self.looking = self.recheck_then(session, ctx, |tracker, ctx| {
                tracker.looking = false;
                tracker.look_on(ctx);
            });
        }
    }

    /// The same, and then goes on with `then`. False if there is nothing to decide.
    fn recheck_then(
        &self,
        session: SessionId,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, &mut Context<Self>) + 'static,
    ) -> bool {
        let Some(watching) = self.tracker.watches_of(session) else {
            return false;
        };
        let allowed = self.parts.records.watchable(watching.user, watching.users.clone());
        self.then(ctx, allowed, move |tracker, allowed, ctx| {
            // A store that is away ends no watch; the sweep asks again.
            if let Ok(allowed) = allowed {
                tracker.tracker.learn(&allowed);
                let allowed: HashSet<_> = allowed.iter().map(|profile| profile.user).collect();
                let users = watching.users.iter().filter(|user| !allowed.contains(user)).copied().collect();
                tracker.end_watches(Watching { users, ..watching });
            }
            then(tracker, ctx);
        });
        true
    }

    /// Ends the watches between `user` and those of `asked` who are not `allowed`.
    pub(super) fn end_watches_about(&mut self, user: UserId, asked: &[UserId], allowed: &[Profile]) {
        let allowed: HashSet<_> = allowed.iter().map(|profile| profile.user).collect();
        let parted: HashSet<_> = asked.iter().filter(|other| !allowed.contains(other)).copied().collect();
        for watching in self.tracker.watches_about(user) {
            let users = if watching.user == user {
                watching.users.iter().filter(|other| parted.contains(other)).copied().collect()
            } else if parted.contains(&watching.user) {
                vec![user]
            } else {
                Vec::new()
            };
            self.end_watches(Watching { users, ..watching });
        }
    }

    fn end_watches(&mut self, ended: Watching) {
        if let Some((relay, users)) = self.tracker.unwatch(ended.session, &ended.users)
            && !users.is_empty()
        {
            self.untold_ends.push((Watching { users, ..ended }, relay));
            self.tell_ends();
        }
    }

    /// Tells relays of watches that ended; one that has no room is told with the next tick.
    pub(super) fn tell_ends(&mut self) {
        let audience = &self.parts.audience;
        self.untold_ends.retain(|(ended, relay)| {
            !audience.unwatched(*relay, (ended.user, ended.session), ended.users.clone(), hidden(&ended.users))
        });
    }

    /// Goes on with the sweep, so fast that it ends in time.
    pub(super) fn sweep_on(&mut self, ctx: &mut Context<Self>) {
        let Settings { coalesce, recheck_after, .. } = self.parts.settings;
        let ticks = (recheck_after.as_millis() / coalesce.as_millis().max(1)).max(1);
        let share = self.tracker.size().0.div_ceil(usize::try_from(ticks).unwrap_or(usize::MAX));
        let rest = self.sweep.len().saturating_sub(share);
        for session in self.sweep.split_off(rest) {
            self.recheck(session, ctx);
        }
    }
}
