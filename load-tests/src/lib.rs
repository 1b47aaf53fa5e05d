//! What one of the two programs, `hubbub-swarm`, writes for the other, `hubbub-drill`, to read.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

pub mod journal;
