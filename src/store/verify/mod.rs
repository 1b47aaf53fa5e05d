//! Checks that what is stored keeps its promises: each rule is one query that finds its breaches ([`rules`]).
//!
//! It reads one consistent state while a server runs or after it was killed, and writes nothing. The database does the work, so memory
//! stays bounded; of each rule at most [`LISTED`] breaches are reported.
//!
//! *What is proven.* Messages of a room are numbered 1 to `last_seq` without a hole. Revisions are 1 to `head` without a hole and without
//! one given twice: each is exactly one message or one line of the timeline, save the deletion of a room, which has no line and stands
//! only in the room's own row. Rows of `members` and the room's settings hold only the newest state, so an overtaken revision of theirs
//! is proven by its line; the newest one must have a line too. Links have no revision: creating or revoking one leaves no trace in
//! the order, and nothing is proven of them.
//! Across the two numberings, time and the timeline run forward. Counters are right, keys are unique, nothing belongs to a room or
//! person that does not exist.
//!
//! *What is not.* That a message lost together with its number was ever there: whoever was told of it must say so (the drills do).
//!
//! *Must not know*: how to mend anything.

mod rules;
#[cfg(test)]
mod tests;

use chrono::NaiveDateTime;
use diesel::QueryableByName;
use diesel::mysql::Mysql;
use diesel::sql_types::{BigInt, Binary, Nullable, Timestamp as SqlTimestamp};
use diesel::sqlite::Sqlite;
use diesel_async::RunQueryDsl;
use serde::Serialize;

use super::access::{OpenError, Store};
use super::backend::Db;
use super::backup::Progress;
use super::columns::{Id, at};
use super::error::StoreError;
use super::tables;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::time::Timestamp;
use rules::{CHANGED, RULES, Rule, Scope};

/// Breaches of one rule that are reported at most.
pub const LISTED: usize = 1000;

/// Something stored that must not be so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// The rule, one word for scripts.
    pub rule: &'static str,
    /// The rule, for people.
    pub meaning: &'static str,
    /// In which room.
    pub room: Option<RoomId>,
    /// Of whom.
    pub user: Option<UserId>,
    /// The number in question: what it counts stands in `meaning`.
    pub number: Option<i64>,
    /// What the database itself complains of.
    pub detail: Option<String>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Rooms that were checked.
    pub rooms: i64,
    /// Messages stored in all rooms.
    pub messages: i64,
    /// Rules that were checked.
    pub rules: usize,
    /// What is wrong, at most [`LISTED`] of each rule.
    pub breaches: Vec<Breach>,
}

impl Store {
    /// Checks everything, or only rooms with a change since an instant. The schema must be this program's.
    ///
    /// # Errors
    /// [`StoreError`]; breaches are no error.
    pub async fn verify(&self, since: Option<Timestamp>, progress: &Progress) -> Result<Report, VerifyError> {
        let missing = self.pending().await?;
        if !missing.is_empty() {
            return Err(VerifyError::SchemaOlder);
        }
        let (since, progress) = (since.map(at), progress.clone());
        Ok(self.snapshot(move |db| Box::pin(verify(db, since, progress))).await?)
    }
}

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The database does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Other rules hold for it.
    #[error("the schema is older than this program: run `hubbub migrate` first, or verify with the version that runs")]
    SchemaOlder,
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Nullable<Binary>)]
    room_id: Option<Id>,
    #[diesel(sql_type = Nullable<Binary>)]
    user_id: Option<Id>,
    #[diesel(sql_type = Nullable<BigInt>)]
    number: Option<i64>,
}

async fn verify(db: &mut Db, since: Option<NaiveDateTime>, progress: Progress) -> Result<Report, StoreError> {
    progress("checking the database itself");
    let mut breaches: Vec<Breach> = tables::integrity(db).await?.into_iter().take(LISTED).map(damaged).collect();
    let mut checked = 0;
    for rule in RULES.iter().filter(|rule| since.is_none() || matches!(rule.scope, Scope::Rooms)) {
        progress(&format!("checking {}", rule.name));
        let Some(found) = unless_damaged(breaches_of(db, rule, since).await, rule.name, &mut breaches)? else { continue };
        breaches.extend(found.into_iter().map(|found| Breach {
            rule: rule.name,
            meaning: rule.breach,
            room: found.room_id.map(Into::into),
            user: found.user_id.map(Into::into),
            number: found.number,
            detail: None,
        }));
        checked += 1;
    }
    let rooms = count(db, "SELECT COUNT(*) AS number FROM rooms r WHERE 1 = 1 {changed}", since).await;
    let rooms = unless_damaged(rooms, "counting rooms", &mut breaches)?.unwrap_or_default();
    let messages = count(db, "SELECT COUNT(*) AS number FROM messages", None).await;
    let messages = unless_damaged(messages, "counting messages", &mut breaches)?.unwrap_or_default();
    Ok(Report { rooms, messages, rules: checked, breaches })
}

/// What was found; where the file is too damaged to find out, that is a breach as well, and the others can still be looked for.
fn unless_damaged<T>(found: Result<T, StoreError>, at: &str, breaches: &mut Vec<Breach>) -> Result<Option<T>, StoreError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::Corrupt(detail)) => {
            breaches.push(damaged(format!("{at}: {detail}")));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn damaged(detail: String) -> Breach {
    let meaning = "SQLite finds its file damaged";
    Breach { rule: "file", meaning, room: None, user: None, number: None, detail: Some(detail) }
}

async fn breaches_of(db: &mut Db, rule: &Rule, since: Option<NaiveDateTime>) -> Result<Vec<Found>, StoreError> {
    load(db, &format!("{} LIMIT {LISTED}", rule.query), since).await
}

async fn count(db: &mut Db, query: &str, since: Option<NaiveDateTime>) -> Result<i64, StoreError> {
    let query = query.replace("COUNT(*) AS number", "NULL AS room_id, NULL AS user_id, COUNT(*) AS number");
    let counted = load(db, &query, since).await?;
    Ok(counted.into_iter().next().and_then(|counted| counted.number).unwrap_or_default())
}

/// Runs a query in which `{changed}` stands where rooms are chosen.
async fn load(db: &mut Db, query: &str, since: Option<NaiveDateTime>) -> Result<Vec<Found>, StoreError> {
    let instants = query.matches("{changed}").count() * CHANGED.matches('?').count();
    let query = diesel::sql_query(query.replace("{changed}", if since.is_some() { CHANGED } else { "" }));
    let binds = since.into_iter().flat_map(|since| std::iter::repeat_n(since, instants));
    Ok(match db {
        Db::Sqlite(c) => {
            let query = binds.fold(query.into_boxed::<Sqlite>(), |query, since| query.bind::<SqlTimestamp, _>(since));
            query.load(c).await?
        }
        Db::Mysql(c) => {
            let query = binds.fold(query.into_boxed::<Mysql>(), |query, since| query.bind::<SqlTimestamp, _>(since));
            query.load(c).await?
        }
    })
}
