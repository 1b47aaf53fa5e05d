//! How people stand to each other: who blocks or mutes whom.
//!
//! *Invariants.* A row is written under the lock of its person, and a block bites with the same commit (I10): the direct room of the two is
//! closed in it, and whoever makes one, invites or makes a group decides under the same locks, with [`contact`]. At most so many
//! people are blocked by one, so whom somebody does not see always fits into memory.
//!
//! *Must not know*: what is hidden where; readers ask with [`hidden_from`].

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::among::among;
use super::backend::Db;
use super::columns::{Code, Id, at, int, revision};
use super::error::StoreError;
use super::members::sharing;
use super::operation::{Operation, Reply};
use super::page::Page;
use super::people::Locked;
use super::rooms::{Changed, lock_direct};
use super::schema::{members, origins, preferences, relations, rooms, users};
use crate::config::Limits;
use crate::domain::fault::Fault;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::MemberState;
use crate::domain::order::Revision;
use crate::domain::preference::DirectRule;
use crate::domain::relation::{Refetch, Relation, RelationChange};
use crate::domain::stream::StreamItem;
use crate::domain::time::Timestamp;
use crate::policy::{Contact, Hidden};

/// How many people somebody may block and mute; counted under their lock.
#[derive(Clone, Copy, Debug)]
pub struct RelationLimits {
    /// People one person blocks.
    pub blocks_per_user: usize,
    /// People one person mutes.
    pub mutes_per_user: usize,
}

impl From<&Limits> for RelationLimits {
    fn from(limits: &Limits) -> Self {
        Self { blocks_per_user: limits.blocks_per_user, mutes_per_user: limits.mutes_per_user }
    }
}

/// A row of `relations`.
#[derive(Clone, Debug, Queryable, Insertable, AsChangeset)]
#[diesel(table_name = relations, primary_key(user, other), treat_none_as_default_value = false)]
struct RelationRow {
    user: Id,
    other: Id,
    blocked: bool,
    muted: bool,
    changed_at: NaiveDateTime,
    stream_revision: i64,
    blocked_revision: i64,
}

impl RelationRow {
    fn new(user: UserId, relation: &Relation) -> Self {
        Self {
            user: user.into(),
            other: relation.other.into(),
            blocked: relation.blocked,
            muted: relation.muted,
            changed_at: at(relation.changed_at),
            stream_revision: int(relation.revision.0),
            blocked_revision: int(relation.blocked_revision.0),
        }
    }
}

impl TryFrom<RelationRow> for Relation {
    type Error = StoreError;

    fn try_from(row: RelationRow) -> Result<Self, StoreError> {
        Ok(Self {
            other: row.other.into(),
            blocked: row.blocked,
            muted: row.muted,
            changed_at: row.changed_at.and_utc(),
            revision: revision(row.stream_revision)?,
            blocked_revision: revision(row.blocked_revision)?,
        })
    }
}

/// Blocks or mutes somebody, or takes it back. Absolute: what is so already changes nothing and takes no revision.
#[derive(Clone, Debug)]
pub struct SetRelation {
    /// Whose decision it is.
    pub user: UserId,
    /// About whom.
    pub other: UserId,
    /// What.
    pub change: RelationChange,
    /// The present time.
    pub now: Timestamp,
    /// How many there may be.
    pub limits: RelationLimits,
    /// So many changes a device may have missed and be told of each.
    pub missed_max: usize,
}

/// What became of a [`SetRelation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationChanged {
    /// How the person stands to the other now.
    pub relation: Relation,
    /// Blocked, or not any more, by this very change.
    pub block_changed: bool,
    /// The new head of the person's stream, if anything changed.
    pub user_heads: Vec<(UserId, Revision)>,
    /// Their direct room, if this closed or opened it.
    pub room: Option<Changed>,
}

impl Operation for SetRelation {
    type Output = RelationChanged;
    const NAME: &'static str = "set_relation";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, RelationChanged> {
        Box::pin(self.set(db))
    }
}

