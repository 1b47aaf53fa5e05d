//! Asks the store about many people at once.
//!
//! Purpose: when a thousand clients come at the same moment, each needs the same to be read of its person. While one question is under way,
//! those who come gather for the next one, as posts gather for a commit; a question nobody precedes is asked at once, and so is a full one.
//! Neighbours: `node` asks for its sessions, the store answers. Invariant: a session that goes away while it waits costs the others nothing,
//! as whoever is still there carries their common question on. Must not know: sessions, what is asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, select};
use tokio::sync::Notify;

use crate::domain::ids::UserId;
use crate::store::StoreError;

/// People in one question.
const PEOPLE_MAX: usize = 100;

type Found<T> = Result<HashMap<UserId, T>, StoreError>;
type Asked<T> = Shared<BoxFuture<'static, Arc<Found<T>>>>;
type Read<T> = dyn Fn(Vec<UserId>) -> BoxFuture<'static, Result<Vec<(UserId, T)>, StoreError>> + Send + Sync;

/// See the module. Clones ask together.
pub struct Together<T> {
    read: Arc<Read<T>>,
    newest: Arc<Mutex<Option<Question<T>>>>,
}

impl<T> Clone for Together<T> {
    fn clone(&self) -> Self {
        Self { read: Arc::clone(&self.read), newest: Arc::clone(&self.newest) }
    }
}

struct Question<T> {
    gathered: Arc<Gathered>,
    asked: Asked<T>,
}

/// Whom a question is about.
struct Gathered {
    /// `None` once it is asked.
    people: Mutex<Option<Vec<UserId>>>,
    full: Notify,
}

impl<T: Clone + Send + Sync + 'static> Together<T> {
    /// Asks `read`; whoever it does not tell of has no account.
    #[must_use]
    pub fn new(
        read: impl Fn(Vec<UserId>) -> BoxFuture<'static, Result<Vec<(UserId, T)>, StoreError>> + Send + Sync + 'static,
    ) -> Self {
        Self { read: Arc::new(read), newest: Arc::default() }
    }

    /// What is read of somebody; `None` without an account.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of(&self, user: UserId) -> Result<Option<T>, StoreError> {
        match &*self.join(user).await {
            Ok(found) => Ok(found.get(&user).cloned()),
            Err(error) => Err(error.clone()),
        }
    }

    /// The question that `user` becomes a part of.
    fn join(&self, user: UserId) -> Asked<T> {
        let mut newest = lock(&self.newest);
        if let Some(question) = newest.as_ref().filter(|question| question.gathered.admit(user)) {
            return question.asked.clone();
        }
        let before = newest.take().map(|question| question.asked);
        let gathered = Arc::new(Gathered { people: Mutex::new(Some(vec![user])), full: Notify::new() });
        let asked = ask(before, Arc::clone(&gathered), Arc::clone(&self.read)).boxed().shared();
        *newest = Some(Question { gathered, asked: asked.clone() });
        asked
    }
}

impl Gathered {
    /// Takes one more, if the question is neither asked nor full.
    fn admit(&self, user: UserId) -> bool {
        let mut people = lock(&self.people);
        let Some(people) = people.as_mut().filter(|people| people.len() < PEOPLE_MAX) else { return false };
        people.push(user);
        if people.len() == PEOPLE_MAX {
            self.full.notify_one();
        }
        true
    }
}

/// One question, once the one `before` it is answered or enough have gathered.
async fn ask<T>(before: Option<Asked<T>>, gathered: Arc<Gathered>, read: Arc<Read<T>>) -> Arc<Found<T>> {
    if let Some(before) = before {
        select(before, Box::pin(gathered.full.notified())).await;
    }
    let people = lock(&gathered.people).take().unwrap_or_default();
    Arc::new(read(people).await.map(|found| found.into_iter().collect()))
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use futures_util::poll;
    use tokio::sync::Semaphore;

    /// Of everybody 7 is read; each question waits for a permit. Says how many people each was about.
    fn counted(permits: usize) -> (Together<u32>, Arc<Semaphore>, Arc<Mutex<Vec<usize>>>) {
        let (gate, asked) = (Arc::new(Semaphore::new(permits)), Arc::new(Mutex::new(Vec::new())));
        let (pass, note) = (Arc::clone(&gate), Arc::clone(&asked));
        let together = Together::new(move |people| {
            lock(&note).push(people.len());
            let pass = Arc::clone(&pass);
            async move {
                pass.acquire().await.expect("open").forget();
                Ok(people.into_iter().map(|user| (user, 7)).collect())
            }
            .boxed()
        });
        (together, gate, asked)
    }

    #[tokio::test]
    async fn who_comes_while_a_question_is_under_way_is_part_of_the_next() {
        let (together, gate, asked) = counted(0);
        let mut first = Box::pin(together.of(UserId::generate()));
        assert!(poll!(&mut first).is_pending());
        let others = join_all((0..50).map(|_| together.of(UserId::generate())));
        let mut others = Box::pin(others);
        assert!(poll!(&mut others).is_pending());
        assert_eq!(*lock(&asked), [1]);
        gate.add_permits(2);
        assert_eq!(first.await, Ok(Some(7)));
        assert!(others.await.into_iter().all(|found| found == Ok(Some(7))));
        assert_eq!(*lock(&asked), [1, 50]);
    }

    #[tokio::test]
    async fn a_full_question_waits_for_none() {
        let (together, _gate, asked) = counted(0);
        let mut all = Box::pin(join_all((0..=2 * PEOPLE_MAX).map(|_| together.of(UserId::generate()))));
        assert!(poll!(&mut all).is_pending());
        assert!(poll!(&mut all).is_pending(), "those who were told that it is full");
        assert_eq!(*lock(&asked), [1, PEOPLE_MAX, PEOPLE_MAX]);
    }

    #[tokio::test]
    async fn who_goes_away_costs_the_others_nothing() {
        let (together, gate, asked) = counted(0);
        let mut first = Box::pin(together.of(UserId::generate()));
        let (mut second, mut third) = (Box::pin(together.of(UserId::generate())), Box::pin(together.of(UserId::generate())));
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
        drop((first, second));
        gate.add_permits(2);
        assert_eq!(third.await, Ok(Some(7)));
        assert_eq!(*lock(&asked), [1, 2]);
    }

    #[tokio::test]
    async fn without_an_account_there_is_nothing_and_an_error_reaches_everybody() {
        let nobody = Together::<u32>::new(|_| async { Ok(Vec::new()) }.boxed());
        assert_eq!(nobody.of(UserId::generate()).await, Ok(None));
        let busy = Together::<u32>::new(|_| async { Err(StoreError::Busy) }.boxed());
        let both = join_all([busy.of(UserId::generate()), busy.of(UserId::generate())]).await;
        assert_eq!(both, [Err(StoreError::Busy), Err(StoreError::Busy)]);
    }
}
