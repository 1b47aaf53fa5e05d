//! How one person stands to another: blocked, muted.

use super::ids::{RoomId, UserId};
use super::order::Revision;
use super::time::Timestamp;

/// What somebody has decided about another person. Nobody else is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Whom it is about.
    pub other: UserId,
    /// Nothing of the other is shown, and they cannot write, invite or mention.
    pub blocked: bool,
    /// Shown as ever, but never a reason to notify.
    pub muted: bool,
    /// When this last changed.
    pub changed_at: Timestamp,
    /// The revision of the person's own stream at which this last changed.
    pub revision: Revision,
    /// The one at which `blocked` last changed.
    pub blocked_revision: Revision,
}

impl Relation {
    /// Nothing was ever decided.
    #[must_use]
    pub const fn none(other: UserId, now: Timestamp) -> Self {
        let (revision, blocked_revision) = (Revision::ZERO, Revision::ZERO);
        Self { other, blocked: false, muted: false, changed_at: now, revision, blocked_revision }
    }
}

/// The rooms a change of what is hidden concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refetch {
    /// These: what is known of them is not what the person now sees.
    Rooms(Vec<RoomId>),
    /// More than a page of the stream holds: every room the person is in.
    Every,
}

/// New values; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelationChange {
    /// Block, or do not.
    pub blocked: Option<bool>,
    /// Mute, or do not.
    pub muted: Option<bool>,
}

impl RelationChange {
    /// Block.
    pub const BLOCK: Self = Self { blocked: Some(true), muted: None };
    /// Block no more.
    pub const UNBLOCK: Self = Self { blocked: Some(false), muted: None };
    /// Mute.
    pub const MUTE: Self = Self { blocked: None, muted: Some(true) };
    /// Mute no more.
    pub const UNMUTE: Self = Self { blocked: None, muted: Some(false) };
}
