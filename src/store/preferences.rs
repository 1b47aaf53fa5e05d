//! What people prefer: about rooms, about threads, and altogether.
//!
//! *Invariants.* A row is written under the lock of its person, by the latest wish, which says everything: what is so already changes nothing
//! and takes no revision. Who never changed anything has no row. Of threads, what is as in the beginning again stays as a row for as long as
//! a device may have been away that is to be told. Keywords change with their person's row in `preferences`.
//!
//! *Must not know*: who is notified of what.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::columns::{Code, Id, at, int, revision, seq};
use super::error::StoreError;
use super::operation::{Operation, Reply};
use super::people::Locked;
use super::rooms;
use super::schema::{keywords, messages, preferences, room_preferences, thread_preferences};
use crate::domain::fault::Fault;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::order::{Revision, Seq};
use crate::domain::preference::{
    Following, Keyword, Preferences, PreferencesChange, QuietHours, RoomPreferences, ThreadPreferences,
};
use crate::domain::room::Room;
use crate::domain::stream::StreamItem;
use crate::domain::time::Timestamp;
use crate::policy::{self, Sight};

/// What somebody has set, and what their other devices must hear of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set<T> {
    /// As it is now.
    pub value: T,
    /// The new head of the person's stream, if this changed anything.
    pub user_heads: Vec<(UserId, Revision)>,
}

impl<T> Set<T> {
    pub(super) const fn unchanged(value: T) -> Self {
        Self { value, user_heads: Vec::new() }
    }
}

/// A room, and what somebody sees of it, who must be in it.
pub(super) async fn joined(db: &mut Db, room: RoomId, user: UserId) -> Result<(Room, Sight), StoreError> {
    let (room, member) = rooms::with_member(db, room, user).await?.ok_or(Fault::NotFound)?;
    let sight = policy::may_read(&room, member.as_ref())?;
    Ok((room, sight))
}

/// The thread's first message is there for who sees so much of the room, and is no reply: threads have no threads.
pub(super) async fn require_thread(db: &mut Db, (room, sight): &(Room, Sight), thread: Seq) -> Result<(), StoreError> {
    let first = sight.from_seq.max(Seq(1));
    if !(first..=room.last_seq).contains(&thread) {
        return Err(Fault::NotFound.into());
    }
    let query = messages::table.find((Id::from(room.id), int(thread.0))).select(messages::thread.is_not_null());
    let is_reply: bool = each!(db, |c| query.first(c).await)?;
    if is_reply { Err(Fault::BadRequest.into()) } else { Ok(()) }
}

/// A row of `room_preferences`.
#[derive(Clone, Debug, Queryable, Insertable, AsChangeset)]
#[diesel(table_name = room_preferences, primary_key(user, room), treat_none_as_default_value = false, treat_none_as_null = true)]
struct RoomRow {
    user: Id,
    room: Id,
    muted_until: Option<NaiveDateTime>,
    notify: i16,
    stream_revision: i64,
}

impl TryFrom<RoomRow> for RoomPreferences {
    type Error = StoreError;

    fn try_from(row: RoomRow) -> Result<Self, StoreError> {
        Ok(Self {
            room: row.room.into(),
            muted_until: row.muted_until.map(|until| until.and_utc()),
            notify: Code::from_code(row.notify)?,
            revision: revision(row.stream_revision)?,
        })
    }
}

/// Sets what a person prefers of a room they are in.
#[derive(Clone, Debug)]
pub struct SetRoomPreferences {
    /// Whose.
    pub user: UserId,
    /// All of it; the revision does not count.
    pub wanted: RoomPreferences,
}

