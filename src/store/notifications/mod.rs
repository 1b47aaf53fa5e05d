//! Who was notified of what.
//!
//! *Invariants.* A person is notified of a message once: their row stands for it, and stays when the message is deleted. A row is an item of
//! the person's stream. Which messages are still to be looked at stands in [`queue`], written with the message itself.
//!
//! *Must not know*: whom to notify; that is decided from what [`candidates`] reads.

pub mod candidates;
pub mod interest;
pub mod keeping;
#[cfg(test)]
mod plan_tests;
pub mod queue;
#[cfg(test)]
mod tests;
pub mod write;

use chrono::NaiveDateTime;
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable};
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::columns::{Code, Id, int, revision, seq};
use super::error::StoreError;
use super::page::Page;
use super::relations::hidden_from;
use super::schema::{members, notifications, read_marks, relations, rooms};
use crate::domain::ids::UserId;
use crate::domain::member::MemberState;
use crate::domain::notification::Notification;
use crate::domain::order::Revision;
use crate::domain::stream::StreamItem;

/// A row of `notifications`.
#[derive(Clone, Debug, Queryable, Insertable)]
#[diesel(table_name = notifications, treat_none_as_default_value = false)]
struct NotificationRow {
    user: Id,
    room: Id,
    seq: i64,
    kind: i16,
    author: Id,
    quiet: bool,
    gone: bool,
    created_at: NaiveDateTime,
    stream_revision: i64,
}

impl TryFrom<NotificationRow> for Notification {
    type Error = StoreError;

    fn try_from(row: NotificationRow) -> Result<Self, StoreError> {
        Ok(Self {
            room: row.room.into(),
            seq: seq(row.seq)?,
            kind: Code::from_code(row.kind)?,
            author: row.author.into(),
            quiet: row.quiet,
            gone: row.gone,
            created_at: row.created_at.and_utc(),
            revision: revision(row.stream_revision)?,
        })
    }
}

/// Of what a person was notified, the newest first, before a revision of their stream; without what was deleted, without people they
/// block. With `unread`, only what they have not read in its room and could read now: nothing of rooms they are out of, or that are gone.
///
/// # Errors
/// Those of the database.
pub async fn page(
    db: &mut Db,
    user: UserId,
    unread: bool,
    before: Option<Revision>,
    limit: usize,
) -> Result<Page<Notification>, StoreError> {
    let hidden = hidden_ids(db, user).await?;
    let me = Id::from(user);
    let mark = read_marks::room.eq(notifications::room).and(read_marks::user.eq(me));
    let not_read = read_marks::seq.nullable().is_null().or(notifications::seq.nullable().gt(read_marks::seq.nullable()));
    let seen = members::table
        .inner_join(rooms::table.on(rooms::id.eq(members::room)))
        .filter(members::user.eq(me).and(members::room.eq(notifications::room)))
        .filter(members::state.eq(MemberState::Joined.code()))
        .filter(members::visible_from_seq.le(notifications::seq))
        .filter(rooms::deleted.eq(false));
    let query = notifications::table
        .left_join(read_marks::table.on(mark))
        .filter(notifications::user.eq(me))
        .filter(notifications::stream_revision.lt(before.map_or(i64::MAX, |before| int(before.0))))
        .filter(notifications::gone.eq(false))
        .filter(notifications::author.ne_all(hidden))
        .filter(exists(seen).or((!unread).into_sql::<Bool>()))
        .filter(not_read.or(Some(!unread).into_sql::<Nullable<Bool>>()))
        .order(notifications::stream_revision.desc())
        .limit(Page::<Notification>::one_more(limit))
        .select(notifications::all_columns);
    let rows: Vec<NotificationRow> = each!(db, |c| query.load(c).await)?;
    Page::cut(rows.into_iter().map(Notification::try_from), limit)
}

/// The notifications of a person that came or went in (from, to] of their stream, by revision, at most `limit`; without people they block now.
/// Once they are not blocked any more, the list has them again.
pub(super) async fn changed(
    db: &mut Db,
    user: UserId,
    span: (Revision, Revision),
    limit: i64,
) -> Result<Vec<StreamItem>, StoreError> {
    let (from, to) = span;
    let me = Id::from(user);
    let block = relations::table
        .filter(relations::user.eq(me).and(relations::other.eq(notifications::author)))
        .filter(relations::blocked.eq(true));
    let query = notifications::table
        .filter(notifications::user.eq(me))
        .filter(notifications::stream_revision.gt(int(from.0)).and(notifications::stream_revision.le(int(to.0))))
        .filter(not(exists(block)))
        .order(notifications::stream_revision)
        .limit(limit)
        .select(notifications::all_columns);
    let rows: Vec<NotificationRow> = each!(db, |c| query.load(c).await)?;
    rows.into_iter().map(|row| Ok(StreamItem::Notification(row.try_into()?))).collect()
}

/// Forgets of what a person was notified whose account ends.
pub(super) async fn forget(db: &mut Db, user: UserId) -> Result<(), StoreError> {
    let query = diesel::delete(notifications::table.filter(notifications::user.eq(Id::from(user))));
    each!(db, |c| query.execute(c).await)?;
    Ok(())
}

async fn hidden_ids(db: &mut Db, user: UserId) -> Result<Vec<Id>, StoreError> {
    Ok(hidden_from(db, user).await?.into_iter().map(Id::from).collect())
}
