//! Who may have to be notified of a message, some at a time, and what counts for each of them.
//!
//! Each source of people is an index, read by user id from where the last chunk ended: whoever is mentioned, takes part in the thread or
//! follows it, waits for a word, wants to be told of everything; the members only of direct and group rooms, and where everybody is
//! mentioned. A chunk is the smallest ids of all sources: of every source all ids up to its end are known, so who is in several is in it once,
//! with everything that counts.

use std::collections::{BTreeSet, HashMap, HashSet};

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::queue::Job;
use crate::domain::ids::UserId;
use crate::domain::member::MemberState;
use crate::domain::message::{Details, Message};
use crate::domain::notification::{Fact, Person};
use crate::domain::order::Seq;
use crate::domain::preference::{Following, Notify, QuietHours};
use crate::domain::room::RoomKind;
use crate::domain::time_zone::TimeZone;
use crate::store::backend::Db;
use crate::store::columns::{Code, Id, int, seq};
use crate::store::error::StoreError;
use crate::store::messages::whole::whole;
use crate::store::rooms;
use crate::store::rows::{WHOLE_MESSAGE, WholeMessageRow};
use crate::store::schema::{
    keywords, members, messages, preferences, profiles, read_marks, relations, replies, room_preferences, thread_preferences,
};

/// A message that is there, and what kind of room it is in.
#[derive(Clone, Debug)]
pub struct Said {
    /// The message.
    pub message: Message,
    /// The kind of its room.
    pub kind: RoomKind,
}

impl Said {
    /// What counts of it for everybody.
    #[must_use]
    pub fn fact(&self) -> Fact {
        let details = self.details();
        Fact {
            seq: self.message.seq,
            author: self.message.author,
            room: self.kind,
            in_thread: details.thread.is_some(),
            mentions_room: details.mentions.room,
            mentions_online: details.mentions.online,
        }
    }

    fn details(&self) -> Details {
        self.message.details().cloned().unwrap_or_default()
    }
}

/// Some of those who may have to be notified.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// By id. Whether they are online is not known here.
    pub people: Vec<Person>,
    /// The last of them, if there may be more.
    pub next: Option<UserId>,
}

/// The message, unless it or its room is gone.
///
/// # Errors
/// Those of the database.
pub async fn said(db: &mut Db, job: Job) -> Result<Option<Said>, StoreError> {
    let Some(room) = rooms::get(db, job.room).await?.filter(|room| !room.deleted) else { return Ok(None) };
    let query = messages::table.find(job.key()).select(WHOLE_MESSAGE);
    let row: Option<WholeMessageRow> = each!(db, |c| query.first(c).await.optional())?;
    let message = whole(db, job.room, row.into_iter().collect()).await?.pop();
    Ok(message.filter(|message| !message.is_deleted()).map(|message| Said { message, kind: room.kind }))
}

/// The next at most `limit` who may have to be notified. `words`: the keywords its text has.
///
/// # Errors
/// Those of the database.
pub async fn chunk(db: &mut Db, job: Job, said: &Said, words: &[String], limit: usize) -> Result<Chunk, StoreError> {
    let sources = Sources::read(db, job, said, words, limit).await?;
    let (ids, more) = sources.smallest(limit);
    let next = ids.last().filter(|_| more).map(|last| (*last).into());
    let people = what_counts(db, said, &ids, &sources).await?;
    Ok(Chunk { people, next })
}

/// Ids from the indexes, each list by id and at most as long as a chunk.
#[derive(Default)]
struct Sources {
    mentioned: Vec<Id>,
    waiting: Vec<Id>,
    taking_part: Vec<Id>,
    /// For whom the reason is found with what counts for them.
    others: Vec<Vec<Id>>,
}

