//! What a user of the swarm does: it says things, at a pace.

pub mod pace;
pub mod text;
