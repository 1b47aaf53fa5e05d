use std::collections::BTreeSet;
use std::sync::Arc;

use diesel_async::SimpleAsyncConnection;

use super::*;
use crate::config::Config;
use crate::domain::filter::{FilterAction, FilterKind, FilterRule};
use crate::domain::ids::FilterId;
use crate::domain::relation::RelationChange;
use crate::domain::room::{HistoryRule, RoomChange, RoomKind};
use crate::store::operation::{Operation, Reply};
use crate::store::relations::SetRelation;
use crate::store::rooms::FirstDirect;
use crate::store::testing::{TestStore, limits, noon, post};

fn quiet() -> Progress {
    Arc::new(|_| ())
}

/// Statements that no operation of ours would run.
struct Tamper(String);

impl Operation for Tamper {
    type Output = ();
    const NAME: &'static str = "test_tamper";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, ()> {
        Box::pin(async move { Ok(each!(db, |c| c.batch_execute(&self.0).await)?) })
    }
}

fn hex(id: impl Into<Id>) -> String {
    let bytes: String = id.into().0.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("X'{bytes}'")
}

/// Two rooms, one of them direct and one with everything that can happen, a deleted one.
async fn lively(test: &TestStore) -> (RoomId, RoomId, UserId) {
    let [ann, bob, eve] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob, eve]).await;
    test.say(room, ann, &["1", "2"]).await;
    test.change(ann, room, RoomChange::Kick { user: eve, reason: None }).await.unwrap();
    test.say(room, bob, &["3", "4"]).await;
    test.change(ann, room, RoomChange::Transfer { user: bob, reason: None }).await.unwrap();
    test.change(ann, room, RoomChange::Leave).await.unwrap();
    let gone = test.room(RoomKind::Private, HistoryRule::All, eve, &[bob]).await;
    test.say(gone, eve, &["x"]).await;
    test.change(eve, gone, RoomChange::Delete { reason: None }).await.unwrap();
    let direct = RoomId(uuid::Uuid::now_v7());
    let first = FirstDirect { other: bob, room: direct, post: post(ann, "hi"), verdict: Ok(()), now: noon(), limits: limits() };
    test.run(first).await.unwrap();
    let (change, limits) = (RelationChange::BLOCK, (&Config::default().limits).into());
    test.run(SetRelation { user: ann, other: bob, change, now: noon(), limits, missed_max: 100 }).await.unwrap();
    (room, direct, bob)
}

async fn rules_broken(test: &TestStore, since: Option<Timestamp>) -> BTreeSet<&'static str> {
    let report = test.store.verify(since, &quiet()).await.unwrap();
    report.breaches.iter().map(|breach| breach.rule).collect()
}

#[tokio::test]
async fn what_the_store_writes_keeps_every_rule() {
    let test = TestStore::open().await;
    lively(&test).await;
    let report = test.store.verify(None, &quiet()).await.unwrap();
    assert_eq!(report.breaches, []);
    assert_eq!((report.rooms, report.messages, report.rules), (3, 6, RULES.len()));
}

#[tokio::test]
async fn a_room_whose_filters_changed_last_is_no_damage() {
    let test = TestStore::open().await;
    let (room, _, bob) = lively(&test).await;
    let rule = FilterRule { kind: FilterKind::Word, pattern: "spam".to_owned(), action: FilterAction::Refuse };
    test.change(bob, room, RoomChange::AddFilter { filter: FilterId::generate(), rule }).await.unwrap();
    assert_eq!(rules_broken(&test, None).await, BTreeSet::new());
    test.say(room, bob, &["5"]).await;
    assert_eq!(rules_broken(&test, None).await, BTreeSet::new());
}

