//! Who is who: passwords, access tokens, and secrets that are handed out once.
//!
//! Purpose: hashing and signing, as plain values and functions, and the bounded pool where slow hashing runs (I5). Neighbours:
//! `accounts` decides what a password or token is good for; the store keeps hashes only. Invariants: nothing here shows a secret in
//! `Debug`, an error or the log (I12); every comparison of secrets takes the same time wherever they differ.
//!
//! *Must not know*: HTTP headers, sockets, tables.

pub mod hashing;
pub mod password;
pub mod secret;
pub mod token;
