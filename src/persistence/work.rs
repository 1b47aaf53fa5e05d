//! A waiting write and the answer it owes.
//!
//! Purpose: hold operations of every type in one queue, each with the place for its answer. Neighbours: `handle.rs` makes them,
//! `batch.rs` queues them, `commit.rs` carries them out. Must not know: how a transaction is repeated.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::batch::Key;
use super::commit::{Committer, GaveUp};
use super::owed::Owed;
use super::retry::Attempts;
use crate::domain::fault::Refusal;
use crate::store::Operation;
use crate::store::messages::{Append, AppendOutcome};
use crate::supervision::reply::ReplyTo;

/// What waits in the queue.
pub(super) enum Work {
    /// A run of posts.
    Append {
        /// The posts.
        append: Append,
        /// Their answer.
        owed: Owed<AppendOutcome>,
    },
    /// Anything else.
    Operation(Box<dyn Job>),
}

impl Work {
    /// Answers without having done it.
    pub(super) fn refuse(self, refusal: Refusal) {
        match self {
            Self::Append { owed, .. } => owed.settle(Err(refusal)),
            Self::Operation(job) => job.refuse(refusal),
        }
    }
}

/// An operation of any type with its answer.
pub(super) trait Job: Send {
    /// Carries it out and answers. `Err` if the database was not there for it.
    fn run(self: Box<Self>, by: &Committer, key: Key, attempts: Attempts) -> BoxFuture<'_, Result<(), GaveUp>>;

    /// Answers without having done it.
    fn refuse(self: Box<Self>, refusal: Refusal);
}

/// The one implementation of [`Job`].
pub(super) struct OperationJob<O: Operation> {
    operation: Arc<O>,
    owed: Owed<O::Output>,
}

impl<O: Operation> OperationJob<O> {
    pub(super) fn new(operation: O, reply_to: ReplyTo<Result<O::Output, Refusal>>) -> Self {
        Self { operation: Arc::new(operation), owed: Owed::new(reply_to) }
    }
}

impl<O: Operation> Job for OperationJob<O> {
    fn run(mut self: Box<Self>, by: &Committer, key: Key, attempts: Attempts) -> BoxFuture<'_, Result<(), GaveUp>> {
        Box::pin(async move {
            self.owed.stake();
            by.single(key, self.operation, self.owed, attempts).await
        })
    }

    fn refuse(self: Box<Self>, refusal: Refusal) {
        self.owed.settle(Err(refusal));
    }
}
