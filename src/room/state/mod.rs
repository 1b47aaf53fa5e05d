//! What a room decides, without any actor: plain values, no clock, no channel.

pub mod feeding;
pub mod membership;
pub mod order;
pub mod posting;
pub mod typing;
