//! May somebody change this room or its membership?

use crate::domain::fault::Fault;
use crate::domain::member::{Member, MemberState, Role};
use crate::domain::room::{Room, RoomChange, RoomKind, RoomSettings};
use crate::domain::time::Timestamp;

/// The locked rows a change is decided from.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The room.
    pub room: &'a Room,
    /// The asking person's row.
    pub actor: Option<&'a Member>,
    /// The asking person is an administrator of the server.
    pub admin: bool,
    /// The row of the person it is about, where it is about another one.
    pub subject: Option<&'a Member>,
    /// How many owners have joined.
    pub owners: u64,
    /// The present time.
    pub now: Timestamp,
}

/// Decides a change from locked rows. `Ok(false)` means that it is already so: nothing is written, and the answer is success.
///
/// Limits (members per room, rooms per person) and links are checked by the store, which counts them under the same lock.
///
/// # Errors
/// The fault the asking person sees.
pub fn decide_change(at: &Standing<'_>, change: &RoomChange) -> Result<bool, Fault> {
    if at.room.deleted {
        // Who may have deleted it and asks again, because the answer was lost, is told that it is so (I3); the membership has ended by then.
        let owned = at.actor.is_some_and(|actor| actor.role == Role::Owner);
        let again = matches!(change, RoomChange::Delete { .. }) && (owned || (at.admin && at.room.kind == RoomKind::Public));
        return if again { Ok(false) } else { Err(Fault::NotFound) };
    }
    // Whoever has nothing to do with a room that is not public gets what an unknown one gives, whatever they ask (I10). The secret of a
    // link shows that somebody let them know.
    let stranger = at.actor.is_none() && at.room.kind != RoomKind::Public;
    if stranger && !matches!(change, RoomChange::JoinByLink { .. }) {
        return Err(Fault::NotFound);
    }
    match change {
        RoomChange::Join => join(at, false),
        RoomChange::JoinByLink { .. } => join(at, true),
        RoomChange::Leave => leave(at),
        RoomChange::Decline => Ok(state(at.actor) == Some(MemberState::Invited)),
        RoomChange::Invite { .. } => invite(at),
        RoomChange::Uninvite { .. } => {
            require(at, Role::Member)?;
            let inviter = at.subject.and_then(|subject| subject.by);
            let own = inviter.is_some() && inviter == at.actor.map(|actor| actor.user);
            if !own {
                require(at, Role::Moderator)?;
            }
            Ok(state(at.subject) == Some(MemberState::Invited))
        }
        RoomChange::Kick { .. } => {
            require_over(at)?;
            Ok(matches!(state(at.subject), Some(MemberState::Joined | MemberState::Invited)))
        }
        RoomChange::Ban { .. } => {
            require_over(at)?;
            Ok(state(at.subject) != Some(MemberState::Banned))
        }
        RoomChange::Unban { .. } => {
            named(at)?;
            require(at, Role::Moderator)?;
            Ok(state(at.subject) == Some(MemberState::Banned))
        }
        RoomChange::Silence { until, .. } => silence(at, *until),
        RoomChange::Unsilence { .. } => {
            require_over(at)?;
            Ok(at.subject.is_some_and(|subject| subject.is_silenced(at.now)))
        }
        RoomChange::SetRole { role, .. } => set_role(at, *role),
        RoomChange::Transfer { .. } => transfer(at),
        RoomChange::Settings(settings) => change_settings(at, settings),
        RoomChange::Delete { .. } => {
            named(at)?;
            require(at, Role::Owner).map(|()| true)
        }
        RoomChange::CreateLink { .. }
        | RoomChange::RevokeLink { .. }
        | RoomChange::AddFilter { .. }
        | RoomChange::RemoveFilter { .. } => {
            named(at)?;
            require(at, Role::Moderator).map(|()| true)
        }
    }
}

fn state(member: Option<&Member>) -> Option<MemberState> {
    member.map(|member| member.state)
}

/// The role somebody has now: none while out.
fn role(member: Option<&Member>) -> Option<Role> {
    member.filter(|member| member.is_joined()).map(|member| member.role)
}

/// Direct and group rooms have no name, no roles, no bans.
fn named(at: &Standing<'_>) -> Result<(), Fault> {
    match at.room.kind {
        RoomKind::Public | RoomKind::Private => Ok(()),
        RoomKind::Direct | RoomKind::Group => Err(Fault::NotAllowed),
    }
}

