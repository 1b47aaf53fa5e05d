//! Posts: the hot path. What a batch does, and in which order, stands in `append`; its statements, which differ for good reason, in `sqlite`
//! and `mysql`; what few posts have, threads and mentions, in `beside`; how messages change later in `change`; history is read in `history`.
//!
//! *Invariants.* `seq` and `revision` are dense, given under the lock of the room's counter row (I1). A post is stored once, however
//! often it is sent (I3): repeats are looked up under that lock, before the verdict counts. A verdict counts only for the
//! `policy_revision` it was made under (I10). `created_at` never runs backwards in a room.
//!
//! *Must not know*: why a post is refused (the room decided), how batches come about (persistence).

mod beside;
pub mod change;
mod mysql;
mod raise;
mod slow;
mod sqlite;
pub(in crate::store) mod whole;

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDateTime;
use diesel::prelude::*;
use sha2::{Digest, Sha256};

use super::backend::Db;
use super::columns::{Id, at, int, revision, seq};
use super::error::{StoreError, UNIQUE_KEY};
use super::notifications::queue;
use super::operation::{Operation, Reply};
use super::reports;
use super::rows::{MessageRow, slow_mode};
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::RoomId;
use crate::domain::message::{Details, Message, More, Post, ThreadChange};
use crate::domain::order::{Revision, Seq};
use crate::domain::report::ReportTarget;
use crate::domain::room::SlowMode;
use crate::domain::time::Timestamp;
use crate::faults;
use beside::Named;

/// Posts of one room that belong together: they are numbered in this order, without another between them.
#[derive(Clone, Debug)]
pub struct Append {
    /// Into which room.
    pub room: RoomId,
    /// The `policy_revision` under which the room decided.
    pub policy_revision: Revision,
    /// Each with the room's verdict; it is ignored for a repeat.
    pub posts: Vec<(Post, Result<(), Fault>)>,
}

/// What became of an [`Append`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// Decided; some of it may be refused.
    Done {
        /// One for each post, in order.
        posts: Vec<PostOutcome>,
        /// The room's head after it.
        head: Revision,
    },
    /// Somebody's right to post has changed since: nothing was stored; load the room and decide again.
    StalePolicy,
    /// There is no such room any more; nothing was stored.
    Gone,
}

/// What became of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostOutcome {
    /// It is stored now.
    Stored(Message),
    /// It is stored now in a thread, which has grown by it.
    Replied(Message, ThreadChange),
    /// It was stored before, as this.
    Repeat {
        /// Its number.
        seq: Seq,
        /// The revision it was committed under, or last changed.
        revision: Revision,
        /// When it was stored first.
        created_at: Timestamp,
    },
    /// It is not stored.
    Refused(Refusal),
}

/// A batch as an operation.
#[derive(Clone, Debug)]
pub struct AppendBatch {
    /// The present time.
    pub now: Timestamp,
    /// What to store. A room may occur more than once.
    pub appends: Vec<Append>,
}

impl Operation for AppendBatch {
    type Output = Vec<AppendOutcome>;
    const NAME: &'static str = "append";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Self::Output> {
        Box::pin(append(db, self.now, &self.appends))
    }
}

/// Stores a batch; one outcome for each append, in order. Runs inside a transaction whose first statement this begins with.
///
/// # Errors
/// Those of the database; decisions are outcomes.
pub async fn append(db: &mut Db, now: Timestamp, appends: &[Append]) -> Result<Vec<AppendOutcome>, StoreError> {
    faults::panic_point("store.panic");
    #[cfg(feature = "faults")]
    let appends = &breach::forget_repeats(appends);
    let rooms: BTreeSet<Id> = appends.iter().map(|append| append.room.into()).collect();
    let counters = lock(db, rooms.into_iter().collect()).await?;
    let pauses = slow::Pauses::read(db, &counters, appends).await?;
    // A repeat is rare, and the unique key finds it too. Where a question costs a round trip it is asked in advance only if a verdict
    // depends on the answer. Only for one INSERT, which goes as a whole: of several the first would stay, and look like repeats.
    let posts: usize = appends.iter().map(|append| append.posts.len()).sum();
    if matches!(db, Db::Mysql(_)) && posts <= mysql::ROWS_PER_INSERT && appends.iter().all(|append| is_plain(append, &counters)) {
        match decide_and_write(db, Batch::new(now, counters.clone(), HashMap::new(), pauses.clone()), appends).await {
            Err(StoreError::RowRefused(UNIQUE_KEY)) => {}
            done => return done,
        }
    }
    let keys: BTreeSet<Key> = appends.iter().flat_map(keys).collect();
    let stored = repeats(db, keys.into_iter().collect()).await?;
    let named = beside::named(db, appends).await?;
    decide_and_write(db, Batch { named, ..Batch::new(now, counters, stored, pauses) }, appends).await
}

