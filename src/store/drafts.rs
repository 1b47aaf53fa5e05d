//! What people have begun to write and not sent, kept for their other devices.
//!
//! *Invariants.* A row is written under the lock of its person; the last who writes wins. One that was sent or thrown away stays as a row
//! without text, because a device that was away has to be told; for as long as one may have been away and is told of each change.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::columns::{Id, at, int, revision, seq};
use super::error::StoreError;
use super::operation::{Operation, Reply};
use super::page::Page;
use super::people::Locked;
use super::preferences::{Set, joined, require_thread};
use super::schema::drafts;
use crate::domain::draft::{Draft, DraftText};
use crate::domain::fault::Fault;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::order::{Revision, Seq};
use crate::domain::stream::StreamItem;
use crate::domain::time::Timestamp;

/// A row of `drafts`.
#[derive(Clone, Debug, Queryable, Insertable, AsChangeset)]
#[diesel(table_name = drafts, primary_key(user, room, thread), treat_none_as_default_value = false)]
struct DraftRow {
    user: Id,
    room: Id,
    thread: i64,
    text: String,
    changed_at: NaiveDateTime,
    stream_revision: i64,
}

impl TryFrom<DraftRow> for Draft {
    type Error = StoreError;

    fn try_from(row: DraftRow) -> Result<Self, StoreError> {
        Ok(Self {
            room: row.room.into(),
            thread: Some(seq(row.thread)?).filter(|thread| *thread > Seq::ZERO),
            text: DraftText::stored(row.text),
            changed_at: row.changed_at.and_utc(),
            revision: revision(row.stream_revision)?,
        })
    }
}

/// Keeps a draft, or throws it away: without text.
#[derive(Clone, Debug)]
pub struct SetDraft {
    /// Whose.
    pub user: UserId,
    /// In which room.
    pub room: RoomId,
    /// In which thread of it; the room itself if none.
    pub thread: Option<Seq>,
    /// What.
    pub text: DraftText,
    /// The present time.
    pub now: Timestamp,
    /// How many one person may have.
    pub drafts_max: usize,
    /// So many changes a device may have missed and be told of each.
    pub missed_max: usize,
}

impl Operation for SetDraft {
    type Output = Set<Draft>;
    const NAME: &'static str = "set_draft";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Self::Output> {
        Box::pin(self.set(db))
    }
}

impl SetDraft {
    async fn set(&self, db: &mut Db) -> Result<Set<Draft>, StoreError> {
        let (user, room, thread) = (self.user, self.room, self.thread);
        let mut people = Locked::take(db, [user]).await?;
        people.require(user)?;
        if !self.text.is_empty() {
            // What is there may be thrown away from anywhere.
            let standing = joined(db, room, user).await?;
            if let Some(thread) = thread {
                require_thread(db, &standing, thread).await?;
            }
        }
        let known = find(db, user, room, thread).await?;
        let none = Draft { room, thread, text: DraftText::default(), changed_at: self.now, revision: Revision::ZERO };
        let old = known.clone().unwrap_or(none);
        if old.text == self.text {
            return Ok(Set::unchanged(old));
        }
        if old.text.is_empty() && count(db, user).await? >= self.drafts_max {
            return Err(Fault::LimitReached.into());
        }
        let draft = Draft { text: self.text.clone(), changed_at: self.now, revision: people.next(user)?, ..old };
        let row = DraftRow {
            user: user.into(),
            room: room.into(),
            thread: column(thread),
            text: draft.text.as_str().to_owned(),
            changed_at: at(draft.changed_at),
            stream_revision: int(draft.revision.0),
        };
        if known.is_some() {
            let target = drafts::table.find((row.user, row.room, row.thread));
            each!(db, |c| diesel::update(target).set(&row).execute(c).await)?;
        } else {
            each!(db, |c| diesel::insert_into(drafts::table).values(row).execute(c).await)?;
        }
        if draft.text.is_empty() {
            self.forget_gone(db, draft.revision).await?;
        }
        Ok(Set { value: draft, user_heads: people.write(db).await? })
    }

    /// What is gone for longer than a device may be away needs no row: who comes back then begins anew (I7).
    async fn forget_gone(&self, db: &mut Db, head: Revision) -> Result<(), StoreError> {
        let gone = drafts::table
            .filter(drafts::user.eq(Id::from(self.user)))
            .filter(drafts::stream_revision.le(int(head.back(self.missed_max).0)))
            .filter(drafts::text.eq(""));
        each!(db, |c| diesel::delete(gone).execute(c).await)?;
        Ok(())
    }
}

/// Zero stands for the room itself.
fn column(thread: Option<Seq>) -> i64 {
    int(thread.unwrap_or_default().0)
}

async fn find(db: &mut Db, user: UserId, room: RoomId, thread: Option<Seq>) -> Result<Option<Draft>, StoreError> {
    let query = drafts::table.find((Id::from(user), Id::from(room), column(thread))).select(drafts::all_columns);
    let row: Option<DraftRow> = each!(db, |c| query.first(c).await.optional())?;
    row.map(Draft::try_from).transpose()
}

async fn count(db: &mut Db, user: UserId) -> Result<usize, StoreError> {
    let query = drafts::table.filter(drafts::user.eq(Id::from(user))).filter(drafts::text.ne("")).count();
    let count: i64 = each!(db, |c| query.get_result(c).await)?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// A person's drafts, by room and thread.
///
/// # Errors
/// Those of the database.
pub async fn page(
    db: &mut Db,
    user: UserId,
    after: Option<(RoomId, Option<Seq>)>,
    limit: usize,
) -> Result<Page<Draft>, StoreError> {
    let (room, thread) = after.map_or((Id([0; 16]), -1), |(room, thread)| (room.into(), column(thread)));
    let query = drafts::table
        .filter(drafts::user.eq(Id::from(user)))
        .filter(drafts::room.ge(room))
        .filter(drafts::room.gt(room).or(drafts::thread.gt(thread)))
        .filter(drafts::text.ne(""))
        .order((drafts::room, drafts::thread))
        .limit(Page::<Draft>::one_more(limit))
        .select(drafts::all_columns);
    let rows: Vec<DraftRow> = each!(db, |c| query.load(c).await)?;
    Page::cut(rows.into_iter().map(Draft::try_from), limit)
}

/// The drafts a person changed in (from, to] of their stream, by revision, at most `limit`.
pub(super) async fn changed(
    db: &mut Db,
    user: UserId,
    span: (Revision, Revision),
    limit: i64,
) -> Result<Vec<StreamItem>, StoreError> {
    let rows = changed_rows!(db, drafts: DraftRow, user, span, limit)?;
    rows.into_iter().map(|row| Ok(StreamItem::Draft(row.try_into()?))).collect()
}

/// Forgets what a person had begun to write whose account ends.
pub(super) async fn forget(db: &mut Db, user: UserId) -> Result<(), StoreError> {
    let query = diesel::delete(drafts::table.filter(drafts::user.eq(Id::from(user))));
    each!(db, |c| query.execute(c).await)?;
    Ok(())
}

#[cfg(test)]
mod tests;
