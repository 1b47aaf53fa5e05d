//! The rooms that are awake: where a handle on any thread finds their mailboxes.
//!
//! Purpose: the way to a room that is awake costs one look into a shared map; only a sleeping one costs a question to the directory.
//! Neighbours: `handle` sends through it, `directory` enters rooms, a room leaves it when it falls asleep.
//! Invariant: a message is put into a mailbox under the read lock, and a room leaves under the write lock after seeing its mailbox
//! empty; so no message is ever put into the mailbox of a room that sleeps. Must not know: what a room does.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use actix::Handler;
use actix::dev::SendError;

use super::actor::RoomActor;
use super::messages::Refusable;
use crate::domain::ids::RoomId;
use crate::domain::order::Revision;
use crate::supervision::mailbox::{Mailbox, Queued};

/// Into so many parts the map is cut, so that threads seldom meet at one lock.
const SHARDS: usize = 16;

/// What others may see of a room without asking it.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    known: AtomicU64,
    attached: AtomicBool,
    uncompared: AtomicBool,
}

impl Pulse {
    /// The newest revision the room knows of.
    pub(super) fn known(&self) -> Revision {
        Revision(self.known.load(Ordering::Relaxed))
    }

    /// Whether a relay wants the room.
    pub(super) fn is_attached(&self) -> bool {
        self.attached.load(Ordering::Relaxed)
    }

    /// Whether some relay was handed something since it was last told how far it should be.
    fn is_uncompared(&self) -> bool {
        self.uncompared.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, known: Revision, attached: bool, uncompared: bool) {
        self.known.store(known.0, Ordering::Relaxed);
        self.attached.store(attached, Ordering::Relaxed);
        self.uncompared.store(uncompared, Ordering::Relaxed);
    }
}

/// A room that some relay wants, as far as it can be seen without asking it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) room: RoomId,
    /// The newest revision it knows of.
    pub(super) known: Revision,
    /// It has ended without leaving.
    pub(super) crashed: bool,
    /// Some relay may have lost something.
    pub(super) uncompared: bool,
}

struct Entry {
    mailbox: Mailbox<RoomActor>,
    pulse: Arc<Pulse>,
}

/// The rooms awake. Clones share it.
#[derive(Clone)]
pub(super) struct Map {
    shards: Arc<[RwLock<HashMap<RoomId, Entry>>]>,
    hasher: RandomState,
}

impl Map {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| RwLock::default()).collect(), hasher: RandomState::new() }
    }

    /// Gives a message to a room that is awake. *Closed*: it is not, ask the directory.
    pub(super) fn try_send<M>(&self, room: RoomId, message: M) -> Result<(), SendError<M>>
    where
        M: actix::Message<Result = ()> + Send + 'static,
        RoomActor: Handler<Queued<M>>,
    {
        match self.read(room).get(&room) {
            Some(entry) => entry.mailbox.try_send(message),
            None => Err(SendError::Closed(message)),
        }
    }

    /// Enters a room, in the place of one that has crashed if there is one.
    pub(super) fn enter(&self, room: RoomId, mailbox: Mailbox<RoomActor>, pulse: Arc<Pulse>) {
        self.write(room).insert(room, Entry { mailbox, pulse });
    }

    /// Whether there is an entry of a room that ended without leaving.
    pub(super) fn has_crashed(&self, room: RoomId) -> bool {
        self.read(room).get(&room).is_some_and(|entry| !entry.mailbox.is_open())
    }

    /// Takes a room out if nothing waits in its mailbox; then it may stop. Also if it is not in there.
    pub(super) fn leave(&self, room: RoomId) -> bool {
        let mut shard = self.write(room);
        let empty = shard.get(&room).is_none_or(|entry| entry.mailbox.gauge().depth() == 0);
        if empty {
            shard.remove(&room);
        }
        empty
    }

    /// How many rooms are awake.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// The rooms some relay wants.
    pub(super) fn attached(&self) -> Vec<Wanted> {
        let mut attached = Vec::new();
        for shard in &*self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            let wanted = shard.iter().filter(|(_, entry)| entry.pulse.is_attached());
            attached.extend(wanted.map(|(room, Entry { mailbox, pulse })| Wanted {
                room: *room,
                known: pulse.known(),
                crashed: !mailbox.is_open(),
                uncompared: pulse.is_uncompared(),
            }));
        }
        attached
    }

    fn shard(&self, room: RoomId) -> &RwLock<HashMap<RoomId, Entry>> {
        let number = usize::try_from(self.hasher.hash_one(room)).unwrap_or(0) % SHARDS;
        self.shards.get(number).expect("there are that many shards")
    }

    // Each critical section leaves the map whole.
    fn read(&self, room: RoomId) -> RwLockReadGuard<'_, HashMap<RoomId, Entry>> {
        self.shard(room).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, room: RoomId) -> RwLockWriteGuard<'_, HashMap<RoomId, Entry>> {
        self.shard(room).write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a message that found no place is answered.
pub(super) fn refuse_unsent<M: Refusable>(unsent: SendError<M>, busy: crate::domain::fault::Refusal) {
    match unsent {
        SendError::Full(message) => message.refuse(busy),
        SendError::Closed(message) => message.refuse(crate::domain::fault::Fault::Unavailable.into()),
    }
}
