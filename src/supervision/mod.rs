//! The supervision tree: what happens when an actor panics, and who hears of it.
//!
//! Purpose: a panic costs the unfinished requests of one actor and nothing else (I8). The actor keeps its address and its
//! mailbox and starts again, up to a limit; past the limit its supervisor is told, and past the root's limit the process
//! leaves for its host to start it anew.
//!
//! Reading order: [`policy`] decides (pure), [`panic`] catches and describes, [`mailbox`] counts and bounds what waits (I4),
//! [`supervisor`] carries decisions out for one actor, [`record`] is what is known of it, [`tree`] joins supervisors up to the
//! root, [`reply`] makes every question come to an answer.
//!
//! Neighbours: every module with actors is above this one and hands in its own.
//! Invariants: no panic leaves [`supervisor`]; the root fails at most once; a record lives exactly as long as its actor.
//! Must not know: what any child does, its messages, the wire, the store, wall-clock time.

pub mod mailbox;
pub mod panic;
pub mod policy;
pub mod record;
pub mod reply;
pub mod supervisor;
pub mod tree;
