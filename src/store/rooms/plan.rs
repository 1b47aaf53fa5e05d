//! What a decided change does to the rows, without SQL: new values of the room, of the members, and the lines of the timeline.

use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::{Member, MemberState, Role};
use crate::domain::message::{Changes, Item, Notice, NoticeKind};
use crate::domain::order::{Revision, Seq};
use crate::domain::room::{HistoryRule, Room, RoomChange, RoomKind, RoomSettings};
use crate::domain::time::Timestamp;

/// A change being put together: each step takes the next revision.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The room, as it will be.
    pub room: Room,
    /// Rows of `members`, as they will be; `stream_revision` is filled in under the users' locks.
    pub members: Vec<Member>,
    /// Lines of the timeline.
    pub notices: Vec<Notice>,
    from: Revision,
    now: Timestamp,
    actor: UserId,
    settings_changed: bool,
}

impl Plan {
    /// Nothing yet, on a locked room.
    pub fn new(room: Room, actor: UserId, now: Timestamp) -> Self {
        let from = room.head;
        Self { room, members: Vec::new(), notices: Vec::new(), from, now, actor, settings_changed: false }
    }

    /// Carries out what [`crate::policy::decide_change`] has allowed. Links are not rows of the room: nothing is planned for them.
    pub fn carry_out(&mut self, change: &RoomChange, actor: Option<&Member>, subject: Option<&Member>, owners: &[Member]) {
        let text = |reason: &Option<crate::domain::text::Reason>| reason.as_ref().map(|reason| reason.as_str().to_owned());
        match change {
            RoomChange::Join | RoomChange::JoinByLink { .. } => self.join(self.actor, actor),
            RoomChange::Leave => self.put(self.actor, actor, MemberState::Left, NoticeKind::Left, None),
            RoomChange::Decline => self.put(self.actor, actor, MemberState::Left, NoticeKind::InvitationEnded, None),
            RoomChange::Invite { user } => self.put(*user, subject, MemberState::Invited, NoticeKind::Invited, None),
            RoomChange::Uninvite { user, .. } => self.put(*user, subject, MemberState::Left, NoticeKind::InvitationEnded, None),
            RoomChange::Kick { user, reason } => {
                self.put(*user, subject, MemberState::Left, NoticeKind::Kicked, text(reason));
            }
            RoomChange::Ban { user, reason } => {
                self.put(*user, subject, MemberState::Banned, NoticeKind::Banned, text(reason));
            }
            RoomChange::Unban { user, .. } => self.put(*user, subject, MemberState::Left, NoticeKind::Unbanned, None),
            RoomChange::Silence { user, until, reason } => {
                self.silence(*user, subject, Some(*until), NoticeKind::Silenced, text(reason));
            }
            RoomChange::Unsilence { user, .. } => self.silence(*user, subject, None, NoticeKind::Unsilenced, None),
            RoomChange::SetRole { user, role, .. } => self.set_role(*user, subject, *role, NoticeKind::RoleChanged),
            RoomChange::Transfer { user, .. } => self.transfer(*user, owners, subject),
            RoomChange::Settings(settings) => self.settings(settings),
            RoomChange::Delete { .. } => self.delete(),
            RoomChange::AddFilter { .. } | RoomChange::RemoveFilter { .. } => self.filters(),
            RoomChange::CreateLink { .. } | RoomChange::RevokeLink { .. } => {}
        }
    }

    /// Makes the room, with its people; its first revision.
    pub fn found(&mut self, people: &[(UserId, Role)]) {
        let revision = self.step(NoticeKind::Created, None, None);
        self.room.settings_revision = revision;
        self.room.policy_revision = revision;
        self.settings_changed = true;
        for (user, role) in people {
            let mut member = fresh(self.room.id, *user, self.now);
            member.role = *role;
            self.enter(&mut member, revision);
            self.members.push(member);
        }
    }

