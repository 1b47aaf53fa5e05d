//! Who is in a room: join, leave, list, roles, kick, ban, the owner.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Caller;
use super::error::Problem;
use super::input::{Maybe, Nothing, page_rows};
use super::page::{self, PageOf};
use super::parts::Parts;
use super::rooms::{RoomView, after, change, standing};
use crate::domain::fault::Fault;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::{MemberState, NamedMember, Role};
use crate::domain::room::RoomChange;
use crate::domain::text::Reason;
use crate::policy;
use crate::protocol::v1::item;
use crate::store::members;

/// A person of a room with their names.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemberView {
    /// Where they stand.
    #[serde(flatten)]
    member: item::Member,
    /// Log-in name.
    name: String,
    /// How to show them.
    display_name: String,
    /// Who invited or banned them.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<UserId>,
    /// Why they were banned; only in the list of bans.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl MemberView {
    /// A person of a list; only moderators are told why.
    #[must_use]
    pub fn new(named: NamedMember, with_reason: bool) -> Self {
        let NamedMember { member, name, display_name } = named;
        let reason = member.reason.clone().filter(|_| with_reason);
        Self { member: (&member).into(), name, display_name, by: member.by, reason }
    }
}

/// Which people, and where in their list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ListMembers {
    /// `joined` (if absent) or `invited`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    state: Option<MemberState>,
    /// The `next` of the page before.
    #[serde(default)]
    page: Option<String>,
    /// How many people.
    #[serde(default)]
    limit: Option<usize>,
}

/// Where in a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ListBans {
    /// The `next` of the page before.
    #[serde(default)]
    page: Option<String>,
    /// How many people.
    #[serde(default)]
    limit: Option<usize>,
}

/// Why something is done to somebody, or to a room. In a body, never in the address: addresses are logged on the way (I12).
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// At most 250 characters on one line.
    #[serde(default)]
    reason: Option<String>,
}

impl Why {
    pub(super) fn reason(&self) -> Result<Option<Reason>, Fault> {
        reason(self.reason.as_deref())
    }
}

fn reason(said: Option<&str>) -> Result<Option<Reason>, Fault> {
    said.map(Reason::parse).transpose()
}

/// A role to be given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// `member` or `moderator`.
    role: Role,
    /// Why, for the audit log: at most 250 characters on one line.
    #[serde(default)]
    reason: Option<String>,
}

/// Who shall own a room.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOwner {
    /// A member.
    user: UserId,
    /// Why, for the audit log: at most 250 characters on one line.
    #[serde(default)]
    reason: Option<String>,
}

/// Join a public room, or one I am invited to
#[utoipa::path(put, path = "/api/v1/rooms/{room}/members/me", tag = "members", params(("room" = RoomId, Path)),
    responses((status = 200, body = RoomView)))]
pub async fn join(parts: web::Data<Parts>, caller: Caller, room: web::Path<RoomId>) -> Result<HttpResponse, Problem> {
    let changed = change(&parts, *room, caller.0, RoomChange::Join).await?;
    Ok(HttpResponse::Ok().json(after(&parts, caller.0, changed).await?))
}

/// Leave a room
#[utoipa::path(delete, path = "/api/v1/rooms/{room}/members/me", tag = "members", params(("room" = RoomId, Path)),
    responses((status = 204)))]
pub async fn leave(parts: web::Data<Parts>, caller: Caller, room: web::Path<RoomId>) -> Result<HttpResponse, Problem> {
    change(&parts, *room, caller.0, RoomChange::Leave).await?;
    parts.presence.membership_ended(caller.0.user);
    Ok(HttpResponse::NoContent().finish())
}

/// List the people of a room, highest role first
#[utoipa::path(get, path = "/api/v1/rooms/{room}/members", tag = "members", params(("room" = RoomId, Path), ListMembers),
    responses((status = 200, body = PageOf<MemberView>)))]
pub async fn list(
    parts: web::Data<Parts>,
    caller: Caller,
    room: web::Path<RoomId>,
    query: web::Query<ListMembers>,
) -> Result<HttpResponse, Problem> {
    let ListMembers { state, page, limit } = query.into_inner();
    let state = state.unwrap_or(MemberState::Joined);
    if !matches!(state, MemberState::Joined | MemberState::Invited) {
        return Err(Problem::because(Fault::BadRequest, "state is joined or invited."));
    }
    let (found, member) = standing(&parts, caller.0, *room).await?;
    policy::may_read(&found, member.as_ref())?;
    let rows = page_rows(&parts, limit)?;
    people(&parts, *room, state, page.as_deref(), rows).await
}

/// List the people banned from a room; moderators only
#[utoipa::path(get, path = "/api/v1/rooms/{room}/bans", tag = "members", params(("room" = RoomId, Path), ListBans),
    responses((status = 200, body = PageOf<MemberView>)))]
