//! The only thing others hold of the reader.

use std::time::Duration;

use actix::dev::SendError;

use super::actor::Reader;
use super::messages::{Hurry, Reported, Waiter};
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{RoomId, UserId};
use crate::domain::reading::{Progress, ReadMark};
use crate::store::read_marks::Marked;
use crate::supervision::mailbox::Mailbox;
use crate::supervision::reply::reply;

/// The way to the reader of this node, from any thread.
#[derive(Clone, Debug)]
pub struct Reading {
    mailbox: Mailbox<Reader>,
    busy_retry_after: Duration,
}

impl Reading {
    pub(super) const fn new(mailbox: Mailbox<Reader>, busy_retry_after: Duration) -> Self {
        Self { mailbox, busy_retry_after }
    }

    /// A person has read or received a room up to here. Answers behind the commit, which may take as long as reports are gathered.
    ///
    /// # Errors
    /// What reading the room answers; busy, unavailable.
    pub async fn report(&self, user: UserId, room: RoomId, progress: Progress) -> Result<Marked, Refusal> {
        let (reply_to, answer) = reply();
        self.send(Reported { user, progress, waiter: Waiter::Room(room, reply_to) })?;
        answer.await.unwrap_or(Err(Fault::Unavailable.into()))
    }

    /// A person has read everything. The marks that rose.
    ///
    /// # Errors
    /// Busy, unavailable.
    pub async fn read_all(&self, user: UserId) -> Result<Vec<ReadMark>, Refusal> {
        let (reply_to, answer) = reply();
        self.send(Reported { user, progress: Progress::default(), waiter: Waiter::Everything(reply_to) })?;
        answer.await.unwrap_or(Err(Fault::Unavailable.into()))
    }

    /// The server stops: nothing is gathered any more (I11).
    pub fn hurry(&self) {
        // Full: those who wait are answered when their pause ends.
        self.mailbox.try_send(Hurry).ok();
    }

    fn send(&self, report: Reported) -> Result<(), Refusal> {
        self.mailbox.try_send(report).map_err(|error| match error {
            SendError::Full(_) => Refusal::busy(self.busy_retry_after),
            SendError::Closed(_) => Fault::Unavailable.into(),
        })
    }
}