impl Operation for SetRoomPreferences {
    type Output = Set<RoomPreferences>;
    const NAME: &'static str = "set_room_preferences";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Self::Output> {
        Box::pin(async move {
            let (user, room) = (self.user, self.wanted.room);
            let mut people = Locked::take(db, [user]).await?;
            joined(db, room, user).await?;
            let known = of_room(db, user, room).await?;
            let old = known.unwrap_or(RoomPreferences::none(room));
            let mut wanted = RoomPreferences { revision: old.revision, ..self.wanted };
            if wanted == old {
                return Ok(Set::unchanged(old));
            }
            wanted.revision = people.next(user)?;
            let row = RoomRow {
                user: user.into(),
                room: room.into(),
                muted_until: wanted.muted_until.map(at),
                notify: wanted.notify.code(),
                stream_revision: int(wanted.revision.0),
            };
            let target = room_preferences::table.find((row.user, row.room));
            let updated = each!(db, |c| diesel::update(target).set(&row).execute(c).await)?;
            if updated == 0 {
                each!(db, |c| diesel::insert_into(room_preferences::table).values(row).execute(c).await)?;
            }
            Ok(Set { value: wanted, user_heads: people.write(db).await? })
        })
    }
}

/// What a person prefers of a room, if they ever said.
///
/// # Errors
/// Those of the database.
pub async fn of_room(db: &mut Db, user: UserId, room: RoomId) -> Result<Option<RoomPreferences>, StoreError> {
    let query = room_preferences::table.find((Id::from(user), Id::from(room))).select(room_preferences::all_columns);
    let row: Option<RoomRow> = each!(db, |c| query.first(c).await.optional())?;
    row.map(RoomPreferences::try_from).transpose()
}

/// A row of `thread_preferences`.
#[derive(Clone, Debug, Queryable, Insertable, AsChangeset)]
#[diesel(table_name = thread_preferences, primary_key(user, room, thread), treat_none_as_default_value = false, treat_none_as_null = true)]
struct ThreadRow {
    user: Id,
    room: Id,
    thread: i64,
    following: i16,
    muted_until: Option<NaiveDateTime>,
    stream_revision: i64,
}

impl TryFrom<ThreadRow> for ThreadPreferences {
    type Error = StoreError;

    fn try_from(row: ThreadRow) -> Result<Self, StoreError> {
        Ok(Self {
            room: row.room.into(),
            thread: seq(row.thread)?,
            following: Code::from_code(row.following)?,
            muted_until: row.muted_until.map(|until| until.and_utc()),
            revision: revision(row.stream_revision)?,
        })
    }
}

/// Sets what a person prefers of a thread they may read.
#[derive(Clone, Debug)]
pub struct SetThreadPreferences {
    /// Whose.
    pub user: UserId,
    /// All of it; the revision does not count.
    pub wanted: ThreadPreferences,
    /// The present time.
    pub now: Timestamp,
    /// Of how many threads one person may prefer anything.
    pub threads_max: usize,
    /// So many changes a device may have missed and be told of each.
    pub missed_max: usize,
}

impl Operation for SetThreadPreferences {
    type Output = Set<ThreadPreferences>;
    const NAME: &'static str = "set_thread_preferences";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Self::Output> {
        Box::pin(self.set(db))
    }
}

impl SetThreadPreferences {
    async fn set(&self, db: &mut Db) -> Result<Set<ThreadPreferences>, StoreError> {
        let (user, room, thread) = (self.user, self.wanted.room, self.wanted.thread);
        let mut people = Locked::take(db, [user]).await?;
        people.require(user)?;
        let known = of_thread(db, user, room, thread).await?;
        if known.is_none() || self.wanted.says_anything(self.now) {
            // What is there may be taken back from anywhere.
            let standing = joined(db, room, user).await?;
            require_thread(db, &standing, thread).await?;
        }
        let old = known.unwrap_or(ThreadPreferences::none(room, thread));
        let mut wanted = ThreadPreferences { revision: old.revision, ..self.wanted };
        if wanted == old {
            return Ok(Set::unchanged(old));
        }
        let is_more = wanted.says_anything(self.now) && !old.says_anything(self.now);
        if is_more && threads_with_any(db, user, self.now).await? >= self.threads_max {
            return Err(Fault::LimitReached.into());
        }
        wanted.revision = people.next(user)?;
        let row = ThreadRow {
            user: user.into(),
            room: room.into(),
            thread: int(thread.0),
            following: wanted.following.code(),
            muted_until: wanted.muted_until.map(at),
            stream_revision: int(wanted.revision.0),
        };
        if known.is_some() {
            let target = thread_preferences::table.find((row.user, row.room, row.thread));
            each!(db, |c| diesel::update(target).set(&row).execute(c).await)?;
        } else {
            each!(db, |c| diesel::insert_into(thread_preferences::table).values(row).execute(c).await)?;
        }
        self.forget_usual(db, wanted.revision).await?;
        Ok(Set { value: wanted, user_heads: people.write(db).await? })
    }

