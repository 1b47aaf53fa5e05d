use super::*;
use crate::config::Config;
use crate::domain::ids::RoomId;
use crate::domain::message::{Details, Origin, Post};
use crate::domain::order::Seq;
use crate::domain::room::{HistoryRule, RoomChange, RoomKind};
use crate::store::messages::{Append, AppendBatch, AppendOutcome};
use crate::store::rooms::{CreateGroup, FirstDirect, FirstDirectOutcome};
use crate::store::testing::{TestStore, limits, noon, post};
use crate::store::users::changes::DeleteAccount;

fn set(user: UserId, other: UserId, change: RelationChange) -> SetRelation {
    SetRelation { user, other, change, now: noon(), limits: RelationLimits::from(&Config::default().limits), missed_max: 100 }
}

async fn block(test: &TestStore, user: UserId, other: UserId) -> RelationChanged {
    test.run(set(user, other, RelationChange::BLOCK)).await.unwrap()
}

async fn unblock(test: &TestStore, user: UserId, other: UserId) -> RelationChanged {
    test.run(set(user, other, RelationChange::UNBLOCK)).await.unwrap()
}

async fn first_direct(test: &TestStore, author: UserId, other: UserId) -> Result<RoomId, StoreError> {
    let first = FirstDirect {
        other,
        room: RoomId::generate(),
        post: post(author, "psst"),
        verdict: Ok(()),
        now: noon(),
        limits: limits(),
    };
    match test.run(first).await? {
        FirstDirectOutcome::Made { changed, .. } => Ok(changed.room.id),
        FirstDirectOutcome::Exists(room) => Ok(room),
    }
}

const REFUSED: Result<RoomId, StoreError> = Err(StoreError::Refused(Fault::NotAllowed));

#[tokio::test]
async fn a_block_closes_the_direct_room_in_its_own_commit_and_the_last_unblock_opens_it() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let room = first_direct(&test, ann, bob).await.unwrap();
    let before = test.get(room).await;
    let changed = block(&test, ann, bob).await;
    let closed = test.get(room).await;
    assert!(closed.blocked);
    assert_eq!((closed.head, closed.policy_revision), (before.head.next(), before.head.next()));
    let told = changed.room.unwrap();
    let changes = told.changes.unwrap();
    assert_eq!((told.room, changes.from, changes.to, changes.items), (closed.clone(), before.head, closed.head, vec![]));
    // A post that was decided before the block is decided again.
    let appends = vec![Append { room, policy_revision: before.policy_revision, posts: vec![(post(bob, "late"), Ok(()))] }];
    let outcome = test.run(AppendBatch { now: noon(), appends }).await.unwrap().pop();
    assert!(matches!(outcome, Some(AppendOutcome::StalePolicy)), "{outcome:?}");

    assert_eq!(block(&test, bob, ann).await.room, None, "it is closed already");
    assert_eq!(unblock(&test, ann, bob).await.room, None, "the other still blocks");
    assert!(test.get(room).await.blocked);
    assert!(unblock(&test, bob, ann).await.room.is_some_and(|changed| !changed.room.blocked));
    assert!(!test.get(room).await.blocked);
}

#[tokio::test]
async fn what_is_so_already_takes_no_revision_and_every_change_takes_one() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let first = block(&test, ann, bob).await;
    assert_eq!((first.user_heads.clone(), first.block_changed), (vec![(ann, Revision(1))], true));
    let again = block(&test, ann, bob).await;
    assert_eq!((again.user_heads, again.block_changed, again.relation), (vec![], false, first.relation));
    let muted = test.run(set(ann, bob, RelationChange::MUTE)).await.unwrap();
    assert_eq!(
        (muted.relation.revision, muted.relation.blocked_revision, muted.block_changed),
        (Revision(2), Revision(1), false)
    );
    assert_eq!(unblock(&test, ann, bob).await.relation.revision, Revision(3));
    assert_eq!(test.run(set(bob, ann, RelationChange::UNMUTE)).await.unwrap().user_heads, vec![]);
}

#[tokio::test]
async fn nobody_blocks_themselves_nobody_or_who_is_gone_but_a_block_of_before_can_be_taken_back() {
    let test = TestStore::open().await;
    let [ann, bob, cem] = test.people().await;
    let refused = |fault| Err(StoreError::Refused(fault));
    assert_eq!(test.run(set(ann, ann, RelationChange::BLOCK)).await, refused(Fault::BadRequest));
    assert_eq!(test.run(set(ann, UserId::generate(), RelationChange::MUTE)).await, refused(Fault::NotFound));
    block(&test, ann, bob).await;
    block(&test, bob, ann).await;
    test.run(DeleteAccount { user: bob, known_hash: None, now: noon() }).await.unwrap();
    assert_eq!(test.run(set(cem, bob, RelationChange::BLOCK)).await, refused(Fault::NotFound));
    assert!(unblock(&test, ann, bob).await.block_changed);
    let kept = test.store.read(move |db| Box::pin(hidden_from(db, bob))).await.unwrap();
    assert_eq!(kept, [], "what a deleted account had decided is gone");
}

