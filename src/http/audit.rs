//! The audit log: what moderators and administrators did.

use std::io;

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::{Admin, Caller};
use super::error::Problem;
use super::input::page_rows;
use super::page::{PageOf, place};
use super::parts::Parts;
use crate::domain::audit::AuditAction;
use crate::domain::fault::Refusal;
use crate::domain::ids::{AuditId, RoomId, UserId};
use crate::domain::user::Actor;
use crate::moderation::handle::Moderation;
use crate::protocol::v1::moderation::AuditEntry;
use crate::store::audit::{Order, Wanted};

const AUDIT: &str = "audit";
/// The media type of lines of JSON.
const NDJSON: &str = "application/x-ndjson";

/// Which entries, and where in their list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct WhichEntries {
    /// What somebody did.
    #[serde(default)]
    actor: Option<UserId>,
    /// What was done to somebody.
    #[serde(default)]
    subject: Option<UserId>,
    /// What was done in a room.
    #[serde(default)]
    room: Option<RoomId>,
    /// Deeds of this sort, such as `kicked`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    action: Option<AuditAction>,
    /// From this instant on, UTC.
    #[serde(default)]
    since: Option<DateTime<Utc>>,
    /// Before this instant, UTC.
    #[serde(default)]
    until: Option<DateTime<Utc>>,
    /// The `next` of the page before.
    #[serde(default)]
    page: Option<String>,
    /// How many entries.
    #[serde(default)]
    limit: Option<usize>,
}

/// Which entries of a room, and where in their list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct WhichOfRoom {
    /// What somebody did.
    #[serde(default)]
    actor: Option<UserId>,
    /// What was done to somebody.
    #[serde(default)]
    subject: Option<UserId>,
    /// Deeds of this sort, such as `kicked`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    action: Option<AuditAction>,
    /// From this instant on, UTC.
    #[serde(default)]
    since: Option<DateTime<Utc>>,
    /// Before this instant, UTC.
    #[serde(default)]
    until: Option<DateTime<Utc>>,
    /// The `next` of the page before.
    #[serde(default)]
    page: Option<String>,
    /// How many entries.
    #[serde(default)]
    limit: Option<usize>,
}

/// Which entries are exported.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// From this instant on, UTC; from the first one if absent.
    #[serde(default)]
    since: Option<DateTime<Utc>>,
    /// Before this instant, UTC; up to the newest if absent.
    #[serde(default)]
    until: Option<DateTime<Utc>>,
}

/// The last line of an export. Without it the export was cut off.
#[derive(Debug, Serialize, ToSchema)]
pub struct End {
    /// Always true.
    end: bool,
    /// How many entries there are before this line.
    entries: u64,
}

/// Read the audit log, newest first
#[utoipa::path(get, path = "/api/v1/admin/audit", tag = "admin", params(WhichEntries),
    responses((status = 200, body = PageOf<AuditEntry>)))]
pub async fn page(
    parts: web::Data<Parts>,
    Admin(admin): Admin,
    query: web::Query<WhichEntries>,
) -> Result<HttpResponse, Problem> {
    let WhichEntries { actor, subject, room, action, since, until, page, limit } = query.into_inner();
    let wanted = Wanted { actor, subject, room, action, since, until };
    let (before, rows) = (place::<AuditId>(AUDIT, page.as_deref())?, page_rows(&parts, limit)?);
    Ok(entries(&parts.moderation.audit(admin, wanted, Order::Newest(before), rows).await?))
}

/// Read what was done in a room, newest first; moderators only
#[utoipa::path(get, path = "/api/v1/rooms/{room}/audit", tag = "moderation", params(("room" = RoomId, Path), WhichOfRoom),
    responses((status = 200, body = PageOf<AuditEntry>)))]
