use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::Role;
use crate::domain::message::Post;
use crate::domain::order::Seq;
use crate::domain::room::{HistoryRule, RoomChange, RoomKind, RoomSettings, SlowMode};
use crate::domain::time::Timestamp;
use crate::store::messages::{Append, AppendBatch, AppendOutcome, PostOutcome};
use crate::store::testing::{TestStore, noon, post};
use chrono::TimeDelta;
use std::time::Duration;

/// A room in slow mode of a minute, with an owner, a moderator and two members.
async fn slow_hall(test: &TestStore) -> (RoomId, [UserId; 4]) {
    let people: [UserId; 4] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, people[0], &people[1..]).await;
    test.change(people[0], room, RoomChange::SetRole { user: people[1], role: Role::Moderator, reason: None }).await.unwrap();
    set(test, people[0], room, 60).await;
    (room, people)
}

async fn set(test: &TestStore, owner: UserId, room: RoomId, seconds: u64) {
    let settings = RoomSettings { slow_mode: SlowMode::parse(seconds).ok(), ..RoomSettings::default() };
    test.change(owner, room, RoomChange::Settings(settings)).await.unwrap();
}

fn seconds(after: i64) -> Timestamp {
    noon() + TimeDelta::seconds(after)
}

/// What becomes of these posts: a number, or why not.
async fn append(test: &TestStore, now: Timestamp, room: RoomId, posts: &[&Post]) -> Vec<Result<u64, Refusal>> {
    let policy_revision = test.get(room).await.policy_revision;
    let posts = posts.iter().map(|post| ((*post).clone(), Ok(()))).collect();
    let batch = AppendBatch { now, appends: vec![Append { room, policy_revision, posts }] };
    let Some(AppendOutcome::Done { posts, .. }) = test.run(batch).await.unwrap().pop() else { panic!("not decided") };
    let outcome = |outcome: &PostOutcome| match outcome {
        PostOutcome::Stored(message) | PostOutcome::Replied(message, _) => Ok(message.seq.0),
        PostOutcome::Repeat { seq: Seq(seq), .. } => Ok(*seq),
        PostOutcome::Refused(refusal) => Err(*refusal),
    };
    posts.iter().map(outcome).collect()
}

fn wait(seconds: u64) -> Result<u64, Refusal> {
    Err(Refusal::slow_mode(Duration::from_secs(seconds)))
}

#[tokio::test]
async fn in_slow_mode_a_member_waits_between_posts_and_is_told_how_long() {
    let test = TestStore::open().await;
    let (room, [_, _, bob, cem]) = slow_hall(&test).await;
    assert_eq!(append(&test, seconds(0), room, &[&post(bob, "1")]).await, [Ok(1)]);
    assert_eq!(append(&test, seconds(10), room, &[&post(bob, "2")]).await, [wait(50)]);
    assert_eq!(
        append(&test, seconds(59), room, &[&post(bob, "2")]).await,
        [wait(1)],
        "a refused post does not begin the pause anew"
    );
    assert_eq!(append(&test, seconds(59), room, &[&post(cem, "2")]).await, [Ok(2)], "everybody has a pause of their own");
    assert_eq!(append(&test, seconds(60), room, &[&post(bob, "3")]).await, [Ok(3)]);
    assert_eq!(append(&test, seconds(61), room, &[&post(bob, "4")]).await, [wait(59)]);
}

#[tokio::test]
async fn moderators_and_owners_are_exempt_from_slow_mode() {
    let test = TestStore::open().await;
    let (room, [ann, mod_, ..]) = slow_hall(&test).await;
    let posts = [post(ann, "1"), post(mod_, "2"), post(ann, "3"), post(mod_, "4")];
    assert_eq!(append(&test, noon(), room, &posts.each_ref()).await, [Ok(1), Ok(2), Ok(3), Ok(4)]);
}

