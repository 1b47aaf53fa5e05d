//! What handlers work with: handles of everything below, shared by all worker threads.

use std::sync::Arc;
use std::time::Instant;

use super::auth::Authenticate;
use super::error::Problem;
use super::health::NodeState;
use super::idempotency::LinkSecrets;
use super::rates::Rates;
use crate::accounts::handle::Accounts;
use crate::config::Config;
use crate::delivery::handle::Relays;
use crate::domain::ids::Epoch;
use crate::domain::time::Clock;
use crate::moderation::handle::Moderation;
use crate::persistence::handle::Persistence;
use crate::presence::handle::Presence;
use crate::reading::handle::Reading;
use crate::room::handle::Rooms;
use crate::session::gate::Gate;
use crate::session::own::Hearing;
use crate::store::{Db, Reply, Store};
use crate::supervision::tree::Supervisor;
use crate::telemetry::metrics as names;

/// All of it; one per process, in an `Arc`.
pub struct Parts {
    /// For reading.
    pub store: Store,
    /// For writes that are no room's.
    pub persistence: Persistence,
    /// Rooms.
    pub rooms: Rooms,
    /// Who is online.
    pub presence: Presence,
    /// How far people have read.
    pub reading: Reading,
    /// People's accounts.
    pub accounts: Accounts,
    /// Reports, filters, the audit log.
    pub moderation: Moderation,
    /// Whose token this is.
    pub authenticate: Arc<dyn Authenticate>,
    /// The time.
    pub clock: Clock,
    /// The root of the supervision tree.
    pub tree: Supervisor,
    /// Whether this node is starting, serving or draining.
    pub node: NodeState,
    /// The threads' relays, which count.
    pub relays: Relays,
    /// The connections of this node.
    pub gate: Gate,
    /// Which history of the store this is.
    pub epoch: Epoch,
    /// Makes the secrets of links.
    pub link_secrets: LinkSecrets,
    /// How often things may be done.
    pub rates: Rates,
    /// All settings.
    pub settings: Arc<Config>,
}

impl Parts {
    /// Who must hear of what a person does with what is their own.
    #[must_use]
    pub const fn hearing(&self) -> Hearing<'_> {
        Hearing { accounts: &self.accounts, rooms: &self.rooms, presence: &self.presence, moderation: &self.moderation }
    }

    /// Reads from the store; `name` labels its metric.
    ///
    /// # Errors
    /// What the store answers, as a problem.
    pub async fn read<T, F>(&self, name: &'static str, ask: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Db) -> Reply<'a, T> + Clone + Send + 'static,
    {
        let begun = Instant::now();
        let answer = self.store.read(ask).await;
        metrics::histogram!(names::READ_SECONDS, "read" => name).record(begun.elapsed());
        answer.map_err(Problem::from)
    }
}
