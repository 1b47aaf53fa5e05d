//! Who is online where, until when, and who is told.
//!
//! Purpose: one tracker per node keeps every person's devices and watchers, tells relays of changes in batches, and notes when people
//! were last active. Reading order: [`state`] (all rules, pure), [`messages`], [`actor`], [`handle`], [`neighbours`], [`records`].
//!
//! Neighbours: sessions report to the [`handle::Presence`]; relays carry what is told to the sockets that watch; the store says who
//! shares a room, who hides, and keeps last-active times.
//!
//! Invariants: only people who share a room or conversation see each other's presence (I10); those who hide look like those who are not
//! there; a reconnect within `offline_after` is not seen by anybody; nothing here delays a post.
//!
//! After a panic: sockets stay. The tracker asks every relay for its sessions and watches and tells nobody anything until all have
//! answered, so watchers see no flap; last-active times not yet written (at most `last_active_flush` old) are lost.
//!
//! Must not know: messages, membership rules (it asks who may be watched), sockets.

pub mod actor;
pub mod handle;
pub mod messages;
pub mod neighbours;
pub mod records;
pub mod state;
