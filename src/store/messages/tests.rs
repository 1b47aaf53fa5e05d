use super::*;
use crate::domain::ids::UserId;
use crate::domain::room::{HistoryRule, RoomChange, RoomKind, RoomSettings};
use crate::domain::text::MessageText;
use crate::store::schema::messages;
use crate::store::testing::{TestStore, noon, post, run};
use chrono::Duration;
use diesel_async::RunQueryDsl;

type Posts = Vec<(Post, Result<(), Fault>)>;

/// A public room with an owner and two members.
async fn hall(test: &TestStore) -> (RoomId, [UserId; 3]) {
    let people: [UserId; 3] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, people[0], &people[1..]).await;
    (room, people)
}

async fn appended(test: &TestStore, now: Timestamp, appends: Vec<Append>) -> Vec<AppendOutcome> {
    test.run(AppendBatch { now, appends }).await.unwrap()
}

async fn one(test: &TestStore, room: RoomId, posts: Posts) -> (Vec<PostOutcome>, Revision) {
    let policy_revision = test.get(room).await.policy_revision;
    match appended(test, noon(), vec![Append { room, policy_revision, posts }]).await.pop() {
        Some(AppendOutcome::Done { posts, head }) => (posts, head),
        other => panic!("{other:?}"),
    }
}

fn allowed(posts: &[&Post]) -> Posts {
    posts.iter().map(|post| ((*post).clone(), Ok(()))).collect()
}

fn stored(outcome: &PostOutcome) -> &Message {
    match outcome {
        PostOutcome::Stored(message) => message,
        other => panic!("{other:?}"),
    }
}

async fn all_messages(test: &TestStore, room: RoomId) -> Vec<(u64, u64, String)> {
    let rows: Vec<MessageRow> = test
        .store
        .read(move |db| {
            Box::pin(async move {
                let query = messages::table.filter(messages::room.eq(Id::from(room))).order(messages::seq);
                let query = query.select(crate::store::rows::WHOLE_MESSAGE.0);
                Ok(each!(db, |c| query.load(c).await)?)
            })
        })
        .await
        .unwrap();
    rows.into_iter().map(|row| (row.seq as u64, row.revision as u64, row.body)).collect()
}

#[tokio::test]
async fn seq_and_revision_are_dense_in_each_room_of_a_batch() {
    let test = TestStore::open().await;
    let (one, [ann, bob, _]) = hall(&test).await;
    let two = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
    let mut heads = Vec::new();
    for room in [one, two] {
        heads.push((room, test.get(room).await));
    }
    let mut appends = Vec::new();
    for round in 0..3 {
        for (room, state) in &heads {
            let posts = allowed(&[&post(ann, &format!("{round}a")), &post(bob, &format!("{round}b"))]);
            appends.push(Append { room: *room, policy_revision: state.policy_revision, posts });
        }
    }
    appends.push(Append {
        room: one,
        policy_revision: heads[0].1.policy_revision,
        posts: allowed(&[&post(ann, "one more here")]),
    });
    appended(&test, noon(), appends).await;
    for (room, before) in heads {
        let found = all_messages(&test, room).await;
        let after = test.get(room).await;
        assert_eq!(found.len(), if room == one { 7 } else { 6 });
        for (index, (seq, revision, _)) in (1..).zip(&found) {
            assert_eq!((*seq, *revision), (index, before.head.0 + index));
        }
        assert_eq!((after.last_seq.0, after.head.0), (found.len() as u64, before.head.0 + found.len() as u64));
        assert_eq!(found.iter().filter(|(.., text)| text == "2b").count(), 1);
    }
}

#[tokio::test]
async fn repeat_has_no_second_effect_within_a_batch_and_across_batches() {
    let test = TestStore::open().await;
    let (room, [ann, bob, _]) = hall(&test).await;
    let (first, second) = (post(ann, "first"), post(ann, "second"));
    let by_bob = Post { author: bob, ..first.clone() };
    let (outcomes, head) = one(&test, room, allowed(&[&first, &first, &second, &by_bob])).await;
    let message = stored(&outcomes[0]).clone();
    let repeat = PostOutcome::Repeat { seq: message.seq, revision: message.revision, created_at: message.created_at };
    assert_eq!(outcomes[1], repeat);
    assert_eq!(stored(&outcomes[2]).seq, Seq(2));
    assert_eq!(stored(&outcomes[3]).seq, Seq(3), "another author's name for a post is another name");
    let (again, head_again) = one(&test, room, allowed(&[&first])).await;
    assert_eq!((again, head_again), (vec![repeat.clone()], head));
    let (mixed, _) = one(&test, room, allowed(&[&post(ann, "new"), &first, &post(ann, "newer")])).await;
    assert_eq!(mixed[1], repeat);
    assert_eq!((stored(&mixed[0]).seq, stored(&mixed[2]).seq), (Seq(4), Seq(5)));
    assert_eq!(all_messages(&test, room).await.len(), 5);
}

