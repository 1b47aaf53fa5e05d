//! Whom I block and mute.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, Responder};
use serde::Deserialize;
use utoipa::IntoParams;

use super::auth::Caller;
use super::error::{Problem, ProblemDocument};
use super::input::page_rows;
use super::page::{PageOf, place};
use super::parts::Parts;
use crate::domain::ids::UserId;
use crate::domain::relation::RelationChange;
use crate::protocol::v1::push;

const LIST: &str = "me/relations";

/// Part of a list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Part {
    /// `next` of the page before.
    page: Option<String>,
    /// How many at most.
    limit: Option<usize>,
}

/// Whom I block or mute. Nobody else sees this list.
#[utoipa::path(get, path = "/api/v1/me/relations", tag = "relations", params(Part), responses((status = 200, body = PageOf<push::Relation>)))]
pub async fn list(parts: Data<Parts>, Caller(actor): Caller, part: Query<Part>) -> Result<impl Responder, Problem> {
    let (after, rows) = (place::<UserId>(LIST, part.page.as_deref())?, page_rows(&parts, part.limit)?);
    let found = parts.accounts.relations(actor.user, after, rows).await?;
    let next = found.items.last().filter(|_| found.more).map(|last| last.other);
    let items: Vec<push::Relation> = found.items.iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(PageOf::new(items, LIST, next)))
}

/// Block a person: nothing of theirs is shown to me, and they cannot write to me, invite or mention me.
#[utoipa::path(put, path = "/api/v1/me/blocks/{user}", tag = "relations", params(("user" = UserId, Path)), responses(
    (status = 204), (status = 409, body = ProblemDocument, description = "limit_reached"),
))]
pub async fn block(parts: Data<Parts>, caller: Caller, other: Path<UserId>) -> Result<impl Responder, Problem> {
    relate(&parts, caller, *other, RelationChange::BLOCK).await
}

/// Block a person no more.
#[utoipa::path(delete, path = "/api/v1/me/blocks/{user}", tag = "relations", params(("user" = UserId, Path)), responses((status = 204)))]
pub async fn unblock(parts: Data<Parts>, caller: Caller, other: Path<UserId>) -> Result<impl Responder, Problem> {
    relate(&parts, caller, *other, RelationChange::UNBLOCK).await
}

/// Mute a person: what they write is shown, and never a reason to notify me.
#[utoipa::path(put, path = "/api/v1/me/mutes/{user}", tag = "relations", params(("user" = UserId, Path)), responses(
    (status = 204), (status = 409, body = ProblemDocument, description = "limit_reached"),
))]
pub async fn mute(parts: Data<Parts>, caller: Caller, other: Path<UserId>) -> Result<impl Responder, Problem> {
    relate(&parts, caller, *other, RelationChange::MUTE).await
}

/// Mute a person no more.
#[utoipa::path(delete, path = "/api/v1/me/mutes/{user}", tag = "relations", params(("user" = UserId, Path)), responses((status = 204)))]
pub async fn unmute(parts: Data<Parts>, caller: Caller, other: Path<UserId>) -> Result<impl Responder, Problem> {
    relate(&parts, caller, *other, RelationChange::UNMUTE).await
}

async fn relate(parts: &Parts, Caller(actor): Caller, other: UserId, change: RelationChange) -> Result<HttpResponse, Problem> {
    parts.hearing().relate(actor.user, other, change).await?;
    Ok(HttpResponse::NoContent().finish())
}
