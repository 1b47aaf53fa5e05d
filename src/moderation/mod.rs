//! Moderation: what may not be said, what people report, what was done about it.
//!
//! Level 4. Rules first, without anything that acts: `words` and `links` say how a pattern matches, `filters` what a set of them makes of a text,
//! `breaker` when a hook that fails is left alone. Then the parts that act: `everywhere` holds the filters of all rooms, `hook` asks a program of
//! the operator's, `handle` is what REST and sockets hold, `keeper` looks for changed filters and throws old rows away.
//!
//! *Must not know*: rooms as actors, sockets, HTTP. Rooms ask the filters here and decide themselves.

pub mod breaker;
pub mod everywhere;
pub mod filters;
pub mod handle;
pub mod hook;
pub mod keeper;
mod links;
mod signature;
mod words;
