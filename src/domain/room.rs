//! Rooms and the changes one may ask of them.

use super::fault::Fault;
use super::filter::FilterRule;
use super::ids::{FilterId, LinkId, RoomId, UserId};
use super::member::Role;
use super::order::{Revision, Seq};
use super::text::{Reason, RoomName, Topic};
use super::time::Timestamp;
use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What sort of room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    /// Listed; anybody may join.
    Public,
    /// Not listed; by invitation or link.
    Private,
    /// Two people; one room per pair, made on the first message.
    Direct,
    /// A few people; no roles, each creation a new one.
    Group,
}

/// What of the past a new member may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryRule {
    /// All of it.
    All,
    /// Only what is posted after joining.
    SinceJoining,
}

/// How long a member below moderator waits between two posts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlowMode(u64);

impl SlowMode {
    /// The longest, in seconds.
    pub const MAX_S: usize = 6 * 60 * 60;

    /// Nobody waits.
    pub const OFF: Self = Self(0);

    /// So many seconds; 0 is off.
    ///
    /// # Errors
    /// [`Fault::BadRequest`] above [`SlowMode::MAX_S`].
    pub fn parse(seconds: u64) -> Result<Self, Fault> {
        let fits = usize::try_from(seconds).is_ok_and(|seconds| seconds <= Self::MAX_S);
        if fits { Ok(Self(seconds)) } else { Err(Fault::BadRequest) }
    }

    /// As seconds.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// How long somebody who posted last at `last` has still to wait; `None`: they may post. Never longer than the pause itself, even if
    /// the clock was set back.
    #[must_use]
    pub fn rest(self, last: Timestamp, now: Timestamp) -> Option<Duration> {
        let pause = Duration::from_secs(self.0);
        let passed = (now - last).to_std().unwrap_or(Duration::ZERO);
        pause.checked_sub(passed).filter(|rest| !rest.is_zero())
    }
}

/// A room as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Which.
    pub id: RoomId,
    /// What sort.
    pub kind: RoomKind,
    /// Name; empty for direct and group rooms.
    pub name: String,
    /// Topic line; may be empty.
    pub topic: String,
    /// What of the past a new member may read.
    pub history: HistoryRule,
    /// Nobody may post while set.
    pub archived: bool,
    /// The room is gone; only its number series stays.
    pub deleted: bool,
    /// Who made it.
    pub created_by: UserId,
    /// When it was made.
    pub created_at: Timestamp,
    /// Number of its newest message.
    pub last_seq: Seq,
    /// Its newest committed change: the room's `head`.
    pub head: Revision,
    /// Raised by every change that affects who may post (I10).
    pub policy_revision: Revision,
    /// The revision at which name, topic, kind, rule or archive state last changed.
    pub settings_revision: Revision,
    /// `created_at` of the newest message; the next is never earlier (I1).
    pub last_created_at: Timestamp,
    /// How many have joined.
    pub member_count: u64,
    /// The pause between two posts of a member; not for moderators and owners.
    pub slow_mode: SlowMode,
    /// The least role that may post: above member the room is read-only for members.
    pub posting: Role,
    /// A direct room in which one blocks the other: nobody posts. Nobody is told which of them.
    pub blocked: bool,
    /// The revision at which its filters last changed; who decides posts with older ones may not claim it (I10).
    pub filters_revision: Revision,
}

