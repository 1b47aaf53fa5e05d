//! The command line, by running the real binary: what it does, what it says, its exit codes (docs/OPERATIONS.md).

mod backup;
mod files;
mod schema;
mod serve;
mod settings;
mod user;
mod verify;

/// Exit codes, as documented.
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const SETTINGS: i32 = 3;
const UNREADY: i32 = 4;
const DAMAGED: i32 = 5;
