//! The presence tracker: one per node, permanent, on the core arbiter. It schedules and sends; every rule is in [`super::state`].
//!
//! What may be watched is decided by the store when a watch begins, again within a second of a [`MembershipEnded`] about either side, one
//! session after the other after a [`RoomEnded`], and where such a message was lost by a sweep over all sessions, once per `recheck_after`.

mod recheck;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler, Supervised, WrapFuture};
use futures_util::future::join_all;

use crate::config;
use crate::domain::fault::Refusal;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::time::{Clock, Timestamp};
use crate::faults;
use crate::supervision::mailbox::Queued;
use crate::supervision::policy::RestartPolicy;
use crate::supervision::supervisor::ChildSpec;
use crate::supervision::tree::Supervisor;
use crate::telemetry::metrics as names;

use super::handle::Presence;
use super::messages::{
    DeviceActive, InvisibleSet, MembershipEnded, OnlineAmong, PresenceOf, RoomEnded, SessionConnected, SessionDisconnected,
    Unwatch, Watch,
};
use super::neighbours::{Audience, Records, RelayNumber, Reported};
use super::state::{Limits, Now, Profile, Tracker, Watching};

/// What the tracker is started with.
pub struct Parts {
    /// The relays.
    pub audience: Box<dyn Audience>,
    /// The store.
    pub records: Box<dyn Records>,
    /// The time people see.
    pub clock: Clock,
    /// Spans and limits.
    pub settings: Settings,
}

/// The settings of the tracker.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    limits: Limits,
    coalesce: Duration,
    last_active_flush: Duration,
    recheck_after: Duration,
    /// People in one statement or one question to the store.
    batch: usize,
    mailbox: u32,
    busy_retry_after: Duration,
}

impl From<&config::Config> for Settings {
    fn from(config: &config::Config) -> Self {
        let presence = &config.presence;
        Self {
            limits: Limits {
                away_after: presence.away_after,
                offline_after: presence.offline_after,
                watches_per_session: config.limits.watches_per_session,
            },
            coalesce: presence.coalesce,
            last_active_flush: presence.last_active_flush,
            recheck_after: presence.recheck_after,
            batch: config.database.batch_max_messages,
            mailbox: u32::try_from(presence.mailbox).unwrap_or(u32::MAX),
            busy_retry_after: config.database.busy_retry_after,
        }
    }
}

/// Starts the tracker below `supervisor` on the current arbiter.
pub fn start(supervisor: &Supervisor, policy: RestartPolicy, parts: Parts) -> Presence {
    let Settings { mailbox, busy_retry_after, .. } = parts.settings;
    let spec = ChildSpec { kind: "presence", name: "tracker".into(), policy, mailbox_capacity: mailbox };
    Presence::new(supervisor.spawn(spec, |_| PresenceTracker::new(parts)), busy_retry_after)
}

/// The actor.
pub struct PresenceTracker {
    parts: Parts,
    tracker: Tracker<RelayNumber>,
    /// Relays that have not yet said whom they have; nothing is told until then, or until `rebuild_until`.
    rebuilding: HashSet<RelayNumber>,
    rebuild_until: Option<Instant>,
    /// The store is being asked about people; one question at a time.
    asking: bool,
    /// Last-active times are being written; one statement at a time.
    saving: bool,
    /// Memberships that ended since the start: a watch decided across one is decided again.
    endings: u64,
    /// Sessions the sweep has still to look at.
    sweep: Vec<SessionId>,
    /// Sessions to be looked at now, as a room of theirs has ended; one question at a time, however large the room was.
    urgent: Vec<SessionId>,
    /// One of those is being looked at.
    looking: bool,
    /// Ended watches a relay had no room to hear of.
    untold_ends: Vec<(Watching, RelayNumber)>,
}

