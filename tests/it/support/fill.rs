//! Fills a server's store from below, in big transactions, while the server does not run: what would take hours through the API.

use super::server::Server;
use hubbub::domain::ids::{ClientId, LoginId, RoomId, UserId};
use hubbub::domain::message::{Message, Post};
use hubbub::domain::order::Revision;
use hubbub::domain::room::RoomChange;
use hubbub::domain::text::MessageText;
use hubbub::domain::time::Clock;
use hubbub::domain::user::Actor;
use hubbub::store::messages::{Append, AppendBatch, AppendOutcome, PostOutcome};
use hubbub::store::rooms::{self, ChangeRoom, Changed, RoomLimits};
use hubbub::store::{Operation, Store};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Posts in one transaction.
const POSTS: usize = 2500;
/// People in one statement; SQLite takes 500 parts of a UNION.
const PEOPLE: usize = 400;
/// What copies of a room have in common, table by table.
const ROOM: &str = "kind, name, name_key, topic, history, archived, deleted, pair_key, created_by, created_at, last_seq, head, \
    policy_revision, settings_revision, last_created_at, member_count";
const MEMBER: &str = "user, state, role, visible_from_seq, joined_revision, revision, by_user, reason, changed_at";
const NOTICE: &str = "revision, after_seq, kind, actor, subject, text, created_at";
const PERSON: &str = "admin, disabled, deleted, invisible, created_at, profile_revision";
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Filler {
    store: Store,
    limits: RoomLimits,
    clock: Clock,
}

impl Filler {
    /// For a server that was stopped.
    pub async fn open(server: &Server) -> Self {
        let config = server.config();
        let store = Store::open(&config.database, server.folder.path()).await.expect("the store opens");
        Self { store, limits: RoomLimits::from(&config.limits), clock: Clock::system() }
    }

    /// Posts by one author, `text 0` and so on, as they are stored.
    pub async fn posts(&self, room: &str, author: &str, count: usize) -> Vec<Message> {
        let (room, author) = (RoomId(id(room)), UserId(id(author)));
        let mut stored = Vec::with_capacity(count);
        while stored.len() < count {
            let policy_revision = self.policy_revision(room).await;
            let numbers = stored.len()..count.min(stored.len() + POSTS);
            let text = |number| MessageText::parse(format!("text {number}"), 100).expect("a text");
            let post = |number| Post::plain(author, ClientId::generate(), text(number));
            let append = Append { room, policy_revision, posts: numbers.map(|number| (post(number), Ok(()))).collect() };
            let outcomes = self.run(AppendBatch { now: self.clock.now(), appends: vec![append] }).await;
            let Some(AppendOutcome::Done { posts, .. }) = outcomes.into_iter().next() else { panic!("not appended") };
            stored.extend(posts.into_iter().map(|outcome| match outcome {
                PostOutcome::Stored(message) => message,
                other => panic!("not stored: {other:?}"),
            }));
        }
        stored
    }

    /// Somebody changes a room.
    pub async fn change(&self, room: &str, user: &str, change: RoomChange) -> Changed {
        let actor = Actor { user: UserId(id(user)), login: LoginId::generate(), admin: false };
        self.run(ChangeRoom {
            actor,
            room: RoomId(id(room)),
            change,
            judged: (Ok(()), None),
            now: self.clock.now(),
            limits: self.limits,
        })
        .await
    }

    /// More rooms like this one, with the same people in them; their ids. Copied as rows: making them counts each time how many
    /// rooms a person has.
    pub async fn copies(&self, server: &Server, room: &str, count: usize) -> Vec<String> {
        let ids: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
        let from = format!("x'{}'", id(room).simple());
        let mut sql = "BEGIN;".to_owned();
        for (number, copy) in (1..).zip(&ids) {
            let copy = format!("x'{}'", copy.simple());
            sql += &format!(
                "INSERT INTO rooms (id, {ROOM}) SELECT {copy}, {ROOM} FROM rooms WHERE id = {from};
                INSERT INTO members (room, stream_revision, {MEMBER})
                    SELECT {copy}, stream_revision + {number}, {MEMBER} FROM members WHERE room = {from};
                INSERT INTO notices (room, {NOTICE}) SELECT {copy}, {NOTICE} FROM notices WHERE room = {from};"
            );
        }
        sql += &format!(
            "UPDATE users SET stream_revision = stream_revision + {count} WHERE id IN (SELECT user FROM members WHERE room = {from});
            COMMIT;"
        );
        server.database.execute(server.folder.path(), &sql).await;
        ids.iter().map(ToString::to_string).collect()
    }

    /// So many more people in a room, who joined like this one, each in a revision of their own. Written as rows: none of them has a password.
    pub async fn crowd(&self, server: &Server, room: &str, like: &str, count: usize) {
        let key = RoomId(id(room));
        let found = self.store.read(move |db| Box::pin(rooms::get(db, key))).await.expect("the store answers");
        let head = found.expect("there is such a room").head.0;
        let (room, like) = (format!("x'{}'", id(room).simple()), format!("x'{}'", id(like).simple()));
        let rows = (1..=count as u64).map(|number| (Uuid::now_v7().simple().to_string(), head + number)).collect::<Vec<_>>();
        let mut sql = "BEGIN;".to_owned();
        for part in rows.chunks(PEOPLE) {
            let part: Vec<_> = part.iter().map(|(user, at)| format!("SELECT x'{user}' AS user, {at} AS at")).collect();
            let part = part.join(" UNION ALL ");
            sql += &format!(
                "INSERT INTO users (id, name, name_key, display_name, display_key, stream_revision, {PERSON})
                    SELECT p.user, CONCAT('crowd', p.at), CONCAT('crowd', p.at), 'crowd', 'crowd', u.profile_revision + 1, {PERSON}
                    FROM ({part}) p JOIN users u ON u.id = {like};
                INSERT INTO notices (room, revision, after_seq, kind, actor, subject, created_at)
                    SELECT n.room, p.at, n.after_seq, n.kind, p.user, CASE WHEN n.subject = {like} THEN p.user END, n.created_at
                    FROM ({part}) p JOIN members m ON m.room = {room} AND m.user = {like}
                    JOIN notices n ON n.room = m.room AND n.revision = m.revision;
                INSERT INTO members (room, user, state, role, visible_from_seq, joined_revision, revision, stream_revision, by_user, changed_at)
                    SELECT m.room, p.user, m.state, m.role, m.visible_from_seq, p.at, p.at, u.profile_revision + 1,
                    CASE WHEN m.by_user = {like} THEN p.user END, m.changed_at
                    FROM ({part}) p JOIN members m ON m.room = {room} AND m.user = {like} JOIN users u ON u.id = m.user;"
            );
        }
        sql +=
            &format!("UPDATE rooms SET head = head + {count}, member_count = member_count + {count} WHERE id = {room}; COMMIT;");
        server.database.execute(server.folder.path(), &sql).await;
    }

    pub fn close(self) {
        self.store.close();
    }

    async fn policy_revision(&self, room: RoomId) -> Revision {
        let found = self.store.read(move |db| Box::pin(rooms::get(db, room))).await.expect("the store answers");
        found.expect("there is such a room").policy_revision
    }

    async fn run<O: Operation>(&self, operation: O) -> O::Output {
        self.store.transaction(Arc::new(operation), PATIENCE).await.unwrap_or_else(|error| panic!("{}: {error}", O::NAME))
    }
}

fn id(text: &str) -> Uuid {
    text.parse().expect("a UUID")
}
