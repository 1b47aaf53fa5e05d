use super::*;
use crate::domain::relation::RelationChange;
use crate::domain::room::{HistoryRule, RoomChange, RoomKind};
use crate::store::relations::SetRelation;
use crate::store::testing::{TestStore, noon};

async fn raise(test: &TestStore, user: UserId, reports: &[(RoomId, u64, u64)]) -> MarksRaised {
    let by = |(room, read, delivered): &(RoomId, u64, u64)| (*room, Progress { read: Seq(*read), delivered: Seq(*delivered) });
    test.run(RaiseMarks { user, progress: reports.iter().map(by).collect() }).await.unwrap()
}

fn mark(raised: &MarksRaised, room: RoomId) -> (u64, u64, u64, bool) {
    let Marked { mark, is_news } = raised.rooms[&room].unwrap();
    (mark.seq.0, mark.delivered.0, mark.revision.0, is_news)
}

#[tokio::test]
async fn a_mark_only_rises_stops_at_the_end_and_takes_a_revision_only_when_more_was_read() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[bob]).await;
    test.say(room, ann, &["1", "2", "3", "4"]).await;
    let head = test.stream(bob, 0, 10).await.to.0;
    assert_eq!(mark(&raise(&test, bob, &[(room, 2, 0)]).await, room), (2, 2, head + 1, true));
    let same = raise(&test, bob, &[(room, 1, 2)]).await;
    assert_eq!((mark(&same, room), same.user_heads), ((2, 2, head + 1, false), vec![]));
    let received = raise(&test, bob, &[(room, 0, 4)]).await;
    assert_eq!((mark(&received, room), received.user_heads), ((2, 4, head + 1, true), vec![]), "nobody's news but the room's");
    let all = raise(&test, bob, &[(room, 99, 0)]).await;
    assert_eq!((mark(&all, room), all.user_heads), ((4, 4, head + 2, true), vec![(bob, Revision(head + 2))]));
    let of = test.store.read(move |db| Box::pin(async move { of_room(db, room, &[ann, bob]).await })).await.unwrap();
    assert_eq!(of.iter().map(|(user, mark)| (*user, mark.seq.0)).collect::<Vec<_>>(), [(bob, 4)]);
}

#[tokio::test]
async fn only_members_have_marks_and_one_room_refused_leaves_the_others() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let mine = test.room(RoomKind::Private, HistoryRule::All, ann, &[bob]).await;
    let hidden = test.room(RoomKind::Private, HistoryRule::All, ann, &[]).await;
    let public = test.room(RoomKind::Public, HistoryRule::All, ann, &[]).await;
    for room in [mine, hidden, public] {
        test.say(room, ann, &["1"]).await;
    }
    let nowhere = RoomId::generate();
    let raised = raise(&test, bob, &[(mine, 1, 0), (hidden, 1, 0), (public, 1, 0), (nowhere, 1, 0)]).await;
    let fault = |room| raised.rooms[&room].unwrap_err();
    assert_eq!(mark(&raised, mine).0, 1);
    assert_eq!([fault(hidden), fault(public), fault(nowhere)], [Fault::NotFound, Fault::NotMember, Fault::NotFound]);
}

#[tokio::test]
async fn everything_is_read_in_parts_and_each_mark_is_told_of_in_pages_of_any_size() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let mut rooms = Vec::new();
    for _ in 0..5 {
        let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
        test.say(room, ann, &["1", "2"]).await;
        rooms.push(room);
    }
    let silent = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
    raise(&test, bob, &[(rooms[0], 2, 0)]).await;
    let before = test.stream(bob, 0, 100).await.to.0;
    let (mut after, mut read, mut parts) = (None, Vec::new(), 0);
    loop {
        let part = test.run(ReadEverything { user: bob, after, rooms_max: 2 }).await.unwrap();
        read.extend(part.marks.iter().map(|mark| mark.room));
        parts += 1;
        match part.next {
            Some(room) => after = Some(room),
            None => break,
        }
    }
    let mut unread = rooms[1..].to_vec();
    unread.sort();
    assert_eq!((read, parts), (unread, 2), "not the one that was read, nor the silent {silent}");
    let told = |page: &crate::domain::stream::UserChanges| -> Vec<RoomId> {
        let room = |item: &StreamItem| match item {
            StreamItem::ReadMark(mark) => Some(mark.room),
            _ => None,
        };
        page.items.iter().filter_map(room).collect()
    };
    let whole = test.stream(bob, before, 100).await;
    assert_eq!((whole.to.0, whole.items.len()), (before + 4, 4));
    for rows in 1..5 {
        let (mut from, mut marks) = (before, Vec::new());
        while from < whole.to.0 {
            let part = test.stream(bob, from, rows).await;
            assert!(part.items.len() <= rows && part.to.0 > from);
            marks.extend(told(&part));
            from = part.to.0;
        }
        assert_eq!(marks, told(&whole), "{rows} rows");
    }
    assert_eq!(test.run(ReadEverything { user: bob, after: None, rooms_max: 2 }).await.unwrap().user_heads, []);
}

