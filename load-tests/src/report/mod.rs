//! What a run found: the ledger of everything said and heard, the verdict over it, latencies, and how both are shown.

pub mod conversation;
pub mod judge_talk;
pub mod ledger;
pub mod meter;
pub mod process;
pub mod summary;
pub mod verdict;

#[cfg(test)]
mod verdict_tests;
