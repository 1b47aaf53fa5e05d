//! Every write, and nothing else: group commit.
//!
//! Purpose: whoever wants something stored hands it to a [`handle::Persistence`] and gets an answer, once. Writes gather while the
//! commit before them runs, then share a transaction: alone, a message waits for one commit; under load, batches grow to their limit.
//! Reading order: [`batch`] chooses (pure), [`retry`] decides what follows a failure (pure), `commit` carries a batch out, `actor`
//! joins them, `lane` leads to the store, `work` is what waits.
//!
//! Neighbours: below, the store carries a transaction out and knows how to do it twice without a second effect (I3); above, rooms,
//! accounts and presence write through the handle.
//!
//! Invariants: nothing is answered as done before its commit (I2); each write is answered once, within `commit_deadline`, and the
//! answer says whether it may have been stored (I9); writes of one key are carried out in the order they came.
//!
//! Must not know: what a message says, who may do what, who is told of it.

mod actor;
pub mod batch;
mod commit;
pub mod handle;
mod lane;
mod messages;
pub mod owed;
pub mod retry;
#[cfg(test)]
mod tests;
mod work;