#[tokio::test]
async fn another_text_under_the_same_client_id_is_refused() {
    let test = TestStore::open().await;
    let (room, [ann, ..]) = hall(&test).await;
    let first = post(ann, "first");
    let other = Post { text: MessageText::stored("other".into()), ..first.clone() };
    let (outcomes, _) = one(&test, room, allowed(&[&first, &other])).await;
    assert_eq!(outcomes[1], PostOutcome::Refused(Fault::ClientIdReused.into()));
    let (outcomes, _) = one(&test, room, allowed(&[&other, &post(ann, "behind")])).await;
    assert_eq!(outcomes[0], PostOutcome::Refused(Fault::ClientIdReused.into()));
    assert_eq!(stored(&outcomes[1]).seq, Seq(2), "what no repeat can mend does not hold up what stands behind it");
}

#[tokio::test]
async fn post_decided_under_an_old_policy_is_not_stored() {
    let test = TestStore::open().await;
    let (room, [ann, bob, _]) = hall(&test).await;
    let policy_revision = test.get(room).await.policy_revision;
    let before = post(bob, "before");
    one(&test, room, allowed(&[&before])).await;
    test.change(ann, room, RoomChange::Kick { user: bob, reason: None }).await.unwrap();
    let append = |post: &Post| Append { room, policy_revision, posts: allowed(&[post]) };
    let after = appended(&test, noon(), vec![append(&post(bob, "after"))]).await;
    assert_eq!(after, [AppendOutcome::StalePolicy]);
    let outcome = appended(&test, noon(), vec![append(&before)]).await.pop().unwrap();
    assert!(
        matches!(&outcome, AppendOutcome::Done { posts, .. } if matches!(posts[..], [PostOutcome::Repeat { .. }])),
        "a repeat is answered whatever the policy has become: {outcome:?}"
    );
    assert_eq!(all_messages(&test, room).await.len(), 1);
}

#[tokio::test]
async fn verdict_refuses_a_new_post_but_not_a_repeat() {
    let test = TestStore::open().await;
    let (room, [ann, ..]) = hall(&test).await;
    let first = post(ann, "first");
    let (outcomes, _) = one(&test, room, allowed(&[&first])).await;
    let seq_of_first = stored(&outcomes[0]).seq;
    let refused = vec![(first.clone(), Err(Fault::Banned)), (post(ann, "new"), Err(Fault::Banned))];
    let (outcomes, _) = one(&test, room, refused).await;
    assert!(matches!(outcomes[0], PostOutcome::Repeat { seq, .. } if seq == seq_of_first));
    assert_eq!(outcomes[1], PostOutcome::Refused(Fault::Banned.into()));
}

#[tokio::test]
async fn retryable_refusal_refuses_what_stands_behind_it() {
    let test = TestStore::open().await;
    let (room, [ann, ..]) = hall(&test).await;
    let first = post(ann, "stored before");
    one(&test, room, allowed(&[&first])).await;
    let posts = vec![(post(ann, "a"), Ok(())), (post(ann, "b"), Err(Fault::Busy)), (first, Ok(())), (post(ann, "c"), Ok(()))];
    let (outcomes, _) = one(&test, room, posts).await;
    assert_eq!(stored(&outcomes[0]).seq, Seq(2));
    assert_eq!(outcomes[1], PostOutcome::Refused(Fault::Busy.into()));
    assert!(matches!(outcomes[2], PostOutcome::Repeat { .. }));
    assert_eq!(outcomes[3], PostOutcome::Refused(Fault::PreviousRefused.into()));
}

#[tokio::test]
async fn created_at_never_runs_backwards() {
    let test = TestStore::open().await;
    let (room, [ann, ..]) = hall(&test).await;
    let policy_revision = test.get(room).await.policy_revision;
    let mut last = Vec::new();
    for offset in [0, 5, -3600, 2, 6] {
        let append = Append { room, policy_revision, posts: allowed(&[&post(ann, "x")]) };
        let outcome = appended(&test, noon() + Duration::microseconds(offset), vec![append]).await.pop().unwrap();
        let AppendOutcome::Done { posts, .. } = outcome else { panic!() };
        last.push((stored(&posts[0]).created_at - noon()).num_microseconds().unwrap());
    }
    assert_eq!(last, [0, 5, 5, 5, 6]);
}

#[tokio::test]
async fn deleted_or_unknown_room_is_gone_and_others_of_the_batch_are_not() {
    let test = TestStore::open().await;
    let (room, [ann, ..]) = hall(&test).await;
    let lost = test.room(RoomKind::Public, HistoryRule::All, ann, &[]).await;
    test.change(ann, lost, RoomChange::Delete { reason: None }).await.unwrap();
    let mut appends = Vec::new();
    for room in [lost, RoomId::generate(), room] {
        appends.push(Append { room, policy_revision: test.get_policy(room).await, posts: allowed(&[&post(ann, "x")]) });
    }
    let outcomes = appended(&test, noon(), appends).await;
    assert_eq!(outcomes[..2], [AppendOutcome::Gone, AppendOutcome::Gone]);
    assert!(matches!(outcomes[2], AppendOutcome::Done { .. }));
}

