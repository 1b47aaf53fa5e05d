//! May somebody post here?

use crate::domain::fault::Fault;
use crate::domain::member::{Member, MemberState};
use crate::domain::room::Room;

/// Decides a post. `member` is the author's row in `room`, if there is one.
///
/// # Errors
/// The fault the author sees. A stranger to a room that is not public learns nothing of it: [`Fault::NotFound`].
pub fn may_post(room: &Room, member: Option<&Member>) -> Result<(), Fault> {
    if room.deleted {
        return Err(Fault::NotFound);
    }
    match member.map(|member| member.state) {
        Some(MemberState::Joined) if room.archived => Err(Fault::RoomArchived),
        Some(MemberState::Joined) => Ok(()),
        Some(MemberState::Banned) => Err(Fault::Banned),
        Some(MemberState::Invited | MemberState::Left) => Err(Fault::NotMember),
        None if room.kind == crate::domain::room::RoomKind::Public => Err(Fault::NotMember),
        None => Err(Fault::NotFound),
    }
}
