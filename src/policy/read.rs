//! May somebody see a room, and from where on?

use crate::domain::fault::Fault;
use crate::domain::member::{Member, MemberState, Role};
use crate::domain::order::{Revision, Seq};
use crate::domain::room::{Room, RoomKind};

/// What a member sees of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The first message; zero: all of them, with the lines of the timeline before the first.
    pub from_seq: Seq,
    /// Membership is continuous from this revision: older cursors are reset (I7).
    pub joined_revision: Revision,
}

impl Sight {
    /// The revision of the first timeline line within it: who sees messages only since joining sees lines only since then, also where no message
    /// had been posted yet.
    #[must_use]
    pub fn first_line(self) -> Revision {
        if self.from_seq > Seq::ZERO { self.joined_revision } else { Revision::ZERO }
    }
}

/// May this person read messages, members and changes of the room?
///
/// # Errors
/// [`Fault::NotFound`] for strangers to a room that is not public and for who left it, [`Fault::Banned`], else [`Fault::NotMember`].
pub fn may_read(room: &Room, member: Option<&Member>) -> Result<Sight, Fault> {
    if room.deleted {
        return Err(Fault::NotFound);
    }
    // Who left is as who never came: rooms in memory do not know them apart.
    let Some(member) = member.filter(|member| member.state != MemberState::Left) else {
        return Err(if room.kind == RoomKind::Public { Fault::NotMember } else { Fault::NotFound });
    };
    match member.state {
        MemberState::Joined => Ok(Sight { from_seq: member.visible_from_seq, joined_revision: member.joined_revision }),
        MemberState::Banned => Err(Fault::Banned),
        MemberState::Invited | MemberState::Left => Err(Fault::NotMember),
    }
}

/// Do those in the room see how far the others have read it? In direct rooms and groups, and in rooms of up to `members_max` members.
#[must_use]
pub fn shows_receipts(room: &Room, members_max: usize) -> bool {
    let small = usize::try_from(room.member_count).is_ok_and(|members| members <= members_max);
    small || matches!(room.kind, RoomKind::Direct | RoomKind::Group)
}

/// May this person know that the room exists, with its name and topic? Public rooms are for everybody, others for whom they concern.
///
/// # Errors
/// [`Fault::NotFound`].
pub fn may_find(room: &Room, member: Option<&Member>) -> Result<(), Fault> {
    let concerned = member.is_some_and(|member| matches!(member.state, MemberState::Joined | MemberState::Invited));
    if !room.deleted && (room.kind == RoomKind::Public || concerned) { Ok(()) } else { Err(Fault::NotFound) }
}

/// May this person see who is banned, and by which links people come in?
///
/// # Errors
/// [`Fault::NotFound`] for strangers to a room that is not public, [`Fault::Banned`], [`Fault::NotMember`], else [`Fault::NotAllowed`].
pub fn may_moderate(room: &Room, member: Option<&Member>, admin: bool) -> Result<(), Fault> {
    if room.deleted {
        return Err(Fault::NotFound);
    }
    if admin && room.kind == RoomKind::Public {
        return Ok(());
    }
    may_read(room, member)?;
    let moderates = member.is_some_and(|member| member.role >= Role::Moderator);
    if moderates && matches!(room.kind, RoomKind::Public | RoomKind::Private) { Ok(()) } else { Err(Fault::NotAllowed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{RoomId, UserId};
    use crate::domain::room::{HistoryRule, SlowMode};
    use chrono::DateTime;

    #[test]
    fn receipts_are_for_small_rooms_and_for_direct_rooms_and_groups_of_any_size() {
        let room = |kind, member_count| Room {
            id: RoomId::generate(),
            kind,
            name: "hall".into(),
            topic: String::new(),
            history: HistoryRule::All,
            archived: false,
            deleted: false,
            created_by: UserId::generate(),
            created_at: DateTime::UNIX_EPOCH,
            last_seq: Seq(0),
            head: Revision(3),
            policy_revision: Revision(1),
            settings_revision: Revision(1),
            last_created_at: DateTime::UNIX_EPOCH,
            member_count,
            slow_mode: SlowMode::OFF,
            posting: Role::Member,
            blocked: false,
            filters_revision: Revision::ZERO,
        };
        let table = [
            (RoomKind::Public, 20, true),
            (RoomKind::Public, 21, false),
            (RoomKind::Private, 20, true),
            (RoomKind::Private, 21, false),
            (RoomKind::Group, 21, true),
            (RoomKind::Direct, 2, true),
        ];
        for (kind, members, shown) in table {
            assert_eq!(shows_receipts(&room(kind, members), 20), shown, "{kind:?} of {members}");
        }
    }
}
