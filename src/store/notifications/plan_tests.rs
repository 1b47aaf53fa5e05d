//! What a database reads to find who may have to be notified: those whom the index of a preference or of a word names, not all members.

use super::candidates;
use super::queue::Job;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::MemberState;
use crate::domain::order::Seq;
use crate::domain::preference::Notify;
use crate::domain::room::{HistoryRule, RoomKind};
use crate::store::backend::Db;
use crate::store::columns::{Code, Id, at};
use crate::store::error::StoreError;
use crate::store::operation::{Operation, Reply};
use crate::store::schema::{keywords, members, preferences};
use crate::store::testing::{TestStore, noon};
use diesel::connection::InstrumentationEvent;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::{AsyncConnection, AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection};
use std::sync::{Arc, Mutex};

/// Of these members of one room one in so many wants to be told of everything, and one in so many waits for the word. All have preferences, and a
/// word of their own.
const MEMBERS: usize = 2000;
const ONE_IN: usize = 500;
const WORD: &str = "tea";

/// Fills a room from below.
struct Crowd {
    room: RoomId,
    people: Vec<UserId>,
}

impl Operation for Crowd {
    type Output = ();
    const NAME: &'static str = "test_crowd";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, ()> {
        Box::pin(async move {
            for (number, user) in self.people.iter().enumerate() {
                let (user, is_one) = (Id::from(*user), number % ONE_IN == 0);
                let member = (
                    (
                        members::room.eq(Id::from(self.room)),
                        members::user.eq(user),
                        members::state.eq(MemberState::Joined.code()),
                    ),
                    (members::role.eq(0_i16), members::visible_from_seq.eq(1_i64), members::joined_revision.eq(1_i64)),
                    (members::revision.eq(1_i64), members::stream_revision.eq(1_i64), members::changed_at.eq(at(noon()))),
                );
                each!(db, |c| diesel::insert_into(members::table).values(member).execute(c).await)?;
                let notify = if is_one { Notify::All } else { Notify::Default };
                let preferred = (
                    (preferences::user.eq(user), preferences::receipts.eq(true), preferences::direct.eq(0_i16)),
                    (preferences::notify.eq(notify.code()), preferences::stream_revision.eq(1_i64)),
                );
                each!(db, |c| diesel::insert_into(preferences::table).values(preferred).execute(c).await)?;
                let word = if is_one { WORD.to_owned() } else { format!("word{number}") };
                let word = (keywords::user.eq(user), keywords::word_key.eq(&word), keywords::word.eq(&word));
                each!(db, |c| diesel::insert_into(keywords::table).values(word).execute(c).await)?;
            }
            Ok(())
        })
    }
}

/// A statement of which SQLite says step by step what it reads.
#[derive(Debug)]
struct Planned {
    sql: String,
    steps: Vec<String>,
}

/// What was seen of the reading of one chunk.
#[derive(Debug)]
enum Seen {
    Plans(Vec<Planned>),
    /// Rows that the server read.
    Rows(i64),
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct Status {
    #[diesel(sql_type = Text, column_name = "Value")]
    value: String,
}

/// Reads the first chunk, and what the database did for it.
async fn look(db: &mut Db, job: Job) -> Result<(usize, Seen), StoreError> {
    let words = [WORD.to_owned()];
    let said = candidates::said(db, job).await?.expect("it is there");
    let statements = Arc::new(Mutex::new(Vec::new()));
    match db {
        Db::Sqlite(connection) => {
            let noting = Arc::clone(&statements);
            connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
                if let InstrumentationEvent::StartQuery { query, .. } = event {
                    noting.lock().unwrap().push(query.to_string());
                }
            });
        }
        Db::Mysql(connection) => connection.batch_execute("ANALYZE TABLE members, preferences, keywords").await?,
    }
    let before = if let Db::Mysql(connection) = db { rows_read(connection).await? } else { 0 };
    let chunk = candidates::chunk(db, job, &said, &words, 100).await?;
    let seen = match db {
        Db::Mysql(connection) => Seen::Rows(rows_read(connection).await? - before),
        Db::Sqlite(connection) => {
            connection.set_instrumentation(|_: InstrumentationEvent<'_>| {});
            let mut plans = Vec::new();
            let statements = std::mem::take(&mut *statements.lock().unwrap());
            for sql in statements {
                let steps: Vec<Step> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}")).load(connection).await?;
                plans.push(Planned { sql, steps: steps.into_iter().map(|step| step.detail).collect() });
            }
            Seen::Plans(plans)
        }
    };
    Ok((chunk.people.len(), seen))
}

async fn rows_read(connection: &mut AsyncMysqlConnection) -> Result<i64, StoreError> {
    let counters: Vec<Status> = diesel::sql_query("SHOW SESSION STATUS LIKE 'Handler_read%'").load(connection).await?;
    Ok(counters.iter().filter_map(|counter| counter.value.parse::<i64>().ok()).sum())
}

#[tokio::test]
async fn few_who_want_everything_or_wait_for_a_word_are_found_without_walking_the_members_of_a_large_room() {
    let test = TestStore::open().await;
    let [ann] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[]).await;
    let people = (0..MEMBERS).map(|_| UserId::generate()).collect();
    test.run(Crowd { room, people }).await.unwrap();
    test.say(room, ann, &["tea?"]).await;
    let job = Job { room, seq: Seq(1), after: None };
    let (found, seen) = test.store.read(move |db| Box::pin(look(db, job))).await.unwrap();
    assert_eq!(found, MEMBERS / ONE_IN);
    match seen {
        // Those of the other statements, for so few people, are in it.
        Seen::Rows(rows) => assert!(usize::try_from(rows).unwrap() < MEMBERS / 10, "{rows} rows read"),
        Seen::Plans(plans) => {
            assert!(!plans.iter().flat_map(|plan| &plan.steps).any(|step| step.starts_with("SCAN")), "{plans:#?}");
            for table in ["preferences", "keywords"] {
                let asks = |plan: &&Planned| plan.sql.contains(&format!("FROM `{table}`")) && plan.sql.contains("`members`");
                let plan = plans.iter().find(asks).unwrap_or_else(|| panic!("no statement of {table} and members: {plans:#?}"));
                let searches: Vec<_> = plan.steps.iter().filter(|step| step.starts_with("SEARCH")).collect();
                // First those whom the index names, and of the members one for each.
                assert!(searches[0].starts_with(&format!("SEARCH {table} ")), "{plan:?}");
                assert!(searches[1].starts_with("SEARCH members ") && searches[1].contains("room=? AND user=?"), "{plan:?}");
            }
        }
    }
}
