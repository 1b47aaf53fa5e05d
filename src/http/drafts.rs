//! What I have begun to write.

use actix_web::web::{Data, Json, Path, Query};
use actix_web::{HttpResponse, Responder};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::auth::Caller;
use super::error::{Problem, ProblemDocument};
use super::input::page_rows;
use super::page::{PageOf, place};
use super::parts::Parts;
use crate::domain::ids::RoomId;
use crate::domain::order::Seq;
use crate::protocol::v1::own::Draft;

const LIST: &str = "me/drafts";

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

/// Where in the room.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Where {
    /// The first message of the thread it is written in; absent: in the room itself.
    #[param(value_type = Option<u64>)]
    thread: Option<Seq>,
}

/// What I write.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// As far as it is written, as long as a message may be; empty: nothing.
    text: String,
}

/// My drafts, by room and thread.
#[utoipa::path(get, path = "/api/v1/me/drafts", tag = "drafts", params(Part), responses((status = 200, body = PageOf<Draft>)))]
pub async fn list(parts: Data<Parts>, Caller(actor): Caller, part: Query<Part>) -> Result<impl Responder, Problem> {
    let (after, rows) = (place::<(RoomId, Option<Seq>)>(LIST, part.page.as_deref())?, page_rows(&parts, part.limit)?);
    let found = parts.accounts.drafts(actor.user, after, rows).await?;
    let next = found.items.last().filter(|_| found.more).map(|last| (last.room, last.thread));
    let items: Vec<Draft> = found.items.iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(PageOf::new(items, LIST, next)))
}

/// Keeps what I write, for my other devices. The last one to write wins.
#[utoipa::path(put, path = "/api/v1/me/drafts/{room}", tag = "drafts", params(("room" = RoomId, Path), Where), request_body = Written,
    responses(
        (status = 200, body = Draft), (status = 409, body = ProblemDocument, description = "limit_reached"),
        (status = 422, body = ProblemDocument, description = "text_too_long"),
    ))]
pub async fn keep(
    parts: Data<Parts>,
    Caller(actor): Caller,
    room: Path<RoomId>,
    at: Query<Where>,
    body: Json<Written>,
) -> Result<impl Responder, Problem> {
    let kept = parts.accounts.set_draft(actor.user, *room, at.thread, body.into_inner().text).await?;
    Ok(HttpResponse::Ok().json(Draft::from(&kept)))
}

/// Throws a draft away.
#[utoipa::path(delete, path = "/api/v1/me/drafts/{room}", tag = "drafts", params(("room" = RoomId, Path), Where),
    responses((status = 204)))]
pub async fn throw_away(
    parts: Data<Parts>,
    Caller(actor): Caller,
    room: Path<RoomId>,
    at: Query<Where>,
) -> Result<impl Responder, Problem> {
    parts.accounts.set_draft(actor.user, *room, at.thread, String::new()).await?;
    Ok(HttpResponse::NoContent())
}