/// Administrators are above all but owners in what everybody can find.
fn administers(at: &Standing<'_>) -> bool {
    at.admin && at.room.kind == RoomKind::Public
}

fn require(at: &Standing<'_>, least: Role) -> Result<(), Fault> {
    match role(at.actor) {
        Some(role) if role >= least => Ok(()),
        _ if administers(at) && least > Role::Member => Ok(()),
        Some(_) => Err(Fault::NotAllowed),
        None => match state(at.actor) {
            Some(MemberState::Banned) => Err(Fault::Banned),
            Some(_) => Err(Fault::NotMember),
            None if at.room.kind == RoomKind::Public => Err(Fault::NotMember),
            None => Err(Fault::NotFound),
        },
    }
}

/// Moderators act on members below them, owners on everybody but owners, nobody on themselves.
fn require_over(at: &Standing<'_>) -> Result<(), Fault> {
    named(at)?;
    require(at, Role::Moderator)?;
    let own = at.actor.zip(at.subject).is_some_and(|(actor, subject)| actor.user == subject.user);
    // An administrator who has joined has no less power than one who has not.
    let power = role(at.actor).filter(|_| !administers(at)).unwrap_or(Role::Owner);
    match role(at.subject) {
        _ if own => Err(Fault::NotAllowed),
        Some(other) if other >= power => Err(Fault::NotAllowed),
        _ => Ok(()),
    }
}

fn join(at: &Standing<'_>, by_link: bool) -> Result<bool, Fault> {
    match state(at.actor) {
        Some(MemberState::Joined) => Ok(false),
        Some(MemberState::Banned) => Err(Fault::Banned),
        _ if at.room.archived => Err(Fault::RoomArchived),
        Some(MemberState::Invited) => Ok(true),
        Some(MemberState::Left) | None => match at.room.kind {
            RoomKind::Public => Ok(true),
            RoomKind::Private if by_link => Ok(true),
            _ => Err(Fault::NotFound),
        },
    }
}

fn leave(at: &Standing<'_>) -> Result<bool, Fault> {
    let joined = state(at.actor) == Some(MemberState::Joined);
    let alone = at.room.member_count <= 1;
    match at.room.kind {
        RoomKind::Direct => Err(Fault::NotAllowed),
        _ if !joined => Ok(false),
        RoomKind::Public | RoomKind::Private if role(at.actor) == Some(Role::Owner) && at.owners <= 1 && !alone => {
            Err(Fault::LastOwner)
        }
        _ => Ok(true),
    }
}

fn invite(at: &Standing<'_>) -> Result<bool, Fault> {
    if at.room.kind == RoomKind::Direct {
        return Err(Fault::NotAllowed);
    }
    require(at, Role::Member)?;
    if at.room.archived {
        return Err(Fault::RoomArchived);
    }
    match state(at.subject) {
        Some(MemberState::Joined | MemberState::Invited) => Ok(false),
        Some(MemberState::Banned) => Err(Fault::NotAllowed),
        Some(MemberState::Left) | None => Ok(true),
    }
}

/// Who left may be silenced, too: else leaving in time would avoid it.
fn silence(at: &Standing<'_>, until: Timestamp) -> Result<bool, Fault> {
    require_over(at)?;
    let subject = at.subject.ok_or(Fault::NotFound)?;
    if subject.silenced_until == Some(until) {
        return Ok(false);
    }
    if Member::may_be_silenced_until(until, at.now) { Ok(true) } else { Err(Fault::BadRequest) }
}

fn set_role(at: &Standing<'_>, new: Role) -> Result<bool, Fault> {
    named(at)?;
    require(at, Role::Owner)?;
    match role(at.subject) {
        // Another owner is made by transfer, which keeps the rule that somebody gave it up.
        _ if new == Role::Owner => Err(Fault::NotAllowed),
        None => Err(Fault::NotFound),
        Some(Role::Owner) => Err(Fault::LastOwner),
        Some(old) => Ok(old != new),
    }
}

fn transfer(at: &Standing<'_>) -> Result<bool, Fault> {
    named(at)?;
    // Whoever gave the room away and asks again, because the answer was lost, is told that it is so (I3).
    if role(at.actor).is_some() && role(at.subject) == Some(Role::Owner) {
        return Ok(false);
    }
    if role(at.actor) != Some(Role::Owner) {
        require(at, Role::Owner)?;
    }
    match role(at.subject) {
        None => Err(Fault::NotFound),
        Some(old) => Ok(old != Role::Owner),
    }
}

