//! Messages that change: edit, delete, react, pin; and the lists that come of it.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Caller;
use super::error::Problem;
use super::input::{Maybe, Nothing, page_rows};
use super::members::Why;
use super::messages::view;
use super::parts::Parts;
use super::rooms::standing;
use crate::domain::emoji::Emoji;
use crate::domain::fault::Fault;
use crate::domain::ids::RoomId;
use crate::domain::message::{MessageChange, Shown};
use crate::domain::order::{Revision, Seq};
use crate::domain::text::MessageText;
use crate::policy::{self, View};
use crate::protocol::v1::item;
use crate::store::{history, threads};

/// Another text for a message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewText {
    /// What it is to say.
    text: String,
}

/// Where in a thread.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct InThread {
    /// Messages after this one; from the beginning if absent.
    #[serde(default)]
    #[param(value_type = Option<u64>)]
    after: Option<Seq>,
    /// How many.
    #[serde(default)]
    limit: Option<usize>,
}

/// Part of a thread.
#[derive(Debug, Serialize, ToSchema)]
pub struct ThreadPage {
    /// The message it began with; absent for who may not see that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<item::Shown>,
    /// Messages behind the first, the oldest first.
    messages: Vec<item::Shown>,
    /// There are more after these.
    more_after: bool,
}

/// The pinned messages of a room.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pinned {
    /// The newest first.
    messages: Vec<item::Shown>,
}

/// A text that an edit has replaced.
#[derive(Debug, Serialize, ToSchema)]
pub struct EarlierText {
    /// The message's revision while this was its text.
    #[schema(value_type = u64)]
    revision: Revision,
    /// The text.
    text: String,
    /// When it was written, UTC.
    written_at: DateTime<Utc>,
    /// When it was replaced, UTC.
    replaced_at: DateTime<Utc>,
}

/// What stood in a message before.
#[derive(Debug, Serialize, ToSchema)]
pub struct Earlier {
    /// The oldest first; as many as are kept.
    texts: Vec<EarlierText>,
}

type InRoom = web::Path<(RoomId, Seq)>;

/// Give a message of yours another text
#[utoipa::path(patch, path = "/api/v1/rooms/{room}/messages/{seq}", tag = "messages",
    params(("room" = RoomId, Path), ("seq" = Seq, Path)), request_body = NewText, responses((status = 204)))]
pub async fn edit(
    parts: web::Data<Parts>,
    caller: Caller,
    path: InRoom,
    new: web::Json<NewText>,
) -> Result<HttpResponse, Problem> {
    let text = MessageText::parse(new.into_inner().text, parts.settings.limits.text_max.as_usize())?;
    change(&parts, &caller, *path, MessageChange::edit(text)).await
}

/// Delete a message: its text is gone, its place stays
#[utoipa::path(delete, path = "/api/v1/rooms/{room}/messages/{seq}", tag = "messages",
    params(("room" = RoomId, Path), ("seq" = Seq, Path)), request_body = Option<Why>, responses((status = 204)))]
pub async fn delete(
    parts: web::Data<Parts>,
    caller: Caller,
    path: InRoom,
    _: web::Query<Nothing>,
    Maybe(why): Maybe<Why>,
) -> Result<HttpResponse, Problem> {
    change(&parts, &caller, *path, MessageChange::Delete { reason: why.reason()? }).await
}

/// React to a message with an emoji
#[utoipa::path(put, path = "/api/v1/rooms/{room}/messages/{seq}/reactions/{emoji}", tag = "messages",
    params(("room" = RoomId, Path), ("seq" = Seq, Path), ("emoji" = String, Path)), responses((status = 204)))]
pub async fn react(
    parts: web::Data<Parts>,
    caller: Caller,
    path: web::Path<(RoomId, Seq, String)>,
) -> Result<HttpResponse, Problem> {
    let (room, seq, emoji) = path.into_inner();
    change(&parts, &caller, (room, seq), MessageChange::React(Emoji::parse(&emoji)?)).await
}

/// Take a reaction of yours back
#[utoipa::path(delete, path = "/api/v1/rooms/{room}/messages/{seq}/reactions/{emoji}", tag = "messages",
    params(("room" = RoomId, Path), ("seq" = Seq, Path), ("emoji" = String, Path)), responses((status = 204)))]
pub async fn unreact(
    parts: web::Data<Parts>,
    caller: Caller,
    path: web::Path<(RoomId, Seq, String)>,
) -> Result<HttpResponse, Problem> {
    let (room, seq, emoji) = path.into_inner();
    change(&parts, &caller, (room, seq), MessageChange::Unreact(Emoji::parse(&emoji)?)).await
}

