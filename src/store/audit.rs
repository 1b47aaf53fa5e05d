//! The audit log. An entry is written in the transaction of the deed it tells, so neither is there without the other.
//!
//! *Invariant.* Entries are never changed; the old ones are thrown away as a whole.

use chrono::NaiveDateTime;
use diesel::mysql::Mysql;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::columns::{Code, Id, at, int, seq};
use super::error::StoreError;
use super::operation::{Operation, Reply};
use super::page::Page;
use super::schema::audit;
use crate::domain::audit::{AuditAction, AuditEntry};
use crate::domain::ids::{AuditId, RoomId, UserId};
use crate::domain::time::Timestamp;

/// A row of `audit`.
#[derive(Clone, Debug, Queryable, Insertable)]
#[diesel(table_name = audit, treat_none_as_default_value = false)]
struct Row {
    id: Id,
    at: NaiveDateTime,
    actor: Option<Id>,
    action: i16,
    room: Option<Id>,
    subject: Option<Id>,
    seq: Option<i64>,
    reason: Option<String>,
    detail: Option<String>,
}

impl From<&AuditEntry> for Row {
    fn from(entry: &AuditEntry) -> Self {
        Self {
            id: entry.id.into(),
            at: at(entry.at),
            actor: entry.actor.map(Id::from),
            action: entry.action.code(),
            room: entry.room.map(Id::from),
            subject: entry.subject.map(Id::from),
            seq: entry.seq.map(|seq| int(seq.0)),
            reason: entry.reason.clone(),
            detail: entry.detail.clone(),
        }
    }
}

impl TryFrom<Row> for AuditEntry {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            at: row.at.and_utc(),
            actor: row.actor.map(Into::into),
            action: AuditAction::from_code(row.action)?,
            room: row.room.map(Into::into),
            subject: row.subject.map(Into::into),
            seq: row.seq.map(seq).transpose()?,
            reason: row.reason,
            detail: row.detail,
        })
    }
}

/// Writes an entry, inside the transaction of what it tells.
///
/// # Errors
/// Those of the database.
pub async fn write(db: &mut Db, entry: &AuditEntry) -> Result<(), StoreError> {
    let row = Row::from(entry);
    each!(db, |c| diesel::insert_into(audit::table).values(row).execute(c).await)?;
    Ok(())
}

/// Which entries; what is absent does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// What somebody did.
    pub actor: Option<UserId>,
    /// What was done to somebody.
    pub subject: Option<UserId>,
    /// What was done in a room.
    pub room: Option<RoomId>,
    /// Deeds of this sort.
    pub action: Option<AuditAction>,
    /// From this instant on.
    pub since: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
}

/// In which order, and after which entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The newest first; those before this one.
    Newest(Option<AuditId>),
    /// The oldest first; those after this one.
    Oldest(Option<AuditId>),
}

/// The conditions, on a query of either database.
macro_rules! wanted {
    ($backend:ty, $wanted:expr, $order:expr) => {{
        let mut query = audit::table.into_boxed::<$backend>();
        if let Some(actor) = $wanted.actor {
            query = query.filter(audit::actor.eq(Id::from(actor)));
        }
        if let Some(subject) = $wanted.subject {
            query = query.filter(audit::subject.eq(Id::from(subject)));
        }
        if let Some(room) = $wanted.room {
            query = query.filter(audit::room.eq(Id::from(room)));
        }
        if let Some(action) = $wanted.action {
            query = query.filter(audit::action.eq(action.code()));
        }
        if let Some(since) = $wanted.since {
            query = query.filter(audit::id.ge(Id::from(AuditId::first_at(since))));
        }
        if let Some(until) = $wanted.until {
            query = query.filter(audit::id.lt(Id::from(AuditId::first_at(until))));
        }
        match $order {
            Order::Newest(None) => query.order(audit::id.desc()),
            Order::Newest(Some(before)) => query.filter(audit::id.lt(Id::from(before))).order(audit::id.desc()),
            Order::Oldest(None) => query.order(audit::id),
            Order::Oldest(Some(after)) => query.filter(audit::id.gt(Id::from(after))).order(audit::id),
        }
    }};
}

/// A page of the log.
///
/// # Errors
/// Those of the database.
pub async fn page(db: &mut Db, wanted: Wanted, order: Order, limit: usize) -> Result<Page<AuditEntry>, StoreError> {
    let most = Page::<AuditEntry>::one_more(limit);
    let rows: Vec<Row> = match db {
        Db::Sqlite(c) => wanted!(Sqlite, wanted, order).limit(most).load(c).await?,
        Db::Mysql(c) => wanted!(Mysql, wanted, order).limit(most).load(c).await?,
    };
    Page::cut(rows.into_iter().map(AuditEntry::try_from), limit)
}

/// Throws away the entries from before an instant, at most so many; how many there were.
#[derive(Clone, Copy, Debug)]
pub struct ForgetEntries {
    /// From when on they stay.
    pub before: Timestamp,
    /// Rows at most, so that the transaction stays short.
    pub rows_max: usize,
}

impl Operation for ForgetEntries {
    type Output = usize;
    const NAME: &'static str = "forget_audit";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, usize> {
        Box::pin(async move {
            let limit = i64::try_from(self.rows_max).unwrap_or(i64::MAX);
            let old = audit::id.lt(Id::from(AuditId::first_at(self.before)));
            let query = audit::table.select(audit::id).filter(old).order(audit::id).limit(limit);
            let ids: Vec<Id> = each!(db, |c| query.load(c).await)?;
            let query = diesel::delete(audit::table.filter(audit::id.eq_any(&ids)));
            Ok(each!(db, |c| query.execute(c).await)?)
        })
    }
}

#[cfg(test)]
mod tests;
