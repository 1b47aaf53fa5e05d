//! A mutating command as a value: all its inputs in one struct, runnable again from the start.

use futures_util::future::BoxFuture;

use super::backend::Db;
use super::error::StoreError;

/// What [`Operation::run`] and the functions given to [`super::Store::read`] return: `Box::pin(async move { … })`.
pub type Reply<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// One write. The [`super::Store`] opens a transaction, runs it, and commits; on any error it rolls back.
///
/// *Invariants an implementation keeps.* It holds every input, the present time and new ids included, so that a second run after a
/// lost answer finds what the first one did and reports it (I3, I9). It decides only from rows it has read in the same transaction
/// under their locks (rooms first, then users, in the order of their ids). It has no effect outside the database.
///
/// To queue operations of different types, keep for each a value that owns an `Arc` of the operation and the place for its answer,
/// behind one trait of your own: `Store::transaction` is generic, so nothing needs to be erased here.
pub trait Operation: Send + Sync + 'static {
    /// What the caller learns after the commit.
    type Output: Send + 'static;

    /// For logs and metrics: a few words of `snake_case`.
    const NAME: &'static str;

    /// Does it, inside a transaction that is open and stays open.
    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Self::Output>;
}
