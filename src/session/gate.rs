//! How many connections there are, of the node and of each person, and whether more may come.
//!
//! Shared by all threads: the upgrade service enters, `hello` is admitted, `app` drains (I11). Must not know: sockets.

use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::UserId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The count of open connections and the word that the server stops.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: usize,
    max_per_person: usize,
    open: AtomicUsize,
    /// Sessions of each person who has said hello.
    people: Mutex<People>,
    /// True from the moment the server stops.
    closed: watch::Sender<bool>,
    /// Changes whenever the last connection has gone.
    empty: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct People {
    sessions: HashMap<UserId, usize>,
    total: usize,
}

/// Counts one session of a person until it is dropped.
#[derive(Debug)]
pub struct Ticket {
    gate: Arc<Inner>,
    user: UserId,
}

/// A place for one connection; free again when dropped.
#[derive(Debug)]
pub struct Place(Arc<Inner>);

impl Gate {
    /// Open for at most `max` connections, and so many sessions of one person.
    #[must_use]
    pub fn new(max: usize, max_per_person: usize) -> Self {
        Self(Arc::new(Inner {
            max,
            max_per_person,
            open: AtomicUsize::new(0),
            people: Mutex::default(),
            closed: watch::Sender::new(false),
            empty: watch::Sender::new(()),
        }))
    }

    /// Counts one more session of a person, on whatever thread; `None` when they have as many as one may have.
    #[must_use]
    pub fn admit(&self, user: UserId) -> Option<Ticket> {
        let mut people = self.0.people();
        let sessions = people.sessions.entry(user).or_default();
        if *sessions >= self.0.max_per_person {
            return None;
        }
        *sessions += 1;
        people.total += 1;
        drop(people);
        Some(Ticket { gate: Arc::clone(&self.0), user })
    }

    /// Sessions that said hello and are open.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.0.people().total
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`Fault::Draining`] once the server stops, [`Fault::Busy`] when all places are taken.
    pub fn enter(&self) -> Result<Place, Refusal> {
        if self.is_closed() {
            return Err(Fault::Draining.into());
        }
        let free = |open| (open < self.0.max).then_some(open + 1);
        match self.0.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free) {
            Ok(_) => Ok(Place(Arc::clone(&self.0))),
            Err(_) => Err(Fault::Busy.into()),
        }
    }

    /// Nobody comes in any more; every thread begins to send its people away.
    pub fn close(&self) {
        self.0.closed.send_replace(true);
    }

    /// Whether the server stops.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self.0.closed.borrow()
    }

    /// Waits until the server stops.
    pub async fn closed(&self) {
        // The sender lives as long as this does, so the wait cannot fail.
        drop(self.0.closed.subscribe().wait_for(|closed| *closed).await);
    }

    /// Waits until nobody is connected.
    pub async fn empty(&self) {
        let mut empty = self.0.empty.subscribe();
        while self.open() > 0 {
            if empty.changed().await.is_err() {
                return;
            }
        }
    }

    /// Connections now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn people(&self) -> MutexGuard<'_, People> {
        // Each critical section leaves the numbers whole.
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut people = self.gate.people();
        people.total = people.total.saturating_sub(1);
        if let Some(sessions) = people.sessions.get_mut(&self.user) {
            *sessions = sessions.saturating_sub(1);
            if *sessions == 0 {
                people.sessions.remove(&self.user);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.empty.send_replace(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_or_closed_gate_lets_nobody_in() {
        let gate = Gate::new(1, 1);
        let place = gate.enter().unwrap();
        assert_eq!(gate.enter().unwrap_err().fault, Fault::Busy);
        drop(place);
        let place = gate.enter().unwrap();
        gate.close();
        gate.closed().await;
        assert_eq!(gate.enter().unwrap_err().fault, Fault::Draining);
        let waiting = gate.clone();
        let empty = tokio::spawn(async move { waiting.empty().await });
        drop(place);
        empty.await.unwrap();
    }

    #[test]
    fn a_person_has_so_many_sessions_and_nobody_elses_count() {
        let (gate, ann, bob) = (Gate::new(9, 2), UserId::generate(), UserId::generate());
        let (one, _two, _bobs) = (gate.admit(ann).unwrap(), gate.admit(ann).unwrap(), gate.admit(bob).unwrap());
        assert!(gate.admit(ann).is_none());
        assert_eq!(gate.sessions(), 3);
        drop(one);
        assert!(gate.admit(ann).is_some(), "and that one has gone again");
        assert_eq!(gate.sessions(), 2);
    }
}
