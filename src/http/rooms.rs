//! Rooms: make, find, look at, change, delete; and the rooms somebody is in.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Caller;
use super::error::{Problem, ProblemDocument};
use super::idempotency;
use super::input::{Maybe, page_rows};
use super::members::Why;
use super::page::{self, PageOf};
use super::parts::Parts;
use super::reading;
use crate::domain::fault::Fault;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::{Member, MemberState};
use crate::domain::order::{Revision, Seq};
use crate::domain::room::{HistoryRule, Room, RoomChange, RoomKind, RoomSettings};
use crate::domain::text::{RoomName, Topic};
use crate::domain::user::Actor;
use crate::moderation::handle::announce;
use crate::policy;
use crate::protocol::v1::item;
use crate::protocol::v1::room_act::ChangedRoom;
use crate::store::rooms::{Changed, CreateGroup, CreateRoom, RoomLimits, RoomPlace};
use crate::store::{members, rooms};

/// A room as somebody sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoomView {
    /// Its settings.
    #[serde(flatten)]
    pub room: item::Room,
    /// How many have joined.
    pub member_count: u64,
    /// Its newest message; only for members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<Seq>,
    /// Its newest revision; only for members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<Revision>,
    /// Where the asking person stands, if they have anything to do with the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<item::Member>,
}

impl RoomView {
    /// A room as the person with this row sees it.
    #[must_use]
    pub fn new(room: &Room, member: Option<&Member>) -> Self {
        let joined = member.is_some_and(Member::is_joined);
        Self {
            room: room.into(),
            member_count: room.member_count,
            last_seq: joined.then_some(room.last_seq),
            head: joined.then_some(room.head),
            membership: member.map(Into::into),
        }
    }
}

/// A room to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRoom {
    /// 1–80 characters on one line.
    name: String,
    /// At most 250 characters on one line.
    #[serde(default)]
    topic: String,
    /// `public` or `private`.
    kind: RoomKind,
    /// What later members may read of the past; `all` if absent.
    #[serde(default = "all_history")]
    history: HistoryRule,
}

const fn all_history() -> HistoryRule {
    HistoryRule::All
}

/// People for a group.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    /// The others.
    users: Vec<UserId>,
}

/// Where in the list of public rooms.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct FindRooms {
    /// Only rooms whose name has this somewhere.
    #[serde(default)]
    q: Option<String>,
    /// The `next` of the page before.
    #[serde(default)]
    page: Option<String>,
    /// How many rooms.
    #[serde(default)]
    limit: Option<usize>,
}

/// Which of my rooms.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct MyRooms {
    /// Rooms where I am `joined` (if absent), `invited`, `left` or `banned`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    state: Option<MemberState>,
    /// The `next` of the page before.
    #[serde(default)]
    page: Option<String>,
    /// How many rooms.
    #[serde(default)]
    limit: Option<usize>,
}

/// Make a public or private room
#[utoipa::path(post, path = "/api/v1/rooms", tag = "rooms", request_body = NewRoom,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeated with the same key, the same room is answered.")),
    responses((status = 201, body = RoomView),
        (status = 422, body = ProblemDocument, description = "name_invalid, text_too_long, filtered")))]
pub async fn create(
    parts: web::Data<Parts>,
    caller: Caller,
    request: HttpRequest,
    new: web::Json<NewRoom>,
) -> Result<HttpResponse, Problem> {
    let creator = caller.0.user;
    let (name, topic) = (RoomName::parse(&new.name)?, Topic::parse(&new.topic)?);
    parts.rates.room_made(creator)?;
    let room = RoomId(idempotency::new_id(&parts, &request, creator, &new).await?);
    let limits = RoomLimits::from(&parts.settings.limits);
    let (kind, history, now) = (new.kind, new.history, parts.clock.now());
    let judged = parts.moderation.judge_names([name.as_str(), topic.as_str()]);
    let reason = judged.1.as_ref().map(|suspicion| suspicion.reason);
    let create = CreateRoom { creator, room, kind, name, topic, history, judged, now, limits };
    let changed = parts.rooms.create(create).await??;
    if let Some(reason) = reason.filter(|_| changed.changes.is_some()) {
        announce(reason);
    }
    Ok(HttpResponse::Created().json(after(&parts, caller.0, changed).await?))
}

/// Make a group conversation; each creation is a new one
#[utoipa::path(post, path = "/api/v1/groups", tag = "rooms", request_body = NewGroup,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeated with the same key, the same group is answered.")),
    responses((status = 201, body = RoomView)))]
pub async fn create_group(
    parts: web::Data<Parts>,
    caller: Caller,
    request: HttpRequest,
    new: web::Json<NewGroup>,
) -> Result<HttpResponse, Problem> {
    let creator = caller.0.user;
    if new.users.len() > parts.settings.limits.group_members_max {
        return Err(Fault::LimitReached.into());
    }
    parts.rates.room_made(creator)?;
    let room = RoomId(idempotency::new_id(&parts, &request, creator, &new).await?);
    let limits = RoomLimits::from(&parts.settings.limits);
    let create = CreateGroup { creator, room, people: new.into_inner().users, now: parts.clock.now(), limits };
    let changed = parts.rooms.create_group(create).await??;
    Ok(HttpResponse::Created().json(after(&parts, caller.0, changed).await?))
}