#[tokio::test]
async fn batch_with_more_rows_than_an_insert_takes_is_stored_whole() {
    let test = TestStore::open().await;
    let (room, [ann, ..]) = hall(&test).await;
    let posts: Vec<Post> = (0..mysql::ROWS_PER_INSERT + 7).map(|n| post(ann, &n.to_string())).collect();
    one(&test, room, allowed(&posts.iter().collect::<Vec<_>>())).await;
    let found = all_messages(&test, room).await;
    assert_eq!(found.len(), posts.len());
    assert!((1..).zip(&found).all(|(n, (seq, _, text))| *seq == n && *text == (n - 1).to_string()));
    let (again, _) = one(&test, room, allowed(&posts.iter().collect::<Vec<_>>())).await;
    assert!(again.iter().all(|outcome| matches!(outcome, PostOutcome::Repeat { .. })));
}

/// A post that races a kick is committed before it or not at all (I10).
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_committed_after_a_kick_or_an_archive() {
    let test = TestStore::open().await;
    let (room, [ann, bob, eve]) = hall(&test).await;
    let mut posting = Vec::new();
    for author in [bob, eve] {
        let store = test.store.clone();
        let policy_revision = test.get(room).await.policy_revision;
        posting.push(tokio::spawn(async move {
            let mut seqs = Vec::new();
            loop {
                let appends = vec![Append { room, policy_revision, posts: allowed(&[&post(author, "x")]) }];
                match run(&store, AppendBatch { now: noon(), appends }).await.unwrap().pop() {
                    Some(AppendOutcome::Done { posts, .. }) => seqs.push(stored(&posts[0]).revision),
                    _ => return seqs,
                }
            }
        }));
    }
    while test.get(room).await.last_seq < Seq(20) {
        tokio::task::yield_now().await;
    }
    let kicked = test.change(ann, room, RoomChange::Kick { user: bob, reason: None }).await.unwrap();
    let end = kicked.changes.unwrap().to;
    let archive = RoomSettings { archived: Some(true), ..RoomSettings::default() };
    test.change(ann, room, RoomChange::Settings(archive)).await.unwrap();
    for task in posting {
        assert!(task.await.unwrap().iter().all(|revision| *revision < end));
    }
    let found = all_messages(&test, room).await;
    assert!(found.iter().all(|(_, revision, _)| *revision < end.0));
    assert!((1..).zip(&found).all(|(n, (seq, ..))| *seq == n));
}

/// Rooms are locked in the order of their ids, whatever order the batch names them in.
#[tokio::test(flavor = "multi_thread")]
async fn batches_over_the_same_rooms_in_any_order_do_not_deadlock() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let mut rooms = Vec::new();
    for _ in 0..6 {
        rooms.push(test.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await);
    }
    let policy = test.get(rooms[0]).await.policy_revision;
    let mut writers = Vec::new();
    for writer in 0..4_usize {
        let (store, rooms) = (test.store.clone(), rooms.clone());
        writers.push(tokio::spawn(async move {
            let mut contended = 0;
            for round in 0..15_usize {
                let mut order = rooms.clone();
                order.rotate_left((writer * 7 + round) % 6);
                if writer % 2 == 1 {
                    order.reverse();
                }
                let append = |room: &RoomId| Append { room: *room, policy_revision: policy, posts: allowed(&[&post(ann, "x")]) };
                let batch = AppendBatch { now: noon(), appends: order.iter().map(append).collect() };
                let batch = std::sync::Arc::new(batch);
                while let Err(error) = store.transaction(batch.clone(), crate::store::testing::PATIENCE).await {
                    assert!(matches!(error, StoreError::Contention(_) | StoreError::Busy), "{error}");
                    contended += usize::from(matches!(error, StoreError::Contention(_)));
                }
            }
            contended
        }));
    }
    let mut contended = 0;
    for writer in writers {
        contended += writer.await.unwrap();
    }
    assert_eq!(contended, 0, "deadlocks");
    for room in rooms {
        let found = all_messages(&test, room).await;
        assert_eq!(found.len(), 60);
        assert!((1..).zip(&found).all(|(n, (seq, ..))| *seq == n));
    }
}

#[tokio::test]
async fn a_batch_of_several_inserts_whose_last_one_is_all_repeats_raises_the_counters() {
    let test = TestStore::open().await;
    let (room, [ann, ..]) = hall(&test).await;
    let before = post(ann, "before");
    one(&test, room, allowed(&[&before])).await;
    let fresh: Vec<Post> = (0..mysql::ROWS_PER_INSERT).map(|_| post(ann, "new")).collect();
    let posts: Posts = fresh.into_iter().chain([before]).map(|post| (post, Ok(()))).collect();
    one(&test, room, posts).await;
    assert_eq!(test.get(room).await.last_seq.0 as usize, all_messages(&test, room).await.len());
}
