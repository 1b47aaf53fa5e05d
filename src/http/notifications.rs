//! Of what I was notified.

use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, Responder};
use serde::Deserialize;
use utoipa::IntoParams;

use super::auth::Caller;
use super::error::Problem;
use super::input::page_rows;
use super::page::{PageOf, place};
use super::parts::Parts;
use crate::domain::order::Revision;
use crate::protocol::v1::own::Notification;
use crate::store::notifications;

const LIST: &str = "me/notifications";

/// Part of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Part {
    /// Only those of messages that I have not read.
    #[serde(default)]
    unread: bool,
    /// `next` of the page before.
    page: Option<String>,
    /// How many at most.
    limit: Option<usize>,
}

/// Of what I was notified, the newest first. Those of deleted messages and of people I block are left out.
#[utoipa::path(get, path = "/api/v1/me/notifications", tag = "notifications", params(Part),
    responses((status = 200, body = PageOf<Notification>)))]
pub async fn list(parts: Data<Parts>, Caller(actor): Caller, part: Query<Part>) -> Result<impl Responder, Problem> {
    let (before, rows) = (place::<Revision>(LIST, part.page.as_deref())?, page_rows(&parts, part.limit)?);
    let (user, unread) = (actor.user, part.unread);
    let read =
        parts.read("notifications", move |db| Box::pin(async move { notifications::page(db, user, unread, before, rows).await }));
    let found = read.await?;
    let next = found.items.last().filter(|_| found.more).map(|last| last.revision);
    let items: Vec<Notification> = found.items.iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(PageOf::new(items, LIST, next)))
}
