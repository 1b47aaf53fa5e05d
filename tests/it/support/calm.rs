//! Nothing panicked: neither in an actor, nor anywhere else in this process.

use super::log::Log;
use super::person::Person;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts panics from the moment it is made.
pub struct Calm {
    log: Log,
    /// What the log held before.
    before: usize,
    panics: Arc<AtomicUsize>,
}

impl Calm {
    /// Begins to watch: every panic of the process comes past its hook, caught or not.
    pub fn watch() -> Self {
        let log = Log::capture();
        let panics = Arc::new(AtomicUsize::new(0));
        let (seen, before) = (Arc::clone(&panics), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            seen.fetch_add(1, Ordering::Relaxed);
            before(panic);
        }));
        Self { before: log.text().len(), log, panics }
    }

    /// Fails the test if anything panicked: by the hook, by the counter of the supervisors, by the log.
    pub async fn check(&self, person: &Person) {
        assert_eq!(self.panics.load(Ordering::Relaxed), 0, "something panicked");
        let metrics = person.get_text("/metrics").await;
        let counted: Vec<_> = metrics.lines().filter(|line| line.starts_with("hubbub_actor_panics_total")).collect();
        assert!(counted.iter().all(|line| line.ends_with(" 0")), "actors panicked: {counted:?}");
        assert!(metrics.contains("hubbub_actors"), "the supervisors are in the metrics");
        let log = self.log.text();
        let told: Vec<_> = log[self.before..].lines().filter(|line| line.contains("panic")).collect();
        assert!(told.is_empty(), "the log tells of panics: {told:?}");
    }
}
