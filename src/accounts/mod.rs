//! What a person owns: the account, its logins, its profile. Registering, logging in, renewing, leaving.
//!
//! Purpose: the decisions around accounts, for HTTP, sessions and the command line alike. Reading order: [`standing`] (pure: which access
//! tokens are still worth something), [`handle`] (what others hold, and who a token's bearer is), [`admission`] (register, log in,
//! refresh), [`own`] (what a person does with their account), [`relations`] (whom they block and mute), [`preferences`] (what
//! they prefer, and their drafts), [`administer`], [`keeper`] (the actor that hears of other processes' doings).
//!
//! Neighbours: below, `auth` hashes and signs, the store keeps, persistence writes, relays close the sockets of logins that ended.
//! Invariants: a login that ended in this process is refused from the moment its commit is known, on REST and sockets (I10), and within
//! a second when another process ended it; an unknown name and a wrong password give the same answer after the same work; every write
//! goes through persistence.
//!
//! Must not know: HTTP, sockets, rooms as actors.

pub mod administer;
pub mod admission;
pub mod handle;
pub mod keeper;
pub mod own;
mod people;
pub mod preferences;
pub mod relations;
pub mod standing;
mod streams;

#[cfg(test)]
mod tests;
