//! The accounts keeper: hears what other processes did to accounts, finds news of people's streams that nobody told of, and throws
//! away what has expired.
//!
//! An operator's command line and, later, other nodes end logins too; sockets here must close within a second all the same (I10). So the
//! store is asked for what ended lately, a question one index answers. Permanent; after a panic it asks again and nothing is lost.

use super::handle::Accounts;
use super::streams;
use crate::config;
use crate::domain::ids::UserId;
use crate::faults;
use crate::store::logins::CleanUp;
use crate::supervision::policy::RestartPolicy;
use crate::supervision::supervisor::ChildSpec;
use crate::supervision::tree::Supervisor;
use actix::{Actor, AsyncContext, Context, Supervised, WrapFuture};
use std::time::Duration;
use uuid::Uuid;

/// How far back each question reaches: what was written down with an earlier time but committed later is heard of all the same.
const OVERLAP: Duration = Duration::from_secs(30);

/// Starts the keeper below `supervisor` on the current arbiter. `compare_every`: how often streams are compared with the store.
pub fn start(
    supervisor: &Supervisor,
    policy: RestartPolicy,
    accounts: Accounts,
    settings: &config::Accounts,
    compare_every: Duration,
) {
    let keeper = Keeper {
        accounts,
        hear_every: settings.standing_check,
        compare_every,
        clean_every: settings.clean_up_every,
        clean_rows_max: settings.clean_up_rows,
        hearing: false,
        comparing: false,
    };
    // It gets no messages.
    let spec = ChildSpec { kind: "accounts", name: "keeper".into(), policy, mailbox_capacity: 1 };
    supervisor.spawn(spec, |_| keeper);
}

struct Keeper {
    accounts: Accounts,
    hear_every: Duration,
    compare_every: Duration,
    clean_every: Duration,
    clean_rows_max: usize,
    /// One question at a time.
    hearing: bool,
    /// One round at a time.
    comparing: bool,
}

impl Actor for Keeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(self.hear_every, |keeper, ctx| keeper.hear(ctx));
        ctx.run_interval(self.compare_every, |keeper, ctx| keeper.compare_streams(ctx));
        ctx.run_interval(self.clean_every, |keeper, ctx| keeper.clean(ctx));
    }
}

impl Supervised for Keeper {
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.hearing = false;
        self.comparing = false;
    }
}

impl Keeper {
    fn hear(&mut self, ctx: &mut Context<Self>) {
        faults::panic_point("accounts.panic");
        if std::mem::replace(&mut self.hearing, true) {
            return;
        }
        let accounts = self.accounts.clone();
        let ask = async move { accounts.hear_since(accounts.now() - OVERLAP).await };
        let told = actix::fut::ActorFutureExt::map(ask.into_actor(self), |heard, keeper: &mut Self, _| {
            keeper.hearing = false;
            if let Err(error) = heard {
                tracing::warn!(%error, "cannot hear which logins ended elsewhere");
            }
        });
        ctx.spawn(told);
    }

    fn compare_streams(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.comparing, true) {
            return;
        }
        let accounts = self.accounts.clone();
        let compare = async move { streams::compare(&accounts.0.parts.store, &accounts.0.parts.relays).await };
        let compared = actix::fut::ActorFutureExt::map(compare.into_actor(self), |compared, keeper: &mut Self, _| {
            keeper.comparing = false;
            if let Err(error) = compared {
                tracing::warn!(%error, "cannot compare people's streams with the store");
            }
        });
        ctx.spawn(compared);
    }

    fn clean(&mut self, ctx: &mut Context<Self>) {
        let accounts = self.accounts.clone();
        let clean = CleanUp {
            now: accounts.now(),
            access_life: accounts.0.parts.keys.life(),
            operation_life: accounts.0.parts.operation_life,
            rows_max: self.clean_rows_max,
        };
        let work = async move {
            if let Err(refusal) = accounts.write(UserId(Uuid::nil()), clean).await {
                tracing::warn!(fault = refusal.fault.row().code, "cannot throw away expired logins");
            }
        };
        ctx.spawn(work.into_actor(self));
    }
}
