//! May somebody change this message?

use std::time::Duration;

use super::{may_post, may_react};
use crate::domain::emoji::Emoji;
use crate::domain::fault::Fault;
use crate::domain::ids::UserId;
use crate::domain::member::{Member, Role};
use crate::domain::message::{Message, MessageChange, Reaction};
use crate::domain::room::{Room, RoomKind};
use crate::domain::time::Timestamp;

/// For how long after it was posted somebody may change their own message; `None`: for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeWindows {
    /// Edit, as a member.
    pub edit: Option<Duration>,
    /// Edit, as a moderator or owner.
    pub edit_by_moderator: Option<Duration>,
    /// Delete, as a member. Moderators may delete at any time.
    pub delete: Option<Duration>,
}

/// The locked rows a change of a message is decided from.
#[derive(Clone, Copy, Debug)]
pub struct MessageStanding<'a> {
    /// The room.
    pub room: &'a Room,
    /// The asking person's row.
    pub actor: Option<&'a Member>,
    /// The asking person is an administrator of the server: in public rooms they have joined, as good as a moderator.
    pub admin: bool,
    /// The message; one below what the person sees is not there for them.
    pub message: &'a Message,
    /// The present time.
    pub now: Timestamp,
    /// The windows.
    pub windows: ChangeWindows,
}

/// Decides a change from locked rows. `Ok(false)` means that it is already so. Limits are counted by the store, under the same lock.
///
/// # Errors
/// The fault the asking person sees.
pub fn decide_message(at: &MessageStanding<'_>, change: &MessageChange) -> Result<bool, Fault> {
    let sight = super::may_read(at.room, at.actor)?;
    if at.message.seq < sight.from_seq {
        return Err(Fault::NotFound);
    }
    let present = |()| if at.message.is_deleted() { Err(Fault::NotFound) } else { Ok(()) };
    // Whoever may say nothing here changes nothing of what was said.
    let posts = || may_post(at.room, at.actor, at.now).and_then(present);
    let reacts = || may_react(at.room, at.actor, at.now).and_then(present);
    match change {
        MessageChange::Edit { text, findings, .. } => posts().and_then(|()| edit(at, text.as_str(), findings.verdict)),
        // One's own words can be taken back wherever one reads them.
        MessageChange::Delete { .. } => delete(at),
        MessageChange::React(emoji) => reacts().map(|()| !has(at, *emoji)),
        MessageChange::Unreact(emoji) => reacts().map(|()| has(at, *emoji)),
        MessageChange::Pin => posts().and_then(|()| may_pin(at)).map(|()| !is_pinned(at)),
        MessageChange::Unpin => posts().and_then(|()| may_pin(at)).map(|()| is_pinned(at)),
    }
}

/// The asking person has reacted with this.
fn has(at: &MessageStanding<'_>, emoji: Emoji) -> bool {
    let own = |reaction: &Reaction| reaction.emoji == emoji && Some(reaction.user) == author(at);
    at.message.more.as_ref().is_some_and(|more| more.reactions.iter().any(own))
}

fn is_pinned(at: &MessageStanding<'_>) -> bool {
    at.message.more.as_ref().is_some_and(|more| more.pinned.is_some())
}

fn author(at: &MessageStanding<'_>) -> Option<UserId> {
    at.actor.map(|actor| actor.user)
}

fn is_own(at: &MessageStanding<'_>) -> bool {
    author(at) == Some(at.message.author)
}

/// In named rooms only: direct rooms and groups have no roles.
fn moderates(at: &MessageStanding<'_>) -> bool {
    let named = matches!(at.room.kind, RoomKind::Public | RoomKind::Private);
    let administers = at.admin && at.room.kind == RoomKind::Public;
    named && at.actor.is_some_and(|actor| actor.is_joined() && (administers || actor.role >= Role::Moderator))
}

/// Nobody puts words into another's mouth, whatever their role.
fn edit(at: &MessageStanding<'_>, text: &str, verdict: Result<(), Fault>) -> Result<bool, Fault> {
    let forwarded = at.message.details().is_some_and(|details| details.origin.is_some());
    if !is_own(at) || forwarded {
        return Err(Fault::NotAllowed);
    }
    // A repeat is answered before anything that may have changed since (I3).
    if at.message.text == text {
        return Ok(false);
    }
    within(at, if moderates(at) { at.windows.edit_by_moderator } else { at.windows.edit })?;
    verdict.map(|()| true)
}

fn delete(at: &MessageStanding<'_>) -> Result<bool, Fault> {
    if !is_own(at) && !moderates(at) {
        return Err(Fault::NotAllowed);
    }
    if at.message.is_deleted() {
        return Ok(false);
    }
    if !moderates(at) {
        within(at, at.windows.delete)?;
    }
    Ok(true)
}

fn may_pin(at: &MessageStanding<'_>) -> Result<(), Fault> {
    let named = matches!(at.room.kind, RoomKind::Public | RoomKind::Private);
    if !named || moderates(at) { Ok(()) } else { Err(Fault::NotAllowed) }
}

