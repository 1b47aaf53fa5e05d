use super::*;
use crate::domain::preference::{DirectRule, FOREVER, Following, Notify};
use crate::domain::room::{HistoryRule, RoomChange, RoomKind};
use crate::store::StoreError;
use crate::store::rooms::{CreateGroup, FirstDirect};
use crate::store::testing::{TestStore, limits, noon, post};
use crate::store::users::changes::DeleteAccount;

async fn set_room(test: &TestStore, user: UserId, wanted: RoomPreferences) -> Result<Set<RoomPreferences>, StoreError> {
    test.run(SetRoomPreferences { user, wanted }).await
}

async fn set_thread(test: &TestStore, user: UserId, wanted: ThreadPreferences) -> Result<Set<ThreadPreferences>, StoreError> {
    test.run(SetThreadPreferences { user, wanted }).await
}

async fn change(test: &TestStore, user: UserId, change: PreferencesChange) -> Set<Preferences> {
    test.run(ChangePreferences { user, change }).await.unwrap()
}

#[tokio::test]
async fn what_is_preferred_of_a_room_is_set_as_a_whole_and_again_takes_no_revision() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[]).await;
    let none = RoomPreferences::none(room);
    assert_eq!(set_room(&test, ann, none).await.unwrap(), Set::unchanged(none), "as it is in the beginning");
    let muted = RoomPreferences { muted_until: Some(FOREVER), notify: Notify::Mentions, ..none };
    let set = set_room(&test, ann, muted).await.unwrap();
    let head = test.stream(ann, 0, 10).await.to;
    assert_eq!(set, Set { value: RoomPreferences { revision: head, ..muted }, user_heads: vec![(ann, head)] });
    assert_eq!(set_room(&test, ann, muted).await.unwrap(), Set::unchanged(set.value));
    let kept = test.store.read(move |db| Box::pin(of_room(db, ann, room))).await.unwrap();
    assert_eq!(kept, Some(set.value), "the end of time is kept without loss");
    let back = set_room(&test, ann, none).await.unwrap().value;
    assert_eq!(back, RoomPreferences { revision: head.next(), ..none });
    assert_eq!(set_room(&test, bob, muted).await, Err(StoreError::Refused(Fault::NotFound)));
}

#[tokio::test]
async fn threads_are_those_a_member_may_read() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::SinceJoining, ann, &[]).await;
    test.say(room, ann, &["1", "2"]).await;
    test.change(bob, room, RoomChange::Join).await.unwrap();
    test.say(room, ann, &["3"]).await;
    let follow = |thread| ThreadPreferences { following: Following::Yes, ..ThreadPreferences::none(room, Seq(thread)) };
    let not_found = Err(StoreError::Refused(Fault::NotFound));
    assert_eq!(set_thread(&test, bob, follow(2)).await, not_found);
    assert_eq!(set_thread(&test, bob, follow(4)).await, not_found);
    assert_eq!(set_thread(&test, ann, follow(0)).await, not_found);
    let set = set_thread(&test, bob, follow(3)).await.unwrap().value;
    assert_eq!(set_thread(&test, bob, follow(3)).await.unwrap(), Set::unchanged(set));
    let muted = ThreadPreferences { muted_until: Some(noon()), ..follow(3) };
    let muted = set_thread(&test, bob, muted).await.unwrap().value;
    let kept = test.store.read(move |db| Box::pin(of_thread(db, bob, room, Seq(3)))).await.unwrap();
    assert_eq!((kept, muted.revision), (Some(muted), set.revision.next()));
}

fn keywords(words: &[&str]) -> PreferencesChange {
    let words = words.iter().map(|word| Keyword::parse(word, 20).unwrap()).collect();
    PreferencesChange { keywords: Some(words), ..PreferencesChange::default() }
}

