//! Hubbub: a self-hosted chat server whose promises are proven.
//!
//! The modules in reading order; each knows only those of lower levels (`tests/imports.rs` holds the table).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::let_underscore_must_use))]

// Level 0
pub mod domain;
pub mod faults;
// Level 1
pub mod config;
pub mod folder;
pub mod policy;
pub mod protocol;
pub mod supervision;
pub mod telemetry;
// Level 2
pub mod auth;
pub mod store;
// Level 3
pub mod delivery;
pub mod persistence;
// Level 4
pub mod accounts;
pub mod moderation;
pub mod notify;
pub mod presence;
pub mod reading;
// Level 5
pub mod room;
// Level 6
pub mod session;
// Level 7
pub mod http;
// Level 8
pub mod app;
// Level 9
pub mod cli;
