//! What only a build with the feature `faults` can show: that each promise holds through mishaps (`panics`, `outages`, `lost`, `queues`), and that the
//! checks of the promises see a breach when there is one (`breaches`). And what is counted for the whole process (`at_size`, `busy_room`).
//!
//! Faults are armed for the whole process, so these tests run one at a time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a missing thing is a failure")]

#[allow(dead_code, reason = "the support is shared with `it`, and neither uses all of it")]
#[path = "../it/support/mod.rs"]
mod support;

mod arm;
mod at_size;
mod breaches;
mod busy_room;
mod drain;
mod lost;
mod outages;
mod panics;
mod queues;
mod sight;
mod streams;
