use std::sync::Mutex;

use diesel_async::SimpleAsyncConnection;
use tokio::sync::oneshot;

use super::*;
use crate::domain::fault::Fault;
use crate::store::testing::test_database::left_out_on_mysql;
use crate::store::testing::{PATIENCE, TestStore};

/// Writes a room link, then does what the test wants.
struct Link(u8, Then);

enum Then {
    Commit,
    Refuse,
    Panic,
    /// Tells that it has written, then waits for leave to end.
    Wait(Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>),
}

impl Operation for Link {
    type Output = ();
    const NAME: &'static str = "test_link";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, ()> {
        Box::pin(async move {
            let id = format!("X'{:032x}'", self.0);
            let sql = format!(
                "INSERT INTO room_links (id, room, secret_hash, created_by, created_at, uses) \
                 VALUES ({id}, {id}, {id}, {id}, '2026-01-01 00:00:00', 0)"
            );
            each!(db, |c| c.batch_execute(&sql).await)?;
            match &self.1 {
                Then::Commit => Ok(()),
                Then::Refuse => Err(Fault::NotAllowed.into()),
                Then::Panic => panic!("a panic in an operation"),
                Then::Wait(turn) => {
                    let (written, leave) = turn.lock().unwrap().take().unwrap();
                    written.send(()).unwrap();
                    leave.await.ok();
                    Ok(())
                }
            }
        })
    }
}

async fn stored(store: &Store) -> i64 {
    use diesel::QueryDsl;
    use diesel_async::RunQueryDsl;
    let query = || crate::store::schema::room_links::table.count();
    store.read(move |db| Box::pin(async move { Ok(each!(db, |c| query().get_result(c).await)?) })).await.unwrap()
}

#[tokio::test]
async fn error_or_panic_leaves_nothing_and_the_store_goes_on() {
    let test = TestStore::open().await;
    let store = &test.store;
    assert_eq!(test.run(Link(1, Then::Refuse)).await, Err(StoreError::Refused(Fault::NotAllowed)));
    for _ in 0..store.writers() + 1 {
        assert_eq!(store.transaction(Arc::new(Link(1, Then::Panic)), PATIENCE).await, Err(StoreError::Panicked));
    }
    assert_eq!(stored(store).await, 0);
    test.run(Link(1, Then::Commit)).await.unwrap();
    assert_eq!(test.run(Link(1, Then::Commit)).await, Err(StoreError::RowRefused("unique key")));
    test.run(Link(2, Then::Commit)).await.unwrap();
    assert_eq!(stored(store).await, 2);
    let read: Result<(), _> = store.read(|_| Box::pin(async { panic!("a panic in a question") })).await;
    assert_eq!(read, Err(StoreError::Panicked));
}

#[tokio::test]
async fn transaction_of_a_caller_that_went_away_is_committed() {
    let test = TestStore::open().await;
    let ((written, has_written), (leave, may_leave)) = (oneshot::channel(), oneshot::channel());
    let link = Arc::new(Link(1, Then::Wait(Mutex::new(Some((written, may_leave))))));
    let store = test.store.clone();
    let caller = tokio::spawn(async move { store.transaction(link, PATIENCE).await });
    has_written.await.unwrap();
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    leave.send(()).unwrap();
    let end = tokio::time::Instant::now() + PATIENCE;
    while stored(&test.store).await == 0 {
        assert!(tokio::time::Instant::now() < end, "never committed");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn transaction_past_its_deadline_is_unavailable_and_never_commits() {
    let test = TestStore::open().await;
    let ((written, has_written), (leave, may_leave)) = (oneshot::channel(), oneshot::channel());
    let link = Arc::new(Link(1, Then::Wait(Mutex::new(Some((written, may_leave))))));
    let late = test.store.transaction(link, Duration::from_millis(100)).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    has_written.await.unwrap();
    drop(leave);
    // The next one has the lock only after the late one is gone.
    test.run(Link(2, Then::Commit)).await.unwrap();
    assert_eq!(stored(&test.store).await, 1);
}

#[tokio::test]
async fn write_lock_held_by_another_is_contention_within_the_lock_wait() {
    if left_out_on_mysql("a server locks rows, not the whole database") {
        return;
    }
    let test = TestStore::open_with(|settings| settings.lock_wait = Duration::from_secs(1)).await;
    let other = Connector::new(&test.settings, test.folder.path(), Role::Writer);
    let mut holder = other.open().await.unwrap();
    holder.begin().await.unwrap();
    let held = test.store.transaction(Arc::new(Link(1, Then::Commit)), PATIENCE).await;
    assert!(matches!(held, Err(StoreError::Contention(_))), "{held:?}");
    assert_eq!(stored(&test.store).await, 0, "readers go on");
    holder.rollback().await.unwrap();
    test.run(Link(1, Then::Commit)).await.unwrap();
}

#[tokio::test]
async fn sessions_have_the_settings_the_promises_need() {
    use diesel::QueryableByName;
    use diesel::sql_types::Text;
    use diesel_async::RunQueryDsl;

    #[derive(QueryableByName)]
    struct Value {
        #[diesel(sql_type = Text)]
        value: String,
    }

    #[derive(QueryableByName)]
    struct Setting {
        #[diesel(sql_type = Text, column_name = "Value")]
        value: String,
    }

    let test = TestStore::open().await;
    let sql = if test.store.is_file() {
        "SELECT (SELECT journal_mode FROM pragma_journal_mode) || ',' || (SELECT synchronous FROM pragma_synchronous) AS value"
    } else {
        "SELECT CONCAT_WS(',', @@autocommit + 0, @@innodb_lock_wait_timeout, @@wait_timeout, @@time_zone) AS value"
    };
    let mut db = test.store.connector().open().await.unwrap();
    let found: Value = each!(&mut db, |c| diesel::sql_query(sql).get_result(c).await).unwrap();
    let wanted = if test.store.is_file() { "wal,2" } else { "0,2,10,+00:00" };
    assert_eq!(found.value, wanted);
    if let Db::Mysql(connection) = &mut db {
        // The variable has another name on MySQL than on MariaDB.
        let sql = "SHOW SESSION VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')";
        let found: Setting = diesel::sql_query(sql).get_result(connection).await.unwrap();
        assert_eq!(found.value, "READ-COMMITTED");
    }
}

#[tokio::test]
async fn schema_of_a_newer_version_is_refused_and_migrating_again_does_nothing() {
    let test = TestStore::open().await;
    assert_eq!(test.store.migrate().await.unwrap().0, [] as [String; 0]);
    let mut db = test.store.connector().open().await.unwrap();
    db.begin().await.unwrap();
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')";
    each!(&mut db, |c| c.batch_execute(newer).await).unwrap();
    db.commit().await.unwrap();
    assert!(matches!(test.store.migrate().await, Err(OpenError::SchemaNewer { found, .. }) if found == "99990101000000"));
}