pub async fn bans(
    parts: web::Data<Parts>,
    caller: Caller,
    room: web::Path<RoomId>,
    query: web::Query<ListBans>,
) -> Result<HttpResponse, Problem> {
    let ListBans { page, limit } = query.into_inner();
    let (found, member) = standing(&parts, caller.0, *room).await?;
    policy::may_moderate(&found, member.as_ref(), caller.0.admin)?;
    let rows = page_rows(&parts, limit)?;
    people(&parts, *room, MemberState::Banned, page.as_deref(), rows).await
}

async fn people(
    parts: &Parts,
    room: RoomId,
    state: MemberState,
    page: Option<&str>,
    rows: usize,
) -> Result<HttpResponse, Problem> {
    // A token of one list must not go on in the other.
    let list = if state == MemberState::Banned { "bans" } else { "members" };
    let after = page::place::<(Role, UserId)>(list, page)?;
    let found = parts.read(list, move |db| Box::pin(async move { members::page(db, room, state, after, rows).await })).await?;
    let place = found.items.last().filter(|_| found.more).map(|last| (last.member.role, last.member.user));
    let items = found.items.into_iter().map(|named| MemberView::new(named, state == MemberState::Banned)).collect();
    Ok(HttpResponse::Ok().json(PageOf::new(items, list, place)))
}

/// Give a member a role
#[utoipa::path(patch, path = "/api/v1/rooms/{room}/members/{user}", tag = "members",
    params(("room" = RoomId, Path), ("user" = UserId, Path)), request_body = NewRole, responses((status = 204)))]
pub async fn set_role(
    parts: web::Data<Parts>,
    caller: Caller,
    path: web::Path<(RoomId, UserId)>,
    new: web::Json<NewRole>,
) -> Result<HttpResponse, Problem> {
    let (room, user) = path.into_inner();
    change(&parts, room, caller.0, RoomChange::SetRole { user, role: new.role, reason: reason(new.reason.as_deref())? }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Put a member out; they may come back
#[utoipa::path(delete, path = "/api/v1/rooms/{room}/members/{user}", tag = "members",
    params(("room" = RoomId, Path), ("user" = UserId, Path)), request_body = Option<Why>, responses((status = 204)))]
pub async fn kick(
    parts: web::Data<Parts>,
    caller: Caller,
    path: web::Path<(RoomId, UserId)>,
    _: web::Query<Nothing>,
    Maybe(why): Maybe<Why>,
) -> Result<HttpResponse, Problem> {
    let (room, user) = path.into_inner();
    change(&parts, room, caller.0, RoomChange::Kick { user, reason: why.reason()? }).await?;
    parts.presence.membership_ended(user);
    Ok(HttpResponse::NoContent().finish())
}

/// Put somebody out and keep them out
#[utoipa::path(put, path = "/api/v1/rooms/{room}/bans/{user}", tag = "members",
    params(("room" = RoomId, Path), ("user" = UserId, Path)), request_body = Option<Why>, responses((status = 204)))]
pub async fn ban(
    parts: web::Data<Parts>,
    caller: Caller,
    path: web::Path<(RoomId, UserId)>,
    _: web::Query<Nothing>,
    Maybe(why): Maybe<Why>,
) -> Result<HttpResponse, Problem> {
    let (room, user) = path.into_inner();
    change(&parts, room, caller.0, RoomChange::Ban { user, reason: why.reason()? }).await?;
    parts.presence.membership_ended(user);
    Ok(HttpResponse::NoContent().finish())
}

/// Lift a ban
#[utoipa::path(delete, path = "/api/v1/rooms/{room}/bans/{user}", tag = "members",
    params(("room" = RoomId, Path), ("user" = UserId, Path)), request_body = Option<Why>, responses((status = 204)))]
pub async fn unban(
    parts: web::Data<Parts>,
    caller: Caller,
    path: web::Path<(RoomId, UserId)>,
    Maybe(why): Maybe<Why>,
) -> Result<HttpResponse, Problem> {
    let (room, user) = path.into_inner();
    change(&parts, room, caller.0, RoomChange::Unban { user, reason: why.reason()? }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Make another member the owner; the owner until now becomes a moderator
#[utoipa::path(put, path = "/api/v1/rooms/{room}/owner", tag = "members", params(("room" = RoomId, Path)), request_body = NewOwner,
    responses((status = 204)))]
pub async fn transfer(
    parts: web::Data<Parts>,
    caller: Caller,
    room: web::Path<RoomId>,
    new: web::Json<NewOwner>,
) -> Result<HttpResponse, Problem> {
    change(&parts, *room, caller.0, RoomChange::Transfer { user: new.user, reason: reason(new.reason.as_deref())? }).await?;
    Ok(HttpResponse::NoContent().finish())
}
