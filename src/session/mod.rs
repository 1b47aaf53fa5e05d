//! One person's live connection.
//!
//! Purpose: own the socket, speak protocol v1 over it, and turn commands into questions to rooms, presence and accounts. Reading
//! order: [`decode`] (bytes to messages), [`handshake`], [`upgrade`], [`socket`], then [`actor`] and what it does (`commands`,
//! `following`) with the pure rules [`posting`] and [`resume`]; [`ports`] is what it needs of others, [`node`] joins it to them, [`thread`] is what
//! sessions share.
//!
//! Neighbours: the relay of its thread feeds its outbox; rooms, accounts, presence and the store answer it through `ports`.
//!
//! Invariants: one reply per command; posts of one session to one room commit in sending order (I1); a client that resumes gets
//! exactly what it missed, then what is new, without gap or repeat (I6, I7); nothing is buffered without a bound (I4).
//!
//! Must not know: other sessions, SQL, the bus.

pub mod actor;
mod acts;
pub mod bucket;
mod commands;
pub mod decode;
mod following;
pub mod gate;
pub mod handshake;
mod moderation;
pub mod node;
pub mod own;
mod own_acts;
pub mod ports;
pub mod posting;
mod replies;
pub mod resume;
mod room_acts;
pub mod socket;
pub mod thread;
pub mod together;
pub mod upgrade;

#[cfg(test)]
mod closes_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
