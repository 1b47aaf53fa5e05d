use super::*;
use crate::domain::room::{HistoryRule, RoomChange, RoomKind};
use crate::store::testing::{TestStore, noon};
use crate::store::users::changes::DeleteAccount;

async fn set(test: &TestStore, user: UserId, room: RoomId, thread: Option<u64>, text: &str) -> Result<Set<Draft>, StoreError> {
    let text = DraftText::parse(text.to_owned(), 100).unwrap();
    test.run(SetDraft { user, room, thread: thread.map(Seq), text, now: noon(), drafts_max: 2, missed_max: 4 }).await
}

async fn listed(test: &TestStore, user: UserId) -> Vec<(RoomId, Option<u64>, String)> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let from = after.take();
        let part = test.store.read(move |db| Box::pin(page(db, user, from, 1))).await.unwrap();
        found.extend(part.items.iter().map(|d| (d.room, d.thread.map(|seq| seq.0), d.text.as_str().to_owned())));
        match part.items.last().filter(|_| part.more) {
            Some(last) => after = Some((last.room, last.thread)),
            None => return found,
        }
    }
}

#[tokio::test]
async fn a_draft_is_kept_by_room_and_thread_changed_and_thrown_away() {
    let test = TestStore::open().await;
    let [ann] = test.people().await;
    let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[]).await;
    test.say(room, ann, &["1"]).await;
    let head = test.stream(ann, 0, 10).await.to.0;
    assert_eq!(set(&test, ann, room, None, "He").await.unwrap().value.revision.0, head + 1);
    let hello = set(&test, ann, room, None, "Hello").await.unwrap();
    assert_eq!(hello.user_heads, [(ann, Revision(head + 2))]);
    assert_eq!(set(&test, ann, room, None, "Hello").await.unwrap(), Set::unchanged(hello.value));
    set(&test, ann, room, Some(1), "Re").await.unwrap();
    assert_eq!(listed(&test, ann).await, [(room, None, "Hello".to_owned()), (room, Some(1), "Re".to_owned())]);
    assert_eq!(set(&test, ann, room, None, " \n").await.unwrap().value.revision.0, head + 4);
    assert_eq!(listed(&test, ann).await, [(room, Some(1), "Re".to_owned())]);
    assert_eq!(set(&test, ann, room, None, "").await.unwrap().user_heads, [], "gone is gone");
    // Whoever was away hears that it is gone.
    let texts = |page: &crate::domain::stream::UserChanges| -> Vec<String> {
        let text = |item: &StreamItem| match item {
            StreamItem::Draft(draft) => Some(draft.text.as_str().to_owned()),
            _ => None,
        };
        page.items.iter().filter_map(text).collect()
    };
    assert_eq!(texts(&test.stream(ann, head, 10).await), ["Re", ""]);
    assert_eq!(texts(&test.stream(ann, head, 1).await), ["Re"]);
    assert_eq!(texts(&test.stream(ann, head + 3, 1).await), [""]);
}

#[tokio::test]
async fn what_was_thrown_away_is_remembered_for_as_long_as_a_device_may_have_missed_it() {
    let test = TestStore::open().await;
    let [ann] = test.people().await;
    let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[]).await;
    test.say(room, ann, &["1", "2", "3", "4", "5", "6"]).await;
    let rows = async || {
        let counted = test.store.read(move |db| {
            Box::pin(async move {
                let query = drafts::table.filter(drafts::user.eq(Id::from(ann))).count();
                let count: i64 = each!(db, |c| query.get_result(c).await)?;
                Ok(count)
            })
        });
        counted.await.unwrap()
    };
    set(&test, ann, room, None, "kept").await.unwrap();
    for thread in 1..=6 {
        set(&test, ann, room, Some(thread), "x").await.unwrap();
        let gone = set(&test, ann, room, Some(thread), "").await.unwrap().value;
        // Who has missed as many changes as they may hears of every one that went.
        let missed = test.stream(ann, gone.revision.back(4).0, 100).await.items;
        assert_eq!(missed.iter().filter(|item| matches!(item, StreamItem::Draft(_))).count(), 2, "{missed:?}");
    }
    assert_eq!(rows().await, 1 + 2, "what is there stays, and what went just now");
    assert_eq!(listed(&test, ann).await, [(room, None, "kept".to_owned())]);
}

#[tokio::test]
async fn so_many_drafts_and_no_more_in_rooms_and_threads_that_may_be_read() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[bob]).await;
    test.say(room, ann, &["1", "2"]).await;
    let refused = |fault| Err(StoreError::Refused(fault));
    set(&test, bob, room, None, "a").await.unwrap();
    set(&test, bob, room, Some(1), "b").await.unwrap();
    assert_eq!(set(&test, bob, room, Some(2), "c").await, refused(Fault::LimitReached));
    set(&test, bob, room, Some(1), "changed").await.unwrap();
    set(&test, bob, room, Some(1), "").await.unwrap();
    set(&test, bob, room, Some(2), "c").await.unwrap();
    assert_eq!(set(&test, bob, room, Some(3), "d").await, refused(Fault::NotFound));
    assert_eq!(set(&test, bob, RoomId::generate(), None, "d").await, refused(Fault::NotFound));
    test.change(bob, room, RoomChange::Leave).await.unwrap();
    assert_eq!(set(&test, bob, room, None, "after").await, refused(Fault::NotFound));
    set(&test, bob, room, None, "").await.unwrap();
    assert_eq!(listed(&test, bob).await.len(), 1);
    test.run(DeleteAccount { user: bob, known_hash: None, now: noon() }).await.unwrap();
    assert_eq!(listed(&test, bob).await, []);
}

#[tokio::test]
async fn a_page_of_the_stream_ends_at_its_bytes() {
    let test = TestStore::open().await;
    let [ann] = test.people().await;
    let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[]).await;
    test.say(room, ann, &["1"]).await;
    let head = test.stream(ann, 0, 10).await.to;
    set(&test, ann, room, None, &"x".repeat(80)).await.unwrap();
    set(&test, ann, room, Some(1), &"y".repeat(80)).await.unwrap();
    for (bytes, expected) in [(1, 1), (100, 1), (160, 2)] {
        let max = crate::store::streams::PageMax { rows: 10, bytes };
        let page = test.stream_page(ann, head, max).await;
        assert_eq!((page.items.len(), page.to.0 - head.0), (expected, expected as u64), "{bytes} bytes");
    }
}
