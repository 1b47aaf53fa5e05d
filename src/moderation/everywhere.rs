//! The filters that hold in every room: one set for the node, exchanged as a whole when it changes.
//!
//! A change made here is felt by the next post; one made by another process within the time of a comparison.

use std::sync::{Arc, PoisonError, RwLock};

use super::filters::Filters;
use crate::store::{Store, StoreError, filters};

/// The set. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Everywhere(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    revision: u64,
    filters: Arc<Filters>,
}

impl Everywhere {
    /// The set as it is known now.
    #[must_use]
    pub fn filters(&self) -> Arc<Filters> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).filters)
    }

    /// Takes over what has changed in the store.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).revision;
        let read = store.read(move |db| {
            Box::pin(async move {
                if filters::global_revision(db).await? == known {
                    return Ok(None);
                }
                let (revision, filters) = filters::global(db).await?;
                // On a thread of the store: thousands of patterns take a moment.
                Ok(Some((revision, Arc::new(Filters::compile(&filters)))))
            })
        });
        let Some((revision, filters)) = read.await? else { return Ok(()) };
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.revision < revision {
            *known = Known { revision, filters };
        }
        Ok(())
    }
}
