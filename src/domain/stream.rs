//! The user stream: what is a person's own, numbered for them alone (I7).

use super::draft::Draft;
use super::member::Member;
use super::notification::Notification;
use super::order::Revision;
use super::preference::{Preferences, RoomPreferences, ThreadPreferences};
use super::profile::OwnProfile;
use super::reading::ReadMark;
use super::relation::{Refetch, Relation};
use super::room::Room;
use super::user::User;

/// A person's standing in a room, with what they need to show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The row; its `stream_revision` is the revision of this item.
    pub member: Member,
    /// The room as it was when this was read. Name and topic are empty where the person may no longer know them.
    pub room: Room,
    /// The other people of a direct or group room.
    pub people: Vec<User>,
}

/// One thing of the user stream. Every item is an upsert, and no two of a person's lie at the same revision: a page may end behind any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamItem {
    /// A standing in a room; keyed by the room.
    Membership(Box<Membership>),
    /// Name, display name, and what the person says of themselves.
    Profile(Box<OwnProfile>),
    /// How the person stands to another; keyed by the other.
    Relation {
        /// The row.
        relation: Relation,
        /// What to fetch again, where it became hidden or came back since what the reader knows.
        refetch: Option<Refetch>,
    },
    /// Up to where the person has read a room; keyed by the room.
    ReadMark(ReadMark),
    /// What the person prefers of a room; keyed by the room.
    RoomPreferences(RoomPreferences),
    /// What the person prefers of a thread; keyed by room and thread.
    ThreadPreferences(ThreadPreferences),
    /// What the person prefers altogether.
    Preferences(Box<Preferences>),
    /// What the person has begun to write; keyed by room and thread.
    Draft(Draft),
    /// Of what the person was notified; keyed by room and message.
    Notification(Notification),
}

impl StreamItem {
    /// The stream revision this item has now.
    #[must_use]
    pub fn revision(&self) -> Revision {
        match self {
            Self::Membership(membership) => membership.member.stream_revision,
            Self::Profile(own) => own.revision,
            Self::Relation { relation, .. } => relation.revision,
            Self::ReadMark(mark) => mark.revision,
            Self::RoomPreferences(of) => of.revision,
            Self::ThreadPreferences(of) => of.revision,
            Self::Preferences(of) => of.revision,
            Self::Draft(draft) => draft.revision,
            Self::Notification(of) => of.revision,
        }
    }
}

/// Consecutive revisions of a user stream, (from, to], with the newest state of everything that changed in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserChanges {
    /// The revision before the first one covered.
    pub from: Revision,
    /// The last one covered.
    pub to: Revision,
    /// By revision.
    pub items: Vec<StreamItem>,
}
