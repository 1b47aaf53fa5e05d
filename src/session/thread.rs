//! What all sessions of one worker thread share, and how they are sent away when the server stops (I11).

use super::gate::Gate;
use super::ports::Neighbours;
use crate::config::Config;
use crate::delivery::outbox::Outbox;
use crate::delivery::relay::LocalRelay;
use crate::domain::fault::{Close, Refusal};
use crate::domain::ids::SessionId;
use crate::domain::time::Clock;
use crate::faults;
use crate::supervision::tree::Supervisor;
use actix_http::header::HeaderMap;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// People are told to reconnect in so many batches over `server.drain_spread`.
const DRAIN_BATCHES: u32 = 50;

/// Says whether somebody may open one more connection now, from where the request came and its headers.
pub type Admit = Box<dyn Fn(Option<SocketAddr>, &HeaderMap) -> Result<(), Refusal>>;

/// What a thread's sessions are made with.
pub struct Shared {
    /// How often connections may be opened: requests to upgrade do not pass the rates of HTTP.
    pub admit: Admit,
    /// All settings.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
    /// This thread's relay.
    pub relay: LocalRelay,
    /// Whom sessions ask.
    pub neighbours: Rc<dyn Neighbours>,
    /// Under whom they run.
    pub supervisor: Supervisor,
    /// The node's connections.
    pub gate: Gate,
    /// Pages of catch-up that may be read on this node at the same time.
    pub pages: Arc<Semaphore>,
}

/// The sessions of one thread.
pub struct SessionThread {
    pub(super) shared: Shared,
    /// Every connection from its handshake on, so that all are sent away.
    open: RefCell<HashMap<SessionId, Outbox>>,
}

impl SessionThread {
    /// Sessions on the current thread. They are sent away when the gate closes.
    #[must_use]
    pub fn start(shared: Shared) -> Rc<Self> {
        let thread = Rc::new(Self { shared, open: RefCell::default() });
        let (weak, gate) = (Rc::downgrade(&thread), thread.shared.gate.clone());
        actix::spawn(async move {
            gate.closed().await;
            if let Some(thread) = weak.upgrade() {
                thread.send_away().await;
            }
        });
        thread
    }

    pub(super) fn enter(&self, session: SessionId, outbox: &Outbox) {
        self.open.borrow_mut().insert(session, outbox.clone());
    }

    pub(super) fn leave(&self, session: SessionId) {
        let mut open = self.open.borrow_mut();
        open.remove(&session);
        if open.is_empty() {
            *open = HashMap::new();
        }
    }

    /// Tells everybody, in random order and in batches, to come back after a random time: the next node gets them one by one.
    async fn send_away(&self) {
        if faults::hit("session.silent_drain") {
            return;
        }
        let spread = self.shared.config.server.drain_spread;
        let pause = spread / DRAIN_BATCHES;
        for batch in (1..=DRAIN_BATCHES).rev() {
            // HashMap's order is random enough: it is seeded anew in every process.
            let told: Vec<_> = {
                let open = self.open.borrow();
                let share = open.len().div_ceil(usize::try_from(batch).unwrap_or(1));
                open.iter().take(share).map(|(session, outbox)| (*session, outbox.clone())).collect()
            };
            for (session, outbox) in told {
                self.open.borrow_mut().remove(&session);
                outbox.note_drain(rand::random_range(Duration::ZERO..=spread));
            }
            tokio::time::sleep(pause).await;
        }
        // Whoever came through the gate while it closed.
        for outbox in self.open.borrow().values() {
            outbox.close(Close::Draining);
        }
    }
}
