//! A waiting write and the answer it owes.
//!
//! Purpose: hold operations of every type in one queue, each with the place for its answer, and make the answer true even when
//! nobody gives it. Neighbours: `handle.rs` makes them, `batch.rs` queues them, `commit.rs` carries them out.
//! Invariant: a write that is dropped says *unavailable* (certainly not stored) before it was handed to the database, and
//! *outcome unknown* after. Must not know: how a transaction is repeated.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::commit::{Committer, GaveUp};
use super::retry::Attempts;
use crate::domain::fault::{Fault, Refusal};
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

/// An answer that is owed: given once, or by dropping it.
pub(super) struct Owed<T> {
    reply_to: Option<ReplyTo<Result<T, Refusal>>>,
    at_stake: bool,
}

impl<T> Owed<T> {
    pub(super) const fn new(reply_to: ReplyTo<Result<T, Refusal>>) -> Self {
        Self { reply_to: Some(reply_to), at_stake: false }
    }

    /// From here on it may be stored.
    pub(super) const fn stake(&mut self) {
        self.at_stake = true;
    }

    pub(super) fn settle(mut self, answer: Result<T, Refusal>) {
        if let Some(reply_to) = self.reply_to.take() {
            reply_to.send(answer);
        }
    }
}

impl<T> Drop for Owed<T> {
    fn drop(&mut self) {
        if let Some(reply_to) = self.reply_to.take() {
            let fault = if self.at_stake { Fault::OutcomeUnknown } else { Fault::Unavailable };
            reply_to.send(Err(fault.into()));
        }
    }
}

/// An operation of any type with its answer.
pub(super) trait Job: Send {
    /// Carries it out and answers. `Err` if the database was not there for it.
    fn run(self: Box<Self>, by: &Committer, attempts: Attempts) -> BoxFuture<'_, Result<(), GaveUp>>;

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
    fn run(mut self: Box<Self>, by: &Committer, attempts: Attempts) -> BoxFuture<'_, Result<(), GaveUp>> {
        Box::pin(async move {
            self.owed.stake();
            by.single(self.operation, self.owed, attempts).await
        })
    }

    fn refuse(self: Box<Self>, refusal: Refusal) {
        self.owed.settle(Err(refusal));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervision::reply::reply;

    #[tokio::test]
    async fn a_dropped_write_is_unavailable_until_it_may_be_stored() {
        let (reply_to, answer) = reply::<Result<(), Refusal>>();
        drop(Owed::new(reply_to));
        assert_eq!(answer.await, Ok(Err(Fault::Unavailable.into())));

        let (reply_to, answer) = reply::<Result<(), Refusal>>();
        let mut owed = Owed::new(reply_to);
        owed.stake();
        drop(owed);
        assert_eq!(answer.await, Ok(Err(Fault::OutcomeUnknown.into())));
    }
}
