//! Hubbub from outside: real sockets, real databases, one binary. One file per feature; `support` starts servers and plays people.
//!
//! Each test starts its own server on a free port with a database of its own. `HUBBUB_TEST_DATABASE` names the MySQL or MariaDB
//! server to use (`mysql://user:password@host:port`); without it the tests run on SQLite.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a missing thing is a failure")]

#[allow(dead_code, reason = "what some tests need others do not")]
mod support;

mod accounts;
mod authorization;
mod changing;
mod cli;
mod demonstration;
mod direct;
mod documents;
mod filter_hook;
mod health;
mod hidden;
mod history;
mod idle;
mod invitations;
mod keeping;
mod moderation;
mod naming;
mod notifications;
mod openapi;
mod own;
mod people;
mod preferences;
mod presence;
mod profiles;
mod promises;
mod rates;
mod reading;
mod receipts;
mod relations;
mod repeats;
mod rfc6455;
mod robustness;
mod room_commands;
mod rooms;
mod sight;
mod signals;
mod silence;
mod slow_mode;
mod talk;
mod typing;
