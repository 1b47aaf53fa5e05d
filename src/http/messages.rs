//! Messages: post the same way as a socket does, and read history and changes.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Caller;
use super::error::Problem;
use super::input::page_rows;
use super::parts::Parts;
use crate::domain::fault::Fault;
use crate::domain::ids::{ClientId, Epoch, RoomId, UserId};
use crate::domain::message::{Post, Written};
use crate::domain::order::{Revision, Seq};
use crate::domain::room::Room;
use crate::domain::user::Actor;
use crate::policy::{self, Hidden, View};
use crate::protocol::v1::command::MessageName;
use crate::protocol::v1::reply::{Posted, ResetReason};
use crate::protocol::v1::{item, push};
use crate::session::resume::{self, Question};
use crate::store::history::{self, HistoryPage, Place};
use crate::store::streams::{self, PageMax};
use crate::store::{relations, rooms};

/// A message to be posted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMessage {
    /// Your own name for it, a UUID; the same on every retry.
    client_id: ClientId,
    /// What to say; absent when a message is forwarded.
    #[serde(default)]
    text: Option<String>,
    /// The first message of the thread to say it in.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    thread: Option<Seq>,
    /// A message of this room to quote.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    quote: Option<Seq>,
    /// A message to forward.
    #[serde(default)]
    forward: Option<MessageName>,
}

/// A message to a person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDirectMessage {
    /// Your own name for it, a UUID; the same on every retry.
    client_id: ClientId,
    /// What to say; absent when a message is forwarded.
    #[serde(default)]
    text: Option<String>,
    /// A message to forward.
    #[serde(default)]
    forward: Option<MessageName>,
}

/// Where in a room's history. At most one of `before`, `after` and `around`; the newest messages if none.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Where {
    /// Messages before this one.
    #[serde(default)]
    #[param(value_type = Option<u64>)]
    before: Option<Seq>,
    /// Messages after this one.
    #[serde(default)]
    #[param(value_type = Option<u64>)]
    after: Option<Seq>,
    /// This message, with as many before as after it.
    #[serde(default)]
    #[param(value_type = Option<u64>)]
    around: Option<Seq>,
    /// How many messages.
    #[serde(default)]
    limit: Option<usize>,
}

impl Where {
    fn place(&self) -> Result<Place, Problem> {
        match (self.before, self.after, self.around) {
            (None, None, None) => Ok(Place::Latest),
            (Some(seq), None, None) => Ok(Place::Before(seq)),
            (None, Some(seq), None) => Ok(Place::After(seq)),
            (None, None, Some(seq)) => Ok(Place::Around(seq)),
            _ => Err(Problem::because(Fault::BadRequest, "At most one of before, after and around.")),
        }
    }
}

/// Part of a room's history.
#[derive(Debug, Serialize, ToSchema)]
pub struct History {
    /// Consecutive messages, oldest first.
    messages: Vec<item::Shown>,
    /// The timeline lines among them, oldest first.
    notices: Vec<item::Notice>,
    /// Of these lines the oldest are left out: `rooms/{room}/notices?before=` the `revision` of the first one here has them.
    more_notices: bool,
    /// There are messages before these that you may read.
    more_before: bool,
    /// There are messages after these.
    more_after: bool,
}

impl From<HistoryPage> for History {
    fn from(page: HistoryPage) -> Self {
        Self {
            messages: page.messages.iter().map(Into::into).collect(),
            notices: page.notices.iter().map(Into::into).collect(),
            more_notices: page.more_notices,
            more_before: page.more_before,
            more_after: page.more_after,
        }
    }
}

/// Which timeline lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct WhichLines {
    /// Lines with a lower revision than this; the newest if absent.
    #[serde(default)]
    #[param(value_type = Option<u64>)]
    before: Option<Revision>,
    /// How many lines.
    #[serde(default)]
    limit: Option<usize>,
}

/// Part of a room's timeline, without the messages.
#[derive(Debug, Serialize, ToSchema)]
pub struct Lines {
    /// Consecutive lines, oldest first.
    notices: Vec<item::Notice>,
    /// There are lines before these that you may read.
    more_notices: bool,
}

