//! A persistence actor: writes gather here while the commit before them runs.
//!
//! Purpose: feed one [`Committer`] from one [`Queue`]; refuse what cannot be stored in time, at once rather than late (I4, I9).
//! Neighbours: `handle.rs` is its outside; `commit.rs` carries batches out as tasks of their own.
//! Class: permanent. A panic costs the writes that wait a truthful *unavailable*; the batch in flight goes on and answers by itself.
//! Invariants: one batch at a time; while the database is away nothing waits for it in vain. Must not know: what a write says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Supervised, WrapFuture};
use tokio::time::Instant;

use super::batch::{Bounds, Entry, Key, Queue};
use super::commit::{Committer, Finished, GaveUp};
use super::messages::{Drain, Write};
use super::work::Work;
use crate::domain::fault::{Fault, Refusal};
use crate::faults;
use crate::store::StoreError;
use crate::supervision::mailbox::Queued;
use crate::supervision::reply::{Dropped, ReplyTo, reply};

/// So often a deadline is looked at what waits: a fraction small enough that answers come in time.
const LOOKS_PER_DEADLINE: u32 = 20;

/// The part of its deadline after which a write is not begun any more: what is left of it must suffice for the transaction.
const PATIENCE: f64 = 0.75;

/// What a persistence actor is told once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Of a transaction.
    pub(super) batch: Bounds,
    /// Of what waits.
    pub(super) queue: Bounds,
    /// From a write's arrival to its answer.
    pub(super) commit_deadline: Duration,
    /// Told to those who find the queue full.
    pub(super) busy_retry_after: Duration,
    /// Pause between two looks whether the database is back.
    pub(super) probe_pause: Duration,
}

/// How it goes, for health and metrics. Read from any thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Condition {
    /// The database does not answer.
    pub(super) away: bool,
    /// Rows and bytes that wait.
    pub(super) waiting: Option<Bounds>,
    /// When the oldest of what waits was asked for.
    pub(super) oldest: Option<std::time::Instant>,
    /// When a transaction was last through.
    pub(super) last_commit: Option<std::time::Instant>,
}

/// A [`Condition`] that is shared.
#[derive(Clone, Debug, Default)]
pub(super) struct Report(Arc<Mutex<Condition>>);

impl Report {
    pub(super) fn lock(&self) -> MutexGuard<'_, Condition> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    /// A batch is in flight.
    Committing,
    /// A batch was given up; nothing is begun before a probe was through.
    Probing {
        /// The database does not answer: whoever asks is refused at once.
        away: bool,
    },
}

/// The actor.
pub(super) struct PersistenceActor {
    committer: Committer,
    limits: Limits,
    queue: Queue<Work>,
    phase: Phase,
    report: Report,
    /// Whoever waits for it to become idle.
    drains: Vec<ReplyTo<()>>,
}

impl PersistenceActor {
    pub(super) fn new(committer: Committer, limits: Limits, report: Report) -> Self {
        Self { committer, limits, queue: Queue::new(limits.queue), phase: Phase::Idle, report, drains: Vec::new() }
    }
}

impl Actor for PersistenceActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.limits.commit_deadline / LOOKS_PER_DEADLINE, |actor, ctx| actor.look(ctx));
    }
}

impl Supervised for PersistenceActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        // What waited is dropped, which answers it. The batch in flight keeps its turn; the next one begins after it.
        self.queue = Queue::new(self.limits.queue);
        self.phase = Phase::Idle;
        self.drains.clear();
    }
}

impl Handler<Queued<Write>> for PersistenceActor {
    type Result = ();

    fn handle(&mut self, message: Queued<Write>, ctx: &mut Self::Context) {
        faults::panic_point("persistence.panic");
        let Write(entry) = message.open();
        if self.phase == (Phase::Probing { away: true }) {
            return entry.work.refuse(Fault::Unavailable.into());
        }
        if let Err(entry) = self.queue.push(entry) {
            return entry.work.refuse(Refusal::busy(self.limits.busy_retry_after));
        }
        self.begin_next(ctx);
    }
}

impl Handler<Queued<Drain>> for PersistenceActor {
    type Result = ();

