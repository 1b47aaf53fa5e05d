//! How far I have read my rooms.

use std::collections::HashMap;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpResponse, Responder};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Caller;
use super::error::{Problem, ProblemDocument};
use super::parts::Parts;
use crate::domain::fault::Fault;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::order::Seq;
use crate::domain::reading::{Place, Progress};
use crate::domain::stream::Membership;
use crate::protocol::v1::push;
use crate::store::read_marks;

/// How far I am. What is absent is not reported; what is read counts as received.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadUpTo {
    /// The last message I have read.
    #[schema(value_type = Option<u64>)]
    seq: Option<Seq>,
    /// The last message a device of mine has received.
    #[schema(value_type = Option<u64>)]
    delivered: Option<Seq>,
}

/// Says up to where I have read a room. The mark only rises; beyond the last message it stops there. Answered when it is stored, which may
/// take as long as `accounts.read_mark_flush`.
#[utoipa::path(put, path = "/api/v1/rooms/{room}/read", tag = "reading", params(("room" = RoomId, Path)), request_body = ReadUpTo, responses(
    (status = 204), (status = 403, body = ProblemDocument, description = "not_member, banned"),
))]
pub async fn read(
    parts: Data<Parts>,
    Caller(actor): Caller,
    room: Path<RoomId>,
    body: Json<ReadUpTo>,
) -> Result<impl Responder, Problem> {
    let ReadUpTo { seq, delivered } = body.into_inner();
    if seq.is_none() && delivered.is_none() {
        return Err(Problem::because(Fault::BadRequest, "Say seq, or delivered, or both."));
    }
    let progress = Progress { read: seq.unwrap_or_default(), delivered: delivered.unwrap_or_default() };
    parts.reading.report(actor.user, *room, progress).await?;
    Ok(HttpResponse::NoContent())
}

/// Says that I have read everything. Answered when it is stored.
#[utoipa::path(put, path = "/api/v1/me/read", tag = "reading", responses((status = 204)))]
pub async fn read_all(parts: Data<Parts>, Caller(actor): Caller) -> Result<impl Responder, Problem> {
    parts.reading.read_all(actor.user).await?;
    Ok(HttpResponse::NoContent())
}

/// Where I am in a room I have joined.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlaceView {
    /// The last message I have read; zero: none.
    #[schema(value_type = u64)]
    read_seq: Seq,
    /// Messages after it that I may read.
    unread: u64,
    /// How many of these mention me, without those I wrote and those of people I block.
    mentions: u64,
    /// The first unread one.
    #[schema(value_type = Option<u64>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    first_unread: Option<Seq>,
}

impl From<&Place> for PlaceView {
    fn from(place: &Place) -> Self {
        let Place { read, unread, mentions, first_unread } = *place;
        Self { read_seq: read, unread, mentions, first_unread }
    }
}

/// A room of mine.
#[derive(Debug, Serialize, ToSchema)]
pub struct MyRoom {
    /// My standing in it.
    #[serde(flatten)]
    membership: push::Membership,
    /// Where I am; only in rooms I have joined.
    #[serde(flatten)]
    place: Option<PlaceView>,
}

/// Memberships with the places in those that are joined.
///
/// # Errors
/// Those of the database.
pub async fn with_places(parts: &Parts, user: UserId, memberships: &[Membership]) -> Result<Vec<MyRoom>, Problem> {
    let joined: Vec<_> = memberships
        .iter()
        .filter(|membership| membership.member.is_joined())
        .map(|membership| (membership.room.clone(), membership.member.clone()))
        .collect();
    let places = if joined.is_empty() {
        HashMap::new()
    } else {
        parts.read("places", move |db| Box::pin(async move { read_marks::places(db, user, &joined).await })).await?
    };
    let room = |membership: &Membership| MyRoom {
        membership: membership.into(),
        place: places.get(&membership.room.id).map(Into::into),
    };
    Ok(memberships.iter().map(room).collect())
}
