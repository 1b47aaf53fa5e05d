//! Carries a batch out: tries until it is through, until a write is found at fault, or until time is up; answers each write.
//!
//! Purpose: the one place where a transaction is repeated (I9). It runs as a task of its own, so that a panic of the persistence actor
//! neither stops the batch in flight nor takes its answers away. Neighbours: `retry.rs` decides, `lane.rs` leads to the store.
//! Invariants: an answer is given only after the commit it tells of (I2); a write that the database refuses fails alone.
//! Must not know: what waits behind the batch.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::batch::{Batch, Entry, Key, Kind};
use super::lane::Lane;
use super::owed::Owed;
use super::retry::{Attempts, Next, Pauses};
use super::work::Work;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::IncidentId;
use crate::domain::order::Revision;
use crate::domain::time::Clock;
use crate::store::messages::{Append, AppendBatch, AppendOutcome, PostOutcome};
use crate::store::{Operation, StoreError};
use crate::telemetry::metrics as names;

/// The database was not there for a write: what it was answered, and whether that is likely to hold for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GaveUp {
    pub(super) fault: Fault,
    /// No connection; as opposed to a lock that somebody else holds.
    pub(super) away: bool,
}

/// What came of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finished {
    /// Its writes are stored or refused, each by itself.
    Through,
    /// It was refused as a whole: what waits behind it under these keys is to be refused too (I1).
    Refused {
        /// Of the refused writes.
        keys: Vec<Key>,
        /// Why.
        gave_up: GaveUp,
    },
}

enum Stop {
    /// One of the writes is at fault; the cause is in the log if it is our fault.
    Apart(Refusal),
    GaveUp(GaveUp),
}

/// What carries batches out, one at a time. Clones share the turn.
#[derive(Clone)]
pub(super) struct Committer {
    pub(super) lane: Lane,
    pub(super) clock: Clock,
    pub(super) pauses: Pauses,
    /// Held by the batch in flight. An actor that restarts may not know of it.
    turn: Arc<Semaphore>,
}

