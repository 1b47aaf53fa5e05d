//! What travels on the client's wire: JSON shapes per version, and how faults look there.
//!
//! Level 1. `docs/PROTOCOL.md` is the specification; its examples are this module's golden vectors. The REST API uses the same
//! shapes for the same things. Must not know: actors, tables, who is allowed what.

pub mod error;
pub mod v1;

#[cfg(test)]
mod examples_tests;
