//! Notifying people, and taking it back: one operation for some people of some messages.
//!
//! *Invariants.* The messages are locked first, by room and number, then the people by id: whoever deletes a message either finds all rows
//! written here, or this finds it deleted and writes none. A part that was done already, by its place in the queue, changes nothing; nobody who has a row gets
//! another.

use std::collections::{BTreeMap, HashSet};

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::NotificationRow;
use super::queue::Job;
use crate::domain::ids::UserId;
use crate::domain::message::Mentions;
use crate::domain::notification::NotificationKind;
use crate::domain::stream::{StreamItem, UserChanges};
use crate::domain::time::Timestamp;
use crate::store::backend::Db;
use crate::store::columns::{Code, Id, at, int};
use crate::store::error::StoreError;
use crate::store::messages::whole::read_mentions;
use crate::store::operation::{Operation, Reply};
use crate::store::people::Locked;
use crate::store::schema::{mentions, messages, notifications, notify_queue};

/// What came in whose stream: all of it, so that who has it up to there need not read it.
pub type News = Vec<(UserId, UserChanges)>;

/// Somebody who is to be notified.
#[derive(Clone, Copy, Debug)]
pub struct Notified {
    /// Who.
    pub user: UserId,
    /// Why.
    pub kind: NotificationKind,
    /// Without disturbing them.
    pub quiet: bool,
}

/// Some people of one message.
#[derive(Clone, Debug)]
pub struct Part {
    /// Of which, and where in the queue it stands.
    pub job: Job,
    /// Who wrote it.
    pub author: UserId,
    /// Whom.
    pub people: Vec<Notified>,
    /// Those among the members who were online, where the message mentions them: they find it among what mentions them.
    pub online: Vec<UserId>,
    /// Where to go on; `None`: this was all.
    pub next: Option<UserId>,
}

/// Notifies people.
#[derive(Clone, Debug)]
pub struct Notify {
    /// Of what, each message once.
    pub parts: Vec<Part>,
    /// The present time.
    pub now: Timestamp,
}

impl Operation for Notify {
    type Output = News;
    const NAME: &'static str = "notify";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, News> {
        Box::pin(self.notify(db))
    }
}

impl Notify {
    async fn notify(&self, db: &mut Db) -> Result<News, StoreError> {
        let mut parts: Vec<&Part> = self.parts.iter().collect();
        parts.sort_unstable_by_key(|part| part.job.key());
        let mut waiting = Vec::with_capacity(parts.len());
        for part in parts {
            if let Some(mentioned) = part.mentioned(db).await?
                && part.proceed(db, self.now).await?
            {
                waiting.push((part, mentioned));
            }
        }
        let all = waiting.iter().flat_map(|(part, _)| &part.people).map(|notified| notified.user);
        let mut people = Locked::take(db, all).await?;
        let mut rows = Vec::new();
        for (part, mentioned) in waiting {
            part.add_rows(db, &mut people, self.now, &mut rows).await?;
            // An edit may have taken it out since the part was read.
            if mentioned.online {
                part.note_online(db).await?;
            }
        }
        if !rows.is_empty() {
            batch!(db, diesel::insert_into(notifications::table).values(rows.clone()))?;
        }
        people.write(db).await?;
        news(rows)
    }
}

impl Part {
    /// What is written of the people of this part who have no row yet.
    async fn add_rows(
        &self,
        db: &mut Db,
        people: &mut Locked,
        now: Timestamp,
        rows: &mut Vec<NotificationRow>,
    ) -> Result<(), StoreError> {
        let (room, number) = self.job.key();
        let ids: Vec<Id> = self.people.iter().map(|notified| notified.user.into()).collect();
        let query = notifications::table
            .filter(notifications::room.eq(room).and(notifications::seq.eq(number)))
            .filter(notifications::user.eq_any(ids))
            .select(notifications::user);
        let known: Vec<Id> = each!(db, |c| query.load(c).await)?;
        let known: HashSet<Id> = known.into_iter().collect();
        for Notified { user, kind, quiet } in &self.people {
            // Who is gone meanwhile is told of nothing.
            if !known.contains(&(*user).into()) && people.require(*user).is_ok() {
                rows.push(NotificationRow {
                    user: (*user).into(),
                    room,
                    seq: number,
                    kind: kind.code(),
                    author: self.author.into(),
                    quiet: *quiet,
                    gone: false,
                    created_at: at(now),
                    stream_revision: int(people.next_of_many(*user)?.0),
                });
            }
        }
        Ok(())
    }

    /// Locks the message and reads whom it mentions; `None` of one that is gone.
    async fn mentioned(&self, db: &mut Db) -> Result<Option<Mentions>, StoreError> {
        let query = messages::table.find(self.job.key()).filter(messages::deleted_at.is_null()).select(messages::mentions);
        let column: Option<Option<Vec<u8>>> = match db {
            Db::Sqlite(c) => query.first(c).await.optional()?,
            Db::Mysql(c) => query.for_update().first(c).await.optional()?,
        };
        column.map(|column| column.as_deref().map_or_else(|| Ok(Mentions::default()), read_mentions)).transpose()
    }

