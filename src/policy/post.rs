//! May somebody post here?

use crate::domain::fault::Fault;
use crate::domain::member::{Member, MemberState};
use crate::domain::room::{Room, RoomKind};
use crate::domain::time::Timestamp;

/// Decides a post, and all else that is a way of posting: editing, pinning, typing. `member` is the author's row in `room`, if there is one.
///
/// Slow mode is not asked here: it goes by the author's last post, which is known under the room's lock alone.
///
/// # Errors
/// The fault the author sees. A stranger to a room that is not public, or who has left it, learns nothing of it: [`Fault::NotFound`].
pub fn may_post(room: &Room, member: Option<&Member>, now: Timestamp) -> Result<(), Fault> {
    may_react(room, member, now)?;
    let posts = member.is_some_and(|member| member.role >= room.posting);
    if posts { Ok(()) } else { Err(Fault::NotAllowed) }
}

/// Decides a reaction: where only some may post, all who are not silenced may react.
///
/// # Errors
/// Those of [`may_post`], save that the least role that posts is not asked.
pub fn may_react(room: &Room, member: Option<&Member>, now: Timestamp) -> Result<(), Fault> {
    if room.deleted {
        return Err(Fault::NotFound);
    }
    // Who left is as who never came: rooms in memory do not know them apart.
    let Some(member) = member.filter(|member| member.state != MemberState::Left) else {
        return Err(if room.kind == RoomKind::Public { Fault::NotMember } else { Fault::NotFound });
    };
    match member.state {
        MemberState::Banned => Err(Fault::Banned),
        MemberState::Invited | MemberState::Left => Err(Fault::NotMember),
        MemberState::Joined if room.archived => Err(Fault::RoomArchived),
        // The same for both, so that nobody writes to somebody whose answer they do not take.
        MemberState::Joined if room.blocked => Err(Fault::NotAllowed),
        MemberState::Joined if member.is_silenced(now) => Err(Fault::Silenced),
        MemberState::Joined => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{RoomId, UserId};
    use crate::domain::member::Role;
    use crate::domain::order::{Revision, Seq};
    use crate::domain::room::{HistoryRule, SlowMode};
    use chrono::{DateTime, TimeDelta};

    const NOW: Timestamp = DateTime::UNIX_EPOCH;

    fn room(kind: RoomKind, posting: Role) -> Room {
        Room {
            id: RoomId::generate(),
            kind,
            name: "hall".into(),
            topic: String::new(),
            history: HistoryRule::All,
            archived: false,
            deleted: false,
            created_by: UserId::generate(),
            created_at: NOW,
            last_seq: Seq(0),
            head: Revision(3),
            policy_revision: Revision(1),
            settings_revision: Revision(1),
            last_created_at: NOW,
            member_count: 3,
            slow_mode: SlowMode::parse(60).unwrap(),
            posting,
            blocked: false,
            filters_revision: Revision::ZERO,
        }
    }

    fn person(room: &Room, state: MemberState, role: Role) -> Member {
        Member {
            room: room.id,
            user: UserId::generate(),
            state,
            role,
            visible_from_seq: Seq(1),
            joined_revision: Revision(1),
            revision: Revision(1),
            stream_revision: Revision(1),
            by: None,
            reason: None,
            changed_at: NOW,
            silenced_until: None,
        }
    }

    const ROLES: [Role; 3] = [Role::Member, Role::Moderator, Role::Owner];

    #[test]
    fn who_is_in_posts_by_role_and_rule_of_the_room() {
        // Who may post where members, moderators, owners may.
        let table = [
            (Role::Member, [Ok(()), Ok(()), Ok(())]),
            (Role::Moderator, [Err(Fault::NotAllowed), Ok(()), Ok(())]),
            (Role::Owner, [Err(Fault::NotAllowed), Err(Fault::NotAllowed), Ok(())]),
        ];
        for (posting, expected) in table {
            let room = room(RoomKind::Public, posting);
            let got = ROLES.map(|role| may_post(&room, Some(&person(&room, MemberState::Joined, role)), NOW));
            assert_eq!(got, expected, "posting: {posting:?}");
        }
    }

    #[test]
    fn in_a_direct_room_with_a_block_neither_posts_and_everything_that_shuts_out_more_is_said_first() {
        let room = Room { blocked: true, ..room(RoomKind::Direct, Role::Member) };
        for (state, expected) in [(MemberState::Joined, Fault::NotAllowed), (MemberState::Left, Fault::NotFound)] {
            assert_eq!(may_post(&room, Some(&person(&room, state, Role::Member)), NOW), Err(expected));
        }
        assert_eq!(may_post(&room, None, NOW), Err(Fault::NotFound));
    }

    #[test]
    fn a_silence_holds_for_every_role_and_rule_and_ends_by_itself() {
        for posting in ROLES {
            let room = room(RoomKind::Private, posting);
            for role in ROLES {
                let until = NOW + TimeDelta::minutes(5);
                let free = person(&room, MemberState::Joined, role);
                let silenced = Member { silenced_until: Some(until), ..free.clone() };
                for (minutes, expected) in [(0, Err(Fault::Silenced)), (4, Err(Fault::Silenced))] {
                    assert_eq!(may_post(&room, Some(&silenced), NOW + TimeDelta::minutes(minutes)), expected, "{role:?}");
                }
                let as_ever = may_post(&room, Some(&free), NOW);
                for later in [until, until + TimeDelta::minutes(1)] {
                    assert_eq!(may_post(&room, Some(&silenced), later), as_ever, "{role:?} where {posting:?} may post");
                }
            }
        }
    }

    #[test]
    fn archived_is_said_before_silenced_and_both_to_those_who_are_in_only() {
        let cases = [
            (MemberState::Joined, Fault::RoomArchived, Fault::Silenced),
            (MemberState::Invited, Fault::NotMember, Fault::NotMember),
            (MemberState::Left, Fault::NotFound, Fault::NotFound),
            (MemberState::Banned, Fault::Banned, Fault::Banned),
        ];
        for role in ROLES {
            for (state, archived, open) in cases {
                let room = room(RoomKind::Private, Role::Owner);
                let member = Member { silenced_until: Some(NOW + TimeDelta::hours(1)), ..person(&room, state, role) };
                assert_eq!(may_post(&room, Some(&member), NOW), Err(open), "{role:?} {state:?}");
                let room = Room { archived: true, ..room };
                assert_eq!(may_post(&room, Some(&member), NOW), Err(archived), "{role:?} {state:?}");
            }
        }
    }

    #[test]
    fn strangers_learn_of_public_rooms_only() {
        for (kind, expected) in [
            (RoomKind::Public, Fault::NotMember),
            (RoomKind::Private, Fault::NotFound),
            (RoomKind::Direct, Fault::NotFound),
            (RoomKind::Group, Fault::NotFound),
        ] {
            assert_eq!(may_post(&room(kind, Role::Member), None, NOW), Err(expected), "{kind:?}");
        }
    }
}
