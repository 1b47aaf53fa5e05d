//! Who is in a room, and in which rooms somebody is: lists, in pages. Memberships change in [`super::rooms`].

use std::collections::HashMap;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::columns::{Code, Id, at};
use super::error::StoreError;
use super::page::Page;
use super::people::{PERSON, UserRow};
use super::rows::{MemberRow, RoomRow};
use super::schema::{members, rooms, users};
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::{Member, MemberState, NamedMember, Role};
use crate::domain::room::{Room, RoomKind};
use crate::domain::stream::Membership;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::policy;

/// States that outlast their room.
const ENDED: [MemberState; 2] = [MemberState::Left, MemberState::Banned];

/// People of a room in one state, highest role first: members, open invitations, bans.
///
/// # Errors
/// Those of the database.
pub async fn page(
    db: &mut Db,
    room: RoomId,
    state: MemberState,
    after: Option<(Role, UserId)>,
    limit: usize,
) -> Result<Page<NamedMember>, StoreError> {
    let (after_role, after_user) = after.map_or((-1, Id([0; 16])), |(role, user)| (role.code(), user.into()));
    let query = members::table
        .inner_join(users::table.on(users::id.eq(members::user)))
        .filter(members::room.eq(Id::from(room)))
        .filter(members::state.eq(state.code()))
        .filter(members::role.ge(after_role))
        .filter(members::role.gt(after_role).or(members::user.gt(after_user)))
        .order((members::role, members::user))
        .limit(Page::<NamedMember>::one_more(limit))
        .select((members::all_columns, users::name, users::display_name));
    let rows: Vec<(MemberRow, String, String)> = each!(db, |c| query.load(c).await)?;
    Page::cut(rows.into_iter().map(named), limit)
}

/// Who is silenced in a room, whether in it or not: whose silence ends first stands first.
///
/// # Errors
/// Those of the database.
pub async fn silenced(
    db: &mut Db,
    room: RoomId,
    now: Timestamp,
    after: Option<(Timestamp, UserId)>,
    limit: usize,
) -> Result<Page<NamedMember>, StoreError> {
    // What has ended since the page before is left out.
    let after = after.filter(|(until, _)| *until > now);
    let (after_until, after_user) = after.map_or((at(now), Id([0xff; 16])), |(until, user)| (at(until), user.into()));
    let query = members::table
        .inner_join(users::table.on(users::id.eq(members::user)))
        .filter(members::room.eq(Id::from(room)))
        .filter(members::silenced_until.ge(after_until))
        .filter(members::silenced_until.gt(after_until).or(members::user.gt(after_user)))
        .order((members::silenced_until, members::user))
        .limit(Page::<NamedMember>::one_more(limit))
        .select((members::all_columns, users::name, users::display_name));
    let rows: Vec<(MemberRow, String, String)> = each!(db, |c| query.load(c).await)?;
    Page::cut(rows.into_iter().map(named), limit)
}

fn named((row, name, display_name): (MemberRow, String, String)) -> Result<NamedMember, StoreError> {
    Ok(NamedMember { member: row.try_into()?, name, display_name })
}

/// Everybody who ever had to do with a room. When it was deleted, those who were in it are among them, however far their memberships
/// have ended by now.
///
/// # Errors
/// Those of the database.
pub async fn everybody(db: &mut Db, room: RoomId) -> Result<Vec<UserId>, StoreError> {
    let query = members::table.filter(members::room.eq(Id::from(room))).select(members::user);
    let ids: Vec<Id> = each!(db, |c| query.load(c).await)?;
    Ok(ids.into_iter().map(Into::into).collect())
}

