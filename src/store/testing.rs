//! A store of its own for each test: a file in a temporary folder, or a database on the server in `HUBBUB_TEST_DATABASE`.

#[path = "../../tests/it/support/test_database.rs"]
pub mod test_database;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::ExpressionMethods;
use diesel_async::{AsyncConnection, AsyncMysqlConnection, SimpleAsyncConnection};
use tempfile::TempDir;

use self::test_database::TestDatabase;
use super::columns::{Id, at};
use super::messages::change::{ChangeMessage, MessageLimits};
use super::messages::{Append, AppendBatch, AppendOutcome, PostOutcome};
use super::rooms::{self, ChangeRoom, Changed, CreateRoom, RoomLimits};
use super::schema::users;
use super::streams::PageMax;
use super::streams::person::{self, user_changes};
use super::{Db, Operation, Reply, Store, StoreError};
use crate::config::{Config, Database};
use crate::domain::ids::{ClientId, LoginId, RoomId, UserId};
use crate::domain::message::{MessageChange, Post};
use crate::domain::order::{Revision, Seq};
use crate::domain::room::{HistoryRule, Room, RoomChange, RoomKind};
use crate::domain::stream::UserChanges;
use crate::domain::text::{MessageText, RoomName, Topic};
use crate::domain::time::Timestamp;
use crate::domain::user::Actor;

/// How long a test waits for anything of the database.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A migrated store that goes away with the value.
pub struct TestStore {
    /// The store.
    pub store: Store,
    /// The settings it was opened with.
    pub settings: Database,
    /// Where it lies if it is a file.
    pub folder: TempDir,
    server: Option<(String, String)>,
}

impl TestStore {
    /// A new, empty, migrated one.
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// The same with other settings.
    pub async fn open_with(change: impl FnOnce(&mut Database)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Config::default().database;
        let server = match TestDatabase::named() {
            TestDatabase::Mysql(server) => Some(create_database(server).await),
            TestDatabase::Sqlite => None,
        };
        if let Some((base, name)) = &server {
            settings.url = format!("{base}/{name}").parse().unwrap();
            settings.allow_weak_durability = true;
        }
        change(&mut settings);
        let store = Store::open(&settings, folder.path()).await.unwrap();
        store.migrate().await.unwrap();
        Self { store, settings, folder, server }
    }

    /// Runs an operation as persistence does: again while it may help.
    pub async fn run<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        run(&self.store, operation).await
    }
}

/// Runs an operation on `store` as persistence does: again while it may help.
pub async fn run<O: Operation>(store: &Store, operation: O) -> Result<O::Output, StoreError> {
    let operation = Arc::new(operation);
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        match store.transaction(Arc::clone(&operation), PATIENCE).await {
            Err(error) if error.is_transient() && tokio::time::Instant::now() < end => tokio::task::yield_now().await,
            result => return result,
        }
    }
}

impl Drop for TestStore {
    fn drop(&mut self) {
        let Some((base, name)) = self.server.take() else { return };
        self.store.close();
        // On a thread of its own: a test's runtime may be gone or current-thread.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = AsyncMysqlConnection::establish(&base).await.unwrap();
                connection.batch_execute(&format!("DROP DATABASE IF EXISTS {name}")).await.unwrap();
            });
        });
        drop(dropped.join());
    }
}

/// Returns the server's URL without a database, and the new database's name.
async fn create_database(base: String) -> (String, String) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("hubbub_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut connection = AsyncMysqlConnection::establish(&base).await.unwrap();
    let create = format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
    connection.batch_execute(&create).await.unwrap();
    (base, name)
}

/// The time at which tests begin.
#[must_use]
pub fn noon() -> Timestamp {
    chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// Limits that no test meets by accident.
#[must_use]
pub fn limits() -> RoomLimits {
    RoomLimits::from(&Config::default().limits)
}

/// An actor for somebody.
#[must_use]
pub fn actor(user: UserId) -> Actor {
    Actor { user, login: LoginId::generate(), admin: false }
}

/// Inserts accounts as bare rows.
struct People(Vec<(UserId, String)>);

impl Operation for People {
    type Output = ();
    const NAME: &'static str = "test_people";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, ()> {
        use diesel_async::RunQueryDsl;
        Box::pin(async move {
            for (id, name) in &self.0 {
                let values = (
                    (users::id.eq(Id::from(*id)), users::name.eq(name), users::name_key.eq(Some(name))),
                    (users::display_name.eq(name), users::display_key.eq(name)),
                    (users::admin.eq(false), users::disabled.eq(false), users::deleted.eq(false), users::invisible.eq(false)),
                    (users::created_at.eq(at(noon())), users::stream_revision.eq(0_i64), users::profile_revision.eq(0_i64)),
                );
                each!(db, |c| diesel::insert_into(users::table).values(values).execute(c).await)?;
            }
            Ok(())
        })
    }
}