impl Actor for PresenceTracker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.rebuild(ctx);
        ctx.run_interval(self.parts.settings.coalesce, Self::tick);
        ctx.run_interval(self.parts.settings.last_active_flush, |tracker, ctx| tracker.save(ctx));
        ctx.run_interval(self.parts.settings.recheck_after, |tracker, ctx| {
            tracker.sweep = tracker.tracker.sessions();
            tracker.reconcile(ctx);
        });
    }
}

impl Supervised for PresenceTracker {
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.tracker = Tracker::new(self.parts.settings.limits);
        self.rebuilding.clear();
        (self.asking, self.saving, self.looking) = (false, false, false);
        self.sweep.clear();
        self.urgent.clear();
        self.untold_ends.clear();
    }
}

impl Handler<Queued<SessionConnected>> for PresenceTracker {
    type Result = ();

    fn handle(&mut self, message: Queued<SessionConnected>, _: &mut Context<Self>) {
        let now = self.now();
        self.tracker.connected(&message.open().0, now);
    }
}

impl Handler<Queued<DeviceActive>> for PresenceTracker {
    type Result = ();

    fn handle(&mut self, message: Queued<DeviceActive>, _: &mut Context<Self>) {
        let (DeviceActive { session, state }, now) = (message.open(), self.now());
        self.tracker.active(session, state, now);
    }
}

impl Handler<Queued<SessionDisconnected>> for PresenceTracker {
    type Result = ();

    fn handle(&mut self, message: Queued<SessionDisconnected>, _: &mut Context<Self>) {
        let now = self.now();
        self.tracker.disconnected(message.open().0, now);
    }
}

impl Handler<Queued<Watch>> for PresenceTracker {
    type Result = ();

    fn handle(&mut self, message: Queued<Watch>, ctx: &mut Context<Self>) {
        let Watch { session, users, reply } = message.open();
        let watcher = match self.tracker.may_watch(session, &users) {
            Ok(watcher) => watcher,
            Err(fault) => return reply.send(Err(fault.into())),
        };
        let endings = self.endings;
        let allowed = self.parts.records.watchable(watcher, users);
        self.then(ctx, allowed, move |tracker, allowed, ctx| match allowed {
            Ok(profiles) => reply.send(tracker.begin_watches((watcher, session), &profiles, endings, ctx)),
            Err(refusal) => reply.send(Err(refusal)),
        });
    }
}

impl Handler<Queued<Unwatch>> for PresenceTracker {
    type Result = ();

    fn handle(&mut self, message: Queued<Unwatch>, _: &mut Context<Self>) {
        let Unwatch { session, users } = message.open();
        let Some(watching) = self.tracker.watches_of(session) else {
            return;
        };
        if let Some((relay, users)) = self.tracker.unwatch(session, &users) {
            self.parts.audience.unwatched(relay, (watching.user, session), users, Vec::new());
        }
    }
}

impl Handler<Queued<PresenceOf>> for PresenceTracker {
    type Result = ();

    fn handle(&mut self, message: Queued<PresenceOf>, ctx: &mut Context<Self>) {
        let PresenceOf { asker, users, reply } = message.open();
        let allowed = self.parts.records.watchable(asker, users);
        self.then(ctx, allowed, move |tracker, allowed: Result<Vec<Profile>, Refusal>, _| {
            let now = tracker.now();
            reply.send(allowed.map(|profiles| tracker.tracker.snapshot(&profiles, now)));
        });
    }
}

impl Handler<Queued<OnlineAmong>> for PresenceTracker {
    type Result = ();

    fn handle(&mut self, message: Queued<OnlineAmong>, _: &mut Context<Self>) {
        let OnlineAmong { users, reply } = message.open();
        reply.send(self.tracker.online(users, self.now()));
    }
}

impl Handler<Queued<InvisibleSet>> for PresenceTracker {
    type Result = ();

    fn handle(&mut self, message: Queued<InvisibleSet>, _: &mut Context<Self>) {
        let InvisibleSet { user, invisible } = message.open();
        self.tracker.set_invisible(user, invisible);
    }
}