impl SetRelation {
    async fn set(&self, db: &mut Db) -> Result<RelationChanged, StoreError> {
        let (user, other) = (self.user, self.other);
        if user == other {
            return Err(Fault::BadRequest.into());
        }
        let direct = lock_direct(db, user, other).await?;
        let mut people = Locked::take(db, [user, other]).await?;
        direct.still_none(db).await?;
        people.require_account(user)?;
        let known = find(db, user, other).await?;
        let old = known.unwrap_or(Relation::none(other, self.now));
        let blocked = self.change.blocked.unwrap_or(old.blocked);
        let muted = self.change.muted.unwrap_or(old.muted);
        if (blocked, muted) == (old.blocked, old.muted) {
            return Ok(RelationChanged { relation: old, block_changed: false, user_heads: Vec::new(), room: None });
        }
        if (blocked && !old.blocked) || (muted && !old.muted) {
            // There is nothing to keep out of an account that is gone; what was decided about it before may be taken back.
            people.require_account(other)?;
        }
        self.check_limits(db, blocked && !old.blocked, muted && !old.muted).await?;
        let block_changed = blocked != old.blocked;
        let revision = people.next(user)?;
        let blocked_revision = if block_changed { revision } else { old.blocked_revision };
        let relation = Relation { other, blocked, muted, changed_at: self.now, revision, blocked_revision };
        write(db, user, &relation, known.is_some()).await?;
        if !(blocked || muted) {
            forget_ended(db, user, revision.back(self.missed_max)).await?;
        }
        let room = if block_changed {
            let closed = blocked || is_blocked(db, user, other).await?;
            direct.set_blocked(db, closed, user, self.now).await?
        } else {
            None
        };
        Ok(RelationChanged { relation, block_changed, user_heads: people.write(db).await?, room })
    }

    async fn check_limits(&self, db: &mut Db, blocks: bool, mutes: bool) -> Result<(), StoreError> {
        let mine = relations::table.filter(relations::user.eq(Id::from(self.user)));
        let counted = |count: i64| usize::try_from(count).unwrap_or(usize::MAX);
        if blocks {
            let query = mine.filter(relations::blocked.eq(true)).count();
            let count: i64 = each!(db, |c| query.get_result(c).await)?;
            if counted(count) >= self.limits.blocks_per_user {
                return Err(Fault::LimitReached.into());
            }
        }
        if mutes {
            let query = mine.filter(relations::muted.eq(true)).count();
            let count: i64 = each!(db, |c| query.get_result(c).await)?;
            if counted(count) >= self.limits.mutes_per_user {
                return Err(Fault::LimitReached.into());
            }
        }
        Ok(())
    }
}

async fn find(db: &mut Db, user: UserId, other: UserId) -> Result<Option<Relation>, StoreError> {
    let query = relations::table.find((Id::from(user), Id::from(other))).select(relations::all_columns);
    let row: Option<RelationRow> = each!(db, |c| query.first(c).await.optional())?;
    row.map(Relation::try_from).transpose()
}

async fn write(db: &mut Db, user: UserId, relation: &Relation, is_known: bool) -> Result<(), StoreError> {
    let row = RelationRow::new(user, relation);
    if is_known {
        let target = relations::table.find((row.user, row.other));
        each!(db, |c| diesel::update(target).set(&row).execute(c).await)?;
    } else {
        each!(db, |c| diesel::insert_into(relations::table).values(row).execute(c).await)?;
    }
    Ok(())
}

/// What ended longer ago than a device may be away needs no row: who comes back then begins anew (I7).
async fn forget_ended(db: &mut Db, user: UserId, up_to: Revision) -> Result<(), StoreError> {
    let ended = relations::table
        .filter(relations::user.eq(Id::from(user)))
        .filter(relations::stream_revision.le(int(up_to.0)))
        .filter(relations::blocked.eq(false).and(relations::muted.eq(false)));
    each!(db, |c| diesel::delete(ended).execute(c).await)?;
    Ok(())
}

/// Whom this person blocks, and so does not see; as many as the limit of blocks at most. By id.
///
/// # Errors
/// Those of the database.
pub async fn hidden_from(db: &mut Db, user: UserId) -> Result<Vec<UserId>, StoreError> {
    let query = relations::table
        .filter(relations::user.eq(Id::from(user)))
        .filter(relations::blocked.eq(true))
        .order(relations::other)
        .select(relations::other);
    let ids: Vec<Id> = each!(db, |c| query.load(c).await)?;
    Ok(ids.into_iter().map(Into::into).collect())
}

