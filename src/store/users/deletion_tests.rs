//! What is left of a person after their account is deleted, table by table. A new table with a `user` column needs a row here.

use std::collections::BTreeSet;

use super::changes::{ChangeProfile, DeleteAccount};
use crate::domain::draft::DraftText;
use crate::domain::ids::{LoginId, RoomId, UserId};
use crate::domain::message::{Details, Mentions, Post};
use crate::domain::notification::NotificationKind;
use crate::domain::order::Seq;
use crate::domain::preference::{Following, Keyword, Notify, PreferencesChange, RoomPreferences, ThreadPreferences};
use crate::domain::profile::{About, ProfileChange, Status};
use crate::domain::reading::Progress;
use crate::domain::relation::RelationChange;
use crate::domain::room::{HistoryRule, RoomKind};
use crate::domain::text::{DeviceName, DisplayName, StatusText};
use crate::store::drafts::SetDraft;
use crate::store::logins::{LogIn, NewLogin};
use crate::store::messages::{Append, AppendBatch};
use crate::store::notifications::queue;
use crate::store::notifications::write::{self, Notified, Part};
use crate::store::preferences::{ChangePreferences, SetRoomPreferences, SetThreadPreferences};
use crate::store::read_marks::RaiseMarks;
use crate::store::relations::{RelationLimits, SetRelation};
use crate::store::tables;
use crate::store::testing::{TestStore, noon, post};

/// The person's own: every row goes.
const FORGOTTEN: &[&str] = &[
    "drafts",
    "keywords",
    "notifications",
    "preferences",
    "profiles",
    "read_marks",
    "relations",
    "room_preferences",
    "thread_preferences",
];

/// Of a room, which keeps that somebody without a name was there; or kept for a while under an id, without a word of theirs.
const KEPT: &[&str] = &["logins", "members", "mentions", "operations", "reactions"];

/// In everything that somebody says to nobody but the server, or of themselves.
const OWN_WORD: &str = "rhododendron";

/// Does and says everything that leaves a row of a person's own.
async fn live(test: &TestStore, user: UserId, other: UserId, room: RoomId) {
    let login = NewLogin {
        id: LoginId::generate(),
        device: DeviceName::parse(OWN_WORD).unwrap(),
        address: OWN_WORD.to_owned(),
        family_hash: [1; 32],
        refresh_hash: [2; 32],
        now: noon(),
        expires_at: noon() + chrono::TimeDelta::days(30),
    };
    let hash = "a hash".to_owned();
    test.run(super::changes::SetPassword { user, known_hash: None, new_hash: hash.clone(), keep: None, now: noon() })
        .await
        .unwrap();
    test.run(LogIn { user, known_hash: hash, better_hash: None, login, max_logins: 10 }).await.unwrap();
    let change = ProfileChange {
        display_name: DisplayName::parse(OWN_WORD).ok(),
        about: About::parse(OWN_WORD).ok(),
        status: Some(Status::from_now(StatusText::parse(OWN_WORD).unwrap(), None, None, noon()).ok()),
        ..ProfileChange::default()
    };
    test.run(ChangeProfile { user, change, verdict: Ok(()), suspicion: None, now: noon() }).await.unwrap();
    let words = vec![Keyword::parse(OWN_WORD, 64).unwrap()];
    let change = PreferencesChange { receipts: Some(false), keywords: Some(words), ..PreferencesChange::default() };
    test.run(ChangePreferences { user, change }).await.unwrap();
    let wanted = RoomPreferences { notify: Notify::All, ..RoomPreferences::none(room) };
    test.run(SetRoomPreferences { user, wanted }).await.unwrap();
    let wanted = ThreadPreferences { following: Following::Yes, ..ThreadPreferences::none(room, Seq(1)) };
    test.run(SetThreadPreferences { user, wanted, now: noon(), threads_max: 9, missed_max: 9 }).await.unwrap();
    let text = DraftText::parse(OWN_WORD.to_owned(), 100).unwrap();
    test.run(SetDraft { user, room, thread: None, text, now: noon(), drafts_max: 9, missed_max: 9 }).await.unwrap();
    let progress = [(room, Progress { read: Seq(1), delivered: Seq(1) })].into_iter().collect();
    test.run(RaiseMarks { user, progress }).await.unwrap();
    let limits = RelationLimits { blocks_per_user: 9, mutes_per_user: 9 };
    be_notified(test, user, other, room).await;
    test.run(SetRelation { user, other, change: RelationChange::BLOCK, now: noon(), limits, missed_max: 9 }).await.unwrap();
}

