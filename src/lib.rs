//! Hubbub: a self-hosted chat server whose promises are proven.
//!
//! The modules in reading order; each knows only those before it (`tests/imports.rs` holds the table).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::let_underscore_must_use))]

pub mod config;
pub mod domain;
pub mod policy;
pub mod supervision;
