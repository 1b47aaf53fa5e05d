//! A room and the people in it, as of its last change: what posts and sights are decided from.
//!
//! Purpose: answer who may post and see what without asking the store, and name the `policy_revision` the answer holds for; the store
//! compares it under the lock (I10). Neighbours: filled from the store's load, kept up by what `order` lets out.
//! Invariants: `policy_revision` never claims a change that is not applied; too low is harmless, the store then says so. Held are only those
//! who joined, are invited or banned, each of which has a limit: memory does not grow with those who came and left (I4).
//! Must not know: why a person stands where they stand.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::domain::fault::Fault;
use crate::domain::ids::UserId;
use crate::domain::member::{Member, MemberState, Role};
use crate::domain::message::{Item, Mentions};
use crate::domain::order::{Revision, Seq};
use crate::domain::room::Room;
use crate::domain::time::Timestamp;
use crate::moderation::filters::{Filters, Judgement};
use crate::policy::{Sight, may_mention_all, may_post, may_read};

use super::order::Committed;

/// The room as it is known.
#[derive(Debug)]
pub struct Membership {
    room: Room,
    members: HashMap<UserId, Member>,
    filters: Arc<Filters>,
    /// Up to which of their changes `filters` is known; the room's row may know of a later one.
    filters_revision: Revision,
}

impl Membership {
    /// As loaded, without filters.
    #[must_use]
    pub fn new(room: Room, members: Vec<Member>) -> Self {
        let filters_revision = room.filters_revision;
        Self { room, members: by_user(members), filters: Arc::default(), filters_revision }
    }

    /// With its filters, read after the room.
    #[must_use]
    pub fn with_filters(self, filters: Arc<Filters>) -> Self {
        Self { filters, ..self }
    }

    /// The room.
    #[must_use]
    pub const fn room(&self) -> &Room {
        &self.room
    }

    /// The revision that verdicts given now hold for: none, while the filters are behind.
    #[must_use]
    pub fn policy_revision(&self) -> Revision {
        if self.lacks_filters() { Revision::ZERO } else { self.room.policy_revision }
    }

    /// The filters have changed and are not known yet.
    #[must_use]
    pub fn lacks_filters(&self) -> bool {
        self.room.filters_revision > self.filters_revision
    }

    /// The revision of the filters that [`Membership::judge`] asks.
    #[must_use]
    pub const fn filters_revision(&self) -> Revision {
        self.filters_revision
    }

    /// What the room's filters say of a text.
    #[must_use]
    pub fn judge(&self, text: &str) -> Judgement {
        self.filters.judge(text)
    }

    /// May this person post?
    ///
    /// # Errors
    /// What the person sees.
    pub fn may_post(&self, user: UserId, now: Timestamp) -> Result<(), Fault> {
        may_post(&self.room, self.members.get(&user), now)
    }

    /// May this person be shown typing, in a thread if that is some?
    ///
    /// # Errors
    /// As for a post; [`Fault::NotFound`] for a thread that is not there or that they may not see.
    pub fn may_type(&self, user: UserId, thread: Option<Seq>, now: Timestamp) -> Result<(), Fault> {
        self.may_post(user, now)?;
        let sight = self.sight(user)?;
        let seen = |seq: Seq| seq >= sight.from_seq.max(Seq(1)) && seq <= self.room.last_seq;
        if thread.is_none_or(seen) { Ok(()) } else { Err(Fault::NotFound) }
    }

    /// Everybody who is in the room.
    #[must_use]
    pub fn joined(&self) -> Vec<UserId> {
        self.members.values().filter(|member| member.is_joined()).map(|member| member.user).collect()
    }

    /// Is somebody of these people in the room? It is the fewer who are looked through.
    #[must_use]
    pub fn has_any_of(&self, people: &HashSet<UserId>) -> bool {
        if people.len() <= self.members.len() {
            people.iter().any(|user| self.members.get(user).is_some_and(Member::is_joined))
        } else {
            self.members.values().any(|member| member.is_joined() && people.contains(&member.user))
        }
    }

    /// Those of these people who are held here.
    #[must_use]
    pub fn those_in_it(&self, mut people: Vec<UserId>) -> Vec<UserId> {
        people.retain(|user| self.members.contains_key(user));
        people
    }

    /// Of whom a text by this person mentions, those whom it may: members, and everybody if their role is at least `least`.
    #[must_use]
    pub fn mentioned(&self, by: UserId, mentions: &Mentions, least: Role) -> Mentions {
        let all = may_mention_all(&self.room, self.members.get(&by), least);
        let among = mentions.among(|user| self.members.get(&user).is_some_and(Member::is_joined));
        Mentions { room: mentions.room && all, online: mentions.online && all, ..among }
    }

