//! How far the others have read a room.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Caller;
use super::error::Problem;
use super::parts::Parts;
use super::rooms::standing;
use crate::domain::fault::Fault;
use crate::domain::ids::RoomId;
use crate::policy;
use crate::protocol::v1::push::Receipt;
use crate::store::receipts;

/// The receipts of a room.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiptsView {
    /// By person, without my own; only of people who have read or received something.
    receipts: Vec<Receipt>,
}

/// How far the others have read and received a room: direct rooms, groups and rooms of at most room.receipts_members_max members
#[utoipa::path(get, path = "/api/v1/rooms/{room}/receipts", tag = "reading", params(("room" = RoomId, Path)),
    responses((status = 200, body = ReceiptsView)))]
pub async fn list(parts: web::Data<Parts>, caller: Caller, room: web::Path<RoomId>) -> Result<HttpResponse, Problem> {
    let (room, user) = (*room, caller.0.user);
    let (found, member) = standing(&parts, caller.0, room).await?;
    policy::may_read(&found, member.as_ref())?;
    if !policy::shows_receipts(&found, parts.settings.room.receipts_members_max) {
        return Err(Fault::NotAllowed.into());
    }
    let seen = parts.read("receipts", move |db| Box::pin(async move { receipts::seen_by(db, room, user).await })).await?;
    let receipts = seen.iter().map(|(user, mark)| Receipt::new(*user, mark)).collect();
    Ok(HttpResponse::Ok().json(ReceiptsView { receipts }))
}
