//! Health, readiness and metrics, for operators and their balancers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::address::client;
use super::error::Problem;
use super::parts::Parts;
use crate::domain::fault::Fault;
use crate::persistence::handle::Condition;
use crate::store::{StoreError, nodes};
use crate::telemetry::metrics as names;

/// How long the worker threads have to hand over what they counted; what comes later is in the next answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where this process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// It does not take requests yet.
    Starting = 0,
    /// It does.
    Serving = 1,
    /// It was told to stop (I11).
    Draining = 2,
}

/// The phase, shared by whoever changes it (`app`) and whoever shows it. A clone is the same.
#[derive(Clone, Debug, Default)]
pub struct NodeState(Arc<AtomicU8>);

impl NodeState {
    /// Enters a phase.
    pub fn enter(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Relaxed);
    }

    /// The phase it is in.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::Relaxed) {
            0 => Phase::Starting,
            1 => Phase::Serving,
            _ => Phase::Draining,
        }
    }
}

/// Whether this node should get requests.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct Readiness {
    /// `ready`, `degraded` (serving, though something all nodes share is away), `failing`, `starting` or `draining`.
    status: &'static str,
    /// What is wrong, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<&'static str>,
    /// How long the oldest write has waited, in milliseconds.
    oldest_write_ms: u64,
    /// How long ago a transaction was last through, in milliseconds; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    since_commit_ms: Option<u64>,
}

/// What readiness is judged by.
#[derive(Clone, Copy, Debug)]
struct Signs<'a> {
    phase: Phase,
    writes: Condition,
    read: Result<(), &'a StoreError>,
    /// The database is a file of this node, not shared with others.
    own_database: bool,
    /// A write that has waited longer has missed its deadline.
    commit_deadline: Duration,
}

/// Judges: 503 takes this node out of the balancer; a shared outage must not, or it would empty the fleet.
fn judge(signs: &Signs<'_>) -> (bool, Readiness) {
    let mut own = Vec::new();
    let mut shared = Vec::new();
    let away = signs.writes.away || signs.read.is_err_and(|error| !matches!(error, StoreError::Busy));
    if away {
        if signs.own_database { own.push("database") } else { shared.push("database") }
    } else if signs.writes.oldest_wait > signs.commit_deadline {
        own.push("writes_stuck");
    }
    if matches!(signs.read, Err(StoreError::Busy)) {
        own.push("readers_busy");
    }
    if signs.writes.saturation >= 1.0 {
        own.push("writes_full");
    }
    let (ready, status) = match signs.phase {
        Phase::Starting => (false, "starting"),
        Phase::Draining => (false, "draining"),
        Phase::Serving if !own.is_empty() => (false, "failing"),
        Phase::Serving if !shared.is_empty() => (true, "degraded"),
        Phase::Serving => (true, "ready"),
    };
    let faults = own.into_iter().chain(shared).collect();
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let (oldest_write_ms, since_commit_ms) = (ms(signs.writes.oldest_wait), signs.writes.since_commit.map(ms));
    (ready, Readiness { status, faults, oldest_write_ms, since_commit_ms })
}

/// Does the process answer at all?
#[utoipa::path(get, path = "/health/live", tag = "operation", responses((status = 200, description = "It does.")))]
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::plaintext()).body("live\n")
}

/// Should this node get requests?
#[utoipa::path(get, path = "/health/ready", tag = "operation",
    responses((status = 200, description = "Yes; `degraded` names an outage that all nodes share.", body = Readiness),
        (status = 503, description = "No.", body = Readiness)))]
pub async fn ready(parts: web::Data<Parts>) -> HttpResponse {
    let read = parts.store.read(|db| Box::pin(nodes::epoch(db))).await;
    let signs = Signs {
        phase: parts.node.phase(),
        writes: parts.persistence.condition(),
        read: read.as_ref().map(|_| ()),
        own_database: parts.store.is_file(),
        commit_deadline: parts.settings.database.commit_deadline,
    };
    let (ready, readiness) = judge(&signs);
    if ready { HttpResponse::Ok().json(readiness) } else { HttpResponse::ServiceUnavailable().json(readiness) }
}

