//! What others hold of notifying. Nothing waits here; what is told may come late and is then found by the actor's own look.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Mutex;

use super::interest::Interest;
use crate::store::notifications::interest;
use crate::store::{Store, StoreError};

/// Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Notify(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    interest: RwLock<Arc<Interest>>,
    queued: tokio::sync::Notify,
    reading: Mutex<Reads>,
    /// How often somebody asked for a look at the store.
    asked: std::sync::atomic::AtomicU64,
}

#[derive(Debug, Default)]
struct Reads {
    /// Up to which question the last look answers.
    answered: u64,
}

impl Notify {
    /// What people wait for, as it is known now.
    #[must_use]
    pub fn interest(&self) -> Arc<Interest> {
        Arc::clone(&self.0.interest.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A message that may notify somebody was committed, or one that did was deleted.
    pub fn queued(&self) {
        self.0.queued.notify_one();
    }

    /// Waits for the next of these, or takes up one that came before.
    pub(super) async fn next_queued(&self) {
        self.0.queued.notified().await;
    }

    /// Reads anew what people wait for. Who asks while another's look is under way shares the one after it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        use std::sync::atomic::Ordering::SeqCst;
        let question = self.0.asked.fetch_add(1, SeqCst) + 1;
        let mut reads = self.0.reading.lock().await;
        if reads.answered >= question {
            return Ok(());
        }
        let answers = self.0.asked.load(SeqCst);
        let read = store.read(|db| {
            Box::pin(async move {
                let (rooms, people) = (interest::rooms(db).await?, interest::people(db).await?);
                let words = interest::words(db).await?;
                // On a thread of the store: many words take a moment.
                Ok(Arc::new(Interest::new(rooms, people, words)))
            })
        });
        let found = read.await?;
        *self.0.interest.write().unwrap_or_else(PoisonError::into_inner) = found;
        reads.answered = answers;
        Ok(())
    }
}
