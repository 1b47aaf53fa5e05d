use super::*;
use crate::domain::draft::DraftText;
use crate::domain::message::{Details, Post};
use crate::domain::preference::{DirectRule, FOREVER, Notify};
use crate::domain::room::{HistoryRule, RoomChange, RoomKind};
use crate::store::StoreError;
use crate::store::drafts::SetDraft;
use crate::store::messages::{Append, AppendBatch};
use crate::store::rooms::{CreateGroup, FirstDirect};
use crate::store::testing::{TestStore, limits, noon, post};
use crate::store::users::changes::DeleteAccount;

async fn set_room(test: &TestStore, user: UserId, wanted: RoomPreferences) -> Result<Set<RoomPreferences>, StoreError> {
    test.run(SetRoomPreferences { user, wanted }).await
}

async fn set_thread(test: &TestStore, user: UserId, wanted: ThreadPreferences) -> Result<Set<ThreadPreferences>, StoreError> {
    test.run(SetThreadPreferences { user, wanted, now: noon(), threads_max: 2, missed_max: 4 }).await
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

#[tokio::test]
async fn a_reply_has_no_preferences_of_its_own_and_no_draft_in_its_thread() {
    let test = TestStore::open().await;
    let [ann] = test.people().await;
    let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[]).await;
    test.say(room, ann, &["1"]).await;
    let details = Some(Box::new(Details { thread: Some(Seq(1)), ..Details::default() }));
    let append = Append {
        room,
        policy_revision: test.get(room).await.policy_revision,
        posts: vec![(Post { details, ..post(ann, "re") }, Ok(()))],
    };
    test.run(AppendBatch { now: noon(), appends: vec![append] }).await.unwrap();
    let no = |thread| ThreadPreferences { following: Following::No, ..ThreadPreferences::none(room, Seq(thread)) };
    assert_eq!(set_thread(&test, ann, no(2)).await, Err(StoreError::Refused(Fault::BadRequest)));
    set_thread(&test, ann, no(1)).await.unwrap();
    let draft = |thread| SetDraft {
        user: ann,
        room,
        thread: Some(Seq(thread)),
        text: DraftText::parse("well".to_owned(), 100).unwrap(),
        now: noon(),
        drafts_max: 9,
        missed_max: 9,
    };
    assert_eq!(test.run(draft(2)).await, Err(StoreError::Refused(Fault::BadRequest)));
    test.run(draft(1)).await.unwrap();
}

#[tokio::test]
async fn so_many_threads_have_preferences_and_those_set_back_or_over_do_not_count() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
    test.say(room, ann, &["1", "2", "3", "4"]).await;
    let none = |thread| ThreadPreferences::none(room, Seq(thread));
    let no = |thread| ThreadPreferences { following: Following::No, ..none(thread) };
    let muted = |thread, until| ThreadPreferences { muted_until: Some(until), ..none(thread) };
    let refused = Err(StoreError::Refused(Fault::LimitReached));
    set_thread(&test, bob, no(1)).await.unwrap();
    set_thread(&test, bob, muted(2, FOREVER)).await.unwrap();
    assert_eq!(set_thread(&test, bob, no(3)).await, refused);
    assert_eq!(set_thread(&test, bob, muted(3, FOREVER)).await, refused);
    // What is there changes, and what is over says nothing.
    set_thread(&test, bob, ThreadPreferences { following: Following::Yes, ..none(1) }).await.unwrap();
    set_thread(&test, bob, muted(3, noon())).await.unwrap();
    set_thread(&test, bob, muted(2, noon())).await.unwrap();
    set_thread(&test, bob, no(4)).await.unwrap();
    assert_eq!(set_thread(&test, bob, muted(2, FOREVER)).await, refused);
    test.change(bob, room, RoomChange::Leave).await.unwrap();
    set_thread(&test, bob, none(4)).await.unwrap();
    let not_member = set_thread(&test, bob, no(4)).await;
    assert!(matches!(not_member, Err(StoreError::Refused(Fault::NotMember))), "{not_member:?}");
}

#[tokio::test]
async fn threads_set_back_are_remembered_for_as_long_as_a_device_may_have_missed_it() {
    let test = TestStore::open().await;
    let [ann] = test.people().await;
    let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[]).await;
    test.say(room, ann, &["1", "2", "3", "4", "5", "6", "7"]).await;
    let none = |thread| ThreadPreferences::none(room, Seq(thread));
    let yes = |thread| ThreadPreferences { following: Following::Yes, ..none(thread) };
    let known = async |thread| {
        let read = test.store.read(move |db| Box::pin(of_thread(db, ann, room, Seq(thread))));
        read.await.unwrap().map(|of| of.following)
    };
    set_thread(&test, ann, yes(1)).await.unwrap();
    set_thread(&test, ann, ThreadPreferences { muted_until: Some(noon()), ..none(2) }).await.unwrap();
    for thread in 3..=7 {
        set_thread(&test, ann, yes(thread)).await.unwrap();
        let back = set_thread(&test, ann, none(thread)).await.unwrap().value;
        // Who has missed as many changes as they may hears of every one that went.
        let missed = told(&test.stream(ann, back.revision.back(4).0, 100).await);
        assert_eq!(missed.iter().filter(|(about, _)| *about == "thread").count(), if thread == 3 { 3 } else { 2 }, "{missed:?}");
    }
    let mut left = Vec::new();
    for thread in 1..=7 {
        left.push(known(thread).await);
    }
    let usual = Some(Following::Default);
    assert_eq!(left, [Some(Following::Yes), None, None, None, None, usual, usual], "what says something stays");
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
