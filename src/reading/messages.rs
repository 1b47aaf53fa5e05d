//! What the reader accepts.

use actix::Message;

use super::state::Report;
use crate::domain::fault::Refusal;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::reading::{Progress, ReadMark};
use crate::store::read_marks::Marked;
use crate::supervision::reply::ReplyTo;

/// Who waits for what.
#[derive(Debug)]
pub(super) enum Waiter {
    /// For the mark of this room.
    Room(RoomId, ReplyTo<Result<Marked, Refusal>>),
    /// For the marks that rose.
    Everything(ReplyTo<Result<Vec<ReadMark>, Refusal>>),
}

/// A device's report. From sessions and REST; always answered, behind its commit.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Reported {
    pub(super) user: UserId,
    pub(super) progress: Progress,
    pub(super) waiter: Waiter,
}

impl Reported {
    /// What it says.
    pub(super) const fn report(&self) -> Report {
        match self.waiter {
            Waiter::Room(room, _) => Report::Room(room, self.progress),
            Waiter::Everything(_) => Report::Everything,
        }
    }
}

/// The server stops: write what is there, gather no more. From the app; may be lost, then the pause ends by itself.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Hurry;
