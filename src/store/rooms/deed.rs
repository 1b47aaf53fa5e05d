//! Which changes of a room stand in the audit log, and how.

use crate::domain::audit::{AuditAction, AuditEntry};
use crate::domain::ids::UserId;
use crate::domain::member::{Member, Role};
use crate::domain::room::{HistoryRule, Room, RoomChange, RoomKind, RoomSettings};
use crate::domain::text::Reason;
use crate::domain::time::Timestamp;

/// The entry for a change of `room` and of the subject's row in it, both as they were before; `None`: what people do for themselves is nobody's
/// deed on others.
pub(super) fn entry(
    room: &Room,
    actor: UserId,
    (change, subject): (&RoomChange, Option<&Member>),
    now: Timestamp,
) -> Option<AuditEntry> {
    let new = |action| AuditEntry::new(now, Some(actor), action).in_room(room.id).to(change.subject());
    let because = |action, reason: &Option<Reason>| new(action).because(reason.as_ref().map(Reason::as_str));
    Some(match change {
        RoomChange::Uninvite { reason, .. } => {
            let by_themselves = subject.is_some_and(|invited| invited.by == Some(actor));
            (!by_themselves).then(|| because(AuditAction::Uninvited, reason))?
        }
        RoomChange::Kick { reason, .. } => because(AuditAction::Kicked, reason),
        RoomChange::Ban { reason, .. } => because(AuditAction::Banned, reason),
        RoomChange::Unban { reason, .. } => because(AuditAction::Unbanned, reason),
        RoomChange::Silence { until, reason, .. } => {
            because(AuditAction::Silenced, reason).namely(format!("until {}", until.to_rfc3339()))
        }
        RoomChange::Unsilence { reason, .. } => because(AuditAction::Unsilenced, reason),
        RoomChange::SetRole { role, reason, .. } => because(AuditAction::RoleChanged, reason).namely(role_word(*role)),
        RoomChange::Transfer { reason, .. } => because(AuditAction::Transferred, reason),
        RoomChange::Settings(settings) => new(AuditAction::RoomChanged).namely(changed(room, settings)),
        RoomChange::Delete { reason } => because(AuditAction::RoomDeleted, reason),
        RoomChange::CreateLink { link, .. } => new(AuditAction::LinkMade).namely(link.to_string()),
        RoomChange::RevokeLink { link } => new(AuditAction::LinkRevoked).namely(link.to_string()),
        RoomChange::AddFilter { .. } => new(AuditAction::FilterMade),
        RoomChange::RemoveFilter { .. } => new(AuditAction::FilterRemoved),
        RoomChange::Join
        | RoomChange::JoinByLink { .. }
        | RoomChange::Leave
        | RoomChange::Decline
        | RoomChange::Invite { .. } => return None,
    })
}

const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Moderator => "moderator",
        Role::Owner => "owner",
    }
}

/// What of the settings becomes another, with what it becomes.
fn changed(room: &Room, new: &RoomSettings) -> String {
    let mut parts = Vec::new();
    if let Some(name) = new.name.as_ref().filter(|name| name.as_str() != room.name) {
        parts.push(format!("name: {}", name.as_str()));
    }
    if let Some(topic) = new.topic.as_ref().filter(|topic| topic.as_str() != room.topic) {
        parts.push(format!("topic: {}", topic.as_str()));
    }
    if let Some(kind) = new.kind.filter(|kind| *kind != room.kind) {
        let word = match kind {
            RoomKind::Public => "public",
            RoomKind::Private => "private",
            RoomKind::Direct => "direct",
            RoomKind::Group => "group",
        };
        parts.push(format!("kind: {word}"));
    }
    if let Some(history) = new.history.filter(|history| *history != room.history) {
        let word = match history {
            HistoryRule::All => "all",
            HistoryRule::SinceJoining => "since_joining",
        };
        parts.push(format!("history: {word}"));
    }
    if let Some(archived) = new.archived.filter(|archived| *archived != room.archived) {
        parts.push(format!("archived: {archived}"));
    }
    if let Some(slow_mode) = new.slow_mode.filter(|slow_mode| *slow_mode != room.slow_mode) {
        parts.push(format!("slow_mode: {}", slow_mode.seconds()));
    }
    if let Some(posting) = new.posting.filter(|posting| *posting != room.posting) {
        parts.push(format!("posting: {}", role_word(posting)));
    }
    parts.join(", ")
}