/// Since when.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// The room is known up to this revision.
    #[param(value_type = u64)]
    after: Revision,
    /// The epoch the revision belongs to; the present one if absent.
    #[serde(default)]
    #[param(value_type = Option<String>, format = Uuid)]
    epoch: Option<Epoch>,
    /// How many changes at most, save that a revision is never split.
    #[serde(default)]
    limit: Option<usize>,
}

/// What happened in a room since a revision.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoomChanges {
    /// The epoch of the store: revisions are worth something only together with it.
    #[schema(value_type = String, format = Uuid)]
    epoch: Epoch,
    /// The room's newest revision.
    head: Revision,
    /// What changed, up to `to`; ask again after it until `to` is `head`. Absent when the cursor cannot be continued.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<push::Changes>,
    /// Why the cursor cannot be continued: drop what is known of the room and fetch it afresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    reset: Option<ResetReason>,
}

/// Post a message; the same way, with the same promises, as over the socket
#[utoipa::path(post, path = "/api/v1/rooms/{room}/messages", tag = "messages", params(("room" = RoomId, Path)),
    request_body = NewMessage, responses((status = 201, body = Posted), (status = 200, description = "It had been stored before.", body = Posted)))]
pub async fn post(
    parts: web::Data<Parts>,
    caller: Caller,
    room: web::Path<RoomId>,
    new: web::Json<NewMessage>,
) -> Result<HttpResponse, Problem> {
    let NewMessage { client_id, text, thread, quote, forward } = new.into_inner();
    let written = Written { text, thread, quote, forward: forward.map(Into::into) };
    let post = checked(&parts, caller.0, client_id, written)?;
    let answers = parts.rooms.post(*room, vec![post]).await??;
    let posted = answers.into_iter().next().ok_or(Fault::Internal)??;
    Ok(answer(*room, &posted))
}

/// Post to a person; the room of the two is made with their first message
#[utoipa::path(post, path = "/api/v1/direct/{user}/messages", tag = "messages", params(("user" = UserId, Path)),
    request_body = NewDirectMessage, responses((status = 201, body = Posted), (status = 200, description = "It had been stored before.", body = Posted)))]
pub async fn post_direct(
    parts: web::Data<Parts>,
    caller: Caller,
    user: web::Path<UserId>,
    new: web::Json<NewDirectMessage>,
) -> Result<HttpResponse, Problem> {
    let NewDirectMessage { client_id, text, forward } = new.into_inner();
    let written = Written { text, forward: forward.map(Into::into), ..Written::default() };
    let post = checked(&parts, caller.0, client_id, written)?;
    let direct = parts.rooms.post_direct(*user, post).await??;
    Ok(answer(direct.room, &direct.posted))
}

/// Read history
#[utoipa::path(get, path = "/api/v1/rooms/{room}/messages", tag = "messages", params(("room" = RoomId, Path), Where),
    responses((status = 200, body = History)))]
pub async fn history(
    parts: web::Data<Parts>,
    caller: Caller,
    room: web::Path<RoomId>,
    query: web::Query<Where>,
) -> Result<HttpResponse, Problem> {
    let (place, rows, room) = (query.place()?, page_rows(&parts, query.limit)?, *room);
    let (_, view) = view(&parts, caller.0, room).await?;
    let read = parts.read("history", move |db| Box::pin(async move { history::page(db, room, &view, place, rows).await }));
    Ok(HttpResponse::Ok().json(History::from(read.await?)))
}

/// Read the lines of the timeline that are no messages
#[utoipa::path(get, path = "/api/v1/rooms/{room}/notices", tag = "messages", params(("room" = RoomId, Path), WhichLines),
    responses((status = 200, body = Lines)))]
pub async fn notices(
    parts: web::Data<Parts>,
    caller: Caller,
    room: web::Path<RoomId>,
    query: web::Query<WhichLines>,
) -> Result<HttpResponse, Problem> {
    let (before, rows, room) = (query.before.unwrap_or(Revision(u64::MAX)), page_rows(&parts, query.limit)?, *room);
    let (_, view) = view(&parts, caller.0, room).await?;
    let read = parts.read("notices", move |db| Box::pin(async move { history::lines(db, room, view.sight, before, rows).await }));
    let page = read.await?;
    Ok(HttpResponse::Ok().json(Lines { notices: page.items.iter().map(Into::into).collect(), more_notices: page.more }))
}

