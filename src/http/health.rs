//! Health.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Where this process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// It does not take requests yet.
    Starting = 0,
    /// It does.
    Serving = 1,
    /// It was told to stop (I11).
    Draining = 2,
}

/// The phase, shared by whoever changes it (`app`) and whoever shows it. A clone is the same.
#[derive(Clone, Debug, Default)]
pub struct NodeState(Arc<AtomicU8>);

impl NodeState {
    /// Enters a phase.
    pub fn enter(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Relaxed);
    }

    /// The phase it is in.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::Relaxed) {
            0 => Phase::Starting,
            1 => Phase::Serving,
            _ => Phase::Draining,
        }
    }
}