#[tokio::test]
async fn of_a_group_in_slow_mode_the_first_is_stored_and_all_behind_it_are_to_be_sent_again() {
    let test = TestStore::open().await;
    let (room, [_, _, bob, _]) = slow_hall(&test).await;
    let posts = [post(bob, "1"), post(bob, "2"), post(bob, "3")];
    let previous = Err(Fault::PreviousRefused.into());
    assert_eq!(append(&test, noon(), room, &posts.each_ref()).await, [Ok(1), wait(60), previous]);
    assert_eq!(append(&test, seconds(60), room, &posts.each_ref()).await, [Ok(1), Ok(2), wait(60)]);
}

#[tokio::test]
async fn a_repeat_is_answered_in_slow_mode_and_begins_no_pause() {
    let test = TestStore::open().await;
    let (room, [_, _, bob, _]) = slow_hall(&test).await;
    let first = post(bob, "1");
    assert_eq!(append(&test, seconds(0), room, &[&first]).await, [Ok(1)]);
    assert_eq!(append(&test, seconds(30), room, &[&first]).await, [Ok(1)]);
    assert_eq!(append(&test, seconds(60), room, &[&first, &post(bob, "2")]).await, [Ok(1), Ok(2)]);
    let other = Post { text: post(bob, "other").text, ..first };
    assert_eq!(append(&test, seconds(61), room, &[&other]).await, [Err(Fault::ClientIdReused.into())]);
}

#[tokio::test]
async fn slow_mode_outlasts_leaving_and_every_other_change_of_the_members_row() {
    let test = TestStore::open().await;
    let (room, [ann, _, bob, _]) = slow_hall(&test).await;
    assert_eq!(append(&test, seconds(0), room, &[&post(bob, "1")]).await, [Ok(1)]);
    test.change(bob, room, RoomChange::Leave).await.unwrap();
    test.change(bob, room, RoomChange::Join).await.unwrap();
    test.change(ann, room, RoomChange::Silence { user: bob, until: seconds(5), reason: None }).await.unwrap();
    assert_eq!(append(&test, seconds(10), room, &[&post(bob, "2")]).await, [wait(50)]);
}

#[tokio::test]
async fn turned_on_it_counts_from_the_next_post_and_turned_off_nobody_waits() {
    let test = TestStore::open().await;
    let (room, [ann, _, bob, _]) = slow_hall(&test).await;
    set(&test, ann, room, 0).await;
    assert_eq!(append(&test, seconds(0), room, &[&post(bob, "1"), &post(bob, "2")]).await, [Ok(1), Ok(2)]);
    set(&test, ann, room, 60).await;
    assert_eq!(append(&test, seconds(1), room, &[&post(bob, "3")]).await, [Ok(3)]);
    assert_eq!(append(&test, seconds(2), room, &[&post(bob, "4")]).await, [wait(59)]);
    set(&test, ann, room, 10).await;
    assert_eq!(append(&test, seconds(11), room, &[&post(bob, "4")]).await, [Ok(4)], "the pause in force counts");
}

#[tokio::test]
async fn in_a_batch_of_rooms_only_those_in_slow_mode_make_anybody_wait() {
    let test = TestStore::open().await;
    let (slow, [ann, _, bob, _]) = slow_hall(&test).await;
    let other = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
    let mut appends = Vec::new();
    for room in [slow, other, slow, other] {
        let policy_revision = test.get(room).await.policy_revision;
        appends.push(Append { room, policy_revision, posts: vec![(post(bob, "x"), Ok(()))] });
    }
    let outcomes = test.run(AppendBatch { now: noon(), appends }).await.unwrap();
    let refused = |outcome: &AppendOutcome| match outcome {
        AppendOutcome::Done { posts, .. } => matches!(posts[..], [PostOutcome::Refused(_)]),
        other => panic!("{other:?}"),
    };
    assert_eq!(outcomes.iter().map(refused).collect::<Vec<_>>(), [false, false, true, false]);
}