/// Nothing is to be refused, so it makes no difference what is a repeat as long as none is stored again.
fn is_plain(append: &Append, counters: &HashMap<Id, Counter>) -> bool {
    let fresh =
        |counter: &Counter| counter.policy_revision == int(append.policy_revision.0) && counter.slow_mode == SlowMode::OFF;
    // A report is looked for and written beside the post, with a unique key of its own.
    let plain =
        |(post, verdict): &(Post, Result<(), Fault>)| verdict.is_ok() && post.details.is_none() && post.suspicion.is_none();
    counters.get(&append.room.into()).is_none_or(fresh) && append.posts.iter().all(plain)
}

async fn decide_and_write(db: &mut Db, mut batch: Batch, appends: &[Append]) -> Result<Vec<AppendOutcome>, StoreError> {
    let now = batch.now;
    let outcomes = appends.iter().map(|append| batch.decide(append)).collect::<Result<Vec<_>, _>>()?;
    write(db, batch).await?;
    for (append, outcome) in appends.iter().zip(&outcomes) {
        report_suspects(db, now, append, outcome).await?;
    }
    Ok(outcomes)
}

/// What filters let through only to have it reported. A repeat was reported when it was stored.
async fn report_suspects(db: &mut Db, now: Timestamp, append: &Append, outcome: &AppendOutcome) -> Result<(), StoreError> {
    let AppendOutcome::Done { posts, .. } = outcome else { return Ok(()) };
    for ((post, _), outcome) in append.posts.iter().zip(posts) {
        if let Some(suspicion) = &post.suspicion
            && let PostOutcome::Stored(message) | PostOutcome::Replied(message, _) = outcome
        {
            let target = ReportTarget::Message { room: append.room, seq: message.seq };
            reports::by_server(db, target, suspicion, now).await?;
        }
    }
    Ok(())
}

/// What a post is known by: room, author, client id.
type Key = (Id, Id, Id);

fn keys(append: &Append) -> impl Iterator<Item = Key> {
    append.posts.iter().map(|(post, _)| key(append.room, post))
}

fn key(room: RoomId, post: &Post) -> Key {
    (room.into(), post.author.into(), post.client_id.into())
}

