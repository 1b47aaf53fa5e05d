//! Reports to moderators.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::auth::Caller;
use super::error::Problem;
use super::input::page_rows;
use super::page::{PageOf, place};
use super::parts::Parts;
use crate::domain::ids::{ReportId, RoomId, UserId};
use crate::domain::order::Seq;
use crate::domain::report::{ReportReason, ReportState};
use crate::moderation::handle::target;
use crate::protocol::v1::moderation::{Report, Reported};
use crate::store::reports::Wanted;

const REPORTS: &str = "reports";

/// What is reported: a message by `room` and `seq`, or a person by `user`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReport {
    /// The message's room.
    #[serde(default)]
    room: Option<RoomId>,
    /// The message.
    #[serde(default)]
    seq: Option<Seq>,
    /// The person; somebody who shares a room with you.
    #[serde(default)]
    user: Option<UserId>,
    /// `spam`, `abuse`, `illegal` or `other`.
    #[schema(value_type = String)]
    reason: ReportReason,
    /// At most 1000 characters.
    #[serde(default)]
    text: Option<String>,
}

/// Which reports, and where in their list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct WhichReports {
    /// `open`, `resolved` or `dismissed`; all if absent.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    state: Option<ReportState>,
    /// Only of messages in this room.
    #[serde(default)]
    room: Option<RoomId>,
    /// The `next` of the page before.
    #[serde(default)]
    page: Option<String>,
    /// How many reports.
    #[serde(default)]
    limit: Option<usize>,
}

/// What became of a report.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// `resolved` or `dismissed`.
    #[schema(value_type = String)]
    state: ReportState,
    /// For other moderators; at most 1000 characters.
    #[serde(default)]
    note: Option<String>,
}

/// Report a message or a person to moderators; whoever is reported does not learn of it
#[utoipa::path(post, path = "/api/v1/reports", tag = "moderation", request_body = NewReport,
    responses((status = 201, body = Reported)))]
pub async fn report(parts: web::Data<Parts>, caller: Caller, new: web::Json<NewReport>) -> Result<HttpResponse, Problem> {
    let NewReport { room, seq, user, reason, text } = new.into_inner();
    let target = target(room, seq, user)?;
    parts.rates.report(caller.0.user)?;
    let report = parts.moderation.report(caller.0, target, reason, text.as_deref()).await?;
    Ok(HttpResponse::Created().json(Reported { report }))
}

/// List the reports that you may judge, oldest first: of messages in rooms you moderate; administrators all
#[utoipa::path(get, path = "/api/v1/reports", tag = "moderation", params(WhichReports),
    responses((status = 200, body = PageOf<Report>)))]
pub async fn list(parts: web::Data<Parts>, caller: Caller, query: web::Query<WhichReports>) -> Result<HttpResponse, Problem> {
    let WhichReports { state, room, page, limit } = query.into_inner();
    let (after, rows) = (place::<ReportId>(REPORTS, page.as_deref())?, page_rows(&parts, limit)?);
    let found = parts.moderation.reports(caller.0, Wanted { state, room }, after, rows).await?;
    let next = found.items.as_slice().last().map(|report| report.id).filter(|_| found.more);
    Ok(HttpResponse::Ok().json(PageOf::new(found.items.iter().map(Report::from).collect(), REPORTS, next)))
}

/// Look at a report
#[utoipa::path(get, path = "/api/v1/reports/{report}", tag = "moderation", params(("report" = ReportId, Path)),
    responses((status = 200, body = Report)))]
pub async fn get(parts: web::Data<Parts>, caller: Caller, report: web::Path<ReportId>) -> Result<HttpResponse, Problem> {
    let report = parts.moderation.one_report(caller.0, *report).await?;
    Ok(HttpResponse::Ok().json(Report::from(&report)))
}

/// Say what became of a report
#[utoipa::path(patch, path = "/api/v1/reports/{report}", tag = "moderation", params(("report" = ReportId, Path)),
    request_body = Outcome, responses((status = 200, body = Report)))]
pub async fn handle(
    parts: web::Data<Parts>,
    caller: Caller,
    report: web::Path<ReportId>,
    outcome: web::Json<Outcome>,
) -> Result<HttpResponse, Problem> {
    let Outcome { state, note } = outcome.into_inner();
    let report = parts.moderation.handle_report(caller.0, *report, state, note.as_deref()).await?;
    Ok(HttpResponse::Ok().json(Report::from(&report)))
}