/// Pin a message
#[utoipa::path(put, path = "/api/v1/rooms/{room}/messages/{seq}/pin", tag = "messages",
    params(("room" = RoomId, Path), ("seq" = Seq, Path)), responses((status = 204)))]
pub async fn pin(parts: web::Data<Parts>, caller: Caller, path: InRoom) -> Result<HttpResponse, Problem> {
    change(&parts, &caller, *path, MessageChange::Pin).await
}

/// Unpin a message
#[utoipa::path(delete, path = "/api/v1/rooms/{room}/messages/{seq}/pin", tag = "messages",
    params(("room" = RoomId, Path), ("seq" = Seq, Path)), responses((status = 204)))]
pub async fn unpin(parts: web::Data<Parts>, caller: Caller, path: InRoom) -> Result<HttpResponse, Problem> {
    change(&parts, &caller, *path, MessageChange::Unpin).await
}

/// Read what stood in a message before it was edited; for moderators, and for its author
#[utoipa::path(get, path = "/api/v1/rooms/{room}/messages/{seq}/edits", tag = "messages",
    params(("room" = RoomId, Path), ("seq" = Seq, Path)), responses((status = 200, body = Earlier)))]
pub async fn edits(parts: web::Data<Parts>, caller: Caller, path: InRoom) -> Result<HttpResponse, Problem> {
    let (room, seq) = *path;
    let (found, member) = standing(&parts, caller.0, room).await?;
    // Who moderates sees what people say whom they would rather not see.
    let view = View::of_everybody(policy::may_read(&found, member.as_ref())?);
    let message = parts.read("message", move |db| Box::pin(async move { history::get(db, room, &view, seq).await }));
    let message = message.await?.and_then(Shown::message).ok_or(Fault::NotFound)?;
    if message.author != caller.0.user {
        policy::may_moderate(&found, member.as_ref(), caller.0.admin)?;
    }
    let earlier = parts.read("edits", move |db| Box::pin(async move { threads::earlier(db, room, seq).await })).await?;
    let text = |earlier: threads::Earlier| {
        let threads::Earlier { revision, text, written_at, replaced_at } = earlier;
        EarlierText { revision, text, written_at, replaced_at }
    };
    Ok(HttpResponse::Ok().json(Earlier { texts: earlier.into_iter().map(text).collect() }))
}

/// Read a thread
#[utoipa::path(get, path = "/api/v1/rooms/{room}/messages/{seq}/thread", tag = "messages",
    params(("room" = RoomId, Path), ("seq" = Seq, Path), InThread), responses((status = 200, body = ThreadPage)))]
pub async fn thread(
    parts: web::Data<Parts>,
    caller: Caller,
    path: InRoom,
    query: web::Query<InThread>,
) -> Result<HttpResponse, Problem> {
    let ((room, seq), rows, after) = (*path, page_rows(&parts, query.limit)?, query.after.unwrap_or(Seq::ZERO));
    let (_, view) = view(&parts, caller.0, room).await?;
    let read = parts.read("thread", move |db| {
        Box::pin(async move {
            let first = history::get(db, room, &view, seq).await?;
            Ok((first, threads::thread(db, room, &view, seq, after, rows).await?))
        })
    });
    let (first, page) = read.await?;
    if first.is_none() && page.items.is_empty() {
        return Err(Fault::NotFound.into());
    }
    Ok(HttpResponse::Ok().json(ThreadPage {
        first: first.as_ref().map(Into::into),
        messages: page.items.iter().map(Into::into).collect(),
        more_after: page.more,
    }))
}

/// Read the pinned messages of a room
#[utoipa::path(get, path = "/api/v1/rooms/{room}/pins", tag = "messages", params(("room" = RoomId, Path)),
    responses((status = 200, body = Pinned)))]
pub async fn pins(parts: web::Data<Parts>, caller: Caller, room: web::Path<RoomId>) -> Result<HttpResponse, Problem> {
    let room = *room;
    let (_, view) = view(&parts, caller.0, room).await?;
    let pinned = parts.read("pins", move |db| Box::pin(async move { threads::pinned(db, room, &view).await })).await?;
    Ok(HttpResponse::Ok().json(Pinned { messages: pinned.iter().map(Into::into).collect() }))
}

async fn change(
    parts: &Parts,
    caller: &Caller,
    (room, seq): (RoomId, Seq),
    change: MessageChange,
) -> Result<HttpResponse, Problem> {
    parts.rooms.change_message(room, caller.0, seq, change).await??;
    Ok(HttpResponse::NoContent().finish())
}