impl Committer {
    pub(super) fn new(lane: Lane, clock: Clock, pauses: Pauses) -> Self {
        Self { lane, clock, pauses, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Carries a batch out, after the one before it.
    pub(super) async fn carry_out(&self, batch: Batch<Work>) -> Finished {
        let _turn = self.turn.acquire().await;
        let begin = Instant::now().into_std();
        // How long a write waited that is meant to yield says nothing of those that are not.
        for entry in batch.entries.iter().filter(|entry| !matches!(entry.kind, Kind::Background { .. })) {
            metrics::histogram!(names::QUEUE_SECONDS).record(begin.saturating_duration_since(entry.arrived));
        }
        match batch.kind {
            Kind::Append => self.appends(batch.entries).await,
            Kind::Operation | Kind::Background { .. } => self.operations(batch.entries).await,
        }
    }

    async fn operations(&self, entries: Vec<Entry<Work>>) -> Finished {
        let mut finished = Finished::Through;
        for Entry { key, deadline, work, .. } in entries {
            let Work::Operation(job) = work else { continue };
            if let Err(gave_up) = job.run(self, key, Attempts::until(deadline, self.pauses)).await {
                finished = Finished::Refused { keys: vec![key], gave_up };
            }
        }
        finished
    }

    async fn appends(&self, entries: Vec<Entry<Work>>) -> Finished {
        let Some(deadline) = entries.iter().map(|entry| entry.deadline).min() else { return Finished::Through };
        let (mut keys, mut appends, mut owed) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            if let Work::Append { append, owed: mut answer } = entry.work {
                answer.stake();
                keys.push(entry.key);
                appends.push(append);
                owed.push(answer);
            }
        }
        let posts: usize = appends.iter().map(|append| append.posts.len()).sum();
        #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^52 posts")]
        metrics::histogram!(names::BATCH_MESSAGES).record(posts as f64);
        let batch = Arc::new(AppendBatch { now: self.clock.now(), appends });
        let only = keys.first().copied().filter(|_| keys.len() == 1);
        match self.through(only, Arc::clone(&batch), &mut Attempts::until(deadline, self.pauses)).await {
            Ok(outcomes) => {
                owed.into_iter().zip(outcomes).for_each(|(owed, outcome)| owed.settle(Ok(outcome)));
                Finished::Through
            }
            Err(Stop::Apart(_)) => {
                count_retry("one_by_one");
                for (append, owed) in batch.appends.iter().zip(owed) {
                    owed.settle(self.alone(append.clone(), Attempts::until(deadline, self.pauses)).await);
                }
                Finished::Through
            }
            Err(Stop::GaveUp(gave_up)) => {
                owed.into_iter().for_each(|owed| owed.settle(Err(gave_up.fault.into())));
                Finished::Refused { keys, gave_up }
            }
        }
    }

    /// One run of posts in a transaction of its own; if the database refuses it still, post by post.
    async fn alone(&self, append: Append, mut attempts: Attempts) -> Result<AppendOutcome, Refusal> {
        match self.one(append.clone(), &mut attempts).await {
            Ok(outcome) => Ok(outcome),
            Err(Stop::GaveUp(gave_up)) => Err(gave_up.fault.into()),
            Err(Stop::Apart(refusal)) if append.posts.len() < 2 => Err(refusal),
            Err(Stop::Apart(_)) => self.post_by_post(append, attempts).await,
        }
    }

    async fn post_by_post(&self, append: Append, mut attempts: Attempts) -> Result<AppendOutcome, Refusal> {
        let (mut posts, mut head, mut refused) = (Vec::new(), Revision::ZERO, false);
        for post in append.posts {
            if refused {
                posts.push(PostOutcome::Refused(Fault::PreviousRefused.into()));
                continue;
            }
            let single = Append { room: append.room, policy_revision: append.policy_revision, posts: vec![post] };
            let outcome = match self.one(single, &mut attempts).await {
                Ok(AppendOutcome::Done { posts: mut outcome, head: newest }) => {
                    head = newest;
                    outcome.pop().unwrap_or(PostOutcome::Refused(Fault::Internal.into()))
                }
                // What went before is stored, so the run cannot be decided again as a whole: the sender repeats the rest.
                Ok(AppendOutcome::StalePolicy) => PostOutcome::Refused(Fault::Unavailable.into()),
                Ok(AppendOutcome::Gone) => PostOutcome::Refused(Fault::NotFound.into()),
                Err(Stop::Apart(Refusal { fault, .. }) | Stop::GaveUp(GaveUp { fault, .. })) => {
                    PostOutcome::Refused(fault.into())
                }
            };
            refused = matches!(outcome, PostOutcome::Refused(refusal) if refusal.fault.row().retry);
            posts.push(outcome);
        }
        Ok(AppendOutcome::Done { posts, head })
    }

    async fn one(&self, append: Append, attempts: &mut Attempts) -> Result<AppendOutcome, Stop> {
        let about = Some(Key::Room(append.room));
        let batch = AppendBatch { now: self.clock.now(), appends: vec![append] };
        let outcomes = self.through(about, Arc::new(batch), attempts).await?;
        outcomes.into_iter().next().ok_or(Stop::Apart(Fault::Internal.into()))
    }

    /// One operation with its answer.
    pub(super) async fn single<O: Operation>(
        &self,
        key: Key,
        operation: Arc<O>,
        owed: Owed<O::Output>,
        mut attempts: Attempts,
    ) -> Result<(), GaveUp> {
        match self.through(Some(key), operation, &mut attempts).await {
            Ok(output) => owed.settle(Ok(output)),
            Err(Stop::Apart(refusal)) => owed.settle(Err(refusal)),
            Err(Stop::GaveUp(gave_up)) => {
                owed.settle(Err(gave_up.fault.into()));
                return Err(gave_up);
            }
        }
        Ok(())
    }

    /// Tries a transaction until it is through or [`Attempts`] says otherwise. `about`: what it writes to, if it is one thing.
    async fn through<O: Operation>(
        &self,
        about: Option<Key>,
        operation: Arc<O>,
        attempts: &mut Attempts,
    ) -> Result<O::Output, Stop> {
        loop {
            let begin = Instant::now();
            let error = match self.lane.transaction(Arc::clone(&operation), attempts.time_left(begin.into_std())).await {
                Ok(output) => {
                    metrics::histogram!(names::COMMIT_SECONDS).record(begin.elapsed());
                    return Ok(output);
                }
                Err(error) => error,
            };
            let incident = note(O::NAME, about, &error, begin.elapsed());
            match attempts.after(&error, Instant::now().into_std()) {
                Next::Again(pause) => {
                    count_retry(reason(&error));
                    sleep(pause).await;
                }
                Next::Apart(fault) => return Err(Stop::Apart(Refusal::logged(fault, incident))),
                Next::GiveUp(fault) => {
                    let away = !matches!(error, StoreError::Contention(_));
                    return Err(Stop::GaveUp(GaveUp { fault, away }));
                }
            }
        }
    }
}

fn reason(error: &StoreError) -> &'static str {
    match error {
        StoreError::Panicked => "panic",
        StoreError::Contention(_) => "deadlock",
        _ => "lost",
    }
}

fn count_retry(reason: &'static str) {
    metrics::counter!(names::BATCH_RETRIES, "reason" => reason).increment(1);
}

/// A decision is no failure; all else is counted and told, and a fault of ours under an id that whoever asked is told too.
fn note(operation: &'static str, about: Option<Key>, error: &StoreError, after: Duration) -> Option<IncidentId> {
    if matches!(error, StoreError::Refused(_)) {
        return None;
    }
    let (fault, after_ms) = (error.fault(), after.as_millis());
    metrics::counter!(names::STORE_FAULTS, "fault" => fault.row().code).increment(1);
    if fault == Fault::Internal || matches!(error, StoreError::Panicked) {
        let incident = IncidentId::generate();
        tracing::error!(%incident, operation, ?about, %error, after_ms, "a transaction failed");
        return Some(incident);
    }
    tracing::warn!(operation, ?about, %error, after_ms, "a transaction failed");
    None
}
