//! The swarm.
fn main() {}