    /// Moves on in the queue, if this part's turn has come.
    async fn proceed(&self, db: &mut Db, now: Timestamp) -> Result<bool, StoreError> {
        proceed(db, self.job, self.next, now).await
    }

    async fn note_online(&self, db: &mut Db) -> Result<(), StoreError> {
        if self.online.is_empty() {
            return Ok(());
        }
        let (room, number) = self.job.key();
        let ids: Vec<Id> = self.online.iter().copied().map(Id::from).collect();
        let query = mentions::table
            .filter(mentions::room.eq(room).and(mentions::seq.eq(number)).and(mentions::user.eq_any(&ids)))
            .select(mentions::user);
        let known: Vec<Id> = each!(db, |c| query.load(c).await)?;
        let row = |user: Id| {
            (
                mentions::room.eq(room),
                mentions::user.eq(user),
                mentions::seq.eq(number),
                mentions::author.eq(Id::from(self.author)),
            )
        };
        let rows: Vec<_> = ids.into_iter().filter(|user| !known.contains(user)).map(row).collect();
        if !rows.is_empty() {
            batch!(db, diesel::insert_into(mentions::table).values(rows))?;
        }
        Ok(())
    }
}

/// Takes back what some people were told of a message that is gone.
#[derive(Clone, Copy, Debug)]
pub struct TakeBack {
    /// Which, and where in the queue it stands.
    pub job: Job,
    /// So many people.
    pub people_max: usize,
    /// The present time.
    pub now: Timestamp,
}

impl Operation for TakeBack {
    type Output = News;
    const NAME: &'static str = "take_notifications_back";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, News> {
        Box::pin(self.take_back(db))
    }
}

impl TakeBack {
    async fn take_back(&self, db: &mut Db) -> Result<News, StoreError> {
        if !waits(db, self.job).await? {
            return Ok(Vec::new());
        }
        let (room, number) = self.job.key();
        let query = notifications::table
            .filter(notifications::room.eq(room).and(notifications::seq.eq(number)))
            .filter(notifications::user.gt(self.job.after.map_or(Id([0; 16]), Id::from)))
            .filter(notifications::gone.eq(false))
            .order(notifications::user)
            .limit(i64::try_from(self.people_max).unwrap_or(i64::MAX))
            .select(notifications::all_columns);
        let mut rows: Vec<NotificationRow> = each!(db, |c| query.load(c).await)?;
        let mut people = Locked::take(db, rows.iter().map(|row| row.user.into())).await?;
        for row in &mut rows {
            (row.gone, row.stream_revision) = (true, int(people.next(row.user.into())?.0));
            let gone = (notifications::gone.eq(true), notifications::stream_revision.eq(row.stream_revision));
            let told = notifications::table.find((row.user, room, number));
            each!(db, |c| diesel::update(told).set(gone).execute(c).await)?;
        }
        let next = rows.last().filter(|_| rows.len() >= self.people_max).map(|last| last.user.into());
        proceed(db, self.job, next, self.now).await?;
        people.write(db).await?;
        news(rows)
    }
}

/// What the rows are in the streams they are in; of each person in the order of their revisions.
fn news(rows: Vec<NotificationRow>) -> Result<News, StoreError> {
    let mut streams: BTreeMap<UserId, UserChanges> = BTreeMap::new();
    for row in rows {
        let user = row.user.into();
        let item = StreamItem::Notification(row.try_into()?);
        let (from, to) = (item.revision().previous(), item.revision());
        let changes = streams.entry(user).or_insert(UserChanges { from, to, items: Vec::new() });
        changes.to = to;
        changes.items.push(item);
    }
    Ok(streams.into_iter().collect())
}

/// Does the message wait, and is it this part's turn?
async fn waits(db: &mut Db, job: Job) -> Result<bool, StoreError> {
    let query = notify_queue::table.find(job.key()).select(notify_queue::after_user);
    let row: Option<Option<Id>> = match db {
        Db::Sqlite(c) => query.first(c).await.optional()?,
        Db::Mysql(c) => query.for_update().first(c).await.optional()?,
    };
    Ok(row == Some(job.after.map(Id::from)))
}

/// Goes on behind somebody, or has done with the message. Nothing, and `false`, if it does not wait, or not for those behind `job.after`.
async fn proceed(db: &mut Db, job: Job, next: Option<UserId>, now: Timestamp) -> Result<bool, StoreError> {
    let (room, number) = job.key();
    let untouched = notify_queue::after_user.is_null();
    let reached = notify_queue::after_user.eq(job.after.map(Id::from));
    let row = notify_queue::table
        .filter(notify_queue::room.eq(room).and(notify_queue::seq.eq(number)))
        .filter(untouched.eq(job.after.is_none()).and(untouched.or(reached)));
    let count = match next {
        Some(next) => {
            // At the end of the queue: a large room does not keep others waiting.
            let further = (notify_queue::after_user.eq(Some(Id::from(next))), notify_queue::queued_at.eq(at(now)));
            each!(db, |c| diesel::update(row).set(further).execute(c).await)?
        }
        None => each!(db, |c| diesel::delete(row).execute(c).await)?,
    };
    Ok(count > 0)
}
