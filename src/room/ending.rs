//! The people of deleted rooms are told, part by part.
//!
//! Purpose: a deletion reaches those who receive the room at once, and everybody else's stream in writes of bounded size (I4, I7). The
//! room begins with it; whatever it does not get to, because it or the node ended, the directory finds with its comparison of heads.
//! Must not know: what a stream says.

use std::sync::Arc;

use tokio::time::{Instant, sleep};

use super::actor::Surroundings;
use super::messages::or_unknown;
use crate::domain::fault::Refusal;
use crate::domain::ids::RoomId;
use crate::persistence::handle::Key;
use crate::store::StoreError;
use crate::store::rooms::{self, EndMemberships};

/// People in one transaction.
const PEOPLE_PER_WRITE: usize = 100;

/// Rooms asked for in one statement.
const ROOMS_PER_READ: usize = 100;

/// Ends all memberships of a deleted room and tells those who are here. Running twice at once does no harm.
pub(super) async fn end_memberships(with: &Surroundings, room: RoomId) -> Result<(), Refusal> {
    loop {
        let begin = Instant::now();
        let end = EndMemberships { room, people_max: PEOPLE_PER_WRITE };
        let ended = or_unknown(with.persistence.run(Key::Room(room), end).await)?;
        with.relays.announce_user_heads(&ended.user_heads);
        if !ended.more {
            return Ok(());
        }
        // At most half of a writer's time: everybody else's posts go through the same.
        sleep(begin.elapsed()).await;
    }
}

/// Goes on with all rooms that were deleted and have people left, one after the other.
pub(super) async fn end_all(with: Arc<Surroundings>) {
    let mut after = None;
    loop {
        let page = match unended(&with, after).await {
            Ok(page) => page,
            Err(error) => return tracing::warn!(%error, "cannot find rooms that were deleted"),
        };
        for room in &page.items {
            after = Some(*room);
            if let Err(refusal) = end_memberships(&with, *room).await {
                tracing::warn!(%room, fault = refusal.fault.row().code, "memberships of a deleted room could not be ended");
            }
        }
        if !page.more {
            return;
        }
    }
}

async fn unended(with: &Surroundings, after: Option<RoomId>) -> Result<crate::store::Page<RoomId>, StoreError> {
    with.store.read(move |db| Box::pin(async move { rooms::ending(db, after, ROOMS_PER_READ).await })).await
}
