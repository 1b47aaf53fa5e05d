//! The audit log: what moderators and administrators did. An entry is written with the deed it tells and never changed.

use super::ids::{AuditId, RoomId, UserId};
use super::order::Seq;
use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// Somebody was put out of a room.
    Kicked,
    /// Somebody was put out of a room for good.
    Banned,
    /// A ban was lifted.
    Unbanned,
    /// Somebody was kept from posting for a while.
    Silenced,
    /// Somebody may post again.
    Unsilenced,
    /// A role was given; `detail` names it.
    RoleChanged,
    /// A room has another owner.
    Transferred,
    /// Settings of a room changed; `detail` names them.
    RoomChanged,
    /// A room was deleted.
    RoomDeleted,
    /// A link into a room was made.
    LinkMade,
    /// A link into a room was stopped.
    LinkRevoked,
    /// Somebody deleted a message of another.
    MessageDeleted,
    /// An account was shut.
    AccountDisabled,
    /// An account was opened again.
    AccountEnabled,
    /// Somebody became an administrator.
    AdminGranted,
    /// Somebody is no administrator any more.
    AdminRevoked,
    /// Somebody was given a new password by the operator.
    PasswordReset,
    /// An invitation to register was made.
    RegistrationMade,
    /// An invitation to register was taken back.
    RegistrationRevoked,
    /// A report was resolved or dismissed; `detail` says which report, and what became of it.
    ReportHandled,
    /// A filter was made; `detail` says which.
    FilterMade,
    /// A filter was removed; `detail` says which.
    FilterRemoved,
    /// What somebody said of themselves was taken away.
    ProfileCleared,
    /// An invitation into a room that another had made was taken back.
    Uninvited,
}

impl AuditAction {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Kicked,
        Self::Banned,
        Self::Unbanned,
        Self::Silenced,
        Self::Unsilenced,
        Self::RoleChanged,
        Self::Transferred,
        Self::RoomChanged,
        Self::RoomDeleted,
        Self::LinkMade,
        Self::LinkRevoked,
        Self::MessageDeleted,
        Self::AccountDisabled,
        Self::AccountEnabled,
        Self::AdminGranted,
        Self::AdminRevoked,
        Self::PasswordReset,
        Self::RegistrationMade,
        Self::RegistrationRevoked,
        Self::ReportHandled,
        Self::FilterMade,
        Self::FilterRemoved,
        Self::ProfileCleared,
        Self::Uninvited,
    ];
}

/// One deed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its name; the order of ids is that of the deeds.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who did it; `None`: the operator, on the command line.
    pub actor: Option<UserId>,
    /// What.
    pub action: AuditAction,
    /// In which room.
    pub room: Option<RoomId>,
    /// To whom.
    pub subject: Option<UserId>,
    /// To which message of the room.
    pub seq: Option<Seq>,
    /// Why, as the actor said.
    pub reason: Option<String>,
    /// What exactly, in words of ours.
    pub detail: Option<String>,
}

impl AuditEntry {
    /// That somebody did something; what else there is to tell is added.
    #[must_use]
    pub fn new(at: Timestamp, actor: Option<UserId>, action: AuditAction) -> Self {
        Self { id: AuditId::at(at), at, actor, action, room: None, subject: None, seq: None, reason: None, detail: None }
    }

    /// In a room.
    #[must_use]
    pub fn in_room(self, room: RoomId) -> Self {
        Self { room: Some(room), ..self }
    }

    /// To somebody.
    #[must_use]
    pub fn to(self, subject: impl Into<Option<UserId>>) -> Self {
        Self { subject: subject.into(), ..self }
    }

    /// To a message.
    #[must_use]
    pub fn message(self, seq: impl Into<Option<Seq>>) -> Self {
        Self { seq: seq.into(), ..self }
    }

    /// For a reason.
    #[must_use]
    pub fn because(self, reason: Option<&str>) -> Self {
        Self { reason: reason.filter(|reason| !reason.is_empty()).map(str::to_owned), ..self }
    }

    /// What exactly.
    #[must_use]
    pub fn namely(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }
}

impl AuditId {
    /// A new id that sorts by this instant: milliseconds as in every UUIDv7, then the rest of the microseconds (RFC 9562 §6.2, method 3).
    #[must_use]
    pub fn at(instant: Timestamp) -> Self {
        let random = Uuid::new_v4().into_bytes();
        Self::made(instant, random)
    }

    /// The lowest of all ids made at this instant or later.
    #[must_use]
    pub fn first_at(instant: Timestamp) -> Self {
        Self::made(instant, [0; 16])
    }

    fn made(instant: Timestamp, random: [u8; 16]) -> Self {
        let millis = u64::try_from(instant.timestamp_millis()).unwrap_or(0);
        // The rest of the millisecond in 4096 parts: each microsecond has parts of its own.
        let part = u64::from(instant.timestamp_subsec_micros() % 1_000) * 4_096 / 1_000;
        let [high, low] = u16::try_from(part).unwrap_or(u16::MAX).to_be_bytes();
        let [.., a, b, c, d, e, f, g, h] = random;
        Self(Builder::from_unix_timestamp_millis(millis, &[high, low, a, b, c, d, e, f, g, h]).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, TimeDelta};

    #[test]
    fn ids_sort_by_time_to_the_microsecond_and_bounds_take_in_their_instant() {
        let noon = DateTime::from_timestamp(1_800_000_000, 999_000_000).unwrap();
        let instants: Vec<_> = (0..3_000).map(|micros| noon + TimeDelta::microseconds(micros)).collect();
        let ids: Vec<_> = instants.iter().map(|at| AuditId::at(*at)).collect();
        assert!(ids.is_sorted());
        for (at, id) in instants.iter().zip(&ids) {
            assert!(AuditId::first_at(*at) <= *id && *id < AuditId::first_at(*at + TimeDelta::microseconds(1)), "{at}");
            assert_eq!(id.0.get_version_num(), 7);
        }
        assert_ne!(AuditId::at(noon), AuditId::at(noon));
    }
}
