//! Up to where people have read their rooms.
//!
//! *Invariants.* A row is written under the lock of its person and only ever rises. Where `seq` rises, the row takes the next revision of the
//! person's stream; what is received is nobody's news but the room's, so that alone takes none.
//!
//! *Must not know*: who is told of it; [`crate::reading`] gathers what is written.

use std::collections::{BTreeMap, HashMap};

use diesel::dsl::count;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::columns::{Code, Id, int, number, revision, seq};
use super::error::StoreError;
use super::operation::{Operation, Reply};
use super::page::Page;
use super::people::Locked;
use super::relations::hidden_from;
use super::rooms;
use super::schema::{members, mentions, read_marks, rooms as rooms_table};
use crate::domain::fault::Fault;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::{Member, MemberState};
use crate::domain::order::{Revision, Seq};
use crate::domain::reading::{Place, Progress, ReadMark};
use crate::domain::room::Room;
use crate::domain::stream::StreamItem;
use crate::policy;

/// Stands for everybody in a room where people are mentioned.
const EVERYBODY: Id = Id([0; 16]);

/// A row of `read_marks`.
#[derive(Clone, Debug, Queryable, Insertable)]
#[diesel(table_name = read_marks, treat_none_as_default_value = false)]
struct MarkRow {
    user: Id,
    room: Id,
    seq: i64,
    delivered: i64,
    stream_revision: i64,
}

impl MarkRow {
    fn new(user: UserId, mark: &ReadMark) -> Self {
        Self {
            user: user.into(),
            room: mark.room.into(),
            seq: int(mark.seq.0),
            delivered: int(mark.delivered.0),
            stream_revision: int(mark.revision.0),
        }
    }
}

impl TryFrom<MarkRow> for ReadMark {
    type Error = StoreError;

    fn try_from(row: MarkRow) -> Result<Self, StoreError> {
        Ok(Self {
            room: row.room.into(),
            seq: seq(row.seq)?,
            delivered: seq(row.delivered)?,
            revision: revision(row.stream_revision)?,
        })
    }
}

/// Raises a person's marks of some rooms.
#[derive(Clone, Debug)]
pub struct RaiseMarks {
    /// Whose.
    pub user: UserId,
    /// What their devices report, by room.
    pub progress: BTreeMap<RoomId, Progress>,
}

/// A mark after somebody reported how far they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marked {
    /// As it is now.
    pub mark: ReadMark,
    /// This very report has raised it.
    pub is_news: bool,
}

/// What became of a [`RaiseMarks`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarksRaised {
    /// Each room with its mark, or why the person has none there.
    pub rooms: BTreeMap<RoomId, Result<Marked, Fault>>,
    /// The new head of the person's stream, if anything they have read is new.
    pub user_heads: Vec<(UserId, Revision)>,
}

impl Operation for RaiseMarks {
    type Output = MarksRaised;
    const NAME: &'static str = "raise_marks";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, MarksRaised> {
        Box::pin(self.raise(db))
    }
}

impl RaiseMarks {
    async fn raise(&self, db: &mut Db) -> Result<MarksRaised, StoreError> {
        let mut people = Locked::take(db, [self.user]).await?;
        people.require(self.user)?;
        let ids: Vec<RoomId> = self.progress.keys().copied().collect();
        let mut standings: HashMap<RoomId, (Room, Option<Member>)> =
            rooms::standings(db, self.user, &ids).await?.into_iter().map(|at| (at.0.id, at)).collect();
        let known: HashMap<RoomId, ReadMark> = of(db, self.user, &ids).await?;
        let (mut raised, mut written) = (BTreeMap::new(), Vec::new());
        for (room, progress) in &self.progress {
            let standing = standings.remove(room).ok_or(Fault::NotFound);
            let may = standing.and_then(|(at, member)| policy::may_read(&at, member.as_ref()).map(|_| at.last_seq));
            let last_seq = match may {
                Ok(last_seq) => last_seq,
                Err(fault) => {
                    raised.insert(*room, Err(fault));
                    continue;
                }
            };
            let old = known.get(room).copied().unwrap_or(ReadMark::none(*room));
            let mut mark = old.raised(*progress, last_seq);
            if mark.seq > old.seq {
                mark.revision = people.next_of_many(self.user)?;
            }
            let is_news = mark != old;
            raised.insert(*room, Ok(Marked { mark, is_news }));
            if is_news {
                written.push(mark);
            }
        }
        write(db, self.user, &written).await?;
        Ok(MarksRaised { rooms: raised, user_heads: people.write(db).await? })
    }
}

