//! Arming faults for one test at a time.

use hubbub::faults;
use tokio::sync::{Mutex, MutexGuard};

/// Any number of times.
pub const ALWAYS: u64 = u64::MAX;

static TURN: Mutex<()> = Mutex::const_new(());

/// A test's turn; what it armed is disarmed at its end.
pub struct Turn {
    armed: Vec<&'static str>,
    _turn: MutexGuard<'static, ()>,
}

impl Turn {
    /// Waits for the tests before. To be dropped before the server: declare it after.
    pub async fn take() -> Self {
        Self { armed: Vec::new(), _turn: TURN.lock().await }
    }

    pub fn arm(&mut self, name: &'static str, times: u64) {
        self.armed.push(name);
        faults::arm(name, times);
    }

    pub fn disarm(&mut self) {
        self.armed.drain(..).for_each(|name| faults::arm(name, 0));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.disarm();
    }
}