/// Metrics for Prometheus; only for the networks in `server.metrics_allowed`
#[utoipa::path(get, path = "/metrics", tag = "operation", responses((status = 200, description = "Text format.", body = String)))]
pub async fn metrics(request: HttpRequest, parts: web::Data<Parts>) -> Result<HttpResponse, Problem> {
    let server = &parts.settings.server;
    let address = client(request.peer_addr(), request.headers(), &server.trusted_proxies);
    if !server.metrics_allowed.iter().any(|network| network.contains(&address)) {
        return Err(Fault::NotAllowed.into());
    }
    let handle = names::install().map_err(|_| Fault::Internal)?;
    // A thread that hangs must not keep its operators from seeing that.
    drop(tokio::time::timeout(PATIENCE, parts.relays.publish()).await);
    record(&parts);
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(handle.render()))
}

/// Writes what is only known by looking.
#[expect(clippy::cast_precision_loss, reason = "a gauge need not be exact")]
fn record(parts: &Parts) {
    parts.persistence.record();
    metrics::gauge!(names::ROOMS_AWAKE).set(parts.rooms.awake() as f64);
    metrics::gauge!(names::CONNECTIONS).set(parts.gate.open() as f64);
    metrics::gauge!(names::SESSIONS).set(parts.gate.sessions() as f64);
    parts.tree.set_gauges();
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: Signs<'_> = Signs {
        phase: Phase::Serving,
        writes: Condition {
            away: false,
            waiting_rows: 0,
            waiting_bytes: 0,
            oldest_wait: Duration::ZERO,
            since_commit: None,
            saturation: 0.0,
        },
        read: Ok(()),
        own_database: false,
        commit_deadline: Duration::from_secs(2),
    };

    fn judged(signs: Signs<'_>) -> (bool, &'static str, Vec<&'static str>) {
        let (ready, readiness) = judge(&signs);
        (ready, readiness.status, readiness.faults)
    }

    #[test]
    fn a_node_is_ready_only_while_it_serves() {
        assert_eq!(judged(FINE), (true, "ready", vec![]));
        assert_eq!(judged(Signs { phase: Phase::Starting, ..FINE }), (false, "starting", vec![]));
        assert_eq!(judged(Signs { phase: Phase::Draining, ..FINE }), (false, "draining", vec![]));
    }

    #[test]
    fn a_shared_database_that_is_away_degrades_and_an_own_one_fails() {
        let away = Condition { away: true, ..FINE.writes };
        let shared = Signs { writes: away, ..FINE };
        assert_eq!(judged(shared), (true, "degraded", vec!["database"]));
        assert_eq!(judged(Signs { own_database: true, ..shared }), (false, "failing", vec!["database"]));
        let unreadable = StoreError::Unavailable(String::new());
        assert_eq!(judged(Signs { read: Err(&unreadable), ..FINE }), (true, "degraded", vec!["database"]));
    }

    #[test]
    fn what_only_this_node_suffers_takes_it_out() {
        let stuck = Condition { oldest_wait: Duration::from_secs(3), ..FINE.writes };
        assert_eq!(judged(Signs { writes: stuck, ..FINE }), (false, "failing", vec!["writes_stuck"]));
        let full = Condition { saturation: 1.0, ..FINE.writes };
        assert_eq!(judged(Signs { writes: full, ..FINE }), (false, "failing", vec!["writes_full"]));
        assert_eq!(judged(Signs { read: Err(&StoreError::Busy), ..FINE }), (false, "failing", vec!["readers_busy"]));
    }

    #[test]
    fn writes_that_wait_for_a_shared_database_are_not_this_nodes_fault() {
        let waiting = Condition { away: true, oldest_wait: Duration::from_secs(3), ..FINE.writes };
        assert_eq!(judged(Signs { writes: waiting, ..FINE }), (true, "degraded", vec!["database"]));
    }

    #[test]
    fn the_phase_is_shared_by_clones() {
        let state = NodeState::default();
        assert_eq!(state.phase(), Phase::Starting);
        state.clone().enter(Phase::Draining);
        assert_eq!(state.phase(), Phase::Draining);
    }
}
