//! How many connections there are, and whether more may come.
//!
//! Shared by all threads: the upgrade service enters, `app` drains (I11). Must not know: sockets.

use crate::domain::fault::{Fault, Refusal};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// The count of open connections and the word that the server stops.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: usize,
    open: AtomicUsize,
    /// True from the moment the server stops.
    closed: watch::Sender<bool>,
    /// Changes whenever the last connection has gone.
    empty: watch::Sender<()>,
}

/// A place for one connection; free again when dropped.
#[derive(Debug)]
pub struct Place(Arc<Inner>);

impl Gate {
    /// Open for at most `max` connections.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Inner { max, open: AtomicUsize::new(0), closed: watch::Sender::new(false), empty: watch::Sender::new(()) }))
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
        let gate = Gate::new(1);
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
}
