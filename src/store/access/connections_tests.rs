//! Connections that ended while they lay idle, or under a question.

use std::sync::atomic::{AtomicUsize, Ordering};

use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection, AsyncMysqlConnection, SimpleAsyncConnection};

use super::*;
use crate::store::testing::test_database::left_out_on_sqlite;
use crate::store::testing::{PATIENCE, TestStore};

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// A question answered by a number, after statements that may fail without notice.
fn question(
    before: &'static str,
    sql: &'static str,
) -> impl for<'a> FnOnce(&'a mut Db) -> Reply<'a, i64> + Clone + Send + 'static {
    use diesel_async::RunQueryDsl;

    move |db| {
        Box::pin(async move {
            if !before.is_empty() {
                drop(each!(db, |c| c.batch_execute(before).await));
            }
            let answer: Number = each!(db, |c| diesel::sql_query(sql).get_result(c).await)?;
            Ok(answer.number)
        })
    }
}

const ONE: &str = "SELECT 1 AS number";
const CONNECTION: &str = "SELECT CAST(CONNECTION_ID() AS SIGNED) AS number";

/// A question that always ends in `error`; how often it was put.
async fn puts(test: &TestStore, error: StoreError) -> usize {
    let puts = Arc::new(AtomicUsize::new(0));
    let (counted, expected) = (Arc::clone(&puts), error.clone());
    let answer: Result<(), _> = test
        .store
        .read(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::ready(Err(error)))
        })
        .await;
    assert_eq!(answer, Err(expected));
    puts.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_question_is_put_once_more_after_a_lost_connection_and_after_nothing_else() {
    let test = TestStore::open().await;
    assert_eq!(puts(&test, StoreError::Disconnected("script".to_owned())).await, 2);
    for error in [
        StoreError::Busy,
        StoreError::Unavailable("script".to_owned()),
        StoreError::Contention("script".to_owned()),
        StoreError::Internal("script".to_owned()),
    ] {
        assert_eq!(puts(&test, error.clone()).await, 1, "{error:?}");
    }
    assert_eq!(test.store.read(question("", ONE)).await, Ok(1), "the place in the pool is given back");
}

#[tokio::test]
async fn both_runs_of_a_question_share_one_deadline() {
    let test = TestStore::open_with(|settings| settings.read_deadline = Duration::from_secs(1)).await;
    let puts = Arc::new(AtomicUsize::new(0));
    let answer = test
        .store
        .read(move |_| {
            Box::pin(async move {
                // Each run alone is within the deadline.
                tokio::time::sleep(Duration::from_millis(600)).await;
                match puts.fetch_add(1, Ordering::Relaxed) {
                    0 => Err(StoreError::Disconnected("script".to_owned())),
                    _ => Ok(()),
                }
            })
        })
        .await;
    assert_eq!(answer, Err(StoreError::Unavailable("read deadline".to_owned())));
}

/// Waits until the server knows nothing of a connection any more.
async fn gone(test: &TestStore, connection: i64) {
    use diesel_async::RunQueryDsl;

    let mut other = AsyncMysqlConnection::establish(test.settings.url.expose()).await.unwrap();
    let query = format!("SELECT COUNT(*) AS number FROM information_schema.processlist WHERE id = {connection}");
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let left: Number = diesel::sql_query(&query).get_result(&mut other).await.unwrap();
        if left.number == 0 {
            return;
        }
        assert!(tokio::time::Instant::now() < end, "it is still there");
    }
}

#[tokio::test]
async fn connections_that_the_server_ended_cost_no_question_its_answer() {
    if left_out_on_sqlite("nobody can end a connection to a file") {
        return;
    }
    let test = TestStore::open_with(|settings| settings.readers = 1).await;
    let first = test.store.read(question("", CONNECTION)).await.unwrap();
    // Under a question.
    let second = test.store.read(question(Box::leak(format!("KILL {first}").into_boxed_str()), CONNECTION)).await.unwrap();
    assert_ne!(second, first, "on another connection");
    // While it lay idle for longer than the server allows.
    assert_eq!(test.store.read(question("SET SESSION wait_timeout = 1", CONNECTION)).await, Ok(second));
    gone(&test, second).await;
    let third = test.store.read(question("", CONNECTION)).await.unwrap();
    assert_ne!(third, second);
    assert_eq!(test.store.read(question("", CONNECTION)).await, Ok(third), "the new one is in the pool");
}
