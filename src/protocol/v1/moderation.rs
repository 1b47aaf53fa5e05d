//! Reports, filters and the audit log, as JSON: in replies to commands and in REST.

use crate::domain::audit::{self, AuditAction};
use crate::domain::filter::{self, FilterAction, FilterKind};
use crate::domain::ids::{AuditId, FilterId, ReportId, RoomId, UserId};
use crate::domain::order::Seq;
use crate::domain::report::{self, ReportReason, ReportState, ReportTarget};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// Something that a moderator or an administrator did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Which entry; ids sort by time.
    #[schema(value_type = String, format = Uuid)]
    pub id: AuditId,
    /// When, UTC.
    pub at: DateTime<Utc>,
    /// Who did it; absent: the operator, on the command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid)]
    pub actor: Option<UserId>,
    /// What.
    #[schema(value_type = String)]
    pub action: AuditAction,
    /// In which room.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid)]
    pub room: Option<RoomId>,
    /// To whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid)]
    pub subject: Option<UserId>,
    /// To which message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub seq: Option<Seq>,
    /// Why, as they said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What exactly; for people to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl From<&audit::AuditEntry> for AuditEntry {
    fn from(entry: &audit::AuditEntry) -> Self {
        let audit::AuditEntry { id, at, actor, action, room, subject, seq, reason, detail } = entry.clone();
        Self { id, at, actor, action, room, subject, seq, reason, detail }
    }
}

/// A report, for those who may judge it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Report {
    /// Which.
    #[schema(value_type = String, format = Uuid)]
    pub id: ReportId,
    /// `open`, `resolved` or `dismissed`.
    #[schema(value_type = String)]
    pub state: ReportState,
    /// Who reported; absent: the server itself, by a filter or the filter hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid)]
    pub reporter: Option<UserId>,
    /// Who is reported: the person, or the message's author.
    #[schema(value_type = String, format = Uuid)]
    pub user: UserId,
    /// The message's room, where a message is reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid)]
    pub room: Option<RoomId>,
    /// The message's number there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub seq: Option<Seq>,
    /// `spam`, `abuse`, `illegal`, `other`; by the server `filter` or `hook`.
    #[schema(value_type = String)]
    pub reason: ReportReason,
    /// The reporter's words; the pattern that matched; what the hook says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The message and those around it as they were when it was reported, as far as the reporter saw them.
    pub context: Vec<Quoted>,
    /// When it was reported, UTC.
    pub created_at: DateTime<Utc>,
    /// When its state was set last, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handled_at: Option<DateTime<Utc>>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid)]
    pub handled_by: Option<UserId>,
    /// What they noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl From<&report::Report> for Report {
    fn from(report: &report::Report) -> Self {
        let (room, seq) = match report.target {
            ReportTarget::Message { room, seq } => (Some(room), Some(seq)),
            ReportTarget::Person(_) => (None, None),
        };
        Self {
            id: report.id,
            state: report.state,
            reporter: report.reporter,
            user: report.subject,
            room,
            seq,
            reason: report.reason,
            text: report.text.clone(),
            context: report.context.iter().map(Into::into).collect(),
            created_at: report.created_at,
            handled_at: report.handled_at,
            handled_by: report.handled_by,
            note: report.note.clone(),
        }
    }
}

/// A message as it was when it, or one near it, was reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Quoted {
    /// Its number.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// Who said it.
    #[schema(value_type = String, format = Uuid)]
    pub author: UserId,
    /// What.
    pub text: String,
    /// When, UTC.
    pub created_at: DateTime<Utc>,
}

impl From<&report::Quoted> for Quoted {
    fn from(quoted: &report::Quoted) -> Self {
        Self { seq: quoted.seq, author: quoted.author, text: quoted.text.clone(), created_at: quoted.created_at }
    }
}

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Filter {
    /// Which.
    #[schema(value_type = String, format = Uuid)]
    pub id: FilterId,
    /// In which room it holds; absent: in every room.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid)]
    pub room: Option<RoomId>,
    /// `word` or `link`.
    #[schema(value_type = String)]
    pub kind: FilterKind,
    /// What is looked for.
    pub pattern: String,
    /// `refuse` or `report`.
    #[schema(value_type = String)]
    pub action: FilterAction,
    /// Who made it.
    #[schema(value_type = String, format = Uuid)]
    pub created_by: UserId,
    /// When, UTC.
    pub created_at: DateTime<Utc>,
}

impl From<&filter::Filter> for Filter {
    fn from(filter: &filter::Filter) -> Self {
        Self {
            id: filter.id,
            room: filter.room,
            kind: filter.rule.kind,
            pattern: filter.rule.pattern.clone(),
            action: filter.rule.action,
            created_by: filter.created_by,
            created_at: filter.created_at,
        }
    }
}

/// That something was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reported {
    /// The report that is open now.
    #[schema(value_type = String, format = Uuid)]
    pub report: ReportId,
}

/// Part of a list, in reply to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part<T, Id> {
    /// Some of it, in order.
    pub items: Vec<T>,
    /// Send this as `before` or `after`, as the command has it, to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Id>,
}