impl Handler<Queued<MembershipEnded>> for PresenceTracker {
    type Result = ();

    fn handle(&mut self, message: Queued<MembershipEnded>, ctx: &mut Context<Self>) {
        let user = message.open().0;
        self.endings += 1;
        // Sharing a room is mutual, so one question about `user` decides who they may watch and who may watch them.
        let about = self.tracker.watches_about(user);
        let others: HashSet<_> = about.iter().flat_map(|watching| other_sides(watching, user)).collect();
        for others in others.into_iter().collect::<Vec<_>>().chunks(self.parts.settings.batch.max(1)) {
            let allowed = self.parts.records.watchable(user, others.to_vec());
            let asked = others.to_vec();
            self.then(ctx, allowed, move |tracker, allowed, _| {
                // A store that is away ends no watch; the sweep asks again.
                if let Ok(allowed) = allowed {
                    tracker.end_watches_about(user, &asked, &allowed);
                }
            });
        }
    }
}

impl Handler<Queued<RoomEnded>> for PresenceTracker {
    type Result = ();

    fn handle(&mut self, message: Queued<RoomEnded>, ctx: &mut Context<Self>) {
        let members: HashSet<_> = message.open().0.into_iter().collect();
        self.endings += 1;
        // Both sides of a watch that it allowed were members: the watching sessions are all among theirs.
        let watching = self.tracker.sessions().into_iter().filter_map(|session| self.tracker.watches_of(session));
        let watching = watching.filter(|watching| members.contains(&watching.user) && !watching.users.is_empty());
        self.urgent.extend(watching.map(|watching| watching.session));
        self.look_on(ctx);
    }
}

/// Who stands on the other side of a session's watches from `user`: whom it watches if it is theirs, else whose it is.
fn other_sides(watching: &Watching, user: UserId) -> Vec<UserId> {
    if watching.user == user { watching.users.clone() } else { vec![watching.user] }
}

impl PresenceTracker {
    fn new(parts: Parts) -> Self {
        Self {
            tracker: Tracker::new(parts.settings.limits),
            parts,
            rebuilding: HashSet::new(),
            rebuild_until: None,
            asking: false,
            saving: false,
            endings: 0,
            sweep: Vec::new(),
            urgent: Vec::new(),
            looking: false,
            untold_ends: Vec::new(),
        }
    }

    fn now(&self) -> Now {
        Now { instant: tokio::time::Instant::now().into_std(), time: self.parts.clock.now() }
    }