#[tokio::test]
async fn general_preferences_change_by_what_is_named_and_keywords_as_a_whole() {
    let test = TestStore::open().await;
    let [ann] = test.people().await;
    let quiet = QuietHours::parse(1320, 420).ok();
    let first = PreferencesChange { receipts: Some(false), quiet: Some(quiet), ..PreferencesChange::default() };
    let set = change(&test, ann, first.clone()).await;
    assert_eq!(set.value, Preferences { receipts: false, quiet, revision: Revision(1), ..Preferences::default() });
    assert_eq!(change(&test, ann, first).await, Set::unchanged(set.value));
    let words =
        |preferences: &Preferences| -> Vec<String> { preferences.keywords.iter().map(|word| word.as_str().to_owned()).collect() };
    assert_eq!(words(&change(&test, ann, keywords(&["Zebra", "ann", "ANN"])).await.value), ["ann", "Zebra"]);
    assert_eq!(change(&test, ann, keywords(&["ann", "Zebra"])).await.user_heads, []);
    let kept = change(&test, ann, keywords(&["Größe", "日本"])).await.value;
    let read = test.store.read(move |db| Box::pin(of(db, ann))).await.unwrap().unwrap();
    assert_eq!((read.clone(), words(&read)), (kept, vec!["Größe".to_owned(), "日本".to_owned()]));
    let off = PreferencesChange { quiet: Some(None), ..keywords(&[]) };
    let last = change(&test, ann, off).await.value;
    assert_eq!((last.quiet, last.keywords.len(), last.receipts, last.revision), (None, 0, false, Revision(4)));
}

#[tokio::test]
async fn a_closed_door_refuses_first_messages_and_groups_but_not_who_comes_in_by_a_shared_room() {
    let test = TestStore::open().await;
    let [ann, bob, cem] = test.people().await;
    let door = |direct| PreferencesChange { direct: Some(direct), ..PreferencesChange::default() };
    let write = async |author, other| {
        let room = RoomId::generate();
        test.run(FirstDirect { other, room, post: post(author, "psst"), verdict: Ok(()), now: noon(), limits: limits() })
            .await
            .map(|_| ())
    };
    let group = async |creator, other| {
        let group = CreateGroup { creator, room: RoomId::generate(), people: vec![other], now: noon(), limits: limits() };
        test.run(group).await.map(|_| ())
    };
    let refused = Err(StoreError::Refused(Fault::NotAllowed));
    change(&test, ann, door(DirectRule::SharedRooms)).await;
    test.room(RoomKind::Private, HistoryRule::All, ann, &[bob]).await;
    assert_eq!((write(cem, ann).await, group(cem, ann).await), (refused.clone(), refused.clone()));
    assert_eq!(group(bob, ann).await, Ok(()));
    change(&test, ann, door(DirectRule::Nobody)).await;
    assert_eq!((write(bob, ann).await, group(bob, ann).await), (refused.clone(), refused));
    assert_eq!(write(ann, bob).await, Ok(()), "the door opens from inside");
    assert_eq!(write(bob, ann).await, Ok(()), "and what is open stays so");
}

/// Everything a stream tells of preferences: about what, and at which revision.
fn told(page: &crate::domain::stream::UserChanges) -> Vec<(&'static str, u64)> {
    let about = |item: &StreamItem| match item {
        StreamItem::RoomPreferences(of) => Some(("room", of.revision.0)),
        StreamItem::ThreadPreferences(of) => Some(("thread", of.revision.0)),
        StreamItem::Preferences(of) => Some(("altogether", of.revision.0)),
        _ => None,
    };
    page.items.iter().filter_map(about).collect()
}

#[tokio::test]
async fn the_stream_tells_the_newest_of_each_from_any_cursor_in_pages_of_any_size() {
    let test = TestStore::open().await;
    let [ann] = test.people().await;
    let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[]).await;
    test.say(room, ann, &["1"]).await;
    let from = test.stream(ann, 0, 10).await.to.0;
    let mute = |until| RoomPreferences { muted_until: until, ..RoomPreferences::none(room) };
    set_room(&test, ann, mute(Some(FOREVER))).await.unwrap();
    let thread = ThreadPreferences { following: Following::No, ..ThreadPreferences::none(room, Seq(1)) };
    set_thread(&test, ann, thread).await.unwrap();
    change(&test, ann, keywords(&["ann"])).await;
    set_room(&test, ann, mute(None)).await.unwrap();
    let all = [("thread", from + 2), ("altogether", from + 3), ("room", from + 4)];
    for start in from..from + 4 {
        let expected: Vec<_> = all.iter().copied().filter(|(_, revision)| *revision > start).collect();
        for rows in 1..5 {
            let (mut at, mut found) = (start, Vec::new());
            while at < from + 4 {
                let page = test.stream(ann, at, rows).await;
                assert!(page.items.len() <= rows && page.to.0 > at);
                found.extend(told(&page));
                at = page.to.0;
            }
            assert_eq!(found, expected, "from {start}, {rows} rows");
        }
    }
    test.run(DeleteAccount { user: ann, known_hash: None, now: noon() }).await.unwrap();
    let kept = test.store.read(move |db| Box::pin(async move { Ok((of(db, ann).await?, of_room(db, ann, room).await?)) }));
    assert_eq!(kept.await.unwrap(), (None, None));
}