    /// What is as in the beginning for longer than a device may be away needs no row: who comes back then begins anew (I7).
    async fn forget_usual(&self, db: &mut Db, head: Revision) -> Result<(), StoreError> {
        let usual = thread_preferences::table
            .filter(thread_preferences::user.eq(Id::from(self.user)))
            .filter(thread_preferences::stream_revision.le(int(head.back(self.missed_max).0)))
            .filter(thread_preferences::following.eq(Following::Default.code()))
            .filter(thread_preferences::muted_until.is_null().or(thread_preferences::muted_until.le(at(self.now))));
        each!(db, |c| diesel::delete(usual).execute(c).await)?;
        Ok(())
    }
}

/// Of how many threads a person prefers anything.
async fn threads_with_any(db: &mut Db, user: UserId, now: Timestamp) -> Result<usize, StoreError> {
    let follows = thread_preferences::following.ne(Following::Default.code());
    let muted = thread_preferences::muted_until.gt(at(now));
    let query = thread_preferences::table.filter(thread_preferences::user.eq(Id::from(user))).filter(follows.or(muted)).count();
    let count: i64 = each!(db, |c| query.get_result(c).await)?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// What a person prefers of a thread, if they ever said.
///
/// # Errors
/// Those of the database.
pub async fn of_thread(db: &mut Db, user: UserId, room: RoomId, thread: Seq) -> Result<Option<ThreadPreferences>, StoreError> {
    let key = (Id::from(user), Id::from(room), int(thread.0));
    let query = thread_preferences::table.find(key).select(thread_preferences::all_columns);
    let row: Option<ThreadRow> = each!(db, |c| query.first(c).await.optional())?;
    row.map(ThreadPreferences::try_from).transpose()
}

/// A row of `preferences`.
#[derive(Clone, Debug, Queryable, Insertable, AsChangeset)]
#[diesel(table_name = preferences, primary_key(user), treat_none_as_default_value = false, treat_none_as_null = true)]
struct PersonRow {
    user: Id,
    receipts: bool,
    direct: i16,
    quiet_from: Option<i16>,
    quiet_until: Option<i16>,
    notify: i16,
    stream_revision: i64,
}

impl PersonRow {
    fn new(user: UserId, preferences: &Preferences) -> Self {
        let quiet = preferences.quiet.map(QuietHours::minutes);
        let minute = |minute: u16| i16::try_from(minute).ok();
        Self {
            user: user.into(),
            receipts: preferences.receipts,
            direct: preferences.direct.code(),
            quiet_from: quiet.and_then(|(from, _)| minute(from)),
            quiet_until: quiet.and_then(|(_, until)| minute(until)),
            notify: preferences.notify.code(),
            stream_revision: int(preferences.revision.0),
        }
    }

    fn with(self, keywords: Vec<Keyword>) -> Result<Preferences, StoreError> {
        let quiet = self.quiet_from.zip(self.quiet_until).map(|(from, until)| QuietHours::parse(from.into(), until.into()));
        let quiet = quiet.transpose().map_err(|_| StoreError::Corrupt("quiet hours are no minutes of a day".to_owned()))?;
        Ok(Preferences {
            receipts: self.receipts,
            direct: Code::from_code(self.direct)?,
            quiet,
            notify: Code::from_code(self.notify)?,
            keywords,
            revision: revision(self.stream_revision)?,
        })
    }
}

/// Changes what a person prefers altogether.
#[derive(Clone, Debug)]
pub struct ChangePreferences {
    /// Whose.
    pub user: UserId,
    /// What is named changes.
    pub change: PreferencesChange,
}

impl Operation for ChangePreferences {
    type Output = Set<Preferences>;
    const NAME: &'static str = "change_preferences";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Self::Output> {
        Box::pin(async move {
            let user = self.user;
            let mut people = Locked::take(db, [user]).await?;
            people.require(user)?;
            let known = of(db, user).await?;
            let old = known.clone().unwrap_or_default();
            let mut wanted = self.change.clone().applied_to(&old);
            if wanted == old {
                return Ok(Set::unchanged(old));
            }
            wanted.revision = people.next(user)?;
            let row = PersonRow::new(user, &wanted);
            if known.is_some() {
                each!(db, |c| diesel::update(preferences::table.find(row.user)).set(&row).execute(c).await)?;
            } else {
                each!(db, |c| diesel::insert_into(preferences::table).values(row).execute(c).await)?;
            }
            if wanted.keywords != old.keywords {
                write_keywords(db, user, &wanted.keywords).await?;
            }
            Ok(Set { value: wanted, user_heads: people.write(db).await? })
        })
    }
}