impl Sources {
    async fn read(db: &mut Db, job: Job, said: &Said, words: &[String], limit: usize) -> Result<Self, StoreError> {
        let (room, after) = (Id::from(job.room), job.after.map_or(Id([0; 16]), Id::from));
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let Details { thread, mentions, .. } = said.details();
        let mut mentioned: Vec<Id> = mentions.users.iter().copied().map(Id::from).filter(|user| *user > after).collect();
        mentioned.sort_unstable();
        mentioned.truncate(limit);
        let mut sources = Self { mentioned, ..Self::default() };
        if mentions.room || mentions.online || matches!(said.kind, RoomKind::Direct | RoomKind::Group) {
            let query = members::table
                .filter(members::room.eq(room).and(members::user.gt(after)))
                .filter(members::state.eq(MemberState::Joined.code()))
                .order(members::user)
                .limit(most)
                .select(members::user);
            sources.others.push(each!(db, |c| query.load(c).await)?);
        }
        if let Some(thread) = thread {
            sources.read_thread(db, (room, int(thread.0), after), most).await?;
        }
        if !words.is_empty() {
            // Not a join: SQLite would take the bound of the page for the members, too, and read all of them behind it.
            let member = members::table
                .filter(members::room.eq(room).and(members::user.eq(keywords::user)))
                .filter(members::state.eq(MemberState::Joined.code()));
            let query = keywords::table
                .filter(keywords::word_key.eq_any(words).and(keywords::user.gt(after)))
                .filter(exists(member))
                .order(keywords::user)
                .limit(most)
                .select(keywords::user)
                .distinct();
            sources.waiting = each!(db, |c| query.load(c).await)?;
        }
        sources.read_all(db, (room, after), most).await?;
        Ok(sources)
    }

    async fn read_thread(&mut self, db: &mut Db, (room, thread, after): (Id, i64, Id), most: i64) -> Result<(), StoreError> {
        let query = replies::table
            .filter(replies::room.eq(room).and(replies::thread.eq(thread)).and(replies::author.gt(after)))
            .order(replies::author)
            .limit(most)
            .select(replies::author)
            .distinct();
        self.taking_part = each!(db, |c| query.load(c).await)?;
        let query = messages::table.find((room, thread)).select(messages::author);
        let began: Option<Id> = each!(db, |c| query.first(c).await.optional())?;
        if let Some(began) = began.filter(|began| *began > after)
            && let Err(place) = self.taking_part.binary_search(&began)
        {
            self.taking_part.insert(place, began);
        }
        let query = thread_preferences::table
            .filter(thread_preferences::room.eq(room).and(thread_preferences::thread.eq(thread)))
            .filter(thread_preferences::user.gt(after))
            .filter(thread_preferences::following.eq(Following::Yes.code()))
            .order(thread_preferences::user)
            .limit(most)
            .select(thread_preferences::user);
        self.others.push(each!(db, |c| query.load(c).await)?);
        Ok(())
    }

    /// Those who want to be told of everything, here or in general.
    async fn read_all(&mut self, db: &mut Db, (room, after): (Id, Id), most: i64) -> Result<(), StoreError> {
        let query = room_preferences::table
            .filter(room_preferences::notify.eq(Notify::All.code()))
            .filter(room_preferences::room.eq(room).and(room_preferences::user.gt(after)))
            .order(room_preferences::user)
            .limit(most)
            .select(room_preferences::user);
        self.others.push(each!(db, |c| query.load(c).await)?);
        let member = members::table
            .filter(members::room.eq(room).and(members::user.eq(preferences::user)))
            .filter(members::state.eq(MemberState::Joined.code()));
        let query = preferences::table
            .filter(preferences::notify.eq(Notify::All.code()).and(preferences::user.gt(after)))
            .filter(exists(member))
            .order(preferences::user)
            .limit(most)
            .select(preferences::user);
        self.others.push(each!(db, |c| query.load(c).await)?);
        Ok(())
    }

    /// The smallest ids, and whether there may be more behind them.
    fn smallest(&self, limit: usize) -> (Vec<Id>, bool) {
        let lists = [&self.mentioned, &self.waiting, &self.taking_part].into_iter().chain(&self.others);
        let mut longest = 0;
        let mut ids = BTreeSet::new();
        for list in lists {
            longest = longest.max(list.len());
            ids.extend(list.iter().copied());
        }
        let more = ids.len() > limit || longest >= limit;
        (ids.into_iter().take(limit).collect(), more)
    }
}