fn change_settings(at: &Standing<'_>, new: &RoomSettings) -> Result<bool, Fault> {
    named(at)?;
    // What a moderator needs from one moment to the next; all else makes it another room.
    let moderators = RoomSettings { topic: new.topic.clone(), slow_mode: new.slow_mode, ..RoomSettings::default() };
    require(at, if *new == moderators { Role::Moderator } else { Role::Owner })?;
    if matches!(new.kind, Some(RoomKind::Direct | RoomKind::Group)) {
        return Err(Fault::BadRequest);
    }
    let room = at.room;
    Ok(new.name.as_ref().is_some_and(|name| name.as_str() != room.name)
        || new.topic.as_ref().is_some_and(|topic| topic.as_str() != room.topic)
        || new.kind.is_some_and(|kind| kind != room.kind)
        || new.history.is_some_and(|history| history != room.history)
        || new.archived.is_some_and(|archived| archived != room.archived)
        || new.slow_mode.is_some_and(|slow_mode| slow_mode != room.slow_mode)
        || new.posting.is_some_and(|posting| posting != room.posting))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{RoomId, UserId};
    use crate::domain::order::{Revision, Seq};
    use crate::domain::room::{HistoryRule, SlowMode};
    use chrono::{DateTime, TimeDelta};

    const NOW: Timestamp = DateTime::UNIX_EPOCH;

    fn room(kind: RoomKind) -> Room {
        Room {
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
            member_count: 3,
            slow_mode: SlowMode::OFF,
            posting: Role::Member,
            blocked: false,
            filters_revision: Revision(0),
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
            changed_at: DateTime::UNIX_EPOCH,
            silenced_until: None,
        }
    }

    /// What a change by somebody of `role` about somebody of `other` comes to.
    fn decide(role: Role, other: Option<(MemberState, Role)>, change: impl Fn(UserId) -> RoomChange) -> Result<bool, Fault> {
        let room = room(RoomKind::Private);
        let actor = person(&room, MemberState::Joined, role);
        let subject = other.map(|(state, role)| person(&room, state, role));
        let about = subject.as_ref().map_or_else(UserId::generate, |subject| subject.user);
        let at = Standing { room: &room, actor: Some(&actor), admin: false, subject: subject.as_ref(), owners: 1, now: NOW };
        decide_change(&at, &change(about))
    }

    #[test]
    fn kick_needs_more_power_than_the_kicked() {
        use MemberState::Joined;
        let kick = |user| RoomChange::Kick { user, reason: None };
        assert_eq!(decide(Role::Member, Some((Joined, Role::Member)), kick), Err(Fault::NotAllowed));
        assert_eq!(decide(Role::Moderator, Some((Joined, Role::Member)), kick), Ok(true));
        assert_eq!(decide(Role::Moderator, Some((Joined, Role::Moderator)), kick), Err(Fault::NotAllowed));
        assert_eq!(decide(Role::Owner, Some((Joined, Role::Moderator)), kick), Ok(true));
        assert_eq!(decide(Role::Owner, Some((Joined, Role::Owner)), kick), Err(Fault::NotAllowed));
        assert_eq!(decide(Role::Owner, Some((MemberState::Left, Role::Member)), kick), Ok(false));
    }

    #[test]
    fn an_administrator_has_the_same_power_in_a_public_room_whether_they_joined_it_or_not() {
        use MemberState::Joined;
        let room = room(RoomKind::Public);
        let inside = person(&room, Joined, Role::Member);
        for actor in [None, Some(&inside)] {
            for (role, expected) in [(Role::Moderator, Ok(true)), (Role::Owner, Err(Fault::NotAllowed))] {
                let subject = person(&room, Joined, role);
                let kick = RoomChange::Kick { user: subject.user, reason: None };
                let at = Standing { room: &room, actor, admin: true, subject: Some(&subject), owners: 1, now: NOW };
                assert_eq!(decide_change(&at, &kick), expected, "{role:?}, joined: {}", actor.is_some());
                let plain = Standing { admin: false, ..at };
                assert!(decide_change(&plain, &kick).is_err());
            }
        }
    }

    #[test]
    fn ban_works_on_strangers_and_is_absolute() {
        let ban = |user| RoomChange::Ban { user, reason: None };
        assert_eq!(decide(Role::Moderator, None, ban), Ok(true));
        assert_eq!(decide(Role::Moderator, Some((MemberState::Banned, Role::Member)), ban), Ok(false));
    }

    #[test]
    fn a_silence_needs_more_power_than_the_silenced_and_reaches_who_left() {
        use MemberState::{Joined, Left};
        let silence = |user| RoomChange::Silence { user, until: NOW + TimeDelta::hours(1), reason: None };
        let unsilence = |user| RoomChange::Unsilence { user, reason: None };
        let cases = [
            (Role::Member, Some((Joined, Role::Member)), Err(Fault::NotAllowed)),
            (Role::Moderator, Some((Joined, Role::Member)), Ok(true)),
            (Role::Moderator, Some((Joined, Role::Moderator)), Err(Fault::NotAllowed)),
            (Role::Moderator, Some((Joined, Role::Owner)), Err(Fault::NotAllowed)),
            (Role::Owner, Some((Joined, Role::Moderator)), Ok(true)),
            (Role::Owner, Some((Joined, Role::Owner)), Err(Fault::NotAllowed)),
            (Role::Moderator, Some((Left, Role::Member)), Ok(true)),
            (Role::Moderator, None, Err(Fault::NotFound)),
        ];
        for (actor, other, expected) in cases {
            assert_eq!(decide(actor, other, silence), expected, "{actor:?} over {other:?}");
            // Of somebody who is not silenced there is nothing to end.
            let ended = if expected == Err(Fault::NotAllowed) { expected } else { Ok(false) };
            assert_eq!(decide(actor, other, unsilence), ended, "{actor:?} over {other:?}");
        }
    }

    #[test]
    fn a_silence_has_an_end_in_the_future_and_asking_for_it_again_is_no_change() {
        let room = room(RoomKind::Public);
        let moderator = person(&room, MemberState::Joined, Role::Moderator);
        let silenced_until = |until| Member { silenced_until: until, ..person(&room, MemberState::Joined, Role::Member) };
        let decide = |known: Option<Timestamp>, until: Option<Timestamp>| {
            let subject = silenced_until(known);
            let at = Standing {
                room: &room,
                actor: Some(&moderator),
                admin: false,
                subject: Some(&subject),
                owners: 1,
                now: NOW + TimeDelta::days(1),
            };
            let user = subject.user;
            let change = until.map_or(RoomChange::Unsilence { user, reason: None }, |until| RoomChange::Silence {
                user,
                until,
                reason: None,
            });
            decide_change(&at, &change)
        };
        let days = |days| Some(NOW + TimeDelta::days(days));
        let longest = 1 + i64::try_from(Member::SILENCE_DAYS_MAX).unwrap();
        let cases = [
            (None, days(1), Err(Fault::BadRequest)),
            (None, days(2), Ok(true)),
            (days(2), days(2), Ok(false)),
            (days(3), days(2), Ok(true)),
            (days(1), days(1), Ok(false)),
            (None, days(longest), Ok(true)),
            (None, days(longest + 1), Err(Fault::BadRequest)),
            (days(2), None, Ok(true)),
            // It has ended by itself.
            (days(1), None, Ok(false)),
            (None, None, Ok(false)),
        ];
        for (known, until, expected) in cases {
            assert_eq!(decide(known, until), expected, "{known:?} to {until:?}");
        }
    }

    #[test]
    fn in_direct_and_group_rooms_nobody_is_silenced() {
        for kind in [RoomKind::Direct, RoomKind::Group] {
            let room = room(kind);
            let (actor, subject) =
                (person(&room, MemberState::Joined, Role::Owner), person(&room, MemberState::Joined, Role::Member));
            let at = Standing { room: &room, actor: Some(&actor), admin: false, subject: Some(&subject), owners: 1, now: NOW };
            let (user, until) = (subject.user, NOW + TimeDelta::hours(1));
            assert_eq!(decide_change(&at, &RoomChange::Silence { user, until, reason: None }), Err(Fault::NotAllowed));
        }
    }

    #[test]
    fn last_owner_cannot_leave_others_behind() {
        assert_eq!(decide(Role::Owner, None, |_| RoomChange::Leave), Err(Fault::LastOwner));
        assert_eq!(decide(Role::Member, None, |_| RoomChange::Leave), Ok(true));
    }

    #[test]
    fn a_room_that_is_not_public_is_not_found_by_a_stranger_whatever_they_ask() {
        let user = UserId::generate();
        let changes = [
            RoomChange::Join,
            RoomChange::Leave,
            RoomChange::Decline,
            RoomChange::Invite { user },
            RoomChange::Uninvite { user, reason: None },
            RoomChange::Kick { user, reason: None },
            RoomChange::Ban { user, reason: None },
            RoomChange::Unban { user, reason: None },
            RoomChange::Silence { user, until: NOW + TimeDelta::hours(1), reason: None },
            RoomChange::Unsilence { user, reason: None },
            RoomChange::SetRole { user, role: Role::Moderator, reason: None },
            RoomChange::Transfer { user, reason: None },
            RoomChange::Settings(RoomSettings::default()),
            RoomChange::Delete { reason: None },
            RoomChange::RevokeLink { link: crate::domain::ids::LinkId::generate() },
        ];
        for kind in [RoomKind::Private, RoomKind::Direct, RoomKind::Group] {
            for archived in [false, true] {
                let room = Room { archived, ..room(kind) };
                let at = Standing { room: &room, actor: None, admin: true, subject: None, owners: 1, now: NOW };
                for change in &changes {
                    assert_eq!(decide_change(&at, change), Err(Fault::NotFound), "{kind:?} {change:?}");
                }
            }
        }
        let room = room(RoomKind::Private);
        let at = Standing { room: &room, actor: None, admin: false, subject: None, owners: 1, now: NOW };
        assert_eq!(decide_change(&at, &RoomChange::JoinByLink { secret_hash: [0; 32] }), Ok(true));
    }

    #[test]
    fn banned_person_stays_out_by_every_door() {
        let room = room(RoomKind::Public);
        let actor = person(&room, MemberState::Banned, Role::Member);
        let at = Standing { room: &room, actor: Some(&actor), admin: false, subject: None, owners: 1, now: NOW };
        for change in [RoomChange::Join, RoomChange::JoinByLink { secret_hash: [0; 32] }] {
            assert_eq!(decide_change(&at, &change), Err(Fault::Banned));
        }
        assert_eq!(
            decide(Role::Member, Some((MemberState::Banned, Role::Member)), |user| RoomChange::Invite { user }),
            Err(Fault::NotAllowed)
        );
    }

    #[test]
    fn settings_need_an_owner_but_topic_and_slow_mode_only_a_moderator() {
        let settings = |change: fn(&mut RoomSettings)| {
            let mut settings = RoomSettings::default();
            change(&mut settings);
            settings
        };
        let topic = settings(|s| s.topic = crate::domain::text::Topic::parse("news").ok());
        let archive = settings(|s| s.archived = Some(true));
        let slow = settings(|s| s.slow_mode = SlowMode::parse(30).ok());
        let read_only = settings(|s| s.posting = Some(Role::Moderator));
        let both = RoomSettings { slow_mode: slow.slow_mode, ..read_only.clone() };
        for (settings, member, moderator) in [
            (slow, Err(Fault::NotAllowed), Ok(true)),
            (read_only, Err(Fault::NotAllowed), Err(Fault::NotAllowed)),
            (both, Err(Fault::NotAllowed), Err(Fault::NotAllowed)),
        ] {
            assert_eq!(decide(Role::Member, None, |_| RoomChange::Settings(settings.clone())), member);
            assert_eq!(decide(Role::Moderator, None, |_| RoomChange::Settings(settings.clone())), moderator);
            assert_eq!(decide(Role::Owner, None, |_| RoomChange::Settings(settings.clone())), Ok(true));
        }
        assert_eq!(decide(Role::Moderator, None, |_| RoomChange::Settings(topic.clone())), Ok(true));
        assert_eq!(decide(Role::Member, None, |_| RoomChange::Settings(topic.clone())), Err(Fault::NotAllowed));
        assert_eq!(decide(Role::Moderator, None, |_| RoomChange::Settings(archive.clone())), Err(Fault::NotAllowed));
        assert_eq!(decide(Role::Owner, None, |_| RoomChange::Settings(archive.clone())), Ok(true));
    }
}