/// The other mentions them, and they are told.
async fn be_notified(test: &TestStore, user: UserId, other: UserId, room: RoomId) {
    let details = Details { mentions: Mentions { users: vec![user], ..Mentions::default() }, ..Details::default() };
    let post = Post { details: Some(Box::new(details)), notifies: true, ..post(other, "you") };
    let policy_revision = test.get(room).await.policy_revision;
    let append = Append { room, policy_revision, posts: vec![(post, Ok(()))] };
    test.run(AppendBatch { now: noon(), appends: vec![append] }).await.unwrap();
    let job = test.store.read(|db| Box::pin(queue::oldest(db, 1, noon()))).await.unwrap()[0];
    let people = vec![Notified { user, kind: NotificationKind::Mention, quiet: false }];
    let part = Part { job, author: other, people, online: Vec::new(), next: None };
    test.run(write::Notify { parts: vec![part], now: noon() }).await.unwrap();
}

/// The tables with a `user` column; those of them with this person in it; all with their own words.
async fn tables_with(test: &TestStore, user: UserId) -> [BTreeSet<String>; 3] {
    let id = tables::Cell::Bytes(user.as_bytes().to_vec());
    let read = test.store.snapshot(move |db| {
        Box::pin(async move {
            let mut found = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
            let [all, theirs, words] = &mut found;
            for table in tables::tables(db).await? {
                let place = table.columns.iter().position(|column| column.name == "user");
                all.extend(place.map(|_| table.name.clone()));
                for line in tables::page(db, &table, None, 100_000).await? {
                    let cells = tables::cells(&table.columns, &line).unwrap();
                    if place.is_some_and(|place| cells[place] == id) {
                        theirs.insert(table.name.clone());
                    }
                    if line.contains(OWN_WORD) {
                        words.insert(table.name.clone());
                    }
                }
            }
            Ok::<_, crate::store::StoreError>(found)
        })
    });
    read.await.unwrap()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn of_a_deleted_account_nothing_is_left_that_was_the_persons_own() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, bob, &[ann]).await;
    test.say(room, bob, &["hello"]).await;
    live(&test, ann, bob, room).await;
    let limits = RelationLimits { blocks_per_user: 9, mutes_per_user: 9 };
    test.run(SetRelation { user: bob, other: ann, change: RelationChange::MUTE, now: noon(), limits, missed_max: 9 })
        .await
        .unwrap();

    let [all, theirs, words] = tables_with(&test, ann).await;
    assert_eq!(all, set(&[FORGOTTEN, KEPT].concat()), "say of each what becomes of it");
    assert!(theirs.is_superset(&set(FORGOTTEN)), "{theirs:?}");
    assert_eq!(words, set(&["drafts", "keywords", "logins", "profiles", "users"]));

    test.run(DeleteAccount { user: ann, known_hash: Some("a hash".to_owned()), now: noon() }).await.unwrap();
    let [_, theirs, words] = tables_with(&test, ann).await;
    assert!(theirs.is_subset(&set(KEPT)), "{theirs:?}");
    assert_eq!(words, set(&[]));
    let [_, bobs, _] = tables_with(&test, bob).await;
    assert!(bobs.contains("relations"), "what others decided about them is theirs");
}