/// Read one message
#[utoipa::path(get, path = "/api/v1/rooms/{room}/messages/{seq}", tag = "messages", params(("room" = RoomId, Path), ("seq" = u64, Path)),
    responses((status = 200, body = item::Shown)))]
pub async fn get(parts: web::Data<Parts>, caller: Caller, path: web::Path<(RoomId, Seq)>) -> Result<HttpResponse, Problem> {
    let (room, seq) = path.into_inner();
    let (_, view) = view(&parts, caller.0, room).await?;
    let read = parts.read("message", move |db| Box::pin(async move { history::get(db, room, &view, seq).await }));
    let message = read.await?.ok_or(Fault::NotFound)?;
    Ok(HttpResponse::Ok().json(item::Shown::from(&message)))
}

/// Read what changed since a revision: resuming without a socket
#[utoipa::path(get, path = "/api/v1/rooms/{room}/changes", tag = "messages", params(("room" = RoomId, Path), Since),
    responses((status = 200, body = RoomChanges)))]
pub async fn changes(
    parts: web::Data<Parts>,
    caller: Caller,
    room: web::Path<RoomId>,
    query: web::Query<Since>,
) -> Result<HttpResponse, Problem> {
    let Since { after, epoch: of, limit } = query.into_inner();
    let (rows, epoch) = (limit.map_or(Ok(parts.settings.resume.page_rows), |rows| page_rows(&parts, Some(rows)))?, parts.epoch);
    // The head is read before the changes: of what moves above it meanwhile, messages are in this page, the rest comes with the next (I6).
    let (found, view) = view(&parts, caller.0, *room).await?;
    let head = found.head;
    let question = Question {
        cursor: Some(after),
        same_epoch: of.is_none_or(|of| of == epoch),
        head,
        joined: view.sight.joined_revision,
        max_changes: parts.settings.resume.max_changes,
    };
    if let resume::Start::Reset(reason) = resume::decide(question) {
        return Ok(HttpResponse::Ok().json(RoomChanges { epoch, head, changes: None, reset: Some(reason) }));
    }
    let room = *room;
    let max = PageMax { rows, bytes: parts.settings.session.share() };
    let read =
        parts.read("changes", move |db| Box::pin(async move { streams::room_changes(db, room, &view, after, head, max).await }));
    let part = read.await?;
    let (head, changes) = (part.newest(head), push::Changes::from(&part.changes));
    Ok(HttpResponse::Ok().json(RoomChanges { epoch, head, changes: Some(changes), reset: None }))
}

fn checked(parts: &Parts, actor: Actor, client_id: ClientId, written: Written) -> Result<Post, Problem> {
    parts.rates.post(actor.user)?;
    Ok(Post::compose(actor.user, client_id, written, parts.settings.limits.text_max.as_usize())?)
}

fn answer(room: RoomId, posted: &crate::room::state::posting::Posted) -> HttpResponse {
    let crate::room::state::posting::Posted { seq, revision, created_at, repeat } = *posted;
    let posted = Posted { room, seq, revision, created_at, repeat };
    if repeat { HttpResponse::Ok().json(posted) } else { HttpResponse::Created().json(posted) }
}

/// The room and what the person may see of it.
pub(super) async fn view(parts: &Parts, actor: Actor, room: RoomId) -> Result<(Room, View), Problem> {
    let user = actor.user;
    let read = parts.read("room", move |db| {
        Box::pin(async move { Ok((rooms::with_member(db, room, user).await?, relations::hidden_from(db, user).await?)) })
    });
    let (found, hidden) = read.await?;
    let (room, member) = found.ok_or(Fault::NotFound)?;
    let sight = policy::may_read(&room, member.as_ref())?;
    Ok((room, View { sight, hidden: Hidden::of(hidden) }))
}