/// Marks everything a person may read as read, some rooms at a time, by id.
#[derive(Clone, Copy, Debug)]
pub struct ReadEverything {
    /// Whose.
    pub user: UserId,
    /// Go on after this room.
    pub after: Option<RoomId>,
    /// So many rooms.
    pub rooms_max: usize,
}

/// What became of a [`ReadEverything`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadSoFar {
    /// The marks that rose.
    pub marks: Vec<ReadMark>,
    /// Where to go on, if there is more.
    pub next: Option<RoomId>,
    /// The new head of the person's stream, if there is one.
    pub user_heads: Vec<(UserId, Revision)>,
}

impl Operation for ReadEverything {
    type Output = ReadSoFar;
    const NAME: &'static str = "read_everything";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, ReadSoFar> {
        Box::pin(self.read(db))
    }
}

impl ReadEverything {
    async fn read(&self, db: &mut Db) -> Result<ReadSoFar, StoreError> {
        let mut people = Locked::take(db, [self.user]).await?;
        people.require(self.user)?;
        let mine = read_marks::user.eq(members::user).and(read_marks::room.eq(members::room));
        let unread = read_marks::seq.nullable().is_null().or(read_marks::seq.nullable().lt(rooms_table::last_seq.nullable()));
        let query = members::table
            .inner_join(rooms_table::table.on(rooms_table::id.eq(members::room)))
            .left_join(read_marks::table.on(mine))
            .filter(members::user.eq(Id::from(self.user)))
            .filter(members::state.eq(MemberState::Joined.code()))
            .filter(members::room.gt(self.after.map_or(Id([0; 16]), Id::from)))
            .filter(rooms_table::deleted.eq(false))
            .filter(rooms_table::last_seq.gt(0))
            .filter(unread)
            .order(members::room)
            .limit(Page::<ReadMark>::one_more(self.rooms_max))
            .select((members::room, rooms_table::last_seq));
        let rows: Vec<(Id, i64)> = each!(db, |c| query.load(c).await)?;
        let more = rows.len() > self.rooms_max;
        let mut marks = Vec::with_capacity(rows.len());
        for (room, last) in rows.into_iter().take(self.rooms_max) {
            let last = seq(last)?;
            marks.push(ReadMark { room: room.into(), seq: last, delivered: last, revision: people.next_of_many(self.user)? });
        }
        write(db, self.user, &marks).await?;
        let next = marks.last().filter(|_| more).map(|last| last.room);
        Ok(ReadSoFar { marks, next, user_heads: people.write(db).await? })
    }
}

/// Replaces rows: two statements, however many.
async fn write(db: &mut Db, user: UserId, marks: &[ReadMark]) -> Result<(), StoreError> {
    if marks.is_empty() {
        return Ok(());
    }
    let rooms: Vec<Id> = marks.iter().map(|mark| mark.room.into()).collect();
    let old = read_marks::table.filter(read_marks::user.eq(Id::from(user))).filter(read_marks::room.eq_any(rooms));
    each!(db, |c| diesel::delete(old).execute(c).await)?;
    let rows: Vec<MarkRow> = marks.iter().map(|mark| MarkRow::new(user, mark)).collect();
    batch!(db, diesel::insert_into(read_marks::table).values(rows))?;
    Ok(())
}

/// A person's marks of these rooms, as far as they have any.
///
/// # Errors
/// Those of the database.
pub async fn of(db: &mut Db, user: UserId, of: &[RoomId]) -> Result<HashMap<RoomId, ReadMark>, StoreError> {
    let ids: Vec<Id> = of.iter().copied().map(Id::from).collect();
    let query = read_marks::table
        .filter(read_marks::user.eq(Id::from(user)))
        .filter(read_marks::room.eq_any(&ids))
        .select(read_marks::all_columns);
    let rows: Vec<MarkRow> = each!(db, |c| query.load(c).await)?;
    rows.into_iter().map(|row| Ok((row.room.into(), row.try_into()?))).collect()
}

