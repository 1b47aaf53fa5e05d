//! How far people have read: what their devices report is gathered, and written once in a while.
//!
//! Purpose: devices report with every message that is looked at, which would be a write each. So a report of somebody who has not written for
//! a while is written at once, and what follows is gathered and written together at the end of that time; each is answered behind its commit
//! (I2). Reading order: [`state`] (who waits for what until when, pure), [`messages`], [`actor`], [`handle`], [`records`].
//!
//! Neighbours: sessions and REST report to the [`handle::Reading`]; marks are written through persistence, behind posts; the person's
//! own devices hear of it by their stream. Whoever reports tells the room.
//!
//! Invariants: one write per person at a time, and otherwise one per `accounts.read_mark_flush`, or sooner where many wait for it; a write
//! that posts leave no room for waits, and is refused as busy in the end.
//!
//! After a panic: what was gathered is answered as unavailable, and devices report again.
//!
//! Must not know: who may read what (the write decides), receipts, sockets.

pub mod actor;
pub mod handle;
pub mod messages;
pub mod records;
pub mod state;