/// A change of a room or its membership that somebody asks for. Decided and carried out inside one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomChange {
    /// The asking person joins: a public room, or on an invitation.
    Join,
    /// The asking person joins by a link's secret (already hashed).
    JoinByLink {
        /// SHA-256 of the link's secret.
        secret_hash: [u8; 32],
    },
    /// The asking person leaves.
    Leave,
    /// The asking person turns an invitation down.
    Decline,
    /// Invite somebody.
    Invite {
        /// Whom.
        user: UserId,
    },
    /// Take an invitation back.
    Uninvite {
        /// Whose.
        user: UserId,
        /// Why, for the audit log.
        reason: Option<Reason>,
    },
    /// Put a member out; they may come back.
    Kick {
        /// Whom.
        user: UserId,
        /// Why, shown in the timeline.
        reason: Option<Reason>,
    },
    /// Put somebody out and keep them out.
    Ban {
        /// Whom; need not be a member.
        user: UserId,
        /// Why, shown to moderators.
        reason: Option<Reason>,
    },
    /// Lift a ban.
    Unban {
        /// Whose.
        user: UserId,
        /// Why, for the audit log.
        reason: Option<Reason>,
    },
    /// Keep somebody from posting for a while; they read on. Made by [`RoomChange::silence`].
    Silence {
        /// Whom; somebody who is, or was, in the room.
        user: UserId,
        /// Until when.
        until: Timestamp,
        /// Why, shown in the timeline.
        reason: Option<Reason>,
    },
    /// End a silence before its time.
    Unsilence {
        /// Whose.
        user: UserId,
        /// Why, for the audit log.
        reason: Option<Reason>,
    },
    /// Give a member a role below owner.
    SetRole {
        /// Whose.
        user: UserId,
        /// Which.
        role: Role,
        /// Why, for the audit log.
        reason: Option<Reason>,
    },
    /// Make another member the owner; the asking owner becomes moderator.
    Transfer {
        /// To whom.
        user: UserId,
        /// Why, for the audit log.
        reason: Option<Reason>,
    },
    /// Change settings; only what is present changes.
    Settings(RoomSettings),
    /// Delete the room for everybody.
    Delete {
        /// Why, for the audit log.
        reason: Option<Reason>,
    },
    /// Make a link that invites.
    CreateLink {
        /// The link's name in lists.
        link: LinkId,
        /// SHA-256 of its secret.
        secret_hash: [u8; 32],
        /// When it stops working.
        expires_at: Option<Timestamp>,
        /// How often it works.
        max_uses: Option<u32>,
    },
    /// Stop a link.
    RevokeLink {
        /// Which.
        link: LinkId,
    },
    /// Forbid words or links in the room, or have moderators hear of them.
    AddFilter {
        /// The filter's name in lists.
        filter: FilterId,
        /// What it does.
        rule: FilterRule,
    },
    /// Take a filter of the room away.
    RemoveFilter {
        /// Which.
        filter: FilterId,
    },
}

impl RoomChange {
    /// A silence as somebody asks for it. The instant is cut to what is stored, so that asking again finds it done (I3).
    ///
    /// # Errors
    /// Those of a reason.
    pub fn silence(user: UserId, until: DateTime<Utc>, reason: Option<&str>) -> Result<Self, Fault> {
        let reason = reason.map(Reason::parse).transpose()?;
        Ok(Self::Silence { user, until: until.trunc_subsecs(6), reason })
    }

    /// The other person it is about, where there is one.
    #[must_use]
    pub const fn subject(&self) -> Option<UserId> {
        match self {
            Self::Invite { user }
            | Self::Uninvite { user, .. }
            | Self::Kick { user, .. }
            | Self::Ban { user, .. }
            | Self::Unban { user, .. }
            | Self::Silence { user, .. }
            | Self::Unsilence { user, .. }
            | Self::SetRole { user, .. }
            | Self::Transfer { user, .. } => Some(*user),
            Self::Join
            | Self::JoinByLink { .. }
            | Self::Leave
            | Self::Decline
            | Self::Settings(_)
            | Self::Delete { .. }
            | Self::CreateLink { .. }
            | Self::RevokeLink { .. }
            | Self::AddFilter { .. }
            | Self::RemoveFilter { .. } => None,
        }
    }
}

/// New values for a room's settings; `None` leaves one as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomSettings {
    /// The name.
    pub name: Option<RoomName>,
    /// The topic line.
    pub topic: Option<Topic>,
    /// Public or private; direct and group rooms keep theirs.
    pub kind: Option<RoomKind>,
    /// What of the past later members may read.
    pub history: Option<HistoryRule>,
    /// Close or open the room for posts.
    pub archived: Option<bool>,
    /// The pause between two posts of a member.
    pub slow_mode: Option<SlowMode>,
    /// The least role that may post.
    pub posting: Option<Role>,
}

/// A link that invites into a room, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomLink {
    /// Which.
    pub id: LinkId,
    /// Into which room.
    pub room: RoomId,
    /// Who made it.
    pub created_by: UserId,
    /// When.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// How often it works in all.
    pub max_uses: Option<u32>,
    /// How often it was used.
    pub uses: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn slow_mode_tells_the_rest_of_the_pause_and_never_more_than_the_pause() {
        let slow = SlowMode::parse(10).unwrap();
        let last = DateTime::UNIX_EPOCH;
        let after = |millis: i64| slow.rest(last, last + TimeDelta::milliseconds(millis)).map(|rest| rest.as_millis());
        let cases =
            [(0, Some(10_000)), (1, Some(9_999)), (9_999, Some(1)), (10_000, None), (60_000, None), (-60_000, Some(10_000))];
        for (millis, rest) in cases {
            assert_eq!(after(millis), rest, "{millis} ms after the last post");
        }
        assert_eq!(SlowMode::OFF.rest(last, last), None);
    }

    #[test]
    fn slow_mode_has_a_longest_pause() {
        let longest = SlowMode::MAX_S as u64;
        assert_eq!(SlowMode::parse(longest).map(SlowMode::seconds), Ok(longest));
        assert_eq!(SlowMode::parse(longest + 1), Err(Fault::BadRequest));
    }
}
