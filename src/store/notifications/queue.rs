//! Messages of which people are still to be notified, or whose notifications are to be taken back.

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;

use crate::domain::ids::{RoomId, UserId};
use crate::domain::order::Seq;
use crate::domain::time::Timestamp;
use crate::store::backend::Db;
use crate::store::columns::{Id, at, int, number, seq};
use crate::store::error::StoreError;
use crate::store::operation::{Operation, Reply};
use crate::store::schema::notify_queue;

/// A message that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its room.
    pub room: RoomId,
    /// Its number.
    pub seq: Seq,
    /// Everybody up to this one has been looked at.
    pub after: Option<UserId>,
}

impl Job {
    pub(super) fn key(&self) -> (Id, i64) {
        (self.room.into(), int(self.seq.0))
    }
}

/// Those that have waited longest, in this order; none that was postponed beyond `now`.
///
/// # Errors
/// Those of the database.
pub async fn oldest(db: &mut Db, limit: usize, now: Timestamp) -> Result<Vec<Job>, StoreError> {
    let query = notify_queue::table
        .filter(notify_queue::queued_at.le(at(now)))
        .order((notify_queue::queued_at, notify_queue::room, notify_queue::seq))
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select((notify_queue::room, notify_queue::seq, notify_queue::after_user));
    let rows: Vec<(Id, i64, Option<Id>)> = each!(db, |c| query.load(c).await)?;
    let job = |(room, number, after): (Id, i64, Option<Id>)| {
        Ok(Job { room: room.into(), seq: seq(number)?, after: after.map(Into::into) })
    };
    rows.into_iter().map(job).collect()
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    waiting: i64,
}

/// How many wait; counted up to `most`, as a long queue is read through for it.
///
/// # Errors
/// Those of the database.
pub async fn waiting(db: &mut Db, most: usize) -> Result<u64, StoreError> {
    let query = diesel::sql_query("SELECT COUNT(*) AS waiting FROM (SELECT seq FROM notify_queue LIMIT ?) AS counted")
        .bind::<BigInt, _>(i64::try_from(most).unwrap_or(i64::MAX));
    let counted: Counted = each!(db, |c| query.get_result(c).await)?;
    number(counted.waiting)
}

/// Adds new messages (room, number), in the transaction that stores them.
pub(in crate::store) async fn add(db: &mut Db, messages: &[(Id, i64)], now: Timestamp) -> Result<(), StoreError> {
    let row = |(room, number): &(Id, i64)| {
        (
            notify_queue::room.eq(*room),
            notify_queue::seq.eq(*number),
            notify_queue::after_user.eq(None::<Id>),
            notify_queue::queued_at.eq(at(now)),
        )
    };
    let rows: Vec<_> = messages.iter().map(row).collect();
    if !rows.is_empty() {
        batch!(db, diesel::insert_into(notify_queue::table).values(rows))?;
    }
    Ok(())
}

/// Has a message looked at from the beginning, in the transaction that deletes it.
pub(in crate::store) async fn add_again(db: &mut Db, room: RoomId, seq: Seq, now: Timestamp) -> Result<(), StoreError> {
    let key = (Id::from(room), int(seq.0));
    each!(db, |c| diesel::delete(notify_queue::table.find(key)).execute(c).await)?;
    add(db, &[key], now).await
}

/// Leaves a message alone for a while, because it cannot be worked on now.
#[derive(Clone, Copy, Debug)]
pub struct Postpone {
    /// Which.
    pub job: Job,
    /// When it has its turn again.
    pub until: Timestamp,
}

impl Operation for Postpone {
    type Output = ();
    const NAME: &'static str = "postpone_notifying";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, ()> {
        Box::pin(async move {
            let later = notify_queue::queued_at.eq(at(self.until));
            each!(db, |c| diesel::update(notify_queue::table.find(self.job.key())).set(later).execute(c).await)?;
            Ok(())
        })
    }
}