    /// What does this person see?
    ///
    /// # Errors
    /// What the person sees instead.
    pub fn sight(&self, user: UserId) -> Result<Sight, Fault> {
        may_read(&self.room, self.members.get(&user))
    }

    /// The room is gone.
    pub const fn note_deleted(&mut self) {
        self.room.deleted = true;
    }

    /// Takes over a change; to be called in the order of revisions.
    pub fn apply(&mut self, committed: &Committed) {
        let known = self.room.head;
        for item in &committed.changes.items {
            match item {
                // What is up to the head is in the rows already, if only by being gone from them.
                Item::Member(member) if member.revision > known => self.put(member),
                Item::Room(room) if room.settings_revision >= self.room.settings_revision => {
                    // The row may have been read later than this revision, its claim included: that one waits until it is due.
                    let (head, policy_revision) = (self.room.head, self.room.policy_revision);
                    self.room = Room { head, policy_revision, ..(**room).clone() };
                }
                Item::Message(message) => {
                    self.room.last_seq = self.room.last_seq.max(message.seq);
                    self.room.last_created_at = self.room.last_created_at.max(message.created_at);
                }
                Item::Stub(_) | Item::Reaction(_) | Item::Thread(_) | Item::Member(_) | Item::Room(_) | Item::Notice(_) => {}
            }
        }
        if let Some(room) = &committed.room
            && room.head >= self.room.head
        {
            self.room = room.clone();
        }
        self.room.head = self.room.head.max(committed.changes.to);
    }

    /// Takes over what was loaded anew, unless this is newer already. The rows were read after the room, so they are no older than
    /// anything known here, and who is not among them has left.
    pub fn reload(&mut self, room: Room, members: Vec<Member>, filters: Arc<Filters>) {
        if room.head >= self.room.head {
            *self = Self::new(room, members).with_filters(filters);
        }
    }

    fn put(&mut self, member: &Member) {
        let newer = self.members.get(&member.user).is_none_or(|known| known.revision <= member.revision);
        match member.state {
            _ if !newer => {}
            MemberState::Left => drop(self.members.remove(&member.user)),
            MemberState::Joined | MemberState::Invited | MemberState::Banned => {
                self.members.insert(member.user, member.clone());
            }
        }
    }
}