#[tokio::test]
async fn so_many_are_blocked_and_muted_and_no_more() {
    let test = TestStore::open().await;
    let [ann, bob, cem] = test.people().await;
    let tight = RelationLimits { blocks_per_user: 1, mutes_per_user: 1 };
    let set = |other, change| SetRelation { limits: tight, ..set(ann, other, change) };
    for (on, off) in [(RelationChange::BLOCK, RelationChange::UNBLOCK), (RelationChange::MUTE, RelationChange::UNMUTE)] {
        test.run(set(bob, on)).await.unwrap();
        assert_eq!(test.run(set(cem, on)).await, Err(StoreError::Refused(Fault::LimitReached)));
        test.run(set(bob, on)).await.unwrap();
        test.run(set(bob, off)).await.unwrap();
        test.run(set(cem, on)).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_taken_back_is_remembered_for_as_long_as_a_device_may_have_missed_it() {
    let test = TestStore::open().await;
    let [ann, bob, cem] = test.people().await;
    let set = |other, change| SetRelation { missed_max: 2, ..set(ann, other, change) };
    let known = async |other| test.store.read(move |db| Box::pin(find(db, ann, other))).await.unwrap().is_some();
    test.run(set(bob, RelationChange::BLOCK)).await.unwrap();
    test.run(set(bob, RelationChange::UNBLOCK)).await.unwrap();
    assert!(known(bob).await, "a device that was away must hear of it");
    test.run(set(cem, RelationChange::MUTE)).await.unwrap();
    test.run(set(cem, RelationChange::UNMUTE)).await.unwrap();
    assert_eq!((known(bob).await, known(cem).await), (false, true));
    // Forgotten is as never said.
    test.run(set(bob, RelationChange::BLOCK)).await.unwrap();
    assert!(known(bob).await);
}

#[tokio::test]
async fn the_first_message_is_refused_in_both_directions_of_a_block_and_by_a_closed_door_alike() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    block(&test, ann, bob).await;
    assert_eq!(first_direct(&test, bob, ann).await, REFUSED);
    assert_eq!(first_direct(&test, ann, bob).await, REFUSED);
    unblock(&test, ann, bob).await;
    first_direct(&test, bob, ann).await.unwrap();
}

#[tokio::test]
async fn who_is_blocked_neither_invites_nor_makes_a_group_with_who_blocks_them() {
    let test = TestStore::open().await;
    let [ann, bob, cem] = test.people().await;
    block(&test, ann, bob).await;
    let group = |creator, people| CreateGroup { creator, room: RoomId::generate(), people, now: noon(), limits: limits() };
    assert_eq!(test.run(group(bob, vec![cem, ann])).await, Err(StoreError::Refused(Fault::NotAllowed)));
    test.run(group(bob, vec![cem])).await.unwrap();
    let room = test.room(RoomKind::Private, HistoryRule::All, bob, &[cem]).await;
    let invite = |by| test.change(by, room, RoomChange::Invite { user: ann });
    assert_eq!(invite(bob).await, Err(StoreError::Refused(Fault::NotAllowed)));
    invite(cem).await.unwrap();
}

#[tokio::test]
async fn a_first_message_and_a_block_at_the_same_time_never_leave_an_open_room_behind_a_block() {
    let test = TestStore::open().await;
    for _ in 0..8 {
        let [ann, bob] = test.people().await;
        let (made, blocked) = tokio::join!(first_direct(&test, bob, ann), test.run(set(ann, bob, RelationChange::BLOCK)));
        blocked.unwrap();
        match made {
            Ok(room) => assert!(test.get(room).await.blocked),
            refused => assert_eq!(refused, REFUSED),
        }
    }
}

#[tokio::test]
async fn questions_about_blocks_are_answered_in_their_direction() {
    let test = TestStore::open().await;
    let [ann, bob, cem] = test.people().await;
    block(&test, ann, bob).await;
    test.run(set(ann, cem, RelationChange::MUTE)).await.unwrap();
    let answers = test.store.read(move |db| {
        Box::pin(async move {
            let hidden = hidden_from(db, ann).await?;
            let by = blocked_by(db, bob, &[ann, cem]).await?;
            let both = (is_blocked(db, bob, ann).await?, is_blocked(db, ann, bob).await?);
            let apart = (apart(db, ann, &[bob, cem]).await?, apart(db, bob, &[ann, cem]).await?);
            Ok((hidden, by, both, apart))
        })
    });
    let (hidden, by, both, apart) = answers.await.unwrap();
    assert_eq!((hidden, by, both, apart), (vec![bob], vec![ann], (true, false), (vec![bob], vec![ann])));
    let listed = test.store.read(move |db| Box::pin(page(db, ann, None, 1))).await.unwrap();
    assert!(listed.more);
    let first = listed.items[0].other;
    let rest = test.store.read(move |db| Box::pin(page(db, ann, Some(first), 1))).await.unwrap();
    assert_eq!((rest.items.len(), rest.more), (1, false));
    unblock(&test, ann, bob).await;
    let listed = test.store.read(move |db| Box::pin(page(db, ann, None, 5))).await.unwrap();
    assert_eq!(listed.items.iter().map(|relation| relation.other).collect::<Vec<_>>(), [cem]);
}

/// Whom a page of a stream tells of, and which rooms to fetch again.
fn told(page: &crate::domain::stream::UserChanges) -> Vec<(UserId, bool, Option<Refetch>)> {
    let relation = |item: &StreamItem| match item {
        StreamItem::Relation { relation, refetch } => Some((relation.other, relation.blocked, refetch.clone())),
        _ => None,
    };
    page.items.iter().filter_map(relation).collect()
}

#[tokio::test]
async fn the_stream_tells_of_a_block_from_any_cursor_and_which_rooms_are_concerned() {
    let test = TestStore::open().await;
    let [ann, bob, cem] = test.people().await;
    let mut rooms = Vec::new();
    for others in [vec![bob, cem], vec![cem], vec![bob]] {
        rooms.push(test.room(RoomKind::Public, HistoryRule::All, ann, &others).await);
    }
    // Once there is enough: what Bob has said stands.
    test.change(bob, rooms[2], RoomChange::Leave).await.unwrap();
    let before = test.stream(ann, 0, 100).await.to.0;
    let at = block(&test, ann, bob).await.relation.revision.0;
    assert_eq!(at, before + 1);
    test.run(set(ann, cem, RelationChange::MUTE)).await.unwrap();
    let mut both = vec![rooms[0], rooms[2]];
    both.sort();
    let blocked = (bob, true, Some(Refetch::Rooms(both)));
    assert_eq!(told(&test.stream(ann, before, 100).await), [blocked.clone(), (cem, false, None)]);
    let part = test.stream(ann, before, 2).await;
    assert_eq!((told(&part), part.to.0), (vec![blocked, (cem, false, None)], at + 1));
    let part = test.stream(ann, before, 1).await;
    assert_eq!((told(&part), part.to.0), (vec![(bob, true, Some(Refetch::Every))], at), "more rooms than the page holds");
    assert_eq!(told(&test.stream(ann, at, 100).await), [(cem, false, None)]);
    assert_eq!(told(&test.stream(ann, 0, 100).await)[0], (bob, true, None), "who knows nothing fetches everything");
    test.run(set(ann, bob, RelationChange::MUTE)).await.unwrap();
    assert_eq!(
        told(&test.stream(ann, at, 100).await),
        [(cem, false, None), (bob, true, None)],
        "the block is known since before"
    );
}

#[tokio::test]
async fn a_block_is_told_with_its_rooms_though_the_reader_gets_there_by_pages_and_something_else_was_decided_since() {
    let test = TestStore::open().await;
    let [ann, bob, cem] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
    let before = test.stream(ann, 0, 100).await.to.0;
    block(&test, ann, bob).await;
    for other in [cem, bob] {
        test.run(set(ann, other, RelationChange::MUTE)).await.unwrap();
    }
    let again = Some(Refetch::Rooms(vec![room]));
    let whole = [(bob, true, again), (cem, false, None), (bob, true, None)];
    assert_eq!(told(&test.stream(ann, before, 100).await), whole);
    let (mut paged, mut from) = (Vec::new(), before);
    for _ in &whole {
        let page = test.stream(ann, from, 1).await;
        paged.extend(told(&page));
        from = page.to.0;
    }
    assert_eq!(paged, whole, "page by page");
    assert_eq!(test.stream(ann, from, 1).await.items, [], "that was all");
    assert_eq!(told(&test.stream(ann, 0, 100).await).len(), 2, "who knows nothing is told of each once");
}

/// Somebody forwards words of another.
async fn forward(test: &TestStore, by: UserId, room: RoomId, of: UserId) {
    let origin = Some(Origin { room: RoomId::generate(), seq: Seq(1), author: of });
    let details = Details { origin, ..Details::default() };
    let copy = Post { details: Some(Box::new(details)), ..post(by, "as Bob says") };
    let policy_revision = test.get(room).await.policy_revision;
    let append = Append { room, policy_revision, posts: vec![(copy, Ok(()))] };
    test.run(AppendBatch { now: noon(), appends: vec![append] }).await.unwrap();
}

#[tokio::test]
async fn a_room_with_forwarded_words_is_fetched_again_though_who_said_them_was_never_there() {
    let test = TestStore::open().await;
    let [ann, bob, cem] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[cem]).await;
    let without_ann = test.room(RoomKind::Public, HistoryRule::All, cem, &[]).await;
    test.room(RoomKind::Public, HistoryRule::All, ann, &[cem]).await;
    for room in [room, room, without_ann] {
        forward(&test, cem, room, bob).await;
    }
    let before = test.stream(ann, 0, 100).await.to.0;
    block(&test, ann, bob).await;
    let again = Some(Refetch::Rooms(vec![room]));
    assert_eq!(told(&test.stream(ann, before, 100).await), [(bob, true, again.clone())]);
    unblock(&test, ann, bob).await;
    assert_eq!(told(&test.stream(ann, before, 100).await), [(bob, false, again)]);
}