fn within(at: &MessageStanding<'_>, window: Option<Duration>) -> Result<(), Fault> {
    let age = (at.now - at.message.created_at).to_std().unwrap_or_default();
    if window.is_none_or(|window| age <= window) { Ok(()) } else { Err(Fault::TooLate) }
}

/// May somebody mention everybody in the room, or everybody in it who is online? In direct rooms and groups all may.
#[must_use]
pub fn may_mention_all(room: &Room, member: Option<&Member>, least: Role) -> bool {
    let named = matches!(room.kind, RoomKind::Public | RoomKind::Private);
    member.is_some_and(|member| member.is_joined() && (!named || member.role >= least))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{ClientId, RoomId};
    use crate::domain::member::MemberState;
    use crate::domain::message::{Findings, Mark, Mentions, More};
    use crate::domain::order::{Revision, Seq};
    use crate::domain::room::HistoryRule;
    use crate::domain::text::MessageText;
    use chrono::{DateTime, TimeDelta};

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
            last_seq: Seq(9),
            head: Revision(20),
            policy_revision: Revision(1),
            settings_revision: Revision(1),
            last_created_at: DateTime::UNIX_EPOCH,
            member_count: 3,
            posting: Role::Member,
            slow_mode: crate::domain::room::SlowMode::OFF,
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
            visible_from_seq: Seq(3),
            joined_revision: Revision(1),
            revision: Revision(1),
            stream_revision: Revision(1),
            by: None,
            reason: None,
            changed_at: DateTime::UNIX_EPOCH,
            silenced_until: None,
        }
    }

    fn message(room: &Room, author: UserId, seq: u64) -> Message {
        Message {
            room: room.id,
            seq: Seq(seq),
            revision: Revision(seq),
            author,
            client_id: ClientId::generate(),
            text: "as it is".into(),
            created_at: DateTime::UNIX_EPOCH,
            more: None,
        }
    }

    fn edit() -> MessageChange {
        MessageChange::Edit {
            text: MessageText::stored("as it will be".into()),
            mentions: Mentions::default(),
            findings: Findings::NOT_YET,
        }
    }

    const DELETE: MessageChange = MessageChange::Delete { reason: None };

    struct Case {
        kind: RoomKind,
        role: Role,
        own: bool,
        /// Seconds since it was posted.
        age: i64,
    }

    fn decide(case: &Case, change: &MessageChange) -> Result<bool, Fault> {
        let room = room(case.kind);
        let actor = person(&room, MemberState::Joined, case.role);
        let author = if case.own { actor.user } else { UserId::generate() };
        let message = message(&room, author, 5);
        let windows = ChangeWindows {
            edit: Some(Duration::from_secs(10)),
            edit_by_moderator: Some(Duration::from_secs(100)),
            delete: Some(Duration::from_secs(20)),
        };
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(case.age);
        decide_message(
            &MessageStanding { room: &room, actor: Some(&actor), admin: false, message: &message, now, windows },
            change,
        )
    }

    #[test]
    fn who_may_edit_and_delete_and_pin_and_until_when() {
        use Fault::{NotAllowed, TooLate};
        use Role::{Member, Moderator, Owner};
        use RoomKind::{Direct, Private};
        // Kind, role, own, age; then edit, delete, pin.
        let table = [
            (Private, Member, true, 10, Ok(true), Ok(true), Err(NotAllowed)),
            (Private, Member, true, 11, Err(TooLate), Ok(true), Err(NotAllowed)),
            (Private, Member, true, 21, Err(TooLate), Err(TooLate), Err(NotAllowed)),
            (Private, Member, false, 1, Err(NotAllowed), Err(NotAllowed), Err(NotAllowed)),
            (Private, Moderator, true, 100, Ok(true), Ok(true), Ok(true)),
            (Private, Moderator, true, 101, Err(TooLate), Ok(true), Ok(true)),
            (Private, Moderator, false, 1000, Err(NotAllowed), Ok(true), Ok(true)),
            (Private, Owner, false, 1000, Err(NotAllowed), Ok(true), Ok(true)),
            (Direct, Member, true, 1, Ok(true), Ok(true), Ok(true)),
            (Direct, Member, false, 1, Err(NotAllowed), Err(NotAllowed), Ok(true)),
        ];
        for (kind, role, own, age, edited, deleted, pinned) in table {
            let case = Case { kind, role, own, age };
            let label = format!("{kind:?} {role:?} own {own} age {age}");
            assert_eq!(decide(&case, &edit()), edited, "edit {label}");
            assert_eq!(decide(&case, &DELETE), deleted, "delete {label}");
            assert_eq!(decide(&case, &MessageChange::Pin), pinned, "pin {label}");
        }
    }

    #[test]
    fn only_who_reads_may_change_and_what_lies_below_their_sight_is_not_there() {
        let room = room(RoomKind::Public);
        let emoji = Emoji::parse("👍").unwrap();
        for (state, refusal) in [
            (MemberState::Left, Fault::NotMember),
            (MemberState::Invited, Fault::NotMember),
            (MemberState::Banned, Fault::Banned),
        ] {
            let actor = person(&room, state, Role::Owner);
            let message = message(&room, actor.user, 5);
            let (now, windows) = (DateTime::UNIX_EPOCH, ChangeWindows::default());
            let at = MessageStanding { room: &room, actor: Some(&actor), admin: false, message: &message, now, windows };
            for change in [edit(), DELETE, MessageChange::React(emoji), MessageChange::Pin] {
                assert_eq!(decide_message(&at, &change), Err(refusal), "{state:?} {change:?}");
            }
        }
        let actor = person(&room, MemberState::Joined, Role::Owner);
        let old = message(&room, actor.user, 2);
        let (now, windows) = (DateTime::UNIX_EPOCH, ChangeWindows::default());
        let at = MessageStanding { room: &room, actor: Some(&actor), admin: false, message: &old, now, windows };
        assert_eq!(decide_message(&at, &DELETE), Err(Fault::NotFound));
    }

    #[test]
    fn of_a_deleted_message_only_the_deletion_can_be_repeated() {
        let room = Room { archived: true, ..room(RoomKind::Private) };
        let actor = person(&room, MemberState::Joined, Role::Member);
        let deleted = Some(Mark { at: DateTime::UNIX_EPOCH, by: actor.user });
        let plain = message(&room, actor.user, 5);
        let gone = Message { more: Some(Box::new(More { deleted, ..More::default() })), ..plain.clone() };
        let (now, windows) = (DateTime::UNIX_EPOCH, ChangeWindows::default());
        let at = MessageStanding { room: &room, actor: Some(&actor), admin: false, message: &plain, now, windows };
        assert_eq!(decide_message(&at, &edit()), Err(Fault::RoomArchived), "an archived room stays as it is");
        assert_eq!(decide_message(&at, &DELETE), Ok(true), "but one's own words can be taken back");
        let open = Room { archived: false, ..room.clone() };
        let at = MessageStanding { room: &open, message: &gone, ..at };
        assert_eq!(decide_message(&at, &DELETE), Ok(false));
        assert_eq!(decide_message(&at, &edit()), Err(Fault::NotFound));
        assert_eq!(decide_message(&at, &MessageChange::Unpin), Err(Fault::NotFound));
    }

    #[test]
    fn where_only_some_may_post_all_may_react_but_who_is_silenced() {
        let room = Room { posting: Role::Moderator, ..room(RoomKind::Public) };
        let actor = person(&room, MemberState::Joined, Role::Member);
        let message = message(&room, actor.user, 5);
        let (now, windows) = (DateTime::UNIX_EPOCH, ChangeWindows::default());
        let at = MessageStanding { room: &room, actor: Some(&actor), admin: false, message: &message, now, windows };
        let react = MessageChange::React(Emoji::parse("👍").unwrap());
        assert_eq!((decide_message(&at, &react), decide_message(&at, &edit())), (Ok(true), Err(Fault::NotAllowed)));
        let silenced = Member { silenced_until: Some(now + TimeDelta::seconds(1)), ..actor.clone() };
        let at = MessageStanding { actor: Some(&silenced), ..at };
        assert_eq!((decide_message(&at, &react), decide_message(&at, &DELETE)), (Err(Fault::Silenced), Ok(true)));
    }

    #[test]
    fn an_edit_that_is_already_so_succeeds_whatever_has_come_between() {
        let room = room(RoomKind::Private);
        let actor = person(&room, MemberState::Joined, Role::Member);
        let message = message(&room, actor.user, 5);
        let windows = ChangeWindows { edit: Some(Duration::ZERO), ..ChangeWindows::default() };
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let at = MessageStanding { room: &room, actor: Some(&actor), admin: false, message: &message, now, windows };
        let again = MessageChange::Edit {
            text: MessageText::stored("as it is".into()),
            mentions: Mentions::default(),
            findings: Findings { verdict: Err(Fault::NotAllowed), ..Findings::NOT_YET },
        };
        assert_eq!(decide_message(&at, &again), Ok(false));
        assert_eq!(decide_message(&at, &edit()), Err(Fault::TooLate));
    }

    #[test]
    fn everybody_is_mentioned_by_role_in_named_rooms_and_by_all_elsewhere() {
        let (named, group) = (room(RoomKind::Public), room(RoomKind::Group));
        for (role, may) in [(Role::Member, false), (Role::Moderator, true), (Role::Owner, true)] {
            assert_eq!(may_mention_all(&named, Some(&person(&named, MemberState::Joined, role)), Role::Moderator), may);
        }
        assert!(may_mention_all(&group, Some(&person(&group, MemberState::Joined, Role::Member)), Role::Moderator));
        assert!(!may_mention_all(&group, None, Role::Member));
    }
}