/// The rooms in which somebody is in one state, by id. Nobody is in a deleted room or invited to it, whatever its row says still.
///
/// # Errors
/// Those of the database.
pub async fn rooms_of(
    db: &mut Db,
    user: UserId,
    state: MemberState,
    after: Option<RoomId>,
    limit: usize,
) -> Result<Page<Membership>, StoreError> {
    let after = after.map_or(Id([0; 16]), Id::from);
    let query = members::table
        .inner_join(rooms::table.on(rooms::id.eq(members::room)))
        .filter(members::user.eq(Id::from(user)))
        .filter(members::state.eq(state.code()))
        .filter(members::room.gt(after))
        .filter(rooms::deleted.eq(false).or(members::state.eq_any(ENDED.map(Code::code))))
        .order(members::room)
        .limit(Page::<Membership>::one_more(limit))
        .select((members::all_columns, rooms::all_columns));
    let mut rows: Vec<(MemberRow, RoomRow)> = each!(db, |c| query.load(c).await)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    Ok(Page { items: memberships(db, user, rows).await?, more })
}

/// With whom of `others` somebody shares a room that both have joined.
///
/// # Errors
/// Those of the database.
pub async fn sharing(db: &mut Db, user: UserId, others: &[UserId]) -> Result<Vec<UserId>, StoreError> {
    let (mine, theirs) = diesel::alias!(members as mine, members as theirs);
    let ids: Vec<Id> = others.iter().copied().map(Id::from).collect();
    let joined = MemberState::Joined.code();
    let query = theirs
        .inner_join(mine.on(mine.field(members::room).eq(theirs.field(members::room))))
        .inner_join(rooms::table.on(rooms::id.eq(theirs.field(members::room))))
        .filter(theirs.field(members::user).eq_any(&ids))
        .filter(theirs.field(members::state).eq(joined))
        .filter(mine.field(members::user).eq(Id::from(user)))
        .filter(mine.field(members::state).eq(joined))
        .filter(rooms::deleted.eq(false))
        .select(theirs.field(members::user))
        .distinct();
    let found: Vec<Id> = each!(db, |c| query.load(c).await)?;
    Ok(found.into_iter().map(Into::into).collect())
}

/// Rows of one person as items of their stream: with the other people where those are the room's name, and without the name where
/// the person may no longer know it (I10).
pub(super) async fn memberships(
    db: &mut Db,
    user: UserId,
    rows: Vec<(MemberRow, RoomRow)>,
) -> Result<Vec<Membership>, StoreError> {
    let small = [RoomKind::Direct.code(), RoomKind::Group.code()];
    let unnamed: Vec<Id> = rows.iter().filter(|(_, room)| small.contains(&room.kind)).map(|(_, room)| room.id).collect();
    let mut people = if unnamed.is_empty() { HashMap::new() } else { people_of(db, user, &unnamed).await? };
    let membership = |(member, room): (MemberRow, RoomRow)| {
        let people = people.remove(&room.id).unwrap_or_default();
        let (mut member, mut room) = (Member::try_from(member)?, Room::try_from(room)?);
        if room.deleted && !ENDED.contains(&member.state) {
            // Its row follows the deletion in a moment, with a revision of its own.
            member.state = MemberState::Left;
        }
        let known = policy::may_find(&room, Some(&member)).is_ok();
        if !known {
            room.name.clear();
            room.topic.clear();
        }
        Ok(Membership { member, room, people: if known { people } else { Vec::new() } })
    };
    rows.into_iter().map(membership).collect()
}

async fn people_of(db: &mut Db, but: UserId, of: &[Id]) -> Result<HashMap<Id, Vec<User>>, StoreError> {
    // In a direct room the other one is named even when gone: who else should the room be called after? A group is called after who is there.
    let query = members::table
        .inner_join(users::table.on(users::id.eq(members::user)))
        .filter(members::room.eq_any(of))
        .filter(members::user.ne(Id::from(but)))
        .inner_join(rooms::table.on(rooms::id.eq(members::room)))
        .filter(members::state.ne(MemberState::Banned.code()))
        .filter(members::state.ne(MemberState::Left.code()).or(rooms::kind.eq(RoomKind::Direct.code())))
        .order((members::room, members::user))
        .select((members::room, PERSON));
    let rows: Vec<(Id, UserRow)> = each!(db, |c| query.load(c).await)?;
    let mut people: HashMap<Id, Vec<User>> = HashMap::new();
    for (room, row) in rows {
        people.entry(room).or_default().push(row.into());
    }
    Ok(people)
}
