//! What a block between two people does to their direct room: it is closed for both, and opened when neither blocks the other any more.
//!
//! The room is locked before the people, like everywhere. Whether there is one is looked up before the first lock; if the first message is
//! stored meanwhile, [`Direct::still_none`] finds the room and the whole operation is run again.

use super::Changed;
use super::create::direct_room;
use super::plan::Plan;
use super::write::{lock_room, write};
use crate::domain::ids::UserId;
use crate::domain::room::Room;
use crate::domain::time::Timestamp;
use crate::store::backend::Db;
use crate::store::error::StoreError;
use crate::store::people::Locked;

/// The direct room of two people, locked, or that they have none.
pub struct Direct {
    pair: (UserId, UserId),
    room: Option<Room>,
}

/// Locks the direct room of two people: the first lock of whoever changes what they are to each other.
pub async fn lock_direct(db: &mut Db, one: UserId, other: UserId) -> Result<Direct, StoreError> {
    let room = match direct_room(db, one, other).await? {
        Some(room) => lock_room(db, room).await?,
        None => None,
    };
    Ok(Direct { pair: (one, other), room })
}

impl Direct {
    /// To be called under the people's locks, which whoever makes the room takes too.
    ///
    /// # Errors
    /// [`StoreError::Contention`] if the room was made between the look for it and the locks.
    pub async fn still_none(&self, db: &mut Db) -> Result<(), StoreError> {
        if self.room.is_none() && direct_room(db, self.pair.0, self.pair.1).await?.is_some() {
            return Err(StoreError::Contention("the two have a room since this moment".to_owned()));
        }
        Ok(())
    }

    /// Closes or opens the room; `None` if there is nothing to change. No row of a person changes with it.
    pub async fn set_blocked(
        self,
        db: &mut Db,
        blocked: bool,
        actor: UserId,
        now: Timestamp,
    ) -> Result<Option<Changed>, StoreError> {
        let Some(room) = self.room.filter(|room| room.blocked != blocked && !room.deleted) else { return Ok(None) };
        let mut plan = Plan::new(room, actor, now);
        plan.set_blocked(blocked);
        write(db, plan, Locked::default()).await.map(Some)
    }
}