/// Half a SHA-256 is enough to tell a person's own posts apart. Of a forwarded text only where it comes from counts: the text there may
/// have changed before the repeat. Whom a text mentions follows from the text.
fn body_hash(post: &Post) -> Id {
    let mut hash = Sha256::new();
    match post.details.as_deref() {
        None => hash.update(post.text.as_str()),
        Some(Details { thread, quote, origin, .. }) => {
            if let Some(origin) = origin {
                hash.update(origin.room.as_bytes());
                hash.update(origin.seq.0.to_be_bytes());
            } else {
                hash.update(post.text.as_str());
            }
            for (mark, number) in [(b"thread", thread), (b"quotes", quote)] {
                if let Some(number) = number {
                    hash.update(mark);
                    hash.update(number.0.to_be_bytes());
                }
            }
        }
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut half = [0; 16];
    half.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    Id(half)
}

/// A stored post, as far as a repeat of it needs.
#[derive(Clone, Copy, Debug, Queryable)]
struct StoredPost {
    seq: i64,
    revision: i64,
    body_hash: Id,
    created_at: NaiveDateTime,
}

/// A room's locked counters, raised as posts are numbered.
#[derive(Clone, Copy, Debug)]
struct Counter {
    deleted: bool,
    last_seq: i64,
    head: i64,
    policy_revision: i64,
    last_created_at: NaiveDateTime,
    slow_mode: SlowMode,
    added: i64,
}

/// The numbering of one batch: no SQL here.
struct Batch {
    now: Timestamp,
    counters: HashMap<Id, Counter>,
    /// What was stored before, and what this batch has stored so far: a repeat may stand in the same batch.
    stored: HashMap<Key, StoredPost>,
    /// Messages that posts of this batch name.
    named: Named,
    rows: Vec<MessageRow>,
    /// Those that have more than a text.
    detailed: Vec<(MessageRow, Details)>,
    pauses: slow::Pauses,
    /// Messages of which somebody may have to be notified.
    notifying: Vec<(Id, i64)>,
}

impl Batch {
    fn new(now: Timestamp, counters: HashMap<Id, Counter>, stored: HashMap<Key, StoredPost>, pauses: slow::Pauses) -> Self {
        let (named, rows, detailed, notifying) = (Named::default(), Vec::new(), Vec::new(), Vec::new());
        Self { now, counters, stored, named, rows, detailed, pauses, notifying }
    }

    fn decide(&mut self, append: &Append) -> Result<AppendOutcome, StoreError> {
        let room = Id::from(append.room);
        let Some(mut counter) = self.counters.get(&room).copied().filter(|counter| !counter.deleted) else {
            return Ok(AppendOutcome::Gone);
        };
        let fresh = counter.policy_revision == int(append.policy_revision.0) || faults::hit("store.skip_policy");
        if !fresh && !keys(append).all(|key| self.stored.contains_key(&key)) {
            return Ok(AppendOutcome::StalePolicy);
        }
        let mut posts = Vec::with_capacity(append.posts.len());
        let mut previous_refused = false;
        for (post, verdict) in &append.posts {
            let outcome = match (self.repeat(append.room, post)?, verdict) {
                (_, Err(fault)) if faults::hit("store.verdict_first") => PostOutcome::Refused((*fault).into()),
                (Some(repeat), _) => repeat,
                (None, _) if previous_refused => PostOutcome::Refused(Fault::PreviousRefused.into()),
                (None, Err(fault)) => PostOutcome::Refused((*fault).into()),
                (None, Ok(())) => match self.pauses.rest(room, post.author.into(), self.now) {
                    Some(rest) => PostOutcome::Refused(Refusal::slow_mode(rest)),
                    None => self.store(append.room, &mut counter, post)?,
                },
            };
            // What the sender will send again must not be overtaken by what it sent after it (I1).
            previous_refused |= matches!(&outcome, PostOutcome::Refused(refusal) if refusal.fault.row().retry);
            posts.push(outcome);
        }
        self.counters.insert(room, counter);
        Ok(AppendOutcome::Done { posts, head: revision(counter.head)? })
    }

    fn repeat(&self, room: RoomId, post: &Post) -> Result<Option<PostOutcome>, StoreError> {
        let Some(stored) = self.stored.get(&key(room, post)) else { return Ok(None) };
        if stored.body_hash != body_hash(post) {
            return Ok(Some(PostOutcome::Refused(Fault::ClientIdReused.into())));
        }
        let (seq, revision) = (seq(stored.seq)?, revision(stored.revision)?);
        Ok(Some(PostOutcome::Repeat { seq, revision, created_at: stored.created_at.and_utc() }))
    }

    /// Numbers what names only messages that are there.
    fn store(&mut self, room: RoomId, counter: &mut Counter, post: &Post) -> Result<PostOutcome, StoreError> {
        let Some(details) = post.details.as_deref() else {
            let row = self.number(room, counter, post);
            self.rows.push(row.clone());
            return Ok(PostOutcome::Stored(row.try_into()?));
        };
        if let Err(fault) = self.named.check(room, details) {
            return Ok(PostOutcome::Refused(fault.into()));
        }
        let row = self.number(room, counter, post);
        self.detailed.push((row.clone(), details.clone()));
        let more = Some(Box::new(More { details: details.clone(), ..More::default() }));
        let message = Message { more, ..row.try_into()? };
        Ok(match details.thread {
            None => PostOutcome::Stored(message),
            Some(thread) => {
                let grown = self.named.grow(room, thread, &message)?;
                PostOutcome::Replied(message, grown)
            }
        })
    }

    fn number(&mut self, room: RoomId, counter: &mut Counter, post: &Post) -> MessageRow {
        // The breach of I1 burns a number that nobody gets.
        let step = if faults::hit("store.burn_number") { 2 } else { 1 };
        counter.last_seq += step;
        counter.head += step;
        counter.added += step;
        counter.last_created_at = counter.last_created_at.max(at(self.now));
        let row = MessageRow {
            room: room.into(),
            seq: counter.last_seq,
            revision: counter.head,
            author: post.author.into(),
            client_id: post.client_id.into(),
            body_hash: body_hash(post),
            body: post.text.as_str().to_owned(),
            created_at: counter.last_created_at,
        };
        let stored = StoredPost { seq: row.seq, revision: row.revision, body_hash: row.body_hash, created_at: row.created_at };
        self.stored.insert(key(room, post), stored);
        self.pauses.note(row.room, row.author, row.created_at);
        if post.notifies {
            self.notifying.push((row.room, row.seq));
        }
        row
    }
}

/// What an append needs of `rooms`: id, deleted, last seq, head, policy revision, newest time, pause between posts.
type CounterRow = (Id, bool, i64, i64, i64, NaiveDateTime, i64);

/// Reads the rooms' counters and locks them, in the order of their ids. On SQLite `BEGIN IMMEDIATE` is the lock.
async fn lock(db: &mut Db, ids: Vec<Id>) -> Result<HashMap<Id, Counter>, StoreError> {
    let rows = match db {
        Db::Sqlite(connection) => sqlite::counters(connection, ids).await?,
        Db::Mysql(connection) => mysql::lock_counters(connection, &ids).await?,
    };
    let counter = |(id, deleted, last_seq, head, policy_revision, last_created_at, pause): CounterRow| {
        let slow_mode = slow_mode(pause)?;
        Ok((id, Counter { deleted, last_seq, head, policy_revision, last_created_at, slow_mode, added: 0 }))
    };
    rows.into_iter().map(counter).collect()
}

/// Which of these posts are stored already.
async fn repeats(db: &mut Db, keys: Vec<Key>) -> Result<HashMap<Key, StoredPost>, StoreError> {
    let found = match db {
        Db::Sqlite(connection) => sqlite::repeats(connection, keys).await?,
        Db::Mysql(connection) => mysql::repeats(connection, &keys).await?,
    };
    Ok(found.into_iter().collect())
}

async fn write(db: &mut Db, batch: Batch) -> Result<(), StoreError> {
    let mut raised: Vec<(Id, Counter)> = batch.counters.into_iter().filter(|(_, counter)| counter.added > 0).collect();
    raised.sort_unstable_by_key(|(id, _)| *id);
    let Batch { now, rows, detailed, named, pauses, notifying, .. } = batch;
    match db {
        Db::Sqlite(connection) => sqlite::write(connection, rows, raised).await?,
        Db::Mysql(connection) => mysql::write(connection, rows, &raised).await?,
    }
    beside::write(db, detailed, &named).await?;
    queue::add(db, &notifying, now).await?;
    pauses.write(db).await
}

#[cfg(feature = "faults")]
mod breach {
    //! What must never happen, made to happen, so that the test of I3 can be seen red.

    use super::{Append, faults};
    use crate::domain::ids::ClientId;

    /// The same posts; when armed under new names, so that neither the look-up nor the unique key knows them again.
    pub(super) fn forget_repeats(appends: &[Append]) -> Vec<Append> {
        let mut appends = appends.to_vec();
        if faults::hit("store.forget_repeat") {
            for (post, _) in appends.iter_mut().flat_map(|append| &mut append.posts) {
                post.client_id = ClientId::generate();
            }
        }
        appends
    }
}

#[cfg(test)]
mod tests;
