//! The moderation keeper: looks whether another process changed the filters that hold everywhere, and throws away what is old.
//!
//! Permanent; after a panic it looks again and nothing is lost.

use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Supervised, WrapFuture};
use uuid::Uuid;

use super::everywhere::Everywhere;
use crate::config;
use crate::domain::ids::UserId;
use crate::domain::time::Clock;
use crate::faults;
use crate::persistence::handle::{Key, Persistence};
use crate::store::audit::ForgetEntries;
use crate::store::reports::ForgetReports;
use crate::store::{Operation, Store};
use crate::supervision::policy::RestartPolicy;
use crate::supervision::supervisor::ChildSpec;
use crate::supervision::tree::Supervisor;

/// What it works with.
pub struct Keeper {
    /// For reading.
    pub store: Store,
    /// For throwing away.
    pub persistence: Persistence,
    /// The time.
    pub clock: Clock,
    /// What it keeps up to date.
    pub everywhere: Everywhere,
    /// How long what is kept, and how often filters are compared.
    pub settings: config::Moderation,
    /// How often something is thrown away.
    pub clean_every: Duration,
    /// Rows of each kind thrown away in one transaction.
    pub rows_max: usize,
}

/// Starts the keeper below `supervisor` on the current arbiter.
pub fn start(supervisor: &Supervisor, policy: RestartPolicy, keeper: Keeper) {
    // It gets no messages.
    let spec = ChildSpec { kind: "moderation", name: "keeper".into(), policy, mailbox_capacity: 1 };
    supervisor.spawn(spec, |_| Running { keeper, comparing: false });
}

struct Running {
    keeper: Keeper,
    /// One question at a time.
    comparing: bool,
}

impl Actor for Running {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(self.keeper.settings.filters_check, |running, ctx| running.compare(ctx));
        ctx.run_interval(self.keeper.clean_every, |running, ctx| running.clean(ctx));
    }
}

impl Supervised for Running {
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.comparing = false;
    }
}

impl Running {
    fn compare(&mut self, ctx: &mut Context<Self>) {
        faults::panic_point("moderation.panic");
        if std::mem::replace(&mut self.comparing, true) {
            return;
        }
        let (store, everywhere) = (self.keeper.store.clone(), self.keeper.everywhere.clone());
        let compare = async move { everywhere.refresh(&store).await };
        let compared = actix::fut::ActorFutureExt::map(compare.into_actor(self), |compared, running: &mut Self, _| {
            running.comparing = false;
            if let Err(error) = compared {
                tracing::warn!(%error, "cannot compare the filters that hold everywhere with the store");
            }
        });
        ctx.spawn(compared);
    }

    fn clean(&self, ctx: &mut Context<Self>) {
        let (now, rows_max) = (self.keeper.clock.now(), self.keeper.rows_max);
        let before =
            |keep: Option<Duration>| keep.and_then(|keep| now.checked_sub_signed(chrono::TimeDelta::from_std(keep).ok()?));
        if let Some(before) = before(self.keeper.settings.audit_keep) {
            self.forget(ForgetEntries { before, rows_max }, ctx);
        }
        if let Some(before) = before(self.keeper.settings.reports_keep) {
            self.forget(ForgetReports { before, rows_max }, ctx);
        }
    }

    fn forget<O: Operation>(&self, operation: O, ctx: &mut Context<Self>) {
        let work = self.keeper.persistence.run(Key::User(UserId(Uuid::nil())), operation);
        let work = async move {
            if let Ok(Err(refusal)) = work.await {
                tracing::warn!(what = O::NAME, fault = refusal.fault.row().code, "cannot throw away what is old");
            }
        };
        ctx.spawn(work.into_actor(self));
    }
}