pub async fn of_room(
    parts: web::Data<Parts>,
    caller: Caller,
    room: web::Path<RoomId>,
    query: web::Query<WhichOfRoom>,
) -> Result<HttpResponse, Problem> {
    let WhichOfRoom { actor, subject, action, since, until, page, limit } = query.into_inner();
    let wanted = Wanted { actor, subject, room: Some(*room), action, since, until };
    let (before, rows) = (place::<AuditId>(AUDIT, page.as_deref())?, page_rows(&parts, limit)?);
    let found = parts.moderation.audit_of_room(caller.0, *room, wanted, Order::Newest(before), rows);
    Ok(entries(&found.await?))
}

fn entries(page: &crate::store::Page<crate::domain::audit::AuditEntry>) -> HttpResponse {
    let next = Moderation::next_entry(page);
    HttpResponse::Ok().json(PageOf::new(page.items.iter().map(AuditEntry::from).collect(), AUDIT, next))
}

/// Export the audit log, oldest first: an entry on each line, and a line that says the end
#[utoipa::path(get, path = "/api/v1/admin/audit/export", tag = "admin", params(Span), responses(
    (status = 200, content_type = "application/x-ndjson", description = "Lines of JSON: entries, then one line `{\"end\":true,\"entries\":N}`.", body = End),
))]
pub async fn export(parts: web::Data<Parts>, Admin(admin): Admin, query: web::Query<Span>) -> Result<HttpResponse, Problem> {
    let Span { since, until } = query.into_inner();
    // What is written meanwhile is not in it: so it ends.
    let until = until.unwrap_or_else(|| parts.clock.now());
    let wanted = Wanted { since, until: Some(until), ..Wanted::default() };
    let rows = parts.settings.limits.page_max;
    // The first page is read before anything is answered: what fails at once is a problem, not half an export.
    let first = parts.moderation.audit(admin, wanted, Order::Oldest(None), rows).await?;
    let lines = Lines { moderation: parts.moderation.clone(), admin, wanted, rows, ready: Some(first), entries: 0, after: None };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, NDJSON))
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"audit.ndjson\""))
        .streaming(lines.stream()))
}

/// An export under way. One page is in memory at a time; the next is read when the reader has taken it.
struct Lines {
    moderation: Moderation,
    admin: Actor,
    wanted: Wanted,
    rows: usize,
    /// The page that comes next, if it is read already.
    ready: Option<crate::store::Page<crate::domain::audit::AuditEntry>>,
    entries: u64,
    after: Option<AuditId>,
}

impl Lines {
    /// A failure cuts the answer off, without the line that says the end.
    fn stream(self) -> impl Stream<Item = io::Result<Bytes>> {
        stream::try_unfold(Some(self), |lines| async move {
            match lines {
                Some(lines) => match lines.next().await {
                    Ok(part) => Ok(Some(part)),
                    Err(refusal) => {
                        tracing::warn!(fault = refusal.fault.row().code, "an export of the audit log was cut off");
                        Err(io::Error::other(refusal.fault.row().code))
                    }
                },
                None => Ok(None),
            }
        })
    }

    /// The next page as lines; after the last one the line that says so.
    async fn next(mut self) -> Result<(Bytes, Option<Self>), Refusal> {
        let page = match self.ready.take() {
            Some(page) => page,
            None => self.moderation.audit(self.admin, self.wanted, Order::Oldest(self.after), self.rows).await?,
        };
        self.entries += page.items.len() as u64;
        self.after = page.items.as_slice().last().map(|entry| entry.id).or(self.after);
        let mut text = String::new();
        page.items.iter().for_each(|entry| line(&mut text, &AuditEntry::from(entry)));
        if page.more {
            return Ok((text.into(), Some(self)));
        }
        line(&mut text, &End { end: true, entries: self.entries });
        Ok((text.into(), None))
    }
}

fn line(text: &mut String, value: &impl Serialize) {
    // Plain values always become JSON.
    text.push_str(&serde_json::to_string(value).unwrap_or_default());
    text.push('\n');
}