/// The heads of many people's streams, and whom they do not see as of then; who has no account is left out.
///
/// # Errors
/// Those of the database.
pub async fn heads(db: &mut Db, people: &[UserId]) -> Result<Vec<(UserId, (Revision, Hidden))>, StoreError> {
    let ids: Vec<Id> = people.iter().copied().map(Id::from).collect();
    let query = users::table
        .left_join(relations::table.on(relations::user.eq(users::id).and(relations::blocked.eq(true))))
        .filter(among(users::id, &ids))
        .select((users::id, users::stream_revision, relations::other.nullable()));
    let rows: Vec<(Id, i64, Option<Id>)> = each!(db, |c| query.load(c).await)?;
    let mut found: HashMap<Id, (i64, Vec<UserId>)> = HashMap::new();
    for (id, head, other) in rows {
        found.entry(id).or_insert((head, Vec::new())).1.extend(other.map(UserId::from));
    }
    let one = |(id, (head, hidden)): (Id, _)| Ok((id.into(), (revision(head)?, Hidden::of(hidden))));
    found.into_iter().map(one).collect()
}

/// Who among these people blocks `other`.
///
/// # Errors
/// Those of the database.
pub async fn blocked_by(db: &mut Db, other: UserId, among: &[UserId]) -> Result<Vec<UserId>, StoreError> {
    let ids: Vec<Id> = among.iter().copied().map(Id::from).collect();
    let query = relations::table
        .filter(relations::other.eq(Id::from(other)))
        .filter(relations::blocked.eq(true))
        .filter(relations::user.eq_any(&ids))
        .select(relations::user);
    let found: Vec<Id> = each!(db, |c| query.load(c).await)?;
    Ok(found.into_iter().map(Into::into).collect())
}

/// Whether `who` is blocked by `by`.
///
/// # Errors
/// Those of the database.
pub async fn is_blocked(db: &mut Db, who: UserId, by: UserId) -> Result<bool, StoreError> {
    Ok(!blocked_by(db, who, &[by]).await?.is_empty())
}

/// With whom of `others` there is a block, in whichever direction.
///
/// # Errors
/// Those of the database.
pub async fn apart(db: &mut Db, user: UserId, others: &[UserId]) -> Result<Vec<UserId>, StoreError> {
    let mut apart = blocked_by(db, user, others).await?;
    let ids: Vec<Id> = others.iter().copied().map(Id::from).collect();
    let query = relations::table
        .filter(relations::user.eq(Id::from(user)))
        .filter(relations::blocked.eq(true))
        .filter(relations::other.eq_any(&ids))
        .select(relations::other);
    let mine: Vec<Id> = each!(db, |c| query.load(c).await)?;
    apart.extend(mine.into_iter().map(UserId::from));
    Ok(apart)
}

/// What counts between who asks and another person, for the policy. Both are locked, so it stays so until the commit.
pub(super) async fn contact(db: &mut Db, asking: UserId, other: UserId) -> Result<Contact, StoreError> {
    let pair = [Id::from(asking), Id::from(other)];
    let query = relations::table
        .filter(relations::user.eq_any(pair).and(relations::other.eq_any(pair)))
        .filter(relations::blocked.eq(true))
        .select(relations::user);
    let blocking: Vec<Id> = each!(db, |c| query.load(c).await)?;
    let query = preferences::table.find(Id::from(other)).select(preferences::direct);
    let rule: Option<i16> = each!(db, |c| query.first(c).await.optional())?;
    let rule = rule.map(DirectRule::from_code).transpose()?.unwrap_or_default();
    let sharing = rule == DirectRule::SharedRooms && !sharing(db, asking, &[other]).await?.is_empty();
    let blocks = |user: UserId| blocking.contains(&user.into());
    Ok(Contact { blocks: blocks(asking), blocked: blocks(other), rule, sharing })
}

/// Those somebody blocks or mutes, by id.
///
/// # Errors
/// Those of the database.
pub async fn page(db: &mut Db, user: UserId, after: Option<UserId>, limit: usize) -> Result<Page<Relation>, StoreError> {
    let after = after.map_or(Id([0; 16]), Id::from);
    let query = relations::table
        .filter(relations::user.eq(Id::from(user)))
        .filter(relations::other.gt(after))
        .filter(relations::blocked.eq(true).or(relations::muted.eq(true)))
        .order(relations::other)
        .limit(Page::<Relation>::one_more(limit))
        .select(relations::all_columns);
    let rows: Vec<RelationRow> = each!(db, |c| query.load(c).await)?;
    Page::cut(rows.into_iter().map(Relation::try_from), limit)
}

