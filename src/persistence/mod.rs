//! Every write: group commit.
