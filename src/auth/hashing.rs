//! Where passwords are hashed: off the actor threads (I5), on at most so many cores, with a bounded queue (I4).

use super::password::{Password, PasswordHash};
use crate::config;
use crate::domain::fault::{Fault, Refusal};
use crate::telemetry::metrics as names;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a refused one is told to wait: a queue of the default length moves on noticeably in this time.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The pool. Cloned handles share it.
#[derive(Clone)]
pub struct Hashing {
    /// One permit for each hash that runs.
    threads: Arc<Semaphore>,
    /// One permit for each hash that runs or waits.
    places: Arc<Semaphore>,
    cost: u32,
}

impl Hashing {
    /// A pool as the settings say.
    #[must_use]
    pub fn new(settings: &config::Accounts) -> Self {
        let threads = match settings.bcrypt_threads {
            0 => thread::available_parallelism().map_or(1, |cores| cores.get() / 2).max(1),
            threads => threads,
        };
        Self {
            threads: Arc::new(Semaphore::new(threads)),
            places: Arc::new(Semaphore::new(threads.saturating_add(settings.bcrypt_queue_max).min(Semaphore::MAX_PERMITS))),
            cost: settings.bcrypt_cost,
        }
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// [`Fault::Busy`] when too many wait.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, Refusal> {
        let cost = self.cost;
        Ok(self.run(move || password.hash(cost)).await??)
    }

    /// Whether `password` belongs to `hash`. Without a hash the answer is no, after the same work.
    ///
    /// # Errors
    /// [`Fault::Busy`] when too many wait.
    pub async fn matches(&self, password: Password, hash: Option<PasswordHash>) -> Result<bool, Refusal> {
        let Some(hash) = hash else {
            // Hashing is what a comparison consists of: an unknown name takes as long as a wrong password.
            return self.hash(password).await.map(|_| false);
        };
        self.run(move || password.matches(&hash)).await
    }

    /// Whether `hash` was made with another work factor than new ones are.
    #[must_use]
    pub fn is_outdated(&self, hash: &PasswordHash) -> bool {
        hash.cost() != Some(self.cost)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let begun = Instant::now();
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Refusal::busy(RETRY_AFTER))?;
        let thread = Arc::clone(&self.threads).acquire_owned().await.map_err(|_| Fault::Unavailable)?;
        // The permits go along: a caller who leaves does not free a core that is still busy.
        let permits: [OwnedSemaphorePermit; 2] = [place, thread];
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permits);
            result
        });
        let result = done.await.map_err(|_| Fault::Internal)?;
        metrics::histogram!(names::HASH_SECONDS).record(begun.elapsed());
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn settings(threads: usize, queue: usize) -> config::Accounts {
        config::Accounts { bcrypt_cost: 4, bcrypt_threads: threads, bcrypt_queue_max: queue, ..Config::default().accounts }
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_and_none_matches_nobody() {
        let hashing = Hashing::new(&settings(1, 8));
        let hash = hashing.hash(Password::typed("horse battery")).await.unwrap();
        assert_eq!(hashing.matches(Password::typed("horse battery"), Some(hash.clone())).await, Ok(true));
        assert_eq!(hashing.matches(Password::typed("horse buttery"), Some(hash)).await, Ok(false));
        assert_eq!(hashing.matches(Password::typed("horse battery"), None).await, Ok(false));
    }

    #[tokio::test]
    async fn beyond_the_queue_the_answer_is_busy_and_room_comes_back() {
        let hashing = Hashing::new(&settings(1, 1));
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let running = tokio::spawn({
            let hashing = hashing.clone();
            async move { hashing.run(move || wait.recv().is_ok()).await }
        });
        while hashing.threads.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let waiting = tokio::spawn({
            let hashing = hashing.clone();
            async move { hashing.run(|| ()).await }
        });
        while hashing.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hashing.run(|| ()).await.map_err(|refusal| refusal.fault), Err(Fault::Busy));
        release.send(()).unwrap();
        assert_eq!(running.await.unwrap(), Ok(true));
        assert_eq!(waiting.await.unwrap(), Ok(()));
        assert_eq!(hashing.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_caller_who_leaves_does_not_free_the_core_that_still_works() {
        let hashing = Hashing::new(&settings(1, 1));
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let running = tokio::spawn({
            let hashing = hashing.clone();
            async move { hashing.run(move || wait.recv().is_ok()).await }
        });
        while hashing.threads.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        running.abort();
        assert!(running.await.is_err());
        assert_eq!(hashing.threads.available_permits(), 0);
        release.send(()).unwrap();
        assert_eq!(hashing.run(|| 7).await, Ok(7));
    }
}
