//! This process among the servers of its database: registered while it lives, gone from the list when it ends.
//!
//! Without a bus a second node would tell only its own people what happens, so it does not start. A node whose row was lost (its
//! database was away for longer than the lease, and another node started) ends itself.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Database;
use crate::domain::ids::{Epoch, NodeId};
use crate::domain::time::{Clock, Timestamp};
use crate::store::nodes::{BeginEpoch, OtherNode, RegisterNode, UnregisterNode};
use crate::store::{Operation, Store, StoreError};
use tokio::sync::oneshot;

/// The registration; given up by [`Node::leave`].
#[derive(Clone)]
pub struct Node {
    id: NodeId,
    started_at: Timestamp,
    store: Store,
    clock: Clock,
    lease: Duration,
    heartbeat: Duration,
    deadline: Duration,
}

/// Why this node may not run.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Another one does.
    #[error(
        "another Hubbub server uses this database (node {}, last seen {}): stop it first; \
         several nodes need a shared bus, which this version does not have",
        .0.id, .0.seen_at
    )]
    Another(OtherNode),
    /// The database does not answer.
    #[error("cannot register in the database: {0}")]
    Store(#[from] StoreError),
}

impl Node {
    /// Registers this node. One that seems to run but is silent for a whole lease is waited out.
    ///
    /// # Errors
    /// [`NodeError::Another`] as soon as the other node shows a sign of life.
    pub async fn join(id: NodeId, store: &Store, clock: &Clock, settings: &Database) -> Result<Self, NodeError> {
        let node = Self {
            id,
            started_at: clock.now(),
            store: store.clone(),
            clock: clock.clone(),
            lease: settings.node_lease,
            heartbeat: settings.node_heartbeat,
            deadline: settings.commit_deadline,
        };
        let mut seen: Option<OtherNode> = None;
        loop {
            match (node.register().await?, seen) {
                (None, _) => return Ok(node),
                (Some(other), Some(before)) if other != before => return Err(NodeError::Another(other)),
                (Some(other), before) => {
                    if before.is_none() {
                        tracing::warn!(node = %other.id, "another node is registered; waiting for its lease to end");
                    }
                    seen = Some(other);
                }
            }
            tokio::time::sleep(POLL.min(node.lease)).await;
        }
    }

    /// Beats until the registration is lost, and says to whom.
    pub async fn beat(self) -> OtherNode {
        let mut interval = tokio::time::interval(self.heartbeat);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            match self.register().await {
                Ok(None) => {}
                Ok(Some(other)) => return other,
                // The database is away; so it is for every other node.
                Err(error) => tracing::debug!(%error, "heartbeat failed"),
            }
        }
    }

    /// Takes this node off the list.
    pub async fn leave(self) {
        if let Err(error) = self.run(UnregisterNode { node: self.id }).await {
            tracing::warn!(%error, "could not take this node off the list; another may start once the lease has ended");
        }
    }

    async fn register(&self) -> Result<Option<OtherNode>, StoreError> {
        let now = self.clock.now();
        let alive_since = now - chrono::Duration::from_std(self.lease).unwrap_or(chrono::Duration::MAX);
        self.run(RegisterNode { node: self.id, started_at: self.started_at, now, alive_since }).await
    }

    async fn run<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        self.store.transaction(Arc::new(operation), self.deadline).await
    }
}

/// How often a silent node is looked at again.
const POLL: Duration = Duration::from_millis(500);

/// The store's epoch, begun now if this is its first start.
///
/// # Errors
/// Those of the database.
pub async fn epoch(store: &Store, settings: &Database) -> Result<Epoch, StoreError> {
    let begin = BeginEpoch { epoch: Epoch::generate(), restored: false };
    store.transaction(Arc::new(begin), settings.commit_deadline).await
}

/// Beats in the background; the receiver hears when the registration was lost.
#[must_use]
pub fn keep_beating(node: Node) -> oneshot::Receiver<OtherNode> {
    let (lost, losing) = oneshot::channel();
    let beating = async move {
        let other = node.beat().await;
        if lost.send(other).is_err() {
            tracing::debug!("the process was ending anyway");
        }
    };
    actix::spawn(beating);
    losing
}
