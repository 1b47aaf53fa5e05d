//! Ways into a room: invitations of people, and links.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Caller;
use super::error::Problem;
use super::idempotency;
use super::input::Maybe;
use super::members::Why;
use super::parts::Parts;
use super::rooms::{RoomView, after, change, standing};
use crate::auth::secret::Secret;
use crate::domain::fault::Fault;
use crate::domain::ids::{LinkId, RoomId, UserId};
use crate::domain::room::{RoomChange, RoomLink};
use crate::policy;
use crate::store::links;

/// A link to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// How long it works; as long as the server allows if absent.
    #[serde(default)]
    expires_in_s: Option<u64>,
    /// How often it works; without limit if absent.
    #[serde(default)]
    max_uses: Option<u32>,
}

/// A link that invites.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkView {
    /// Its name in lists.
    id: LinkId,
    /// Who made it.
    created_by: UserId,
    /// When, UTC.
    created_at: DateTime<Utc>,
    /// When it stops working, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
    /// How often it works in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_uses: Option<u32>,
    /// How often it was used.
    uses: u32,
    /// What to hand to people; answered only to whoever makes the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl LinkView {
    fn new(link: &RoomLink, secret: Option<String>) -> Self {
        let RoomLink { id, created_by, created_at, expires_at, max_uses, uses, .. } = *link;
        Self { id, created_by, created_at, expires_at, max_uses, uses, secret }
    }
}

/// The links of a room.
#[derive(Debug, Serialize, ToSchema)]
pub struct Links {
    /// Oldest first; their number is limited.
    items: Vec<LinkView>,
}

/// A link's secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Redeem {
    /// As it was handed out.
    secret: String,
}

/// Invite somebody
#[utoipa::path(put, path = "/api/v1/rooms/{room}/invitations/{user}", tag = "invitations",
    params(("room" = RoomId, Path), ("user" = UserId, Path)), responses((status = 204)))]
pub async fn invite(parts: web::Data<Parts>, caller: Caller, path: web::Path<(RoomId, UserId)>) -> Result<HttpResponse, Problem> {
    let (room, user) = path.into_inner();
    change(&parts, room, caller.0, RoomChange::Invite { user }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Take an invitation back: one's own, or as a moderator any
#[utoipa::path(delete, path = "/api/v1/rooms/{room}/invitations/{user}", tag = "invitations",
    params(("room" = RoomId, Path), ("user" = UserId, Path)), request_body = Option<Why>, responses((status = 204)))]
pub async fn uninvite(
    parts: web::Data<Parts>,
    caller: Caller,
    path: web::Path<(RoomId, UserId)>,
    Maybe(why): Maybe<Why>,
) -> Result<HttpResponse, Problem> {
    let (room, user) = path.into_inner();
    change(&parts, room, caller.0, RoomChange::Uninvite { user, reason: why.reason()? }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Turn an invitation down
#[utoipa::path(delete, path = "/api/v1/me/invitations/{room}", tag = "invitations", params(("room" = RoomId, Path)),
    responses((status = 204)))]
pub async fn decline(parts: web::Data<Parts>, caller: Caller, room: web::Path<RoomId>) -> Result<HttpResponse, Problem> {
    change(&parts, *room, caller.0, RoomChange::Decline).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Make a link that invites; moderators only
#[utoipa::path(post, path = "/api/v1/rooms/{room}/links", tag = "invitations",
    params(("room" = RoomId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeated with the same key, the same link is answered.")),
    request_body = NewLink, responses((status = 201, body = LinkView)))]
pub async fn create_link(
    parts: web::Data<Parts>,
    caller: Caller,
    request: HttpRequest,
    room: web::Path<RoomId>,
    new: web::Json<NewLink>,
) -> Result<HttpResponse, Problem> {
    let longest = parts.settings.limits.invite_link_ttl_max;
    let life = new.expires_in_s.map_or(longest, std::time::Duration::from_secs);
    if life.is_zero() || life > longest {
        return Err(Problem::because(Fault::BadRequest, format!("expires_in_s is from 1 to {}.", longest.as_secs())));
    }
    if new.max_uses == Some(0) {
        return Err(Problem::because(Fault::BadRequest, "max_uses is at least 1."));
    }
    let life = TimeDelta::from_std(life).map_err(|_| Fault::BadRequest)?;
    let link = LinkId(idempotency::new_id(&parts, &request, caller.0.user, &new).await?);
    let secret = parts.link_secrets.of(link);
    let expires_at = parts.clock.now().checked_add_signed(life);
    let create = RoomChange::CreateLink { link, secret_hash: secret.hash(), expires_at, max_uses: new.max_uses };
    change(&parts, *room, caller.0, create).await?;
    // Read again: a repeat answers the link as it was made first.
    let made = of(&parts, *room).await?.into_iter().find(|made| made.id == link).ok_or(Fault::NotFound)?;
    Ok(HttpResponse::Created().json(LinkView::new(&made, Some(secret.expose()))))
}

/// List a room's links; moderators only
#[utoipa::path(get, path = "/api/v1/rooms/{room}/links", tag = "invitations", params(("room" = RoomId, Path)),
    responses((status = 200, body = Links)))]
pub async fn list_links(parts: web::Data<Parts>, caller: Caller, room: web::Path<RoomId>) -> Result<HttpResponse, Problem> {
    let (found, member) = standing(&parts, caller.0, *room).await?;
    policy::may_moderate(&found, member.as_ref(), caller.0.admin)?;
    let items = of(&parts, *room).await?.iter().map(|link| LinkView::new(link, None)).collect();
    Ok(HttpResponse::Ok().json(Links { items }))
}

/// Stop a link; moderators only
#[utoipa::path(delete, path = "/api/v1/rooms/{room}/links/{link}", tag = "invitations",
    params(("room" = RoomId, Path), ("link" = LinkId, Path)), responses((status = 204)))]
pub async fn revoke_link(
    parts: web::Data<Parts>,
    caller: Caller,
    path: web::Path<(RoomId, LinkId)>,
) -> Result<HttpResponse, Problem> {
    let (room, link) = path.into_inner();
    change(&parts, room, caller.0, RoomChange::RevokeLink { link }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Join a room by a link's secret
#[utoipa::path(post, path = "/api/v1/links/redeem", tag = "invitations", request_body = Redeem,
    responses((status = 200, body = RoomView)))]
pub async fn redeem(parts: web::Data<Parts>, caller: Caller, link: web::Json<Redeem>) -> Result<HttpResponse, Problem> {
    let secret = Secret::parse(&link.secret).ok_or(Fault::InvitationInvalid)?;
    let secret_hash = secret.hash();
    let room = parts.read("link", move |db| Box::pin(async move { links::find(db, &secret_hash).await })).await?;
    let room = room.ok_or(Fault::InvitationInvalid)?;
    let changed = change(&parts, room, caller.0, RoomChange::JoinByLink { secret_hash }).await?;
    Ok(HttpResponse::Ok().json(after(&parts, caller.0, changed).await?))
}

async fn of(parts: &Parts, room: RoomId) -> Result<Vec<RoomLink>, Problem> {
    parts.read("links", move |db| Box::pin(async move { links::of(db, room).await })).await
}
