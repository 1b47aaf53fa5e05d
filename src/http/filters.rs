//! Filters of words and links: of a room, and those that hold everywhere.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::auth::{Admin, Caller};
use super::error::Problem;
use super::idempotency;
use super::page::PageOf;
use super::parts::Parts;
use super::rooms::change;
use crate::domain::filter::{FilterAction, FilterKind};
use crate::domain::ids::{FilterId, RoomId, UserId};
use crate::domain::room::RoomChange;
use crate::moderation::handle::NewFilter;
use crate::protocol::v1::moderation::Filter;

/// A filter to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FilterRequest {
    /// `word`: a word or several in a row, whatever their case and accents; `link`: a host with all below it, with or without a path.
    #[schema(value_type = String)]
    kind: FilterKind,
    /// What is looked for; at most 100 characters.
    pattern: String,
    /// `refuse`: it is not posted; `report`: it is posted, and moderators hear of it.
    #[schema(value_type = String)]
    action: FilterAction,
}

/// List the filters of a room, oldest first; moderators only
#[utoipa::path(get, path = "/api/v1/rooms/{room}/filters", tag = "moderation", params(("room" = RoomId, Path)),
    responses((status = 200, body = PageOf<Filter>)))]
pub async fn of_room(parts: web::Data<Parts>, caller: Caller, room: web::Path<RoomId>) -> Result<HttpResponse, Problem> {
    let found = parts.moderation.filters_of(caller.0, *room).await?;
    Ok(HttpResponse::Ok().json(all(&found)))
}

/// Make a filter for a room, which holds from the next post on, for everybody; moderators only
#[utoipa::path(post, path = "/api/v1/rooms/{room}/filters", tag = "moderation", params(("room" = RoomId, Path),
    ("Idempotency-Key" = Option<String>, Header, description = "Repeated with the same key, the same filter is answered.")),
    request_body = FilterRequest, responses((status = 201, body = Filter)))]
pub async fn add(
    parts: web::Data<Parts>,
    caller: Caller,
    room: web::Path<RoomId>,
    request: HttpRequest,
    new: web::Json<FilterRequest>,
) -> Result<HttpResponse, Problem> {
    let new = named(&parts, &request, caller.0.user, new.into_inner()).await?;
    change(&parts, *room, caller.0, new.for_room()?).await?;
    let made = parts.moderation.one_filter(new.filter).await?;
    Ok(HttpResponse::Created().json(Filter::from(&made)))
}

/// Remove a filter of a room; moderators only
#[utoipa::path(delete, path = "/api/v1/rooms/{room}/filters/{filter}", tag = "moderation",
    params(("room" = RoomId, Path), ("filter" = FilterId, Path)), responses((status = 204)))]
pub async fn remove(
    parts: web::Data<Parts>,
    caller: Caller,
    path: web::Path<(RoomId, FilterId)>,
) -> Result<HttpResponse, Problem> {
    let (room, filter) = path.into_inner();
    change(&parts, room, caller.0, RoomChange::RemoveFilter { filter }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// List the filters that hold in every room, oldest first
#[utoipa::path(get, path = "/api/v1/admin/filters", tag = "admin", responses((status = 200, body = PageOf<Filter>)))]
pub async fn everywhere(parts: web::Data<Parts>, Admin(actor): Admin) -> Result<HttpResponse, Problem> {
    let found = parts.moderation.filters_everywhere(actor).await?;
    Ok(HttpResponse::Ok().json(all(&found)))
}

/// Make a filter for every room, which holds from the next post on, for everybody
#[utoipa::path(post, path = "/api/v1/admin/filters", tag = "admin", request_body = FilterRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeated with the same key, the same filter is answered.")),
    responses((status = 201, body = Filter)))]
pub async fn add_everywhere(
    parts: web::Data<Parts>,
    Admin(actor): Admin,
    request: HttpRequest,
    new: web::Json<FilterRequest>,
) -> Result<HttpResponse, Problem> {
    let new = named(&parts, &request, actor.user, new.into_inner()).await?;
    let made = parts.moderation.add_everywhere(actor, new).await?;
    Ok(HttpResponse::Created().json(Filter::from(&made)))
}

/// Remove a filter that holds in every room
#[utoipa::path(delete, path = "/api/v1/admin/filters/{filter}", tag = "admin", params(("filter" = FilterId, Path)),
    responses((status = 204)))]
pub async fn remove_everywhere(
    parts: web::Data<Parts>,
    Admin(actor): Admin,
    filter: web::Path<FilterId>,
) -> Result<HttpResponse, Problem> {
    parts.moderation.remove_everywhere(actor, *filter).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// With the name that the first request under the same key gave it. A pattern that cannot match is refused before a key is kept.
async fn named(parts: &Parts, request: &HttpRequest, user: UserId, new: FilterRequest) -> Result<NewFilter, Problem> {
    let unnamed = |filter, FilterRequest { kind, pattern, action }| NewFilter { filter, kind, pattern, action };
    let asked = format!("{new:?}");
    let new = unnamed(FilterId::generate(), new);
    new.rule()?;
    let filter = FilterId(idempotency::new_id(parts, request, user, &asked).await?);
    Ok(NewFilter { filter, ..new })
}

/// Their number is limited: one page has all of them.
fn all(found: &[crate::domain::filter::Filter]) -> PageOf<Filter> {
    PageOf { items: found.iter().map(Filter::from).collect(), next: None }
}