/// Forgets what a person whose account ends has decided about others. What others decided about them stays theirs.
pub(super) async fn forget(db: &mut Db, user: UserId) -> Result<(), StoreError> {
    let query = diesel::delete(relations::table.filter(relations::user.eq(Id::from(user))));
    each!(db, |c| query.execute(c).await)?;
    Ok(())
}

/// The relations of a person that changed in (from, to] of their stream, by revision, at most `limit`. A block or its end keeps its own place in
/// the stream when something else changes later: whoever gets that far by pages has to hear at this place which rooms to fetch again. They are
/// those in which the other's traces may be: as many as `rooms_max` over all items, else the word that it is more.
pub(super) async fn changed(
    db: &mut Db,
    user: UserId,
    (from, to): (Revision, Revision),
    limit: i64,
    rooms_max: usize,
) -> Result<Vec<StreamItem>, StoreError> {
    // Who knows nothing yet fetches everything anyway.
    let fetches = from > Revision::ZERO;
    let mut rows = changed_rows!(db, relations: RelationRow, user, (from, to), limit)?;
    if fetches {
        rows.extend(overtaken_blocks(db, user, (from, to), limit).await?);
        rows.sort_by_key(|row| row.stream_revision);
    }
    let (mut items, mut left) = (Vec::with_capacity(rows.len()), rooms_max);
    for row in rows {
        let relation = Relation::try_from(row)?;
        let refetch = if fetches && relation.blocked_revision == relation.revision {
            let rooms = shared_rooms(db, user, relation.other, left + 1).await?;
            Some(if rooms.len() > left {
                Refetch::Every
            } else {
                left -= rooms.len();
                Refetch::Rooms(rooms)
            })
        } else {
            None
        };
        items.push(StreamItem::Relation { relation, refetch });
    }
    Ok(items)
}

/// The relations that changed once more after the block, or its end, that lies in (from, to]: as they are now, at the place of that block.
async fn overtaken_blocks(
    db: &mut Db,
    user: UserId,
    (from, to): (Revision, Revision),
    limit: i64,
) -> Result<Vec<RelationRow>, StoreError> {
    let query = relations::table
        .filter(relations::user.eq(Id::from(user)))
        .filter(relations::blocked_revision.gt(int(from.0)))
        .filter(relations::blocked_revision.le(int(to.0)))
        .filter(relations::blocked_revision.lt(relations::stream_revision))
        .order(relations::blocked_revision)
        .limit(limit)
        .select(relations::all_columns);
    let rows: Vec<RelationRow> = each!(db, |c| query.load(c).await)?;
    Ok(rows.into_iter().map(|row| RelationRow { stream_revision: row.blocked_revision, ..row }).collect())
}

/// The rooms a person is in where the other is or once was, or where somebody forwarded words of theirs.
async fn shared_rooms(db: &mut Db, user: UserId, other: UserId, most: usize) -> Result<Vec<RoomId>, StoreError> {
    let (mine, theirs) = diesel::alias!(members as mine, members as theirs);
    let they_were_there = theirs
        .filter(theirs.field(members::room).eq(mine.field(members::room)))
        .filter(theirs.field(members::user).eq(Id::from(other)));
    let forwarded =
        origins::table.filter(origins::author.eq(Id::from(other))).filter(origins::room.eq(mine.field(members::room)));
    let query = mine
        .inner_join(rooms::table.on(rooms::id.eq(mine.field(members::room))))
        .filter(mine.field(members::user).eq(Id::from(user)))
        .filter(mine.field(members::state).eq(MemberState::Joined.code()))
        .filter(exists(they_were_there).or(exists(forwarded)))
        .filter(rooms::deleted.eq(false))
        .order(mine.field(members::room))
        .limit(i64::try_from(most).unwrap_or(i64::MAX))
        .select(mine.field(members::room));
    let ids: Vec<Id> = each!(db, |c| query.load(c).await)?;
    Ok(ids.into_iter().map(Into::into).collect())
}

#[cfg(test)]
mod tests;
