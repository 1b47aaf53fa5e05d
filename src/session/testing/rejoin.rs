//! Somebody leaves a recorded room and comes back.

use super::Fake;
use crate::delivery::envelope::Envelope;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::{Member, MemberState, Role};
use crate::domain::message::{Changes, Item};
use crate::domain::order::{Revision, Seq};
use crate::domain::time::Timestamp;
use crate::policy::Sight;
use std::sync::Arc;

impl Fake {
    /// Commits both at once, of which only the newest state of the row travels. They see what is said from now on.
    pub(super) fn rejoin(&self, room: RoomId, user: UserId) {
        let mut rooms = self.rooms.borrow_mut();
        let kept = rooms.get_mut(&room).unwrap();
        let from = Revision(kept.items.len() as u64);
        let to = from.next();
        kept.sight = Sight { from_seq: Seq(to.0), joined_revision: to };
        let member = Item::Member(Member {
            room,
            user,
            state: MemberState::Joined,
            role: Role::Member,
            visible_from_seq: kept.sight.from_seq,
            joined_revision: to,
            revision: to,
            stream_revision: Revision(4),
            by: None,
            reason: None,
            changed_at: Timestamp::UNIX_EPOCH,
            silenced_until: None,
        });
        kept.items.push(member.clone());
        let envelope = Arc::new(Envelope::new(Changes { room, from, to, items: vec![member] }));
        kept.relays.iter().for_each(|relay| relay.deliver(Arc::clone(&envelope)).unwrap());
    }
}
