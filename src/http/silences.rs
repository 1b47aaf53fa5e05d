//! Who may not post in a room for a while: silence, list, end.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::auth::Caller;
use super::error::Problem;
use super::input::{Maybe, page_rows};
use super::members::{MemberView, Why};
use super::page::{self, PageOf};
use super::parts::Parts;
use super::rooms::{change, standing};
use crate::domain::ids::{RoomId, UserId};
use crate::domain::room::RoomChange;
use crate::domain::time::Timestamp;
use crate::policy;
use crate::store::members;

/// How long somebody shall not post, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSilence {
    /// Until when, at most 366 days from now: an instant, so that a repeat changes nothing.
    until: DateTime<Utc>,
    /// At most 250 characters on one line, shown in the timeline.
    #[serde(default)]
    reason: Option<String>,
}

/// Where in a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ListSilences {
    /// The `next` of the page before.
    #[serde(default)]
    page: Option<String>,
    /// How many people.
    #[serde(default)]
    limit: Option<usize>,
}

/// Keep somebody from posting for a while; they read on
#[utoipa::path(put, path = "/api/v1/rooms/{room}/silences/{user}", tag = "members",
    params(("room" = RoomId, Path), ("user" = UserId, Path)), request_body = NewSilence, responses((status = 204)))]
pub async fn silence(
    parts: web::Data<Parts>,
    caller: Caller,
    path: web::Path<(RoomId, UserId)>,
    new: web::Json<NewSilence>,
) -> Result<HttpResponse, Problem> {
    let (room, user) = path.into_inner();
    change(&parts, room, caller.0, RoomChange::silence(user, new.until, new.reason.as_deref())?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// End a silence before its time
#[utoipa::path(delete, path = "/api/v1/rooms/{room}/silences/{user}", tag = "members",
    params(("room" = RoomId, Path), ("user" = UserId, Path)), request_body = Option<Why>, responses((status = 204)))]
pub async fn unsilence(
    parts: web::Data<Parts>,
    caller: Caller,
    path: web::Path<(RoomId, UserId)>,
    Maybe(why): Maybe<Why>,
) -> Result<HttpResponse, Problem> {
    let (room, user) = path.into_inner();
    change(&parts, room, caller.0, RoomChange::Unsilence { user, reason: why.reason()? }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// List the people silenced in a room, whose silence ends first at the top; moderators only
#[utoipa::path(get, path = "/api/v1/rooms/{room}/silences", tag = "members", params(("room" = RoomId, Path), ListSilences),
    responses((status = 200, body = PageOf<MemberView>)))]
pub async fn list(
    parts: web::Data<Parts>,
    caller: Caller,
    room: web::Path<RoomId>,
    query: web::Query<ListSilences>,
) -> Result<HttpResponse, Problem> {
    let ListSilences { page, limit } = query.into_inner();
    let room = *room;
    let (found, member) = standing(&parts, caller.0, room).await?;
    policy::may_moderate(&found, member.as_ref(), caller.0.admin)?;
    let (rows, now) = (page_rows(&parts, limit)?, parts.clock.now());
    let after = page::place::<(Timestamp, UserId)>("silences", page.as_deref())?;
    let read = parts.read("silences", move |db| Box::pin(async move { members::silenced(db, room, now, after, rows).await }));
    let found = read.await?;
    let last = found.items.last().filter(|_| found.more).map(|last| &last.member);
    let place = last.and_then(|last| Some((last.silenced_until?, last.user)));
    let items = found.items.into_iter().map(|named| MemberView::new(named, false)).collect();
    Ok(HttpResponse::Ok().json(PageOf::new(items, "silences", place)))
}
