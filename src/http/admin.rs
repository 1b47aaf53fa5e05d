//! For administrators of the server: what its actors are doing.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Admin;
use super::error::Problem;
use super::parts::Parts;
use crate::supervision::record::{ActorReport, ActorState};

/// Every living actor.
#[derive(Debug, Serialize, ToSchema)]
pub struct Actors {
    /// By path.
    actors: Vec<Actor>,
}

/// One actor.
#[derive(Debug, Serialize, ToSchema)]
pub struct Actor {
    /// Where it hangs in the supervision tree.
    path: String,
    /// What sort of actor it is.
    kind: &'static str,
    /// `running`, `restarting` or `stopped`.
    #[schema(value_type = String)]
    state: ActorState,
    /// How often it was restarted.
    restarts: u32,
    /// What its latest panic said.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_panic: Option<Panicked>,
    /// How long ago it was started first, in milliseconds.
    started_ago_ms: u64,
    /// Messages waiting.
    mailbox_depth: u32,
    /// Messages that may wait.
    mailbox_capacity: u32,
}

/// A panic.
#[derive(Debug, Serialize, ToSchema)]
pub struct Panicked {
    /// What it said, where that is a fixed text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Where in the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
}

impl From<ActorReport> for Actor {
    fn from(report: ActorReport) -> Self {
        let last_panic = report
            .last_panic
            .map(|panic| Panicked { text: panic.text.map(str::to_owned), location: panic.location.map(Into::into) });
        Self {
            path: report.path,
            kind: report.kind,
            state: report.state,
            restarts: report.restarts,
            last_panic,
            started_ago_ms: report.started_ago_ms,
            mailbox_depth: report.mailbox_depth,
            mailbox_capacity: report.mailbox_capacity,
        }
    }
}

/// Look at the actors
#[utoipa::path(get, path = "/api/v1/admin/actors", tag = "admin", responses((status = 200, body = Actors)))]
pub async fn actors(parts: web::Data<Parts>, _: Admin) -> Result<HttpResponse, Problem> {
    let actors = parts.tree.snapshot().into_iter().map(Actor::from).collect();
    Ok(HttpResponse::Ok().json(Actors { actors }))
}

/// A fault to be armed; only builds with the feature `faults` have this.
#[cfg(feature = "faults")]
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ArmFault {
    /// The name of the fault point.
    name: String,
    /// For how many hits; 0 disarms it.
    times: u64,
}

/// Arm a fault; only builds for tests can
#[cfg(feature = "faults")]
#[utoipa::path(post, path = "/api/v1/admin/faults", tag = "admin", request_body = ArmFault, responses((status = 204)))]
pub async fn arm_faults(_: Admin, fault: web::Json<ArmFault>) -> Result<HttpResponse, Problem> {
    crate::faults::arm(&fault.name, fault.times);
    Ok(HttpResponse::NoContent().finish())
}
