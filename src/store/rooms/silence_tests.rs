use crate::domain::fault::Fault;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::{Member, Role};
use crate::domain::message::{Item, NoticeKind};
use crate::domain::room::{HistoryRule, RoomChange, RoomKind, RoomSettings};
use crate::domain::text::Reason;
use crate::domain::time::Timestamp;
use crate::store::testing::{TestStore, noon};
use crate::store::{StoreError, members};
use chrono::TimeDelta;

fn hours(after: i64) -> Timestamp {
    noon() + TimeDelta::hours(after)
}

fn silence(user: UserId, until: Timestamp) -> RoomChange {
    RoomChange::Silence { user, until, reason: Reason::parse("noise").ok() }
}

async fn row(test: &TestStore, room: RoomId, user: UserId) -> Member {
    let found = test.store.read(move |db| Box::pin(super::with_member(db, room, user))).await.unwrap();
    found.and_then(|(_, member)| member).unwrap()
}

/// Who is silenced at that time, in pages of one.
async fn silenced(test: &TestStore, room: RoomId, now: Timestamp) -> Vec<UserId> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = test.store.read(move |db| Box::pin(members::silenced(db, room, now, after, 1))).await.unwrap();
        after = page.items.last().and_then(|last| Some((last.member.silenced_until?, last.member.user)));
        found.extend(page.items.into_iter().map(|named| named.member.user));
        if !page.more {
            return found;
        }
    }
}

#[tokio::test]
async fn a_silence_is_a_revision_that_counts_for_the_policy_and_tells_why() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[bob]).await;
    let before = row(&test, room, bob).await;
    let changed = test.change(ann, room, silence(bob, hours(1))).await.unwrap();
    assert_eq!(changed.room.policy_revision, changed.room.head);
    let changes = changed.changes.unwrap();
    let [Item::Member(member), Item::Notice(notice)] = &changes.items[..] else { panic!("{changes:?}") };
    assert_eq!((member.user, member.silenced_until, member.by, &member.reason), (bob, Some(hours(1)), before.by, &None));
    assert_eq!((notice.kind, notice.subject, notice.text.as_deref()), (NoticeKind::Silenced, Some(bob), Some("noise")));
    assert_eq!(changed.user_heads.len(), 1, "bob's own stream tells him");
    // The same again is no change.
    assert_eq!(test.change(ann, room, silence(bob, hours(1))).await.unwrap().changes, None);
    let ended = test.change(ann, room, RoomChange::Unsilence { user: bob, reason: None }).await.unwrap();
    assert_eq!(ended.room.policy_revision, ended.room.head);
    assert_eq!(row(&test, room, bob).await.silenced_until, None);
    assert_eq!(test.change(ann, room, RoomChange::Unsilence { user: bob, reason: None }).await.unwrap().changes, None);
}

#[tokio::test]
async fn leaving_and_coming_back_does_not_end_a_silence() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
    test.change(ann, room, silence(bob, hours(1))).await.unwrap();
    let (kick, ban) = (RoomChange::Kick { user: bob, reason: None }, RoomChange::Ban { user: bob, reason: None });
    for (who, change) in [
        (bob, RoomChange::Leave),
        (bob, RoomChange::Join),
        (ann, kick),
        (bob, RoomChange::Join),
        (ann, ban),
        (ann, RoomChange::Unban { user: bob, reason: None }),
        (ann, RoomChange::Invite { user: bob }),
        (bob, RoomChange::Join),
        (ann, RoomChange::SetRole { user: bob, role: Role::Moderator, reason: None }),
    ] {
        test.change(who, room, change.clone()).await.unwrap();
        assert_eq!(row(&test, room, bob).await.silenced_until, Some(hours(1)), "after {change:?}");
    }
}

#[tokio::test]
async fn an_owner_is_never_silenced_as_nobody_could_end_it() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
    test.change(ann, room, silence(bob, hours(1))).await.unwrap();
    test.change(ann, room, RoomChange::Transfer { user: bob, reason: None }).await.unwrap();
    assert_eq!(row(&test, room, bob).await.silenced_until, None);
    // And whoever comes into an empty room owns it.
    test.change(bob, room, silence(ann, hours(1))).await.unwrap();
    test.change(ann, room, RoomChange::Leave).await.unwrap();
    test.change(bob, room, RoomChange::Leave).await.unwrap();
    test.change(ann, room, RoomChange::Join).await.unwrap();
    let ann = row(&test, room, ann).await;
    assert_eq!((ann.role, ann.silenced_until), (Role::Owner, None));
}

#[tokio::test]
async fn who_is_silenced_is_listed_until_it_ends_also_who_left() {
    let test = TestStore::open().await;
    let [ann, bob, cem, dan] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob, cem, dan]).await;
    for (user, until) in [(bob, hours(3)), (cem, hours(1)), (dan, hours(2))] {
        test.change(ann, room, silence(user, until)).await.unwrap();
    }
    test.change(dan, room, RoomChange::Leave).await.unwrap();
    assert_eq!(silenced(&test, room, noon()).await, [cem, dan, bob]);
    assert_eq!(silenced(&test, room, hours(1)).await, [dan, bob]);
    assert_eq!(silenced(&test, room, hours(3)).await, []);
    let stranger = UserId::generate();
    assert_eq!(test.change(ann, room, silence(stranger, hours(1))).await, Err(StoreError::Refused(Fault::NotFound)));
}

#[tokio::test]
async fn who_may_post_is_settled_anew_by_a_role_and_by_the_rule_of_the_room() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
    let read_only = RoomSettings { posting: Some(Role::Moderator), ..RoomSettings::default() };
    let changed = test.change(ann, room, RoomChange::Settings(read_only)).await.unwrap();
    assert_eq!((changed.room.posting, changed.room.policy_revision), (Role::Moderator, changed.room.head));
    assert_eq!(test.get(room).await.posting, Role::Moderator);
    for change in
        [RoomChange::SetRole { user: bob, role: Role::Moderator, reason: None }, RoomChange::Transfer { user: bob, reason: None }]
    {
        let changed = test.change(ann, room, change).await.unwrap();
        assert_eq!(changed.room.policy_revision, changed.room.head);
    }
}
