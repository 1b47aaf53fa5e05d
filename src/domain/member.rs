//! A person in a room.

use super::ids::{RoomId, UserId};
use super::order::{Revision, Seq};
use super::time::Timestamp;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// What a member may do; later ones may do what earlier ones may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads and posts.
    Member,
    /// Also invites by link, kicks, bans, changes the topic.
    Moderator,
    /// Also renames, archives, deletes, gives roles.
    Owner,
}

/// Where a person stands with a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// Asked in, has not answered.
    Invited,
    /// In.
    Joined,
    /// Went by themselves, or declined, or was put out.
    Left,
    /// Kept out.
    Banned,
}

/// A person in a room, as stored: the newest state of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The room.
    pub room: RoomId,
    /// The person.
    pub user: UserId,
    /// Where they stand.
    pub state: MemberState,
    /// Their role; kept while out, but worth nothing then.
    pub role: Role,
    /// The first message they may read. Zero: all of them, and every line of the timeline; else only the lines since they joined.
    pub visible_from_seq: Seq,
    /// The revision of their latest joining: membership is continuous from there (I7).
    pub joined_revision: Revision,
    /// The room's revision at which this row last changed.
    pub revision: Revision,
    /// The revision of the person's own stream at which this row last changed.
    pub stream_revision: Revision,
    /// Who invited, kicked or banned.
    pub by: Option<UserId>,
    /// Why they were kicked or banned.
    pub reason: Option<String>,
    /// When this row last changed.
    pub changed_at: Timestamp,
    /// Until when they are silenced; it ends by itself, so an instant that has passed means nothing. Kept while out.
    pub silenced_until: Option<Timestamp>,
}

impl Member {
    /// May read and be delivered to.
    #[must_use]
    pub fn is_joined(&self) -> bool {
        self.state == MemberState::Joined
    }

    /// For how long somebody may be silenced at most, in days.
    pub const SILENCE_DAYS_MAX: usize = 366;

    /// Whether a moderator has silenced them, and it has not ended.
    #[must_use]
    pub fn is_silenced(&self, now: Timestamp) -> bool {
        self.silenced_until.is_some_and(|until| until > now)
    }

    /// May a silence that is asked for now last until then?
    #[must_use]
    pub fn may_be_silenced_until(until: Timestamp, now: Timestamp) -> bool {
        let longest = TimeDelta::days(i64::try_from(Self::SILENCE_DAYS_MAX).unwrap_or(i64::MAX));
        until > now && until - now <= longest
    }
}

/// A member with the names a member list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedMember {
    /// The row.
    pub member: Member,
    /// The person's log-in name.
    pub name: String,
    /// How the person is shown.
    pub display_name: String,
}
