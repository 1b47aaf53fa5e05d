//! What I prefer: altogether, of a room, of a thread.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpResponse, Responder};
use serde::Deserialize;
use utoipa::ToSchema;

use super::auth::Caller;
use super::error::{Problem, ProblemDocument};
use super::parts::Parts;
use crate::domain::ids::RoomId;
use crate::domain::order::Seq;
use crate::domain::preference::{self, Following, Notify};
use crate::protocol::v1::own::{Preferences, RoomPreferences, SetPreferences, ThreadPreferences, Until};

/// What I prefer altogether.
#[utoipa::path(get, path = "/api/v1/me/preferences", tag = "preferences", responses((status = 200, body = Preferences)))]
pub async fn mine(parts: Data<Parts>, Caller(actor): Caller) -> Result<impl Responder, Problem> {
    let found = parts.accounts.preferences(actor.user).await?;
    Ok(HttpResponse::Ok().json(Preferences::from(&found)))
}

/// Changes what I prefer altogether. Keywords are replaced as a whole.
#[utoipa::path(patch, path = "/api/v1/me/preferences", tag = "preferences", request_body = SetPreferences, responses(
    (status = 200, body = Preferences), (status = 409, body = ProblemDocument, description = "limit_reached"),
    (status = 422, body = ProblemDocument, description = "text_empty, text_too_long"),
))]
pub async fn change_mine(
    parts: Data<Parts>,
    Caller(actor): Caller,
    body: Json<SetPreferences>,
) -> Result<impl Responder, Problem> {
    let changed = parts.accounts.change_preferences(actor.user, body.into_inner()).await?;
    Ok(HttpResponse::Ok().json(Preferences::from(&changed)))
}

/// All I prefer of a room; what is absent is as it was in the beginning.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedOfRoom {
    /// Mute it until then, or `forever`.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    muted_until: Option<Until>,
    /// `default`, `all`, `mentions` or `nothing`.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    notify: Notify,
}

/// What I prefer of a room I am in.
#[utoipa::path(get, path = "/api/v1/rooms/{room}/preferences", tag = "preferences", params(("room" = RoomId, Path)),
    responses((status = 200, body = RoomPreferences)))]
pub async fn of_room(parts: Data<Parts>, Caller(actor): Caller, room: Path<RoomId>) -> Result<impl Responder, Problem> {
    let found = parts.accounts.room_preferences(actor.user, *room).await?;
    Ok(HttpResponse::Ok().json(RoomPreferences::from(&found)))
}

/// Sets all I prefer of a room I am in: mutes it, for a while or for good, says of what to be told.
#[utoipa::path(put, path = "/api/v1/rooms/{room}/preferences", tag = "preferences", params(("room" = RoomId, Path)),
    request_body = WantedOfRoom, responses((status = 200, body = RoomPreferences)))]
pub async fn set_of_room(
    parts: Data<Parts>,
    Caller(actor): Caller,
    room: Path<RoomId>,
    body: Json<WantedOfRoom>,
) -> Result<impl Responder, Problem> {
    let WantedOfRoom { muted_until, notify } = body.into_inner();
    let muted_until = muted_until.map(|until| until.0);
    let wanted = preference::RoomPreferences { muted_until, notify, ..preference::RoomPreferences::none(*room) };
    let set = parts.accounts.set_room_preferences(actor.user, wanted).await?;
    Ok(HttpResponse::Ok().json(RoomPreferences::from(&set)))
}

/// All I prefer of a thread; what is absent is as it was in the beginning.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedOfThread {
    /// `default`, `yes` or `no`.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    following: Following,
    /// Mute it until then, or `forever`.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    muted_until: Option<Until>,
}

/// What I prefer of a thread.
#[utoipa::path(get, path = "/api/v1/rooms/{room}/threads/{seq}/preferences", tag = "preferences",
    params(("room" = RoomId, Path), ("seq" = u64, Path, description = "The thread's first message.")),
    responses((status = 200, body = ThreadPreferences)))]
pub async fn of_thread(parts: Data<Parts>, Caller(actor): Caller, path: Path<(RoomId, Seq)>) -> Result<impl Responder, Problem> {
    let (room, thread) = path.into_inner();
    let found = parts.accounts.thread_preferences(actor.user, room, thread).await?;
    Ok(HttpResponse::Ok().json(ThreadPreferences::from(&found)))
}

/// Sets all I prefer of a thread: follows it or not, mutes it, for a while or for good.
#[utoipa::path(put, path = "/api/v1/rooms/{room}/threads/{seq}/preferences", tag = "preferences",
    params(("room" = RoomId, Path), ("seq" = u64, Path, description = "The thread's first message.")),
    request_body = WantedOfThread, responses(
        (status = 200, body = ThreadPreferences), (status = 409, body = ProblemDocument, description = "limit_reached"),
    ))]
pub async fn set_of_thread(
    parts: Data<Parts>,
    Caller(actor): Caller,
    path: Path<(RoomId, Seq)>,
    body: Json<WantedOfThread>,
) -> Result<impl Responder, Problem> {
    let (room, thread) = path.into_inner();
    let WantedOfThread { following, muted_until } = body.into_inner();
    let muted_until = muted_until.map(|until| until.0);
    let wanted = preference::ThreadPreferences { following, muted_until, ..preference::ThreadPreferences::none(room, thread) };
    let set = parts.accounts.set_thread_preferences(actor.user, wanted).await?;
    Ok(HttpResponse::Ok().json(ThreadPreferences::from(&set)))
}
