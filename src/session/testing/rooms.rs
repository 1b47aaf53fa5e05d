//! Rooms of the recorded neighbours, and what is said in them.

use super::{Fake, FakeRoom};
use crate::delivery::envelope::Envelope;
use crate::domain::ids::{ClientId, RoomId, UserId};
use crate::domain::message::{Changes, Item, Message};
use crate::domain::order::{Revision, Seq};
use crate::domain::time::Timestamp;
use crate::policy::Sight;
use crate::protocol::v1::reply::Posted;
use std::sync::Arc;

impl Fake {
    /// A room that everybody may read, with so many messages.
    pub(in crate::session) fn room(&self, messages: u64) -> RoomId {
        let room = RoomId::generate();
        let sight = Sight { from_seq: Seq(1), joined_revision: Revision(0) };
        self.rooms.borrow_mut().insert(room, FakeRoom { sight, items: Vec::new(), relays: Vec::new() });
        for _ in 0..messages {
            self.say(room, UserId::generate(), ClientId::generate(), "before");
        }
        room
    }

    /// Commits a message and has it delivered.
    pub(in crate::session) fn say(&self, room: RoomId, author: UserId, client_id: ClientId, text: &str) -> Posted {
        let mut rooms = self.rooms.borrow_mut();
        let kept = rooms.get_mut(&room).unwrap();
        let number = kept.items.len() as u64 + 1;
        let created_at = Timestamp::UNIX_EPOCH;
        let item = Item::Message(Message {
            room,
            seq: Seq(number),
            revision: Revision(number),
            author,
            client_id,
            text: text.to_owned(),
            created_at,
            more: None,
        });
        kept.items.push(item.clone());
        let changes = Changes { room, from: Revision(number - 1), to: Revision(number), items: vec![item] };
        let envelope = Arc::new(Envelope::new(changes));
        kept.relays.iter().for_each(|relay| relay.deliver(Arc::clone(&envelope)).unwrap());
        self.newest.replace(Some(envelope));
        Posted { room, seq: Seq(number), revision: Revision(number), created_at, repeat: false }
    }
}