/// What counts for these people, in a few statements.
async fn what_counts(db: &mut Db, said: &Said, ids: &[Id], sources: &Sources) -> Result<Vec<Person>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let message = &said.message;
    let has = |list: &[Id]| -> HashSet<Id> { list.iter().copied().collect() };
    let (mentioned, waiting) = (has(&sources.mentioned), has(&sources.waiting));
    let taking_part = has(&sources.taking_part);
    let mut people: HashMap<Id, Person> = HashMap::new();
    for id in ids {
        let known = Person {
            sees: false,
            mentioned: mentioned.contains(id),
            keyword: waiting.contains(id),
            takes_part: taking_part.contains(id),
            ..Person::plain((*id).into())
        };
        people.insert(*id, known);
    }
    standing(db, said, ids, &mut people).await?;
    preferred(db, said, ids, &mut people).await?;
    let voices: Vec<Id> = message.voices().map(Id::from).collect();
    let query = relations::table.filter(relations::user.eq_any(ids).and(relations::other.eq_any(&voices))).select((
        relations::user,
        relations::other,
        relations::blocked,
        relations::muted,
    ));
    let rows: Vec<(Id, Id, bool, bool)> = each!(db, |c| query.load(c).await)?;
    for (user, other, blocked, muted) in rows {
        if let Some(person) = people.get_mut(&user) {
            person.blocks |= blocked;
            person.mutes |= muted && other == Id::from(message.author);
        }
    }
    Ok(ids.iter().filter_map(|id| people.remove(id)).collect())
}

/// What they see of the room, and how far they have read it.
async fn standing(db: &mut Db, said: &Said, ids: &[Id], people: &mut HashMap<Id, Person>) -> Result<(), StoreError> {
    let room = Id::from(said.message.room);
    let query = members::table
        .filter(members::room.eq(room).and(members::user.eq_any(ids)))
        .filter(members::state.eq(MemberState::Joined.code()))
        .filter(members::visible_from_seq.le(int(said.message.seq.0)))
        .select(members::user);
    let seeing: Vec<Id> = each!(db, |c| query.load(c).await)?;
    for user in seeing {
        people.entry(user).and_modify(|person| person.sees = true);
    }
    let query = read_marks::table
        .filter(read_marks::room.eq(room).and(read_marks::user.eq_any(ids)))
        .select((read_marks::user, read_marks::seq));
    let marks: Vec<(Id, i64)> = each!(db, |c| query.load(c).await)?;
    for (user, mark) in marks {
        let mark: Seq = seq(mark)?;
        people.entry(user).and_modify(|person| person.read = mark);
    }
    Ok(())
}

type OfRoom = (Id, Option<chrono::NaiveDateTime>, i16);
type InGeneral = (Id, i16, Option<i16>, Option<i16>, Option<String>);

/// What they prefer: of the room, of the thread, in general.
async fn preferred(db: &mut Db, said: &Said, ids: &[Id], people: &mut HashMap<Id, Person>) -> Result<(), StoreError> {
    let room = Id::from(said.message.room);
    let query = room_preferences::table.filter(room_preferences::room.eq(room).and(room_preferences::user.eq_any(ids))).select((
        room_preferences::user,
        room_preferences::muted_until,
        room_preferences::notify,
    ));
    let rows: Vec<OfRoom> = each!(db, |c| query.load(c).await)?;
    for (user, muted_until, notify) in rows {
        let Some(person) = people.get_mut(&user) else { continue };
        person.room_muted_until = muted_until.map(|until| until.and_utc());
        person.in_room = Code::from_code(notify)?;
    }
    if let Some(thread) = said.details().thread {
        let query = thread_preferences::table
            .filter(thread_preferences::room.eq(room).and(thread_preferences::thread.eq(int(thread.0))))
            .filter(thread_preferences::user.eq_any(ids))
            .select((thread_preferences::user, thread_preferences::muted_until, thread_preferences::following));
        let rows: Vec<OfRoom> = each!(db, |c| query.load(c).await)?;
        for (user, muted_until, following) in rows {
            let Some(person) = people.get_mut(&user) else { continue };
            person.thread_muted_until = muted_until.map(|until| until.and_utc());
            person.following = Code::from_code(following)?;
        }
    }
    let query = preferences::table
        .left_join(profiles::table.on(profiles::user.eq(preferences::user)))
        .filter(preferences::user.eq_any(ids))
        .select((
            preferences::user,
            preferences::notify,
            preferences::quiet_from,
            preferences::quiet_until,
            profiles::time_zone.nullable(),
        ));
    let rows: Vec<InGeneral> = each!(db, |c| query.load(c).await)?;
    for (user, notify, from, until, zone) in rows {
        let Some(person) = people.get_mut(&user) else { continue };
        person.in_general = Code::from_code(notify)?;
        person.quiet = from.zip(until).and_then(|(from, until)| QuietHours::parse(from.into(), until.into()).ok());
        person.time_zone = zone.and_then(|zone| TimeZone::parse(&zone).ok());
    }
    Ok(())
}
