//! The threads I follow.

use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, Responder};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Caller;
use super::error::Problem;
use super::input::page_rows;
use super::page::{PageOf, place};
use super::parts::Parts;
use crate::domain::ids::RoomId;
use crate::domain::order::Seq;
use crate::store::following::{self, Followed, Place};

const LIST: &str = "me/threads";

/// Part of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Part {
    /// `next` of the page before.
    page: Option<String>,
    /// How many at most.
    limit: Option<usize>,
}

/// A thread I follow.
#[derive(Serialize, ToSchema)]
pub struct FollowedThread {
    /// Its room.
    room: RoomId,
    /// Its first message.
    #[schema(value_type = u64)]
    thread: Seq,
    /// Messages behind the first that are not deleted.
    replies: u64,
    /// The newest message in it, deleted or not.
    #[schema(value_type = u64)]
    last: Seq,
    /// When that was said.
    last_at: DateTime<Utc>,
    /// Replies I have not read, without mine and those of people I block.
    unread: u64,
}

impl From<&Followed> for FollowedThread {
    fn from(of: &Followed) -> Self {
        let Followed { room, first, thread, last_at, unread } = *of;
        Self { room, thread: first, replies: thread.count, last: thread.last, last_at, unread }
    }
}

/// The threads I follow, in rooms I am in, the one with the newest reply first. I follow what I began, replied in, or said yes to.
#[utoipa::path(get, path = "/api/v1/me/threads", tag = "reading", params(Part), responses((status = 200, body = PageOf<FollowedThread>)))]
pub async fn list(parts: Data<Parts>, Caller(actor): Caller, part: Query<Part>) -> Result<impl Responder, Problem> {
    let (before, rows) = (place::<Place>(LIST, part.page.as_deref())?, page_rows(&parts, part.limit)?);
    let user = actor.user;
    let read = parts.read("followed_threads", move |db| Box::pin(async move { following::page(db, user, before, rows).await }));
    let found = read.await?;
    let next = found.items.last().filter(|_| found.more).map(Followed::place);
    let items: Vec<FollowedThread> = found.items.iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(PageOf::new(items, LIST, next)))
}