    /// Somebody comes in. The first one into an empty room owns it, else nobody could ever change it again.
    fn join(&mut self, user: UserId, old: Option<&Member>) {
        let revision = self.step(NoticeKind::Joined, Some(user), None);
        let mut member = old.cloned().unwrap_or_else(|| fresh(self.room.id, user, self.now));
        let named = matches!(self.room.kind, RoomKind::Public | RoomKind::Private);
        member.role = if named && self.room.member_count == 0 { Role::Owner } else { Role::Member };
        if member.role == Role::Owner {
            // Nobody is above an owner who could end it.
            member.silenced_until = None;
        }
        member.reason = None;
        self.enter(&mut member, revision);
        self.room.policy_revision = revision;
        self.members.push(member);
    }

    fn enter(&mut self, member: &mut Member, revision: Revision) {
        member.state = MemberState::Joined;
        member.joined_revision = revision;
        member.revision = revision;
        member.changed_at = self.now;
        member.visible_from_seq = match self.room.history {
            HistoryRule::All => Seq::ZERO,
            HistoryRule::SinceJoining => self.room.last_seq.next(),
        };
        self.room.member_count += 1;
    }

    /// Puts somebody into any state but joined.
    pub fn put(&mut self, user: UserId, old: Option<&Member>, state: MemberState, kind: NoticeKind, reason: Option<String>) {
        // Why somebody was banned is for moderators, who have the list of bans; the timeline is for everybody.
        let told = reason.clone().filter(|_| kind != NoticeKind::Banned);
        let revision = self.step(kind, Some(user), told);
        let mut member = old.cloned().unwrap_or_else(|| fresh(self.room.id, user, self.now));
        if member.is_joined() {
            self.room.member_count = self.room.member_count.saturating_sub(1);
        }
        member.state = state;
        member.revision = revision;
        member.changed_at = self.now;
        member.by = Some(self.actor).filter(|actor| *actor != user);
        member.reason = reason;
        // Even an invitation counts: it changes which refusal a post meets.
        self.room.policy_revision = revision;
        self.members.push(member);
    }

    /// Standing, inviter and reason of the row stay as they are: why somebody was silenced is told in the timeline alone, to everybody.
    fn silence(
        &mut self,
        user: UserId,
        old: Option<&Member>,
        until: Option<Timestamp>,
        kind: NoticeKind,
        reason: Option<String>,
    ) {
        let Some(old) = old else { return };
        let revision = self.step(kind, Some(user), reason);
        self.room.policy_revision = revision;
        self.members.push(Member { silenced_until: until, revision, changed_at: self.now, ..old.clone() });
    }

    /// Closes a direct room for both, or opens it. A revision without a row: nobody is to see who did it, or that it was done.
    pub fn set_blocked(&mut self, blocked: bool) {
        self.room.blocked = blocked;
        self.room.head = self.room.head.next();
        self.room.policy_revision = self.room.head;
    }

    fn set_role(&mut self, user: UserId, old: Option<&Member>, role: Role, kind: NoticeKind) {
        let Some(old) = old else { return };
        let revision = self.step(kind, Some(user), Some(word(role).to_owned()));
        // Where only some roles may post, this says who.
        self.room.policy_revision = revision;
        self.members.push(Member { role, revision, changed_at: self.now, ..old.clone() });
    }

    /// One revision for all of them: nobody ever sees the room without an owner, or with one too many.
    pub fn transfer(&mut self, user: UserId, givers: &[Member], taker: Option<&Member>) {
        let Some(taker) = taker else { return };
        let revision = self.step(NoticeKind::Transferred, Some(user), None);
        self.room.policy_revision = revision;
        // Nobody is above an owner who could end a silence.
        let owner = Member { role: Role::Owner, silenced_until: None, revision, changed_at: self.now, ..taker.clone() };
        self.members.push(owner);
        // Whoever asked for it: an administrator gives away what is not theirs.
        for giver in givers.iter().filter(|giver| giver.user != user) {
            self.members.push(Member { role: Role::Moderator, revision, changed_at: self.now, ..giver.clone() });
        }
    }

