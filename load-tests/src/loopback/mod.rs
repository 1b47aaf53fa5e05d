//! A tiny server for testing the swarm itself: it speaks the part of the protocol that bots use, keeps everything in memory, and breaks
//! promises on demand. It shows two things: how much the swarm can receive, and that its verdict notices what it is there to notice.
//!
//! It is no model of Hubbub: no policy, no limits, no durability. [`world`] is pure; [`server`] moves bytes.

pub mod breach;
pub mod http;
pub mod server;
pub mod talk;
pub mod world;

#[cfg(test)]
mod talk_tests;
#[cfg(test)]
mod tests;
