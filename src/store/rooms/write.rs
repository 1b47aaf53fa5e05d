//! Reads rows under the room's lock and writes a plan: the order of locks and of writing, in one place.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Changed;
use super::plan::Plan;
use crate::domain::fault::Fault;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::{Member, MemberState, Role};
use crate::domain::order::{Revision, Seq};
use crate::domain::room::{HistoryRule, Room, RoomKind, SlowMode};
use crate::domain::time::Timestamp;
use crate::store::backend::Db;
use crate::store::columns::{Code, Id, number};
use crate::store::error::StoreError;
use crate::store::people::Locked;
use crate::store::rows::{MemberRow, NoticeRow, RoomRow};
use crate::store::schema::{members, notices, rooms};

/// The room, locked: the first lock of a change.
pub async fn lock_room(db: &mut Db, room: RoomId) -> Result<Option<Room>, StoreError> {
    let query = rooms::table.find(Id::from(room)).select(rooms::all_columns);
    let row: Option<RoomRow> = match db {
        Db::Sqlite(c) => query.first(c).await.optional()?,
        Db::Mysql(c) => query.for_update().first(c).await.optional()?,
    };
    row.map(Room::try_from).transpose()
}

/// Some people's rows in a locked room. They change only under the room's lock, so they need none of their own.
pub async fn members_of(db: &mut Db, room: RoomId, users: &[UserId]) -> Result<Vec<Member>, StoreError> {
    let ids: Vec<Id> = users.iter().copied().map(Id::from).collect();
    let query =
        members::table.filter(members::room.eq(Id::from(room))).filter(members::user.eq_any(&ids)).select(members::all_columns);
    let rows: Vec<MemberRow> = each!(db, |c| query.load(c).await)?;
    rows.into_iter().map(Member::try_from).collect()
}

/// The owners of a locked room who have joined: one, unless it is a direct or group room.
pub async fn owners_of(db: &mut Db, room: RoomId) -> Result<Vec<Member>, StoreError> {
    let query = members::table
        .filter(members::room.eq(Id::from(room)))
        .filter(members::state.eq(MemberState::Joined.code()))
        .filter(members::role.eq(Role::Owner.code()))
        .select(members::all_columns);
    let rows: Vec<MemberRow> = each!(db, |c| query.load(c).await)?;
    rows.into_iter().map(Member::try_from).collect()
}

/// How many people of a locked room are in this state.
pub async fn count(db: &mut Db, room: RoomId, state: MemberState) -> Result<u64, StoreError> {
    let query = members::table.filter(members::room.eq(Id::from(room))).filter(members::state.eq(state.code())).count();
    let count: i64 = each!(db, |c| query.get_result(c).await)?;
    number(count)
}

/// How many rooms a locked person has joined; only those they own if `owned`. Deleted rooms do not count.
pub async fn rooms_of(db: &mut Db, user: UserId, owned: bool) -> Result<u64, StoreError> {
    let query = members::table
        .inner_join(rooms::table.on(rooms::id.eq(members::room)))
        .filter(members::user.eq(Id::from(user)))
        .filter(members::state.eq(MemberState::Joined.code()))
        .filter(rooms::deleted.eq(false))
        .count();
    let count: i64 = if owned {
        let query = query.filter(members::role.eq(Role::Owner.code()));
        each!(db, |c| query.get_result(c).await)?
    } else {
        each!(db, |c| query.get_result(c).await)?
    };
    number(count)
}

/// Inserts a room that the plan has founded. If its id or pair is there already, another transaction was faster, or this one ran
/// before and its answer was lost: run again, the operation finds it.
pub async fn insert_room(db: &mut Db, room: &Room, pair_key: Option<Vec<u8>>) -> Result<(), StoreError> {
    let row = RoomRow { pair_key, ..RoomRow::from(room) };
    let inserted = each!(db, |c| diesel::insert_into(rooms::table).values(row).execute(c).await).map_err(StoreError::from);
    match inserted {
        Err(StoreError::RowRefused(_)) => Err(StoreError::Contention("the room was made just now".to_owned())),
        other => other.map(drop),
    }
}

/// Numbers the people's streams and writes everything the plan says. The room is locked, `people` hold all whose rows change.
pub async fn write(db: &mut Db, mut plan: Plan, mut people: Locked) -> Result<Changed, StoreError> {
    for member in &mut plan.members {
        member.stream_revision = people.next(member.user)?;
    }
    let room = RoomRow::from(&plan.room);
    each!(db, |c| diesel::update(rooms::table.find(room.id)).set(&room).execute(c).await)?;
    for member in &plan.members {
        upsert(db, MemberRow::from(member)).await?;
    }
    let lines: Vec<NoticeRow> = plan.notices.iter().map(NoticeRow::from).collect();
    if !lines.is_empty() {
        batch!(db, diesel::insert_into(notices::table).values(lines))?;
    }
    let user_heads = people.write(db).await?;
    Ok(Changed { changes: plan.changes(), room: plan.room, user_heads })
}

/// Updates, and inserts where there was nothing; a row keeps what other features have put into it.
async fn upsert(db: &mut Db, row: MemberRow) -> Result<(), StoreError> {
    let target = members::table.find((row.room, row.user));
    let updated = each!(db, |c| diesel::update(target).set(&row).execute(c).await)?;
    if updated == 0 {
        each!(db, |c| diesel::insert_into(members::table).values(row).execute(c).await)?;
    }
    Ok(())
}

/// A room before its first revision.
pub fn unfounded(id: RoomId, kind: RoomKind, created_by: UserId, now: Timestamp) -> Room {
    Room {
        id,
        kind,
        name: String::new(),
        topic: String::new(),
        history: HistoryRule::All,
        archived: false,
        deleted: false,
        created_by,
        created_at: now,
        last_seq: Seq::ZERO,
        head: Revision::ZERO,
        policy_revision: Revision::ZERO,
        settings_revision: Revision::ZERO,
        last_created_at: now,
        member_count: 0,
        slow_mode: SlowMode::OFF,
        posting: Role::Member,
        blocked: false,
        filters_revision: Revision::ZERO,
    }
}

/// Refuses what would go over a limit.
pub fn within(count: u64, limit: usize) -> Result<(), StoreError> {
    let fits = usize::try_from(count).is_ok_and(|count| count < limit);
    if fits { Ok(()) } else { Err(Fault::LimitReached.into()) }
}
