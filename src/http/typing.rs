//! Typing: told to those who look at a room, and kept nowhere.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Caller;
use super::error::Problem;
use super::input::Maybe;
use super::parts::Parts;
use crate::domain::ids::RoomId;
use crate::domain::order::Seq;

/// Where somebody types.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WhereTyped {
    /// The thread; absent: none.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    thread: Option<Seq>,
}

/// Tell those who look at a room that I am typing; not stored
#[utoipa::path(post, path = "/api/v1/rooms/{room}/typing", tag = "messages", params(("room" = RoomId, Path)),
    request_body = Option<WhereTyped>, responses((status = 204)))]
pub async fn typing(
    parts: web::Data<Parts>,
    caller: Caller,
    room: web::Path<RoomId>,
    Maybe(at): Maybe<WhereTyped>,
) -> Result<HttpResponse, Problem> {
    parts.rooms.typing(*room, caller.0.user, at.thread).await??;
    Ok(HttpResponse::NoContent().finish())
}
