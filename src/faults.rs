//! Faults that tests and drills inject, by name. Without the cargo feature `faults` every function here is empty and nothing of it
//! remains in the binary (docs/decisions/0003-fault-injection.md).
//!
//! A fault point is a call `faults::hit("persistence.before_commit")` at the place where the world may break. Armed by
//! `HUBBUB_FAULTS=name[:times],…`, by `arm` or by the admin endpoint of such builds.

#[cfg(feature = "faults")]
mod armed {
    use std::collections::HashMap;
    use std::sync::{Mutex, PoisonError};

    static ARMED: Mutex<Option<HashMap<String, u64>>> = Mutex::new(None);

    fn with<T>(act: impl FnOnce(&mut HashMap<String, u64>) -> T) -> T {
        let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        act(armed.get_or_insert_with(|| std::env::var("HUBBUB_FAULTS").map(|list| parse(&list)).unwrap_or_default()))
    }

    fn parse(list: &str) -> HashMap<String, u64> {
        let entries = list.split(',').filter(|entry| !entry.is_empty());
        entries
            .map(|entry| match entry.split_once(':') {
                Some((name, times)) => (name.to_owned(), times.parse().unwrap_or(1)),
                None => (entry.to_owned(), u64::MAX),
            })
            .collect()
    }

    /// Arms a fault for its next `times` hits; 0 disarms it.
    pub fn arm(name: &str, times: u64) {
        with(|armed| match times {
            0 => armed.remove(name),
            _ => armed.insert(name.to_owned(), times),
        });
    }

    /// Whether a fault waits for its hit.
    pub fn is_armed(name: &str) -> bool {
        with(|armed| armed.contains_key(name))
    }

    /// True if the fault is armed; uses up one hit.
    pub fn hit(name: &str) -> bool {
        with(|armed| match armed.get_mut(name) {
            None => false,
            Some(times) => {
                *times = times.saturating_sub(1);
                if *times == 0 {
                    armed.remove(name);
                }
                true
            }
        })
    }
}

#[cfg(feature = "faults")]
pub use armed::{arm, hit, is_armed};

/// Never true: this build carries no faults.
#[cfg(not(feature = "faults"))]
#[inline(always)]
#[must_use]
pub const fn hit(_name: &str) -> bool {
    false
}

/// Blocks the thread for a while if the fault is armed: what an actor must never do (I5).
#[inline(always)]
pub fn block_point(name: &str) {
    if hit(name) {
        std::thread::sleep(std::time::Duration::from_secs(2));
    }
}

/// Panics if the fault is armed: stands where a broken invariant would.
#[inline(always)]
pub fn panic_point(name: &str) {
    assert!(!hit(name), "injected fault: {name}");
}
