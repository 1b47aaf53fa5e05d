//! Rooms: one actor each while it is awake.
//!
//! Purpose: decide posts from memory, have them and all changes stored, and hand what was committed, in order, to the relays that want
//! it. Reading order: [`state`] decides (pure), `actor` carries out, `catch_up` reads from the store, `directory` finds or starts a room, [`handle`] is what others hold.
//!
//! Neighbours: below, persistence stores, the store is read when a room wakes, relays deliver; above, sessions and REST.
//!
//! Invariants: nothing is delivered before its commit (I2); what is delivered is dense by revision, per relay (I1); a verdict counts only
//! under the policy it was made for (I10); a room sleeps only with no relay, nothing in flight and an empty mailbox.
//!
//! A sender's reply and its own event come after the commit in no promised order: today the event is handed to the relays first.
//!
//! Must not know: sockets, frames, presence, the list of sessions.

mod actor;
mod catch_up;
mod changing;
mod directory;
mod ending;
pub mod handle;
mod map;
mod messages;
mod preparing;
mod receipts;
pub mod state;
#[cfg(test)]
mod tests;
mod turns;
mod typing;

pub use messages::{Attached, DirectPosted};
