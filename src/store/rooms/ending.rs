//! What a deleted room leaves behind: memberships and invitations that end, a part of them at a time.
//!
//! A room may have very many people, and each one's stream is to say that it has ended (I7). So the deletion itself only marks the room;
//! its people follow in transactions of bounded size, until none is left. Who was told is seen from the rows, so each of these may be
//! run again, by anybody, at any time.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::write::lock_room;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::MemberState;
use crate::domain::order::Revision;
use crate::store::backend::Db;
use crate::store::columns::{Code, Id, int};
use crate::store::error::StoreError;
use crate::store::operation::{Operation, Reply};
use crate::store::page::Page;
use crate::store::people::Locked;
use crate::store::schema::{members, room_endings, rooms};

/// Ends memberships and invitations of a deleted room: those of at most so many people. Nothing in a room that is not deleted.
#[derive(Clone, Copy, Debug)]
pub struct EndMemberships {
    /// The room.
    pub room: RoomId,
    /// People at most.
    pub people_max: usize,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipsEnded {
    /// The new heads of their streams.
    pub user_heads: Vec<(UserId, Revision)>,
    /// There may be more people: run it again.
    pub more: bool,
}

impl Operation for EndMemberships {
    type Output = MembershipsEnded;
    const NAME: &'static str = "end_memberships";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, MembershipsEnded> {
        Box::pin(self.end(db))
    }
}

impl EndMemberships {
    async fn end(&self, db: &mut Db) -> Result<MembershipsEnded, StoreError> {
        let room = lock_room(db, self.room).await?.filter(|room| room.deleted);
        let Some(room) = room else { return Ok(MembershipsEnded { user_heads: Vec::new(), more: false }) };
        let joined = self.people(db, MemberState::Joined, self.people_max).await?;
        let invited = self.people(db, MemberState::Invited, self.people_max.saturating_sub(joined.len())).await?;
        let mut people = Locked::take(db, joined.iter().chain(&invited).copied()).await?;
        for user in joined.iter().chain(&invited) {
            let left = (members::state.eq(MemberState::Left.code()), members::stream_revision.eq(int(people.next(*user)?.0)));
            let row = members::table.find((Id::from(self.room), Id::from(*user)));
            each!(db, |c| diesel::update(row).set(left).execute(c).await)?;
        }
        if !joined.is_empty() {
            let rest = room.member_count.saturating_sub(joined.len() as u64);
            let counted = rooms::member_count.eq(int(rest));
            each!(db, |c| diesel::update(rooms::table.find(Id::from(self.room))).set(counted).execute(c).await)?;
        }
        let more = joined.len() + invited.len() >= self.people_max;
        if !more {
            each!(db, |c| diesel::delete(room_endings::table.find(Id::from(self.room))).execute(c).await)?;
        }
        Ok(MembershipsEnded { user_heads: people.write(db).await?, more })
    }

    /// One state at a time, so that an index gives just as many rows.
    async fn people(&self, db: &mut Db, state: MemberState, most: usize) -> Result<Vec<UserId>, StoreError> {
        let query = members::table
            .filter(members::room.eq(Id::from(self.room)))
            .filter(members::state.eq(state.code()))
            .order((members::role, members::user))
            .limit(i64::try_from(most).unwrap_or(i64::MAX))
            .select(members::user);
        let ids: Vec<Id> = each!(db, |c| query.load(c).await)?;
        Ok(ids.into_iter().map(Into::into).collect())
    }
}

/// Notes that a room's people are to follow its deletion, of which this is a part.
pub(super) async fn begin(db: &mut Db, room: RoomId) -> Result<(), StoreError> {
    let row = room_endings::room.eq(Id::from(room));
    each!(db, |c| diesel::insert_into(room_endings::table).values(row).execute(c).await)?;
    Ok(())
}

/// Deleted rooms that may have people left, after `after`.
///
/// # Errors
/// Those of the database.
pub async fn ending(db: &mut Db, after: Option<RoomId>, limit: usize) -> Result<Page<RoomId>, StoreError> {
    let after = after.map_or(Id([0; 16]), Id::from);
    let query = room_endings::table
        .filter(room_endings::room.gt(after))
        .order(room_endings::room)
        .limit(Page::<RoomId>::one_more(limit))
        .select(room_endings::room);
    let ids: Vec<Id> = each!(db, |c| query.load(c).await)?;
    Page::cut(ids.into_iter().map(|id| Ok(id.into())), limit)
}