/// Find public rooms, by name
#[utoipa::path(get, path = "/api/v1/rooms", tag = "rooms", params(FindRooms), responses((status = 200, body = PageOf<RoomView>)))]
pub async fn find(parts: web::Data<Parts>, _: Caller, query: web::Query<FindRooms>) -> Result<HttpResponse, Problem> {
    let FindRooms { q, page, limit } = query.into_inner();
    let rows = page_rows(&parts, limit)?;
    let after = page::place::<(String, RoomId)>("rooms", page.as_deref())?;
    let after = after.map(|(name_key, id)| RoomPlace { name_key, id });
    if q.as_ref().is_some_and(|q| q.chars().count() > RoomName::MAX_CHARS) {
        return Err(Problem::because(Fault::BadRequest, "q is longer than any name."));
    }
    let found =
        parts.read("rooms", move |db| Box::pin(async move { rooms::public(db, q.as_deref(), after, rows).await })).await?;
    let place = found.items.last().filter(|_| found.more).map(RoomPlace::of).map(|place| (place.name_key, place.id));
    let items = found.items.iter().map(|room| RoomView::new(room, None)).collect();
    Ok(HttpResponse::Ok().json(PageOf::new(items, "rooms", place)))
}

/// Look at a room
#[utoipa::path(get, path = "/api/v1/rooms/{room}", tag = "rooms", params(("room" = RoomId, Path)), responses((status = 200, body = RoomView)))]
pub async fn get(parts: web::Data<Parts>, caller: Caller, room: web::Path<RoomId>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(view(&parts, caller.0, *room).await?))
}

/// Change a room's settings
#[utoipa::path(patch, path = "/api/v1/rooms/{room}", tag = "rooms", params(("room" = RoomId, Path)), request_body = ChangedRoom,
    responses((status = 200, body = RoomView),
        (status = 422, body = ProblemDocument, description = "name_invalid, text_too_long, filtered")))]
pub async fn update(
    parts: web::Data<Parts>,
    caller: Caller,
    room: web::Path<RoomId>,
    new: web::Json<ChangedRoom>,
) -> Result<HttpResponse, Problem> {
    let settings = RoomSettings::try_from(new.into_inner())?;
    let changed = change(&parts, *room, caller.0, RoomChange::Settings(settings)).await?;
    Ok(HttpResponse::Ok().json(after(&parts, caller.0, changed).await?))
}

/// Delete a room for everybody
#[utoipa::path(delete, path = "/api/v1/rooms/{room}", tag = "rooms", params(("room" = RoomId, Path)),
    request_body = Option<Why>, responses((status = 204)))]
pub async fn delete(
    parts: web::Data<Parts>,
    caller: Caller,
    room: web::Path<RoomId>,
    Maybe(why): Maybe<Why>,
) -> Result<HttpResponse, Problem> {
    let room = *room;
    change(&parts, room, caller.0, RoomChange::Delete { reason: why.reason()? }).await?;
    // The room is gone; should this fail, the tracker finds out by itself.
    if let Ok(people) = parts.read("everybody", move |db| Box::pin(async move { members::everybody(db, room).await })).await {
        parts.presence.room_ended(people);
    }
    Ok(HttpResponse::NoContent().finish())
}

/// The rooms I am in, am invited to, have left, or am banned from; those I am in with what is unread
#[utoipa::path(get, path = "/api/v1/me/rooms", tag = "rooms", params(MyRooms), responses((status = 200, body = PageOf<reading::MyRoom>)))]
pub async fn mine(parts: web::Data<Parts>, caller: Caller, query: web::Query<MyRooms>) -> Result<HttpResponse, Problem> {
    let MyRooms { state, page, limit } = query.into_inner();
    let rows = page_rows(&parts, limit)?;
    let (user, state) = (caller.0.user, state.unwrap_or(MemberState::Joined));
    let after = page::place::<RoomId>("my rooms", page.as_deref())?;
    let found =
        parts.read("my_rooms", move |db| Box::pin(async move { members::rooms_of(db, user, state, after, rows).await })).await?;
    let place = found.items.last().filter(|_| found.more).map(|last| last.room.id);
    let items = reading::with_places(&parts, user, &found.items).await?;
    Ok(HttpResponse::Ok().json(PageOf::new(items, "my rooms", place)))
}

/// Has a room changed. The policy decides inside the transaction, never here (I10).
///
/// # Errors
/// As the room answers.
pub async fn change(parts: &Parts, room: RoomId, actor: Actor, change: RoomChange) -> Result<Changed, Problem> {
    Ok(parts.rooms.change(room, actor, change).await??)
}

/// The room as the person sees it now.
///
/// # Errors
/// [`Fault::NotFound`] for whom it is none of their business.
pub async fn view(parts: &Parts, actor: Actor, room: RoomId) -> Result<RoomView, Problem> {
    let (room, member) = standing(parts, actor, room).await?;
    policy::may_find(&room, member.as_ref())?;
    Ok(RoomView::new(&room, member.as_ref()))
}

/// A room and the person's row in it.
///
/// # Errors
/// [`Fault::NotFound`] if there is no such room.
pub async fn standing(parts: &Parts, actor: Actor, room: RoomId) -> Result<(Room, Option<Member>), Problem> {
    let found = parts.read("room", move |db| Box::pin(async move { rooms::with_member(db, room, actor.user).await }));
    found.await?.ok_or_else(|| Fault::NotFound.into())
}

/// A room after a change by the person, with their row in it.
pub(super) async fn after(parts: &Parts, actor: Actor, changed: Changed) -> Result<RoomView, Problem> {
    let (room, member) = standing(parts, actor, changed.room.id).await?;
    Ok(RoomView::new(&room, member.as_ref()))
}