impl TestStore {
    /// New accounts.
    pub async fn people<const N: usize>(&self) -> [UserId; N] {
        let ids = [(); N].map(|()| UserId::generate());
        let named = ids.iter().map(|id| (*id, format!("user{id}"))).collect();
        self.run(People(named)).await.unwrap();
        ids
    }

    /// A room of `owner`, others joined.
    pub async fn room(&self, kind: RoomKind, history: HistoryRule, owner: UserId, others: &[UserId]) -> RoomId {
        let create = CreateRoom {
            creator: owner,
            room: RoomId::generate(),
            kind,
            name: RoomName::parse("Hall").unwrap(),
            topic: Topic::parse("").unwrap(),
            history,
            judged: (Ok(()), None),
            now: noon(),
            limits: limits(),
        };
        let room = self.run(create).await.unwrap().room.id;
        for user in others {
            if kind == RoomKind::Private {
                self.change(owner, room, RoomChange::Invite { user: *user }).await.unwrap();
            }
            self.change(*user, room, RoomChange::Join).await.unwrap();
        }
        room
    }

    /// Somebody changes a room.
    pub async fn change(&self, user: UserId, room: RoomId, change: RoomChange) -> Result<Changed, StoreError> {
        self.run(ChangeRoom { actor: actor(user), room, change, judged: (Ok(()), None), now: noon(), limits: limits() }).await
    }

    /// Has somebody change a message.
    pub async fn change_message(&self, user: UserId, room: RoomId, seq: u64, change: MessageChange) {
        let limits = MessageLimits::from(&Config::default().conversation);
        self.run(ChangeMessage { actor: actor(user), room, seq: Seq(seq), change, now: noon(), limits }).await.unwrap();
    }

    /// The room as stored.
    pub async fn get(&self, room: RoomId) -> Room {
        self.store.read(move |db| Box::pin(rooms::get(db, room))).await.unwrap().unwrap()
    }

    /// The room's policy revision; zero if there is no such room.
    pub async fn get_policy(&self, room: RoomId) -> Revision {
        let found = self.store.read(move |db| Box::pin(rooms::get(db, room))).await.unwrap();
        found.map_or(Revision::ZERO, |room| room.policy_revision)
    }

    /// A page of somebody's stream.
    pub async fn stream(&self, user: UserId, from: u64, rows: usize) -> UserChanges {
        self.stream_page(user, Revision(from), PageMax { rows, bytes: 1_000_000 }).await
    }

    /// The same within these limits.
    pub async fn stream_page(&self, user: UserId, from: Revision, max: PageMax) -> UserChanges {
        let read = self.store.read(move |db| {
            Box::pin(async move {
                let (_, newest) = person::newest(db, &[user]).await?.remove(0);
                user_changes(db, user, from, &newest, max).await
            })
        });
        read.await.unwrap()
    }

    /// Appends allowed posts by one author, under the policy of the moment.
    pub async fn say(&self, room: RoomId, author: UserId, texts: &[&str]) -> Vec<PostOutcome> {
        let policy_revision = self.get(room).await.policy_revision;
        let posts = texts.iter().map(|text| (post(author, text), Ok(()))).collect();
        let append = AppendBatch { now: noon(), appends: vec![Append { room, policy_revision, posts }] };
        match self.run(append).await.unwrap().pop() {
            Some(AppendOutcome::Done { posts, .. }) => posts,
            other => panic!("{other:?}"),
        }
    }
}

/// A new post.
#[must_use]
pub fn post(author: UserId, text: &str) -> Post {
    Post::plain(author, ClientId::generate(), MessageText::parse(text.to_owned(), 8192).unwrap())
}