    fn handle(&mut self, message: Queued<Drain>, ctx: &mut Self::Context) {
        let Drain(reply_to) = message.open();
        self.drains.push(reply_to);
        self.begin_next(ctx);
    }
}

impl PersistenceActor {
    /// Takes the next batch if none is in flight.
    fn begin_next(&mut self, ctx: &mut Context<Self>) {
        if self.phase != Phase::Idle {
            return;
        }
        self.refuse_late();
        let Some(batch) = self.queue.take(self.limits.batch, Instant::now().into_std()) else {
            self.drains.drain(..).for_each(|reply_to| reply_to.send(()));
            return;
        };
        self.phase = Phase::Committing;
        let committer = self.committer.clone();
        let (reply_to, finished) = reply();
        // Not `ctx.spawn`: what is in flight must outlive a panic of this actor.
        actix::spawn(async move { reply_to.send(committer.carry_out(batch).await) });
        ctx.spawn(finished.into_actor(self).map(|finished, actor, ctx| actor.finished(finished, ctx)));
    }

    fn finished(&mut self, finished: Result<Finished, Dropped>, ctx: &mut Context<Self>) {
        faults::panic_point("persistence.panic_after_commit");
        match finished {
            Ok(Finished::Through) => {
                self.phase = Phase::Idle;
                self.report.lock().last_commit = Some(Instant::now().into_std());
                self.begin_next(ctx);
            }
            Ok(Finished::Refused { keys, gave_up }) => {
                self.refuse_behind(&keys, gave_up);
                self.probe(gave_up.away, ctx);
            }
            // The task panicked; its writes have been answered by being dropped.
            Err(Dropped) => self.probe(false, ctx),
        }
    }

    /// What was sent behind a refused write must not overtake it when it is sent again (I1).
    fn refuse_behind(&mut self, keys: &[Key], gave_up: GaveUp) {
        for key in keys {
            for entry in self.queue.take_key(*key) {
                entry.work.refuse(Fault::Unavailable.into());
            }
        }
        tracing::warn!(fault = gave_up.fault.row().code, away = gave_up.away, "a batch was refused");
    }

    fn probe(&mut self, away: bool, ctx: &mut Context<Self>) {
        self.phase = Phase::Probing { away };
        if away {
            self.refuse(|queue| queue.take_all(), Fault::Unavailable.into());
        }
        self.tell();
        let (lane, within) = (self.committer.lane.clone(), self.limits.commit_deadline);
        let probe = async move { lane.probe(within).await };
        ctx.spawn(probe.into_actor(self).map(|result, actor, ctx| actor.probed(result, ctx)));
    }

    fn probed(&mut self, result: Result<(), StoreError>, ctx: &mut Context<Self>) {
        if result.is_ok() {
            self.phase = Phase::Idle;
            self.tell();
            return self.begin_next(ctx);
        }
        // Nobody waits for the pause: writes are refused meanwhile.
        self.phase = Phase::Probing { away: true };
        self.refuse(|queue| queue.take_all(), Fault::Unavailable.into());
        ctx.run_later(self.limits.probe_pause, |actor, ctx| actor.probe(true, ctx));
    }

    /// Now and then: answers what has waited too long, and says how it goes.
    fn look(&mut self, ctx: &mut Context<Self>) {
        self.refuse_late();
        self.tell();
        self.begin_next(ctx);
    }

    fn refuse_late(&mut self) {
        // Begun with too little time left, they would take a whole batch with them.
        let limit = Instant::now().into_std() + self.limits.commit_deadline.mul_f64(1.0 - PATIENCE);
        let busy = Refusal::busy(self.limits.busy_retry_after);
        self.refuse(|queue| queue.take_due(limit), busy);
    }

    fn refuse(&mut self, take: impl FnOnce(&mut Queue<Work>) -> Vec<Entry<Work>>, refusal: Refusal) {
        for entry in take(&mut self.queue) {
            entry.work.refuse(refusal);
        }
    }

    fn tell(&self) {
        let mut condition = self.report.lock();
        condition.away = self.phase == (Phase::Probing { away: true });
        condition.waiting = Some(self.queue.size());
        condition.oldest = self.queue.oldest();
    }
}
