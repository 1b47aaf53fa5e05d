//! For administrators of the server: what its actors are doing.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Admin;
use super::error::Problem;
use super::input::page_rows;
use super::page::{self, PageOf};
use super::parts::Parts;
use crate::domain::fault::Fault;
use crate::supervision::record::{ActorReport, ActorState, KindReport};

/// The list of actors, for page tokens.
const ACTORS: &str = "actors";

/// Which actors.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Of this kind only, such as `room`.
    kind: Option<String>,
    /// The `next` of the page before.
    page: Option<String>,
    /// How many at most.
    limit: Option<usize>,
}

/// Living actors.
#[derive(Debug, Serialize, ToSchema)]
pub struct Actors {
    /// All of them, summed up by kind.
    kinds: Vec<Kind>,
    /// Part of the list, by path.
    #[serde(flatten)]
    list: PageOf<Actor>,
}

/// All living actors of a kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct Kind {
    /// The kind.
    kind: &'static str,
    /// How many there are.
    actors: u32,
    /// How often they were restarted.
    restarts: u64,
    /// Messages waiting in all of their mailboxes.
    mailbox_depth: u64,
    /// Messages waiting in the deepest of these.
    deepest: u32,
    /// How full the fullest of these is.
    fullest_percent: u32,
}

impl From<KindReport> for Kind {
    fn from(report: KindReport) -> Self {
        let KindReport { kind, actors, mailbox_depth, deepest, fullest_percent, restarts } = report;
        Self { kind, actors, restarts, mailbox_depth, deepest, fullest_percent }
    }
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
#[utoipa::path(get, path = "/api/v1/admin/actors", tag = "admin", params(Wanted), responses((status = 200, body = Actors)))]
pub async fn actors(parts: web::Data<Parts>, _: Admin, wanted: web::Query<Wanted>) -> Result<HttpResponse, Problem> {
    let Wanted { kind, page, limit } = wanted.into_inner();
    let (after, rows) = (page::place::<String>(ACTORS, page.as_deref())?, page_rows(&parts, limit)?);
    let tree = parts.tree.clone();
    // There may be a hundred thousand rooms to look at: not beside the sockets of this thread.
    let looked = web::block(move || (tree.kinds(), tree.page(kind.as_deref(), after.as_deref(), rows)));
    let (kinds, (found, more)) = looked.await.map_err(|_| Fault::Internal)?;
    let next = found.last().map(|last| last.path.clone()).filter(|_| more);
    let list = PageOf::new(found.into_iter().map(Actor::from).collect(), ACTORS, next);
    Ok(HttpResponse::Ok().json(Actors { kinds: kinds.into_iter().map(Kind::from).collect(), list }))
}

/// A fault to be armed; only builds with the feature `faults` have this.
#[cfg(feature = "faults")]
#[derive(Debug, Deserialize, ToSchema)]
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
