use super::*;
use crate::domain::message::{Details, MessageChange, Post};
use crate::domain::preference::ThreadPreferences;
use crate::domain::reading::Progress;
use crate::domain::relation::RelationChange;
use crate::domain::room::{HistoryRule, RoomChange, RoomKind};
use crate::store::messages::{Append, AppendBatch};
use crate::store::preferences::SetThreadPreferences;
use crate::store::read_marks::RaiseMarks;
use crate::store::relations::SetRelation;
use crate::store::testing::{TestStore, noon, post};
use chrono::TimeDelta;

/// Says something in a thread, so many minutes after noon.
async fn reply(test: &TestStore, (room, thread): (RoomId, u64), author: UserId, minutes: i64) {
    let details = Some(Box::new(Details { thread: Some(Seq(thread)), ..Details::default() }));
    let posts = vec![(Post { details, ..post(author, "re") }, Ok(()))];
    let append = Append { room, policy_revision: test.get(room).await.policy_revision, posts };
    test.run(AppendBatch { now: noon() + TimeDelta::minutes(minutes), appends: vec![append] }).await.unwrap();
}

/// Room, first message, replies, unread ones; in pages of one.
async fn followed(test: &TestStore, user: UserId) -> Vec<(RoomId, u64, u64, u64)> {
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let from = before.take();
        let part = test.store.read(move |db| Box::pin(page(db, user, from, 1))).await.unwrap();
        found.extend(part.items.iter().map(|of| (of.room, of.first.0, of.thread.count, of.unread)));
        match part.items.last().filter(|_| part.more) {
            Some(last) => before = Some(last.place()),
            None => return found,
        }
    }
}

async fn follow(test: &TestStore, user: UserId, (room, thread): (RoomId, u64), following: Following) {
    let wanted = ThreadPreferences { following, ..ThreadPreferences::none(room, Seq(thread)) };
    test.run(SetThreadPreferences { user, wanted, now: noon(), threads_max: 9, missed_max: 9 }).await.unwrap();
}

#[tokio::test]
async fn who_began_a_thread_replied_in_it_or_said_yes_follows_it_unless_they_said_no() {
    let test = TestStore::open().await;
    let [ann, bob, cem] = test.people().await;
    let hall = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob, cem]).await;
    let shed = test.room(RoomKind::Private, HistoryRule::All, ann, &[bob]).await;
    test.say(hall, ann, &["1", "2"]).await;
    test.say(shed, bob, &["1"]).await;
    assert_eq!(followed(&test, ann).await, []);
    reply(&test, (hall, 1), bob, 1).await;
    reply(&test, (shed, 1), ann, 2).await;
    reply(&test, (hall, 1), bob, 3).await;
    reply(&test, (hall, 2), bob, 4).await;
    // The newest reply first; what is one's own is not unread.
    assert_eq!(followed(&test, ann).await, [(hall, 2, 1, 1), (hall, 1, 2, 2), (shed, 1, 1, 0)]);
    assert_eq!(followed(&test, bob).await, [(hall, 2, 1, 0), (hall, 1, 2, 0), (shed, 1, 1, 1)]);
    assert_eq!(followed(&test, cem).await, []);
    follow(&test, cem, (hall, 1), Following::Yes).await;
    follow(&test, ann, (hall, 1), Following::No).await;
    assert_eq!(followed(&test, cem).await, [(hall, 1, 2, 2)]);
    assert_eq!(followed(&test, ann).await, [(hall, 2, 1, 1), (shed, 1, 1, 0)]);
    test.change(bob, shed, RoomChange::Leave).await.unwrap();
    assert_eq!(followed(&test, bob).await, [(hall, 2, 1, 0), (hall, 1, 2, 0)], "only where one is");
}

#[tokio::test]
async fn unread_is_what_stands_behind_the_mark_is_not_deleted_and_by_nobody_blocked() {
    let test = TestStore::open().await;
    let [ann, bob, cem] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob, cem]).await;
    test.say(room, ann, &["1"]).await;
    for author in [bob, cem, bob, cem] {
        reply(&test, (room, 1), author, 1).await;
    }
    assert_eq!(followed(&test, ann).await, [(room, 1, 4, 4)]);
    let progress = [(room, Progress { read: Seq(2), delivered: Seq(2) })].into();
    test.run(RaiseMarks { user: ann, progress }).await.unwrap();
    assert_eq!(followed(&test, ann).await, [(room, 1, 4, 3)]);
    test.change_message(bob, room, 4, MessageChange::Delete { reason: None }).await;
    assert_eq!(followed(&test, ann).await, [(room, 1, 3, 2)]);
    let limits = (&crate::config::Config::default().limits).into();
    let block = SetRelation { user: ann, other: cem, change: RelationChange::BLOCK, now: noon(), limits, missed_max: 100 };
    test.run(block).await.unwrap();
    assert_eq!(followed(&test, ann).await, [(room, 1, 3, 0)]);
}

#[tokio::test]
async fn a_thread_from_before_one_may_read_is_not_listed() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::SinceJoining, ann, &[bob]).await;
    test.say(room, ann, &["1"]).await;
    reply(&test, (room, 1), bob, 1).await;
    assert_eq!(followed(&test, bob).await, [(room, 1, 1, 0)]);
    test.change(bob, room, RoomChange::Leave).await.unwrap();
    test.change(bob, room, RoomChange::Join).await.unwrap();
    assert_eq!(followed(&test, bob).await, []);
}