/// A row of `keywords`.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = keywords, treat_none_as_default_value = false)]
struct KeywordRow {
    user: Id,
    word_key: String,
    word: String,
}

async fn write_keywords(db: &mut Db, user: UserId, words: &[Keyword]) -> Result<(), StoreError> {
    let old = keywords::table.filter(keywords::user.eq(Id::from(user)));
    each!(db, |c| diesel::delete(old).execute(c).await)?;
    let row = |word: &Keyword| KeywordRow { user: user.into(), word_key: word.key(), word: word.as_str().to_owned() };
    let rows: Vec<KeywordRow> = words.iter().map(row).collect();
    if !rows.is_empty() {
        batch!(db, diesel::insert_into(keywords::table).values(rows))?;
    }
    Ok(())
}

/// What a person prefers altogether, if they ever said.
///
/// # Errors
/// Those of the database.
pub async fn of(db: &mut Db, user: UserId) -> Result<Option<Preferences>, StoreError> {
    let query = preferences::table.find(Id::from(user)).select(preferences::all_columns);
    let row: Option<PersonRow> = each!(db, |c| query.first(c).await.optional())?;
    let Some(row) = row else { return Ok(None) };
    let query = keywords::table.filter(keywords::user.eq(Id::from(user))).order(keywords::word_key).select(keywords::word);
    let words: Vec<String> = each!(db, |c| query.load(c).await)?;
    row.with(words.into_iter().map(Keyword::stored).collect()).map(Some)
}

/// What of these a person changed in (from, to] of their stream: about rooms and threads at most `limit` each, by revision.
pub(super) async fn changed(
    db: &mut Db,
    user: UserId,
    (from, to): (Revision, Revision),
    limit: i64,
) -> Result<Vec<StreamItem>, StoreError> {
    let rooms = changed_rows!(db, room_preferences: RoomRow, user, (from, to), limit)?;
    let threads = changed_rows!(db, thread_preferences: ThreadRow, user, (from, to), limit)?;
    let mut items = Vec::with_capacity(rooms.len() + threads.len() + 1);
    for row in rooms {
        items.push(StreamItem::RoomPreferences(row.try_into()?));
    }
    for row in threads {
        items.push(StreamItem::ThreadPreferences(row.try_into()?));
    }
    let altogether = of(db, user).await?.filter(|found| found.revision > from && found.revision <= to);
    items.extend(altogether.map(|found| StreamItem::Preferences(Box::new(found))));
    Ok(items)
}

/// Forgets what a person preferred whose account ends.
pub(super) async fn forget(db: &mut Db, user: UserId) -> Result<(), StoreError> {
    let me = Id::from(user);
    each!(db, |c| diesel::delete(room_preferences::table.filter(room_preferences::user.eq(me))).execute(c).await)?;
    each!(db, |c| diesel::delete(thread_preferences::table.filter(thread_preferences::user.eq(me))).execute(c).await)?;
    each!(db, |c| diesel::delete(preferences::table.find(me)).execute(c).await)?;
    each!(db, |c| diesel::delete(keywords::table.filter(keywords::user.eq(me))).execute(c).await)?;
    Ok(())
}

#[cfg(test)]
mod tests;
