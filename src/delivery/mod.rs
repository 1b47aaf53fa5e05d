//! Fan-out: from what a room committed to the bytes that wait for each socket.
//!
//! Purpose: an [`envelope::Envelope`] is encoded once, crosses to each worker thread once, and the [`relay`] there appends the same
//! shared bytes to the [`outbox::Outbox`] of everybody subscribed. Reading order: [`frame`], [`envelope`], [`outbox`], `tail`, `feed`, [`state`] (pure), [`relay`],
//! [`handle`].
//!
//! Neighbours: rooms, the accounts and the presence tracker send to a [`handle::RelayHandle`]; sessions of the same thread use
//! [`relay::LocalRelay`] directly and drain their outbox into their socket.
//!
//! Invariants: per room a relay appends revisions in order and without a gap (I1); an outbox that is full ends its own socket and no
//! other (I4); whoever's membership ends in an envelope gets nothing of that room after it (I10); a subscription that catches up keeps
//! only the newest head, and a room some of its newest envelopes while somebody does (I6).
//!
//! Must not know: sessions as actors, rooms, the store, permissions (a subscription carries what may be seen).

pub mod envelope;
pub mod ephemeral;
mod feed;
pub mod feeds;
pub mod frame;
pub mod handle;
pub mod outbox;
pub mod relay;
pub mod state;
mod streams;
mod tail;
pub mod tally;
pub mod watches;