    /// Each thing that changes has its line in the timeline, and so its revision.
    fn settings(&mut self, new: &RoomSettings) {
        if let Some(name) = new.name.as_ref().filter(|name| name.as_str() != self.room.name) {
            name.as_str().clone_into(&mut self.room.name);
            self.setting(NoticeKind::Renamed, Some(name.as_str()));
        }
        if let Some(topic) = new.topic.as_ref().filter(|topic| topic.as_str() != self.room.topic) {
            topic.as_str().clone_into(&mut self.room.topic);
            self.setting(NoticeKind::TopicChanged, Some(topic.as_str()));
        }
        let (kind, history) = (new.kind.unwrap_or(self.room.kind), new.history.unwrap_or(self.room.history));
        if (kind, history) != (self.room.kind, self.room.history) {
            (self.room.kind, self.room.history) = (kind, history);
            self.setting(NoticeKind::AccessChanged, None);
            self.room.policy_revision = self.room.head;
        }
        if let Some(archived) = new.archived.filter(|archived| *archived != self.room.archived) {
            self.room.archived = archived;
            self.setting(if archived { NoticeKind::Archived } else { NoticeKind::Unarchived }, None);
            self.room.policy_revision = self.room.head;
        }
        if let Some(slow_mode) = new.slow_mode.filter(|slow_mode| *slow_mode != self.room.slow_mode) {
            self.room.slow_mode = slow_mode;
            self.setting(NoticeKind::SlowModeChanged, Some(&slow_mode.seconds().to_string()));
        }
        if let Some(posting) = new.posting.filter(|posting| *posting != self.room.posting) {
            self.room.posting = posting;
            self.setting(NoticeKind::PostingChanged, Some(word(posting)));
            self.room.policy_revision = self.room.head;
        }
    }

    fn setting(&mut self, kind: NoticeKind, text: Option<&str>) {
        self.room.settings_revision = self.step(kind, None, text.map(ToOwned::to_owned));
        self.settings_changed = true;
    }

    /// No line: filters are for moderators. The room's row takes the revision, so that posts are decided with the new ones (I10).
    fn filters(&mut self) {
        self.room.head = self.room.head.next();
        self.room.settings_revision = self.room.head;
        self.room.policy_revision = self.room.head;
        self.room.filters_revision = self.room.head;
        self.settings_changed = true;
    }

    /// No line: nobody reads this timeline again. The room's row carries the news.
    fn delete(&mut self) {
        self.room.deleted = true;
        self.room.head = self.room.head.next();
        self.room.settings_revision = self.room.head;
        self.room.policy_revision = self.room.head;
        self.settings_changed = true;
    }

    /// Takes the next revision, with a line in the timeline.
    fn step(&mut self, kind: NoticeKind, subject: Option<UserId>, text: Option<String>) -> Revision {
        self.room.head = self.room.head.next();
        self.notices.push(Notice {
            room: self.room.id,
            revision: self.room.head,
            after_seq: self.room.last_seq,
            kind,
            actor: self.actor,
            subject,
            text,
            created_at: self.now,
        });
        self.room.head
    }

    /// What those in the room see; `None` if nothing was planned.
    pub fn changes(&self) -> Option<Changes> {
        if self.room.head == self.from {
            return None;
        }
        let mut items: Vec<Item> = Vec::with_capacity(self.members.len() + self.notices.len() + 1);
        items.extend(self.members.iter().cloned().map(Item::Member));
        items.extend(self.notices.iter().cloned().map(Item::Notice));
        if self.settings_changed {
            items.push(Item::Room(Box::new(self.room.clone())));
        }
        items.sort_by_key(Item::revision);
        Some(Changes { room: self.room.id, from: self.from, to: self.room.head, items })
    }
}

/// A role as the wire calls it.
const fn word(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Moderator => "moderator",
        Role::Owner => "owner",
    }
}

fn fresh(room: RoomId, user: UserId, now: Timestamp) -> Member {
    Member {
        room,
        user,
        state: MemberState::Left,
        role: Role::Member,
        visible_from_seq: Seq(1),
        joined_revision: Revision::ZERO,
        revision: Revision::ZERO,
        stream_revision: Revision::ZERO,
        by: None,
        reason: None,
        changed_at: now,
        silenced_until: None,
    }
}
