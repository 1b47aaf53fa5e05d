//! The reader's view of persistence: what it writes, in words of its own, or what a test records.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::delivery::handle::Relays;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{RoomId, UserId};
use crate::domain::reading::{Progress, ReadMark};
use crate::persistence::handle::{Key, Persistence};
use crate::store::read_marks::{Marked, RaiseMarks, ReadEverything};

/// The marks of the rooms named, each or why there is none.
pub type RoomMarks = BTreeMap<RoomId, Result<Marked, Fault>>;

/// Where marks are written.
pub trait Records: Send + 'static {
    /// Posts need all there is.
    fn is_full(&self) -> bool;

    /// Raises marks of one person.
    fn raise(&self, user: UserId, progress: BTreeMap<RoomId, Progress>) -> BoxFuture<'static, Result<RoomMarks, Refusal>>;

    /// Marks everything as read. The marks that rose.
    fn read_everything(&self, user: UserId) -> BoxFuture<'static, Result<Vec<ReadMark>, Refusal>>;
}

/// Who hears of a mark that rose, behind its commit.
pub type Heard = Arc<dyn Fn(UserId, ReadMark) + Send + Sync>;

/// Persistence, and whom to tell of streams that grew and of marks that rose.
#[derive(Clone)]
pub struct StoredMarks {
    /// For writing.
    pub persistence: Persistence,
    /// For the person's own devices.
    pub relays: Relays,
    /// For the others in the room.
    pub heard: Heard,
    /// Writes that may wait in all before this holds back its own: half of what would make posts busy.
    pub yields_at: usize,
    /// Rooms in one transaction.
    pub rooms_max: usize,
}

impl Records for StoredMarks {
    fn is_full(&self) -> bool {
        let condition = self.persistence.condition();
        condition.waiting_rows > self.yields_at || condition.saturation > 0.5
    }

    fn raise(&self, user: UserId, progress: BTreeMap<RoomId, Progress>) -> BoxFuture<'static, Result<RoomMarks, Refusal>> {
        let written = self.persistence.run_in_background(Key::User(user), RaiseMarks { user, progress });
        let (relays, heard) = (self.relays.clone(), Arc::clone(&self.heard));
        async move {
            let raised = written.await.unwrap_or_else(|_dropped| Err(Fault::Unavailable.into()))?;
            relays.announce_user_heads(&raised.user_heads);
            let news = raised.rooms.values().flatten().filter(|marked| marked.is_news);
            news.for_each(|marked| heard(user, marked.mark));
            Ok(raised.rooms)
        }
        .boxed()
    }

    fn read_everything(&self, user: UserId) -> BoxFuture<'static, Result<Vec<ReadMark>, Refusal>> {
        let this = self.clone();
        async move {
            let (mut marks, mut after) = (Vec::new(), None);
            loop {
                let part = ReadEverything { user, after, rooms_max: this.rooms_max };
                let written = this.persistence.run_in_background(Key::User(user), part);
                let part = written.await.unwrap_or_else(|_dropped| Err(Fault::Unavailable.into()))?;
                this.relays.announce_user_heads(&part.user_heads);
                part.marks.iter().for_each(|mark| (this.heard)(user, *mark));
                marks.extend(part.marks);
                match part.next {
                    Some(room) => after = Some(room),
                    None => return Ok(marks),
                }
            }
        }
        .boxed()
    }
}
