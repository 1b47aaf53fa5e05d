//! Many bots at once: who takes part, the event loop that carries them, and the runs one can make.

pub mod cast;
pub mod converse;
pub mod engine;
pub mod records;
pub mod run;
pub mod sessions;
