//! Rooms: what is asked of them. How they are made stands in `create`, how they change in `change`, what a block does to the room of two in
//! `blocking`, what a deleted account leaves behind in `depart`, what a deleted room does in `ending`; members' lists are in [`super::members`], links in [`super::links`].
//!
//! *Must not know*: who may see what; callers ask [`crate::policy`] with the rows returned here.

mod blocking;
mod change;
mod create;
mod deed;
mod depart;
mod ending;
mod plan;
mod write;

#[cfg(test)]
mod silence_tests;
#[cfg(test)]
mod tests;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Page;
use super::backend::Db;
use super::columns::{Code, Id, room_key};
use super::error::StoreError;
use super::rows::{MemberRow, RoomRow};
use super::schema::{members, rooms};
use crate::config::Limits;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::{Member, MemberState};
use crate::domain::message::Changes;
use crate::domain::order::Revision;
use crate::domain::room::{Room, RoomKind};

pub(super) use blocking::lock_direct;
pub use change::ChangeRoom;
pub use create::{CreateGroup, CreateRoom, FirstDirect, FirstDirectOutcome, direct_room};
pub use depart::Depart;
pub use ending::{EndMemberships, MembershipsEnded, ending};
pub(in crate::store) use write::{lock_room, members_of, within};

/// What a change of a room came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The room after it.
    pub room: Room,
    /// What those in the room see. `None`: nothing they see has changed, because it was already so or because it was about a link.
    pub changes: Option<Changes>,
    /// The new heads of the user streams it touched.
    pub user_heads: Vec<(UserId, Revision)>,
}

/// How much of everything a room and a person may have; counted under the locks of the change.
#[derive(Clone, Copy, Debug)]
pub struct RoomLimits {
    /// Rooms one person is a member of.
    pub rooms_per_user: usize,
    /// Rooms one person owns.
    pub rooms_owned_per_user: usize,
    /// Members of one room.
    pub members_per_room: usize,
    /// People in a group, invited ones included.
    pub group_members_max: usize,
    /// Open invitations of people to one room.
    pub invites_per_room: usize,
    /// People banned from one room.
    pub bans_per_room: usize,
    /// Links of one room.
    pub invite_links_per_room: usize,
    /// Filters of one room.
    pub filters_per_room: usize,
}

impl From<&Limits> for RoomLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            rooms_per_user: limits.rooms_per_user,
            rooms_owned_per_user: limits.rooms_owned_per_user,
            members_per_room: limits.members_per_room,
            group_members_max: limits.group_members_max,
            invites_per_room: limits.invites_per_room,
            bans_per_room: limits.bans_per_room,
            invite_links_per_room: limits.invite_links_per_room,
            filters_per_room: limits.filters_per_room,
        }
    }
}

/// A place in the list of public rooms, to go on after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomPlace {
    /// The folded name.
    pub name_key: String,
    /// The room.
    pub id: RoomId,
}

impl RoomPlace {
    /// Where this room stands.
    #[must_use]
    pub fn of(room: &Room) -> Self {
        Self { name_key: room_key(&room.name), id: room.id }
    }
}

/// A room with every row about a person whom it concerns: joined, invited, banned. Each of these has a limit; how many have left has none,
/// so they are not read: who left is to the room as who never came (I4). The room is read first: what its `policy_revision` covers is
/// then in the members read after it, never the other way round (I10).
///
/// # Errors
/// Those of the database.
pub async fn load(db: &mut Db, room: RoomId) -> Result<Option<(Room, Vec<Member>)>, StoreError> {
    let Some(found) = get(db, room).await? else { return Ok(None) };
    let query = members::table
        .filter(members::room.eq(Id::from(room)))
        .filter(members::state.ne(MemberState::Left.code()))
        .select(members::all_columns);
    let rows: Vec<MemberRow> = each!(db, |c| query.load(c).await)?;
    let members = rows.into_iter().map(Member::try_from).collect::<Result<_, _>>()?;
    Ok(Some((found, members)))
}

/// A room by itself, deleted or not.
///
/// # Errors
/// Those of the database.
pub async fn get(db: &mut Db, room: RoomId) -> Result<Option<Room>, StoreError> {
    let query = rooms::table.find(Id::from(room)).select(rooms::all_columns);
    let row: Option<RoomRow> = each!(db, |c| query.first(c).await.optional())?;
    row.map(Room::try_from).transpose()
}

/// A room and one person's row in it, read at one moment.
///
/// # Errors
/// Those of the database.
pub async fn with_member(db: &mut Db, room: RoomId, user: UserId) -> Result<Option<(Room, Option<Member>)>, StoreError> {
    Ok(standings(db, user, &[room]).await?.pop())
}

/// The same for many rooms; those that do not exist are left out. Order is not kept.
///
/// # Errors
/// Those of the database.
pub async fn standings(db: &mut Db, user: UserId, of: &[RoomId]) -> Result<Vec<(Room, Option<Member>)>, StoreError> {
    let ids: Vec<Id> = of.iter().copied().map(Id::from).collect();
    let query = rooms::table
        .left_join(members::table.on(members::room.eq(rooms::id).and(members::user.eq(Id::from(user)))))
        .filter(rooms::id.eq_any(&ids))
        .select((rooms::all_columns, members::all_columns.nullable()));
    let rows: Vec<(RoomRow, Option<MemberRow>)> = each!(db, |c| query.load(c).await)?;
    rows.into_iter().map(|(room, member)| Ok((room.try_into()?, member.map(Member::try_from).transpose()?))).collect()
}

/// The heads of many rooms, deleted ones too: a deletion may be what nobody told of. Order is not kept.
///
/// # Errors
/// Those of the database.
pub async fn heads(db: &mut Db, of: &[RoomId]) -> Result<Vec<(RoomId, Revision)>, StoreError> {
    let ids: Vec<Id> = of.iter().copied().map(Id::from).collect();
    let query = rooms::table.filter(rooms::id.eq_any(&ids)).select((rooms::id, rooms::head));
    let rows: Vec<(Id, i64)> = each!(db, |c| query.load(c).await)?;
    rows.into_iter().map(|(id, head)| Ok((id.into(), super::columns::revision(head)?))).collect()
}

/// Public rooms that are neither archived nor deleted, by folded name; with `find` only those whose name has it somewhere.
///
/// # Errors
/// Those of the database.
pub async fn public(db: &mut Db, find: Option<&str>, after: Option<RoomPlace>, limit: usize) -> Result<Page<Room>, StoreError> {
    let (after_key, after_id) = after.map_or_else(|| (String::new(), Id([0; 16])), |place| (place.name_key, place.id.into()));
    let pattern = find.map_or_else(|| "%".to_owned(), |text| format!("%{}%", literal(&room_key(text))));
    let query = rooms::table
        .filter(rooms::kind.eq(RoomKind::Public.code()))
        .filter(rooms::deleted.eq(false))
        .filter(rooms::archived.eq(false))
        .filter(rooms::name_key.ge(&after_key))
        .filter(rooms::name_key.gt(&after_key).or(rooms::id.gt(after_id)))
        .filter(rooms::name_key.like(pattern).escape('!'))
        .order((rooms::name_key, rooms::id))
        .limit(Page::<Room>::one_more(limit))
        .select(rooms::all_columns);
    let rows: Vec<RoomRow> = each!(db, |c| query.load(c).await)?;
    Page::cut(rows.into_iter().map(Room::try_from), limit)
}

/// What stands for itself in a pattern of LIKE.
fn literal(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}
