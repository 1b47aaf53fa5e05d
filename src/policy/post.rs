//! May somebody post here?

use crate::domain::fault::Fault;
use crate::domain::member::{Member, MemberState};
use crate::domain::room::{Room, RoomKind};

/// Decides a post. `member` is the author's row in `room`, if there is one.
///
/// # Errors
/// The fault the author sees. A stranger to a room that is not public, or who has left it, learns nothing of it: [`Fault::NotFound`].
pub fn may_post(room: &Room, member: Option<&Member>) -> Result<(), Fault> {
    if room.deleted {
        return Err(Fault::NotFound);
    }
    match member.map(|member| member.state) {
        Some(MemberState::Joined) if room.archived => Err(Fault::RoomArchived),
        Some(MemberState::Joined) => Ok(()),
        Some(MemberState::Banned) => Err(Fault::Banned),
        Some(MemberState::Invited) => Err(Fault::NotMember),
        // Who left is as who never came: rooms in memory do not know them apart.
        Some(MemberState::Left) | None if room.kind == RoomKind::Public => Err(Fault::NotMember),
        Some(MemberState::Left) | None => Err(Fault::NotFound),
    }
}
