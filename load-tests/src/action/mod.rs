//! What a user of the swarm does: it says things and does others, at a pace.

pub mod deed;
pub mod mix;
pub mod pace;
pub mod text;
