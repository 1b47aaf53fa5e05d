//! What a relay asks of the rooms that feed it, in words of its own: delivery does not know rooms. `app` connects the two.

use super::handle::RelayHandle;
use crate::domain::ids::RoomId;
use crate::domain::order::Revision;

/// The other end of a relay's subscriptions.
pub trait Feeds: Send + Sync {
    /// Revisions after `after` have not come, though later ones have: send again from there. Says whether the question was taken; if
    /// not it is asked again with the next envelope of that room.
    fn refill(&self, relay: &RelayHandle, room: RoomId, after: Revision) -> bool;

    /// Nobody on this relay wants this room (any more): stop feeding attachment number `attachment` and those before it. May be lost;
    /// said again with the next envelope that nobody wants.
    fn unwanted(&self, relay: &RelayHandle, room: RoomId, attachment: u64);
}