    /// Runs `then` with what `future` comes to; neither survives a restart.
    fn then<T: 'static>(
        &self,
        ctx: &mut Context<Self>,
        future: impl Future<Output = T> + 'static,
        then: impl FnOnce(&mut Self, T, &mut Context<Self>) + 'static,
    ) {
        use actix::ActorFutureExt;
        ctx.spawn(future.into_actor(self).map(|outcome, tracker, ctx| then(tracker, outcome, ctx)));
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        faults::panic_point("presence.tick");
        self.flush();
        self.tell_ends();
        self.learn(ctx);
        self.sweep_on(ctx);
    }

    /// Tells each relay what changed.
    fn flush(&mut self) {
        let now = self.now();
        if !self.rebuilding.is_empty() && self.rebuild_until.is_some_and(|until| now.instant < until) {
            return;
        }
        self.rebuilding.clear();
        for (relay, batch) in self.tracker.flush(now) {
            if self.parts.audience.changed(relay, &batch) {
                metrics::counter!(names::PRESENCE_CHANGES).increment(batch.len() as u64);
            } else {
                self.tracker.undelivered(relay, &batch);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge need not be exact")]
        metrics::gauge!(names::PEOPLE_ONLINE).set(self.tracker.people_here() as f64);
    }

    /// Asks the store about people it has not spoken of yet.
    fn learn(&mut self, ctx: &mut Context<Self>) {
        let unknown = self.tracker.unknown(self.parts.settings.batch);
        if self.asking || unknown.is_empty() {
            return;
        }
        self.asking = true;
        let profiles = self.parts.records.profiles(unknown);
        self.then(ctx, profiles, |tracker, profiles, _| {
            tracker.asking = false;
            // A store that is away is asked again with the next tick.
            if let Ok(profiles) = profiles {
                tracker.tracker.learn(&profiles);
            }
        });
    }

    fn begin_watches(
        &mut self,
        watcher: (UserId, SessionId),
        profiles: &[Profile],
        endings: u64,
        ctx: &mut Context<Self>,
    ) -> Result<(), Refusal> {
        let (now, session) = (self.now(), watcher.1);
        let (relay, told) = self.tracker.watch(session, profiles, now)?;
        let users: Vec<_> = told.iter().map(|presence| presence.user).collect();
        if !self.parts.audience.watched(relay, watcher, told) {
            self.tracker.unwatch(session, &users);
            return Err(Refusal::busy(self.parts.settings.busy_retry_after));
        }
        if self.endings != endings {
            self.recheck(session, ctx);
        }
        Ok(())
    }

    /// Writes when people were last active, a statement at a time; what the writer has no room for waits for the next round.
    fn save(&mut self, ctx: &mut Context<Self>) {
        if !self.saving {
            self.saving = true;
            let unsaved = self.tracker.take_unsaved();
            self.save_next(unsaved, ctx);
        }
    }

    fn save_next(&mut self, mut unsaved: Vec<(UserId, Timestamp)>, ctx: &mut Context<Self>) {
        if unsaved.is_empty() {
            self.saving = false;
            return;
        }
        let batch = unsaved.split_off(unsaved.len().saturating_sub(self.parts.settings.batch));
        let users: Vec<_> = batch.iter().map(|(user, _)| *user).collect();
        let saved = self.parts.records.save_last_active(batch);
        self.then(ctx, saved, move |tracker, saved, ctx| {
            if saved {
                return tracker.save_next(unsaved, ctx);
            }
            let all = users.into_iter().chain(unsaved.into_iter().map(|(user, _)| user));
            tracker.tracker.not_saved(all);
            tracker.saving = false;
        });
    }

    /// After a start: asks every relay for its sessions and their watches.
    fn rebuild(&mut self, ctx: &mut Context<Self>) {
        self.rebuilding = self.parts.audience.relays().into_iter().collect();
        // A relay that does not answer has lost its sessions; they come back within the time a reconnect may take.
        self.rebuild_until = self.now().instant.checked_add(self.parts.settings.limits.offline_after);
        self.ask_relays(true, ctx);
    }

    /// Now and then: mends what lost messages left behind.
    fn reconcile(&mut self, ctx: &mut Context<Self>) {
        self.ask_relays(false, ctx);
    }

    fn ask_relays(&mut self, with_watches: bool, ctx: &mut Context<Self>) {
        let relays = self.parts.audience.relays();
        let reports = relays.into_iter().map(|relay| {
            self.tracker.asked(relay);
            let report = self.parts.audience.report(relay, with_watches);
            async move { (relay, report.await) }
        });
        let reports = join_all(reports.collect::<Vec<_>>());
        self.then(ctx, reports, |tracker, reports, _| {
            for (relay, report) in reports {
                tracker.rebuilding.remove(&relay);
                if let Some(there) = report {
                    tracker.take_report(relay, &there);
                }
            }
        });
    }

    fn take_report(&mut self, relay: RelayNumber, there: &[Reported]) {
        let now = self.now();
        let connected: Vec<_> = there.iter().map(|reported| reported.connected.clone()).collect();
        self.tracker.reported(relay, &connected, now);
        for reported in there {
            self.tracker.rewatch(reported.connected.session, &reported.watches);
        }
    }
}

#[cfg(test)]
mod tests;
