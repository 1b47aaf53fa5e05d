//! The way of one persistence actor to the store, with the faults that tests and drills put on it.
//!
//! Purpose: one place through which every transaction passes, so that the world can be made to break there: before the transaction,
//! after its commit, or (a breach of I2) by answering before it. Neighbours: `commit.rs` above, the store below.
//! Must not know: what is written, what follows a failure.

use std::sync::Arc;
use std::time::Duration;

use crate::faults;
use crate::store::probe::Probe;
use crate::store::{Operation, Store, StoreError};

/// The store as one persistence actor uses it. Clones share it.
#[derive(Clone)]
pub(super) struct Lane {
    store: Store,
    number: i16,
    #[cfg(test)]
    script: tests::Script,
}

/// How much later a transaction begins that is injected to be slow.
const SLOW: Duration = Duration::from_millis(1500);

impl Lane {
    pub(super) fn new(store: Store, number: i16) -> Self {
        Self {
            store,
            number,
            #[cfg(test)]
            script: tests::Script::default(),
        }
    }

    /// One attempt at one transaction.
    pub(super) async fn transaction<O: Operation>(&self, operation: Arc<O>, within: Duration) -> Result<O::Output, StoreError> {
        #[cfg(test)]
        let after = self.script.play().await?;
        if faults::hit("persistence.before_commit") {
            return Err(StoreError::Unavailable("injected".to_owned()));
        }
        if faults::hit("persistence.slow_commit") {
            tokio::time::sleep(SLOW).await;
        }
        #[cfg(feature = "faults")]
        if faults::hit("persistence.ack_before_commit") {
            return breach::ack_before_commit(self.store.clone(), operation, within).await;
        }
        let result = self.store.transaction(operation, within).await;
        if result.is_ok() && faults::hit("persistence.after_commit") {
            return Err(StoreError::OutcomeUnknown("injected".to_owned()));
        }
        #[cfg(test)]
        let result = after.map_or(result, Err);
        result
    }

    /// Whether the database takes writes again.
    pub(super) async fn probe(&self, within: Duration) -> Result<(), StoreError> {
        self.transaction(Arc::new(Probe { lane: self.number }), within).await
    }
}

#[cfg(feature = "faults")]
mod breach {
    //! What must never happen, made to happen, so that the test of I2 can be seen red.

    use super::{Arc, Duration, Operation, Store, StoreError};
    use crate::store::{Db, Reply};
    use std::sync::{Mutex, PoisonError};
    use tokio::sync::oneshot;

    /// How long the commit comes after its acknowledgement: long enough for a `kill -9` to fall in between.
    const LATE: Duration = Duration::from_millis(200);

    /// Answers with what the transaction is going to have done.
    pub(super) async fn ack_before_commit<O: Operation>(
        store: Store,
        operation: Arc<O>,
        within: Duration,
    ) -> Result<O::Output, StoreError> {
        let (early, answer) = oneshot::channel();
        let late = Arc::new(Late { operation, early: Mutex::new(Some(early)) });
        actix::spawn(async move {
            drop(store.transaction(late, within + LATE).await);
        });
        answer.await.map_err(|_| StoreError::Unavailable("the breach failed".to_owned()))
    }

    struct Late<O: Operation> {
        operation: Arc<O>,
        early: Mutex<Option<oneshot::Sender<O::Output>>>,
    }

    impl<O: Operation> Operation for Late<O> {
        type Output = ();
        const NAME: &'static str = O::NAME;

        fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, ()> {
            Box::pin(async move {
                let output = self.operation.run(db).await?;
                if let Some(early) = self.early.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    drop(early.send(output));
                }
                tokio::time::sleep(LATE).await;
                Ok(())
            })
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    //! A script of what befalls the next transactions, one scene each; an empty script lets them through.

    use super::{Lane, StoreError};
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};
    use tokio::sync::oneshot;

    pub(crate) enum Scene {
        /// It goes through.
        Well,
        /// It fails before it begins.
        Fails(StoreError),
        /// It commits, and the answer is lost.
        AnswerLost,
        /// The code that waits for it panics.
        Panics,
        /// It begins when told, or fails then; the sender says that it has arrived here.
        Waits(oneshot::Sender<()>, oneshot::Receiver<()>, Option<StoreError>),
    }

    #[derive(Clone, Default)]
    pub(super) struct Script(Arc<Mutex<Play>>);

    #[derive(Default)]
    struct Play {
        scenes: VecDeque<Scene>,
        attempts: usize,
    }

    impl Script {
        /// Plays the next scene; what to answer after the commit, if not the truth.
        pub(super) async fn play(&self) -> Result<Option<StoreError>, StoreError> {
            let scene = {
                let mut play = self.0.lock().unwrap();
                play.attempts += 1;
                play.scenes.pop_front()
            };
            match scene {
                None | Some(Scene::Well) => Ok(None),
                Some(Scene::Fails(error)) => Err(error),
                Some(Scene::AnswerLost) => Ok(Some(StoreError::OutcomeUnknown("script".into()))),
                Some(Scene::Panics) => panic!("script"),
                Some(Scene::Waits(here, go, failure)) => {
                    here.send(()).unwrap();
                    go.await.unwrap();
                    failure.map_or(Ok(None), Err)
                }
            }
        }
    }

    impl Lane {
        pub(crate) fn script(&self, scenes: impl IntoIterator<Item = Scene>) {
            self.script.0.lock().unwrap().scenes.extend(scenes);
        }

        /// How many transactions were tried.
        pub(crate) fn attempts(&self) -> usize {
            self.script.0.lock().unwrap().attempts
        }
    }
}