fn by_user(members: Vec<Member>) -> HashMap<UserId, Member> {
    let held = members.into_iter().filter(|member| member.state != MemberState::Left);
    held.map(|member| (member.user, member)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::ids::RoomId;
    use crate::domain::member::{MemberState, Role};
    use crate::domain::message::Changes;
    use crate::domain::room::{HistoryRule, RoomKind, SlowMode};
    use chrono::DateTime;

    pub(crate) fn room(head: u64, policy_revision: u64) -> Room {
        Room {
            id: RoomId(uuid::Uuid::nil()),
            kind: RoomKind::Private,
            name: "hall".into(),
            topic: String::new(),
            history: HistoryRule::All,
            archived: false,
            deleted: false,
            created_by: UserId::generate(),
            created_at: DateTime::UNIX_EPOCH,
            last_seq: Seq(0),
            head: Revision(head),
            policy_revision: Revision(policy_revision),
            settings_revision: Revision(1),
            last_created_at: DateTime::UNIX_EPOCH,
            member_count: 1,
            slow_mode: SlowMode::OFF,
            posting: Role::Member,
            blocked: false,
            filters_revision: Revision::ZERO,
        }
    }

    pub(crate) fn member(user: UserId, state: MemberState, revision: u64) -> Member {
        Member {
            room: RoomId(uuid::Uuid::nil()),
            user,
            state,
            role: Role::Member,
            visible_from_seq: Seq(1),
            joined_revision: Revision(1),
            revision: Revision(revision),
            stream_revision: Revision(1),
            by: None,
            reason: None,
            changed_at: DateTime::UNIX_EPOCH,
            silenced_until: None,
        }
    }

    fn change(to: u64, items: Vec<Item>, room: Option<Room>) -> Committed {
        let changes = Changes { room: RoomId(uuid::Uuid::nil()), from: Revision(to - 1), to: Revision(to), items };
        Committed { changes, room }
    }

    #[test]
    fn a_kick_that_is_applied_raises_the_claim_and_ends_the_right() {
        let user = UserId::generate();
        let mut membership = Membership::new(room(3, 2), vec![member(user, MemberState::Joined, 2)]);
        assert_eq!(membership.may_post(user, DateTime::UNIX_EPOCH), Ok(()));
        let kicked = Item::Member(member(user, MemberState::Left, 4));
        membership.apply(&change(4, vec![kicked], Some(room(4, 4))));
        assert_eq!(membership.may_post(user, DateTime::UNIX_EPOCH), Err(Fault::NotFound));
        assert_eq!(membership.sight(user), Err(Fault::NotFound));
        assert_eq!(membership.policy_revision(), Revision(4));
    }

    #[test]
    fn memory_does_not_grow_with_those_who_came_and_left() {
        let (stays, banned) = (UserId::generate(), UserId::generate());
        let mut membership = Membership::new(room(3, 2), vec![member(stays, MemberState::Joined, 2)]);
        for n in 0..1000 {
            let (user, revision) = (UserId::generate(), 4 + 2 * n);
            membership.apply(&change(revision, vec![Item::Member(member(user, MemberState::Joined, revision))], None));
            assert_eq!(membership.members.len(), 2);
            membership.apply(&change(revision + 1, vec![Item::Member(member(user, MemberState::Left, revision + 1))], None));
            assert_eq!(membership.members.len(), 1);
        }
        membership.apply(&change(2004, vec![Item::Member(member(banned, MemberState::Banned, 2004))], None));
        assert_eq!((membership.members.len(), membership.may_post(banned, DateTime::UNIX_EPOCH)), (2, Err(Fault::Banned)));
        let members = vec![member(stays, MemberState::Joined, 2), member(banned, MemberState::Left, 2005)];
        membership.reload(room(2005, 2005), members, Arc::default());
        assert_eq!((membership.members.len(), membership.may_post(stays, DateTime::UNIX_EPOCH)), (1, Ok(())));
        membership.reload(room(2006, 2006), vec![], Arc::default());
        assert_eq!(membership.members.len(), 0, "whom a reload does not bring has left");
    }

    #[test]
    fn rows_without_their_room_never_raise_the_claim() {
        let user = UserId::generate();
        let mut membership = Membership::new(room(3, 2), vec![]);
        let newer = Room { archived: true, settings_revision: Revision(4), ..room(9, 9) };
        let joined = Item::Member(member(user, MemberState::Joined, 4));
        membership.apply(&change(4, vec![joined, Item::Room(Box::new(newer))], None));
        assert_eq!(membership.policy_revision(), Revision(2));
        assert_eq!(membership.may_post(user, DateTime::UNIX_EPOCH), Err(Fault::RoomArchived));
    }

    #[test]
    fn an_older_row_does_not_undo_a_newer_one() {
        let user = UserId::generate();
        let mut membership = Membership::new(room(9, 9), vec![member(user, MemberState::Left, 8)]);
        membership.apply(&change(6, vec![Item::Member(member(user, MemberState::Joined, 6))], None));
        assert_eq!(membership.may_post(user, DateTime::UNIX_EPOCH), Err(Fault::NotFound));
        membership.reload(room(7, 7), vec![member(user, MemberState::Joined, 6)], Arc::default());
        assert_eq!(membership.policy_revision(), Revision(9));
    }

    #[test]
    fn reloading_brings_what_was_missed() {
        let user = UserId::generate();
        let mut membership = Membership::new(room(3, 2), vec![]);
        assert_eq!(membership.may_post(user, DateTime::UNIX_EPOCH), Err(Fault::NotFound));
        membership.reload(room(5, 5), vec![member(user, MemberState::Joined, 5)], Arc::default());
        assert_eq!((membership.may_post(user, DateTime::UNIX_EPOCH), membership.policy_revision()), (Ok(()), Revision(5)));
    }

    #[test]
    fn who_has_not_the_newest_filters_claims_no_revision() {
        let mut membership = Membership::new(room(3, 2), vec![]);
        assert_eq!(membership.policy_revision(), Revision(2));
        let filtered = Room { filters_revision: Revision(4), settings_revision: Revision(4), ..room(4, 4) };
        let told = Item::Room(Box::new(filtered.clone()));
        membership.apply(&change(4, vec![told], Some(filtered.clone())));
        assert_eq!((membership.policy_revision(), membership.lacks_filters()), (Revision::ZERO, true));
        membership.reload(filtered, vec![], Arc::default());
        assert_eq!((membership.policy_revision(), membership.lacks_filters()), (Revision(4), false));
    }
}