/// Rows of `mentions`, as posting makes them.
struct Mention(Vec<(RoomId, Id, u64, UserId)>);

impl Operation for Mention {
    type Output = ();
    const NAME: &'static str = "test_mention";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, ()> {
        Box::pin(async move {
            for (room, user, at, author) in &self.0 {
                let row = (
                    mentions::room.eq(Id::from(*room)),
                    mentions::user.eq(*user),
                    mentions::seq.eq(int(*at)),
                    mentions::author.eq(Id::from(*author)),
                );
                each!(db, |c| diesel::insert_into(mentions::table).values(row).execute(c).await)?;
            }
            Ok(())
        })
    }
}

async fn place(test: &TestStore, user: UserId, room: RoomId) -> (u64, u64, u64, Option<u64>) {
    let read = test.store.read(move |db| {
        Box::pin(async move {
            let (room, member) = rooms::with_member(db, room, user).await?.unwrap();
            places(db, user, &[(room, member.unwrap())]).await
        })
    });
    let place = read.await.unwrap()[&room];
    (place.read.0, place.unread, place.mentions, place.first_unread.map(|seq| seq.0))
}

#[tokio::test]
async fn mentions_count_behind_the_mark_once_each_and_without_ones_own_and_blocked_people() {
    let test = TestStore::open().await;
    let [ann, bob, cem, dan] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::SinceJoining, ann, &[bob, cem]).await;
    test.say(room, ann, &["1", "2", "3", "4", "5", "6"]).await;
    test.change(dan, room, RoomChange::Join).await.unwrap();
    test.say(room, ann, &["7"]).await;
    let (me, other) = (Id::from(bob), Id::from(cem));
    let rows = vec![
        (room, me, 1, ann),
        (room, EVERYBODY, 1, ann),
        (room, me, 2, cem),
        (room, EVERYBODY, 3, bob),
        (room, other, 4, ann),
        (room, EVERYBODY, 5, ann),
        (room, EVERYBODY, 7, ann),
    ];
    test.run(Mention(rows)).await.unwrap();
    assert_eq!(place(&test, bob, room).await, (0, 7, 4, Some(1)));
    assert_eq!(place(&test, dan, room).await, (0, 1, 1, Some(7)), "nothing from before joining");
    raise(&test, bob, &[(room, 1, 0)]).await;
    assert_eq!(place(&test, bob, room).await, (1, 6, 3, Some(2)));
    let limits = (&crate::config::Config::default().limits).into();
    test.run(SetRelation { user: bob, other: cem, change: RelationChange::BLOCK, now: noon(), limits, missed_max: 100 })
        .await
        .unwrap();
    assert_eq!(place(&test, bob, room).await, (1, 6, 2, Some(2)));
    raise(&test, bob, &[(room, 7, 0)]).await;
    assert_eq!(place(&test, bob, room).await, (7, 0, 0, None));
}

#[tokio::test]
async fn how_far_somebody_has_read_goes_with_the_account() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
    test.say(room, ann, &["1"]).await;
    raise(&test, bob, &[(room, 1, 0)]).await;
    test.run(crate::store::users::changes::DeleteAccount { user: bob, known_hash: None, now: noon() }).await.unwrap();
    let left = test.store.read(move |db| Box::pin(async move { of(db, bob, &[room]).await })).await.unwrap();
    assert!(left.is_empty());
}