/// The marks of a room's people, of these people only.
///
/// # Errors
/// Those of the database.
pub async fn of_room(db: &mut Db, room: RoomId, people: &[UserId]) -> Result<Vec<(UserId, ReadMark)>, StoreError> {
    let ids: Vec<Id> = people.iter().copied().map(Id::from).collect();
    let query = read_marks::table
        .filter(read_marks::room.eq(Id::from(room)))
        .filter(read_marks::user.eq_any(&ids))
        .order(read_marks::user)
        .select(read_marks::all_columns);
    let rows: Vec<MarkRow> = each!(db, |c| query.load(c).await)?;
    rows.into_iter().map(|row| Ok((row.user.into(), row.try_into()?))).collect()
}

/// Where a person is in rooms they have joined.
///
/// # Errors
/// Those of the database.
pub async fn places(db: &mut Db, user: UserId, joined: &[(Room, Member)]) -> Result<HashMap<RoomId, Place>, StoreError> {
    let ids: Vec<RoomId> = joined.iter().map(|(room, _)| room.id).collect();
    let marks = of(db, user, &ids).await?;
    let mentioned = mentioned(db, user, &ids).await?;
    let place = |(room, member): &(Room, Member)| {
        let read = marks.get(&room.id).map_or(Seq::ZERO, |mark| mark.seq);
        let mentions = mentioned.get(&room.id).copied().unwrap_or_default();
        (room.id, Place::at(read, room.last_seq, member.visible_from_seq, mentions))
    };
    Ok(joined.iter().map(place).collect())
}

/// How many unread messages of each room mention a person. Found by the index of mentions, behind the mark; rooms without any are left out.
async fn mentioned(db: &mut Db, user: UserId, rooms: &[RoomId]) -> Result<HashMap<RoomId, u64>, StoreError> {
    let me = Id::from(user);
    let mut unheard: Vec<Id> = hidden_from(db, user).await?.into_iter().map(Id::from).collect();
    unheard.push(me);
    let ids: Vec<Id> = rooms.iter().copied().map(Id::from).collect();
    let standing = members::room.eq(mentions::room).and(members::user.eq(me));
    let mark = read_marks::room.eq(mentions::room).and(read_marks::user.eq(me));
    let unread = read_marks::seq.nullable().is_null().or(mentions::seq.nullable().gt(read_marks::seq.nullable()));
    let query = mentions::table
        .inner_join(members::table.on(standing))
        .left_join(read_marks::table.on(mark))
        .filter(mentions::room.eq_any(&ids))
        .filter(mentions::user.eq_any([me, EVERYBODY]))
        .filter(mentions::seq.ge(members::visible_from_seq))
        .filter(unread)
        .filter(mentions::author.ne_all(&unheard))
        .group_by(mentions::room)
        .select((mentions::room, count(mentions::seq).aggregate_distinct()));
    let rows: Vec<(Id, i64)> = each!(db, |c| query.load(c).await)?;
    rows.into_iter().map(|(room, count)| Ok((room.into(), number(count)?))).collect()
}

/// The marks of a person that rose in (from, to] of their stream, by revision, at most `limit`.
pub(super) async fn changed(
    db: &mut Db,
    user: UserId,
    span: (Revision, Revision),
    limit: i64,
) -> Result<Vec<StreamItem>, StoreError> {
    let rows = changed_rows!(db, read_marks: MarkRow, user, span, limit)?;
    rows.into_iter().map(|row| Ok(StreamItem::ReadMark(row.try_into()?))).collect()
}

/// Forgets how far a person has read whose account ends.
pub(super) async fn forget(db: &mut Db, user: UserId) -> Result<(), StoreError> {
    let query = diesel::delete(read_marks::table.filter(read_marks::user.eq(Id::from(user))));
    each!(db, |c| query.execute(c).await)?;
    Ok(())
}

#[cfg(test)]
mod tests;
