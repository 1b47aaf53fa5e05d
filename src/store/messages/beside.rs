//! What few posts have: a thread, a quote, mentions. Ordinary posts cost no statement here.
//!
//! *Invariants.* A thread's first message has the count and the revision of what was said in it last, under the room's lock. Whose words a
//! forwarded text has, is in `origins` with its room.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Append;
use super::whole::details_row;
use crate::domain::fault::Fault;
use crate::domain::ids::RoomId;
use crate::domain::message::{Details, Mentions, Message, Thread, ThreadChange};
use crate::domain::order::Seq;
use crate::store::backend::Db;
use crate::store::columns::{Id, int, number};
use crate::store::error::StoreError;
use crate::store::rows::MessageRow;
use crate::store::schema::{mentions, messages, origins, replies, threads};

/// In `mentions`, whoever is in the room.
pub(super) const EVERYBODY: Id = Id([0; 16]);

/// Messages that posts name, as far as that concerns these; in the order in which all lock messages.
#[derive(Debug, Default)]
pub(super) struct Named(BTreeMap<(Id, i64), NamedMessage>);

#[derive(Debug)]
struct NamedMessage {
    author: Id,
    deleted: bool,
    is_reply: bool,
    reply_count: i64,
    /// A thread begins with it already.
    has_thread: bool,
    /// The newest message of its thread and its revision, once this batch has added one.
    grown_to: Option<(i64, i64)>,
}

impl Named {
    /// May a post name these?
    pub(super) fn check(&self, room: RoomId, details: &Details) -> Result<(), Fault> {
        let found = |seq: Seq| self.0.get(&(room.into(), int(seq.0)));
        let quoted = details.quote.is_none_or(|seq| found(seq).is_some_and(|message| !message.deleted));
        match details.thread.map(found) {
            _ if !quoted => Err(Fault::NotFound),
            // A thread goes on when its first message is deleted.
            None => Ok(()),
            Some(Some(first)) if !first.is_reply => Ok(()),
            // Threads have no threads.
            Some(Some(_)) => Err(Fault::BadRequest),
            Some(None) => Err(Fault::NotFound),
        }
    }

    /// One more message in a thread.
    pub(super) fn grow(&mut self, room: RoomId, thread: Seq, reply: &Message) -> Result<ThreadChange, StoreError> {
        let first = self.0.get_mut(&(room.into(), int(thread.0))).ok_or(Fault::NotFound)?;
        first.reply_count += 1;
        first.grown_to = Some((int(reply.seq.0), int(reply.revision.0)));
        let grown = Thread { count: number(first.reply_count)?, last: reply.seq };
        Ok(ThreadChange { seq: thread, revision: reply.revision, thread: grown })
    }
}

/// Number, author, whether it is deleted; whether it is a reply, how many it has, and whether it ever had one.
type NamedRow = (i64, Id, bool, (bool, i64, bool));

/// What posts name.
pub(super) async fn named(db: &mut Db, appends: &[Append]) -> Result<Named, StoreError> {
    let mut wanted: HashMap<RoomId, BTreeSet<i64>> = HashMap::new();
    for append in appends {
        for details in append.posts.iter().filter_map(|(post, _)| post.details.as_deref()) {
            for seq in details.thread.into_iter().chain(details.quote) {
                wanted.entry(append.room).or_default().insert(int(seq.0));
            }
        }
    }
    let mut found = BTreeMap::new();
    for (room, seqs) in wanted {
        let thread = (messages::thread.is_not_null(), messages::reply_count, messages::last_reply.is_not_null());
        let columns = (messages::seq, messages::author, messages::deleted_at.is_not_null(), thread);
        let seqs: Vec<i64> = seqs.into_iter().collect();
        let query = messages::table.filter(messages::room.eq(Id::from(room))).filter(messages::seq.eq_any(&seqs)).select(columns);
        let rows: Vec<NamedRow> = each!(db, |c| query.load(c).await)?;
        for (seq, author, deleted, (is_reply, reply_count, has_thread)) in rows {
            let named = NamedMessage { author, deleted, is_reply, reply_count, has_thread, grown_to: None };
            found.insert((room.into(), seq), named);
        }
    }
    Ok(Named(found))
}

/// Inserts the messages that have more than a text, with what stands beside them, and raises the threads.
pub(super) async fn write(db: &mut Db, detailed: Vec<(MessageRow, Details)>, named: &Named) -> Result<(), StoreError> {
    let (mut said, mut mentioned, mut forwarded) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (row, details) in detailed {
        forwarded.extend(details.origin.map(|origin| (Id::from(origin.author), row.room)));
        if let Some(thread) = details.thread {
            said.push((
                replies::room.eq(row.room),
                replies::thread.eq(int(thread.0)),
                replies::seq.eq(row.seq),
                replies::author.eq(row.author),
            ));
        }
        mentioned.extend(mention_rows((row.room, row.seq, row.author), &details.mentions));
        let values = (row, details_row(&details));
        each!(db, |c| diesel::insert_into(messages::table).values(values).execute(c).await)?;
    }
    if !said.is_empty() {
        batch!(db, diesel::insert_into(replies::table).values(said))?;
    }
    if !mentioned.is_empty() {
        batch!(db, diesel::insert_into(mentions::table).values(mentioned))?;
    }
    for (author, room) in forwarded {
        let origin = (origins::author.eq(author), origins::room.eq(room));
        each!(db, |c| diesel::insert_or_ignore_into(origins::table).values(origin).execute(c).await)?;
    }
    for ((room, seq), first) in &named.0 {
        let Some((last, revision)) = first.grown_to else { continue };
        let grown = (messages::reply_count.eq(first.reply_count), messages::last_reply.eq(last), messages::revision.eq(revision));
        each!(db, |c| diesel::update(messages::table.find((*room, *seq))).set(grown).execute(c).await)?;
        if !first.has_thread {
            let thread = (threads::room.eq(*room), threads::seq.eq(*seq), threads::author.eq(first.author));
            each!(db, |c| diesel::insert_into(threads::table).values(thread).execute(c).await)?;
        }
    }
    Ok(())
}

type MentionRow = (
    diesel::dsl::Eq<mentions::room, Id>,
    diesel::dsl::Eq<mentions::user, Id>,
    diesel::dsl::Eq<mentions::seq, i64>,
    diesel::dsl::Eq<mentions::author, Id>,
);

/// Who is to find the message (room, number, author) among those that mention them. Who was online is known to whoever notifies.
pub(super) fn mention_rows((room, seq, author): (Id, i64, Id), mentioned: &Mentions) -> Vec<MentionRow> {
    let everybody = mentioned.room.then_some(EVERYBODY);
    let people = mentioned.users.iter().copied().map(Id::from);
    let one = |user: Id| (mentions::room.eq(room), mentions::user.eq(user), mentions::seq.eq(seq), mentions::author.eq(author));
    people.chain(everybody).map(one).collect()
}
