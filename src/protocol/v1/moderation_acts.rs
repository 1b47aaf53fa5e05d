//! The commands of moderation. In each list `after` or `before` is the `next` of the part before.

use crate::domain::audit::AuditAction;
use crate::domain::filter::{FilterAction, FilterKind};
use crate::domain::ids::{AuditId, FilterId, ReportId, RoomId, UserId};
use crate::domain::order::Seq;
use crate::domain::report::{ReportReason, ReportState};
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// `report`: a message by `room` and `seq`, or a person by `user`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The message's room.
    #[serde(default)]
    pub room: Option<RoomId>,
    /// The message.
    #[serde(default)]
    pub seq: Option<Seq>,
    /// The person.
    #[serde(default)]
    pub user: Option<UserId>,
    /// What is wrong.
    pub reason: ReportReason,
    /// In the reporter's words.
    #[serde(default)]
    pub text: Option<String>,
}

/// `reports`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reports {
    /// Only those in this state.
    #[serde(default)]
    pub state: Option<ReportState>,
    /// Only those of this room.
    #[serde(default)]
    pub room: Option<RoomId>,
    /// Those after this one.
    #[serde(default)]
    pub after: Option<ReportId>,
    /// How many at most.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// `get_report`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GetReport {
    /// Which.
    pub report: ReportId,
}

/// `handle_report`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandleReport {
    /// Which.
    pub report: ReportId,
    /// `resolved` or `dismissed`.
    pub state: ReportState,
    /// For other moderators.
    #[serde(default)]
    pub note: Option<String>,
}

/// `audit`: without a room all of it, for administrators.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// What was done in a room.
    #[serde(default)]
    pub room: Option<RoomId>,
    /// What somebody did.
    #[serde(default)]
    pub actor: Option<UserId>,
    /// What was done to somebody.
    #[serde(default)]
    pub subject: Option<UserId>,
    /// Deeds of this sort.
    #[serde(default)]
    pub action: Option<AuditAction>,
    /// From this instant on.
    #[serde(default)]
    pub since: Option<DateTime<Utc>>,
    /// Before this instant.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
    /// Those before this entry: the newest come first.
    #[serde(default)]
    pub before: Option<AuditId>,
    /// How many at most.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// `filters`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filters {
    /// Of which room; absent: those that hold everywhere.
    #[serde(default)]
    pub room: Option<RoomId>,
}

/// `add_filter`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddFilter {
    /// In which room; absent: everywhere.
    #[serde(default)]
    pub room: Option<RoomId>,
    /// The filter's name, a UUID of the sender's; the same on every retry.
    pub filter: FilterId,
    /// `word` or `link`.
    pub kind: FilterKind,
    /// What is looked for.
    pub pattern: String,
    /// `refuse` or `report`.
    pub action: FilterAction,
}

/// `remove_filter`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveFilter {
    /// Of which room; absent: one that holds everywhere.
    #[serde(default)]
    pub room: Option<RoomId>,
    /// Which.
    pub filter: FilterId,
}
