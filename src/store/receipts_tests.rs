use super::*;
use crate::config::Config;
use crate::domain::order::Seq;
use crate::domain::reading::Progress;
use crate::domain::relation::RelationChange;
use crate::domain::room::{HistoryRule, RoomChange, RoomKind};
use crate::store::operation::{Operation, Reply};
use crate::store::read_marks::RaiseMarks;
use crate::store::relations::{RelationLimits, SetRelation};
use crate::store::testing::{TestStore, noon};
use std::collections::BTreeMap;

/// Somebody wants no receipts.
struct WithoutReceipts(UserId);

impl Operation for WithoutReceipts {
    type Output = ();
    const NAME: &'static str = "test_without_receipts";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, ()> {
        Box::pin(async move {
            let values = (
                preferences::user.eq(Id::from(self.0)),
                preferences::receipts.eq(false),
                preferences::direct.eq(0_i16),
                preferences::notify.eq(0_i16),
                preferences::stream_revision.eq(1_i64),
            );
            each!(db, |c| diesel::insert_into(preferences::table).values(values).execute(c).await)?;
            Ok(())
        })
    }
}

async fn read(test: &TestStore, user: UserId, room: RoomId, seq: u64) {
    let progress = BTreeMap::from([(room, Progress { read: Seq(seq), delivered: Seq::ZERO })]);
    test.run(RaiseMarks { user, progress }).await.unwrap();
}

/// Whose receipts of the room somebody sees, and how far each.
async fn seen(test: &TestStore, room: RoomId, by: UserId) -> Vec<(UserId, u64)> {
    let seen = test.store.read(move |db| Box::pin(seen_by(db, room, by))).await.unwrap();
    seen.into_iter().map(|(user, mark)| (user, mark.seq.0)).collect()
}

/// Who may not see of `user`; `None`: nobody may.
async fn hidden(test: &TestStore, user: UserId, people: &[UserId]) -> Option<Vec<UserId>> {
    let people = people.to_vec();
    test.store.read(move |db| Box::pin(async move { withheld(db, user, &people).await })).await.unwrap()
}

async fn hall(test: &TestStore) -> (RoomId, [UserId; 4]) {
    let mut people: [UserId; 4] = test.people().await;
    people.sort_unstable();
    let room = test.room(RoomKind::Public, HistoryRule::All, people[0], &people[1..]).await;
    test.say(room, people[0], &["1", "2", "3"]).await;
    for (user, seq) in people.into_iter().zip(1..) {
        read(test, user, room, seq.min(3)).await;
    }
    (room, people)
}

#[tokio::test]
async fn everybody_in_the_room_sees_how_far_the_others_are_and_who_left_is_not_shown() {
    let test = TestStore::open().await;
    let (room, [ann, bob, cem, dan]) = hall(&test).await;
    assert_eq!(seen(&test, room, bob).await, [(ann, 1), (cem, 3), (dan, 3)]);
    test.change(dan, room, RoomChange::Leave).await.unwrap();
    assert_eq!(seen(&test, room, bob).await, [(ann, 1), (cem, 3)]);
    assert_eq!(hidden(&test, bob, &[ann, cem]).await, Some(Vec::new()));
}

#[tokio::test]
async fn between_who_blocks_and_who_is_blocked_nothing_is_seen_either_way() {
    let test = TestStore::open().await;
    let (room, [ann, bob, cem, dan]) = hall(&test).await;
    let limits = RelationLimits::from(&Config::default().limits);
    let block = SetRelation { user: ann, other: bob, change: RelationChange::BLOCK, now: noon(), limits, missed_max: 100 };
    test.run(block).await.unwrap();
    assert_eq!(seen(&test, room, ann).await, [(cem, 3), (dan, 3)]);
    assert_eq!(seen(&test, room, bob).await, [(cem, 3), (dan, 3)]);
    assert_eq!(hidden(&test, ann, &[bob, cem, dan]).await, Some(vec![bob]));
    assert_eq!(hidden(&test, bob, &[ann, cem, dan]).await, Some(vec![ann]));
    assert_eq!(hidden(&test, cem, &[ann, bob, dan]).await, Some(Vec::new()));
}

#[tokio::test]
async fn who_wants_no_receipts_neither_sends_nor_sees_any() {
    let test = TestStore::open().await;
    let (room, [ann, bob, cem, dan]) = hall(&test).await;
    test.run(WithoutReceipts(cem)).await.unwrap();
    assert_eq!(seen(&test, room, cem).await, []);
    assert_eq!(seen(&test, room, ann).await, [(bob, 2), (dan, 3)]);
    assert_eq!(hidden(&test, cem, &[ann, bob, dan]).await, None);
    assert_eq!(hidden(&test, ann, &[bob, cem, dan]).await, Some(vec![cem]));
}
