//! Notifications: who is told of which message.
//!
//! Purpose: a post is acknowledged first; then those who are to know of it get a neutral fact on their user stream, without its text.
//! Reading order: [`rules`] (who is notified and why, pure), [`interest`] (which posts may notify somebody at all), [`handle`], [`work`] (one
//! message, some people at a time), [`actor`].
//!
//! Neighbours: rooms ask [`handle::Notify`] about a post and say when one is stored that may notify somebody; its place in the queue is
//! written in the post's own transaction. Accounts say when preferences change. Presence says who is online.
//!
//! Invariants: whoever is to be notified is notified once, whatever crashes when; candidates come from indexes, and members of a large room
//! are looked at only where all are mentioned, some at a time; notifying waits where posts need all there is.
//!
//! After a panic: the queue is in the store, and is gone on with where it was.
//!
//! Must not know: how a notification reaches a device; texts leave this module for nobody.

pub mod actor;
pub mod handle;
pub mod interest;
pub mod rules;
pub mod work;