/// Each breach is planted alone, seen under its name, and taken back by a fresh store for the next.
#[tokio::test]
async fn each_planted_breach_is_found_under_its_name() {
    let planted: &[(&str, &str)] = &[
        ("seq_missing", "DELETE FROM messages WHERE room = {room} AND seq = 3"),
        ("seq_missing", "DELETE FROM messages WHERE room = {room} AND seq = 4"),
        ("first_seq_missing", "DELETE FROM messages WHERE room = {room} AND seq = 1"),
        ("seq_beyond", "UPDATE rooms SET last_seq = 3 WHERE id = {room}"),
        ("head_missing", "UPDATE rooms SET head = head + 1 WHERE id = {room}"),
        ("head_missing", "UPDATE rooms SET head = head + 1 WHERE deleted"),
        ("deleted_text", "UPDATE messages SET deleted_at = created_at WHERE room = {room} AND seq = 2"),
        ("reaction_count", "UPDATE messages SET reaction_count = 1 WHERE room = {room} AND seq = 2"),
        ("reply_count", "UPDATE messages SET reply_count = 1 WHERE room = {room} AND seq = 2"),
        ("origin_unknown", "UPDATE messages SET origin_author = author WHERE room = {room} AND seq = 2"),
        ("first_revision_missing", "DELETE FROM notices WHERE room = {room} AND revision = 1"),
        ("revision_beyond", "UPDATE messages SET revision = 100 WHERE room = {room} AND seq = 4"),
        ("line_beyond", "UPDATE notices SET revision = 100 WHERE room = {room} AND revision = 10"),
        ("revision_twice", "UPDATE messages SET revision = 4 WHERE room = {room} AND seq = 2"),
        ("revision_shared", "UPDATE notices SET revision = 7 WHERE room = {room} AND revision = 6"),
        ("time_backwards", "UPDATE messages SET created_at = '2001-01-01 00:00:00' WHERE room = {room} AND seq = 2"),
        ("clock_behind", "UPDATE messages SET created_at = '2101-01-01 00:00:00' WHERE room = {room} AND seq = 4"),
        ("line_misplaced", "UPDATE notices SET revision = 8 WHERE room = {room} AND revision = 6"),
        ("member_count", "UPDATE rooms SET member_count = 7 WHERE id = {room}"),
        ("member_without_line", "UPDATE members SET revision = 4 WHERE room = {room}"),
        ("joined_without_line", "UPDATE members SET joined_revision = 4 WHERE room = {room}"),
        ("settings_without_line", "UPDATE rooms SET settings_revision = 4 WHERE id = {room}"),
        ("policy_beyond", "UPDATE rooms SET policy_revision = 100 WHERE id = {room}"),
        ("direct_people", "DELETE FROM members WHERE room = {direct} AND user = {user}"),
        ("direct_people", "UPDATE rooms SET pair_key = NULL WHERE id = {direct}"),
        ("block_differs", "UPDATE rooms SET blocked = FALSE WHERE id = {direct}"),
        ("block_differs", "DELETE FROM relations"),
        ("own_beyond", "UPDATE relations SET stream_revision = 1000"),
        ("stream_behind", "UPDATE users SET stream_revision = 0, profile_revision = 0 WHERE id = {user}"),
        ("stream_twice", "UPDATE members SET stream_revision = 1 WHERE user = {user}"),
        ("ending_forgotten", "DELETE FROM room_endings"),
        ("member_unknown", "DELETE FROM users WHERE id = {user}"),
        ("author_unknown", "DELETE FROM users WHERE id = {user}"),
        ("profile_beyond", "UPDATE users SET profile_revision = 100 WHERE id = {user}"),
        ("message_without_room", "DELETE FROM rooms WHERE id = {room}"),
        ("line_without_room", "DELETE FROM rooms WHERE id = {room}"),
        ("member_without_room", "DELETE FROM rooms WHERE id = {room}"),
    ];
    let untested: Vec<_> = RULES.iter().map(|rule| rule.name).filter(|rule| !planted.iter().any(|one| one.0 == *rule)).collect();
    assert_eq!(untested, ["client_id_twice"], "that one has a test of its own");
    for (rule, statement) in planted {
        let test = TestStore::open().await;
        let (room, direct, user) = lively(&test).await;
        let statement = statement.replace("{room}", &hex(room)).replace("{direct}", &hex(direct)).replace("{user}", &hex(user));
        test.run(Tamper(statement.clone())).await.unwrap();
        let report = test.store.verify(None, &quiet()).await.unwrap();
        let found = report.breaches.iter().find(|breach| breach.rule == *rule);
        assert!(found.is_some(), "{statement}: {rule} is not among {:?}", report.breaches);
    }
}

#[tokio::test]
async fn breach_names_room_and_number() {
    let test = TestStore::open().await;
    let (room, ..) = lively(&test).await;
    test.run(Tamper(format!("DELETE FROM messages WHERE room = {} AND seq = 3", hex(room)))).await.unwrap();
    let report = test.store.verify(None, &quiet()).await.unwrap();
    let missing = report.breaches.iter().find(|breach| breach.rule == "seq_missing").unwrap();
    assert_eq!((missing.room, missing.number), (Some(room), Some(3)));
}

#[tokio::test]
async fn client_id_that_was_stored_twice_is_found() {
    let test = TestStore::open().await;
    let (room, ..) = lively(&test).await;
    let drop = if test.store.is_file() {
        "DROP INDEX messages_by_client_id"
    } else {
        "ALTER TABLE messages DROP INDEX messages_by_client_id"
    };
    test.run(Tamper(drop.to_owned())).await.unwrap();
    test.run(Tamper(format!("UPDATE messages SET client_id = author WHERE room = {}", hex(room)))).await.unwrap();
    assert!(rules_broken(&test, None).await.contains("client_id_twice"));
}

#[tokio::test]
async fn only_rooms_changed_since_are_checked_when_asked() {
    let test = TestStore::open().await;
    let (room, ..) = lively(&test).await;
    test.run(Tamper(format!("UPDATE rooms SET member_count = 7 WHERE id = {}", hex(room)))).await.unwrap();
    assert!(rules_broken(&test, Some(noon())).await.contains("member_count"));
    assert!(rules_broken(&test, Some(noon() + chrono::Duration::days(1))).await.is_empty());
}

#[test]
fn rules_of_rooms_choose_them_once_and_names_are_unique() {
    let names: BTreeSet<_> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), RULES.len());
    for rule in RULES {
        let expected = usize::from(rule.scope == Scope::Rooms);
        assert_eq!(rule.query.matches("{changed}").count(), expected, "{}", rule.name);
    }
}
