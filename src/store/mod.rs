//! SQL, transactions, dialect differences, numbering.
//!
//! Level 2. One [`Store`] for both databases: `read` for questions, `transaction` for [`Operation`]s. All SQL runs on the store's own
//! threads, so that no actor ever waits for a database (I5); a caller that goes away cancels nothing. Entities have a file each:
//! `rooms`, `members`, `messages`, `streams`, …
//!
//! *Invariants.* Locks are taken rooms first, then users, each in the order of their ids. A number is given only under the lock of
//! the row that counts it, so numbers are dense (I1). A write is decided from rows read under those locks (I10).
//!
//! *Must not know*: actors, wire shapes, HTTP.

#[macro_use]
pub mod backend;

mod access;
mod among;
pub mod audit;
pub mod backup;
mod checkpoints;
mod columns;
pub mod drafts;
mod error;
pub mod filters;
pub mod following;
pub mod history;
pub mod links;
pub mod logins;
pub mod members;
pub mod messages;
mod migrate;
pub mod nodes;
pub mod notifications;
mod operation;
pub mod operations;
mod page;
pub mod people;
pub mod preferences;
pub mod presence;
pub mod probe;
pub mod profiles;
pub mod read_marks;
pub mod receipts;
pub mod registrations;
pub mod relations;
pub mod reports;
pub mod rooms;
mod rows;
mod schema;
mod snapshot;
pub mod streams;
mod tables;
#[cfg(test)]
pub mod testing;
pub mod threads;
pub mod users;
pub mod verify;

pub use access::{OpenError, Store};
pub use backend::Db;
pub use error::StoreError;
pub use migrate::Migrated;
pub use operation::{Operation, Reply};
pub use page::Page;
